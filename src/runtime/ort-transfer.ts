/**
 * Moves values between host memory and a GPU by programs that copy, one per direction, element type and
 * rank. ONNX Runtime's own download of a GPU tensor ends the process in onnxruntime-node, and creating a
 * GPU tensor by hand needs the browser's WebGPU objects; running a copy works in every build.
 */
import type { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-common';
import { compile, type DType, input, type Target } from '../tensor/index.ts';

type CreateSession = (
  model: Uint8Array,
  options: InferenceSession.SessionOptions,
) => Promise<InferenceSession>;

/** Element types that GPU kernels copy; others stay in host memory, where every program can read them. */
const GPU_TYPES: ReadonlySet<DType> = new Set<DType>(['float32', 'float16', 'int32']);

export class OrtTransfer {
  readonly #target: Target;
  readonly #createSession: CreateSession;
  readonly #sessions = new Map<string, Promise<InferenceSession>>();

  constructor(target: Target, createSession: CreateSession) {
    this.#target = target;
    this.#createSession = createSession;
  }

  /** The same values in GPU memory; a tensor of a type that GPUs do not hold comes back unchanged. */
  async toDevice(tensor: OrtTensor): Promise<OrtTensor> {
    return GPU_TYPES.has(tensor.type as DType) ? this.#copy(tensor, 'gpu-buffer') : tensor;
  }

  async toHost(tensor: OrtTensor): Promise<OrtTensor> {
    return this.#copy(tensor, 'cpu');
  }

  async #copy(tensor: OrtTensor, location: 'cpu' | 'gpu-buffer'): Promise<OrtTensor> {
    const rank = tensor.dims.length;
    const key = `${location} ${tensor.type} ${rank}`;
    let session = this.#sessions.get(key);
    if (!session) {
      const names = Array.from({ length: rank }, (_, axis) => `d${axis}`);
      const program = compile({ y: input('x', names, tensor.type as DType) }, { target: this.#target });
      session = this.#createSession(program.onnx, { preferredOutputLocation: { y: location } });
      this.#sessions.set(key, session);
      session.catch(() => this.#sessions.delete(key));
    }
    const { y } = await (await session).run({ x: tensor });
    return y as OrtTensor;
  }
}
