/**
 * A `Device` on any build of ONNX Runtime that speaks onnxruntime-common's interface. The builds differ in
 * how a session is made and in what memory outputs may stay; `OrtBackend` holds just that.
 */
import type { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-common';
import { messageOf, PlinthError } from '../core/errors.ts';
import { compile, type DType, type Program, type TensorData, type TensorSpec } from '../tensor/index.ts';
import type {
  Device,
  DeviceTensor,
  Executable,
  ExecutableOptions,
  Feed,
  HostArray,
  OperatorTime,
} from './device.ts';
import { OrtTransfer } from './ort-transfer.ts';

export interface OrtBackend {
  readonly name: Device['name'];
  readonly target: Device['target'];
  readonly numThreads: number;
  /** Refuse programs of which a part would fall back from the GPU to the CPU. */
  readonly strict?: boolean;
  /** Outputs can stay on the device as GPU buffers. */
  readonly keepsBuffers: boolean;
  createSession(model: Uint8Array, options: InferenceSession.SessionOptions): Promise<InferenceSession>;
  createTensor(dtype: DType, data: TensorData, shape: readonly number[]): OrtTensor;
  readProfile?(session: InferenceSession): Promise<OperatorTime[]>;
  profileOptions?(): InferenceSession.SessionOptions;
}

/** A value held by ONNX Runtime. */
class OrtValue implements DeviceTensor {
  readonly tensor: OrtTensor;
  readonly #transfer: OrtTransfer;

  constructor(tensor: OrtTensor, transfer: OrtTransfer) {
    this.tensor = tensor;
    this.#transfer = transfer;
  }

  get shape(): readonly number[] {
    return this.tensor.dims;
  }

  get dtype(): DType {
    return this.tensor.type as DType;
  }

  async read(): Promise<TensorData> {
    const host = this.tensor.location === 'cpu' ? this.tensor : await this.#transfer.toHost(this.tensor);
    return host.data as TensorData;
  }

  dispose(): void {
    if (this.tensor.location !== 'cpu') this.tensor.dispose();
  }
}

export function ortDevice(backend: OrtBackend): Device {
  const transfer = new OrtTransfer(backend.target, backend.createSession);
  return {
    name: backend.name,
    target: backend.target,
    numThreads: backend.numThreads,
    load: (program, options = {}) => load(backend, transfer, program, options),
    compile: (outputs, { keepOnDevice, profile, lowMemory, numThreads, ...options } = {}) =>
      load(backend, transfer, compile(outputs, { ...options, target: backend.target }), {
        ...(keepOnDevice && { keepOnDevice }),
        ...(profile && { profile }),
        ...(lowMemory && { lowMemory }),
        ...(numThreads !== undefined && { numThreads }),
      }),
    upload: (values) => upload(backend, transfer, values),
  };
}

async function load(
  backend: OrtBackend,
  transfer: OrtTransfer,
  program: Program,
  options: ExecutableOptions,
): Promise<Executable> {
  if (program.target !== backend.target) {
    throw new PlinthError(
      'runtime',
      `This program was compiled for ${program.target}, the device ${backend.name} runs ${backend.target}. ` +
        `Compile it with device.compile(...) or { target: '${backend.target}' }.`,
    );
  }
  const names = Object.keys(program.outputs);
  const unknown = options.keepOnDevice?.find((name) => !names.includes(name));
  if (unknown !== undefined) {
    throw new PlinthError(
      'runtime',
      `keepOnDevice: the program has no output "${unknown}". Its outputs: ${names.join(', ')}.`,
    );
  }
  const kept = backend.keepsBuffers ? (options.keepOnDevice ?? []) : [];
  const sessionOptions: InferenceSession.SessionOptions = {
    graphOptimizationLevel: 'all',
    executionMode: 'sequential',
    extra: {
      // GemmTransposeFusion ends the process on a product of a transposed operand that is returned beside its own
      // transpose (onnxruntime 1.30); our passes read transposed operands in place anyway. The kernel that
      // QuickGeluFusion puts in takes more than twice the time of Sigmoid and Mul.
      optimization: { disable_specified_optimizers: 'GemmTransposeFusion;QuickGeluFusion' },
      ...(backend.strict && { session: { disable_cpu_ep_fallback: '1' } }),
    },
    ...(options.lowMemory && { enableMemPattern: false }),
    ...(options.numThreads !== undefined && {
      intraOpNumThreads: Math.max(1, Math.min(options.numThreads, backend.numThreads)),
    }),
    ...(options.profile && backend.profileOptions?.()),
    ...(kept.length > 0 && {
      preferredOutputLocation: Object.fromEntries(
        names.map((name) => [name, kept.includes(name) ? ('gpu-buffer' as const) : ('cpu' as const)]),
      ),
    }),
  };
  let session: InferenceSession;
  try {
    session = await backend.createSession(program.onnx, sessionOptions);
  } catch (error) {
    throw new PlinthError(
      'runtime',
      `ONNX Runtime refused the program on ${backend.name}: ${messageOf(error)}`,
      {
        cause: error,
      },
    );
  }
  return new OrtExecutable(backend, transfer, program, session);
}

class OrtExecutable implements Executable {
  readonly program: Program;
  readonly #backend: OrtBackend;
  readonly #transfer: OrtTransfer;
  readonly #session: InferenceSession;

  constructor(backend: OrtBackend, transfer: OrtTransfer, program: Program, session: InferenceSession) {
    this.program = program;
    this.#backend = backend;
    this.#transfer = transfer;
    this.#session = session;
  }

  async run(
    feeds: Readonly<Record<string, Feed>>,
    outputs: readonly string[] = Object.keys(this.program.outputs),
  ): Promise<Record<string, DeviceTensor>> {
    const { inputs } = this.program;
    for (const name of Object.keys(feeds)) {
      if (!Object.hasOwn(inputs, name)) {
        throw new PlinthError(
          'runtime',
          `run: the program has no input "${name}". Its inputs: ${Object.keys(inputs).join(', ')}.`,
        );
      }
    }
    const tensors: Record<string, OrtTensor> = {};
    for (const name of Object.keys(inputs)) {
      const feed = feeds[name];
      if (feed === undefined)
        throw new PlinthError(
          'runtime',
          `run: input "${name}" is missing. Feed ${Object.keys(inputs).join(', ')}.`,
        );
      tensors[name] = this.#tensorOf(name, feed, inputs[name]!);
    }
    const unknown = outputs.find((name) => !Object.hasOwn(this.program.outputs, name));
    if (unknown !== undefined) {
      throw new PlinthError(
        'runtime',
        `run: the program has no output "${unknown}". Its outputs: ${Object.keys(this.program.outputs).join(', ')}.`,
      );
    }
    let results: InferenceSession.OnnxValueMapType;
    try {
      results = await this.#session.run(tensors, outputs as string[]);
    } catch (error) {
      throw new PlinthError('runtime', `The program failed on ${this.#backend.name}: ${messageOf(error)}`, {
        cause: error,
      });
    }
    return Object.fromEntries(
      outputs.map((name) => [name, new OrtValue(results[name] as OrtTensor, this.#transfer)]),
    );
  }

  #tensorOf(name: string, feed: Feed, spec: TensorSpec): OrtTensor {
    if (feed instanceof OrtValue) {
      checkFeed(name, spec, feed.shape, feed.dtype, sizeOfShape(feed.shape));
      return feed.tensor;
    }
    const { data, shape } = hostArray(name, feed as TensorData | HostArray, spec);
    checkFeed(name, spec, shape, dtypeOf(data, spec.dtype), data.length);
    return this.#backend.createTensor(spec.dtype, data, shape);
  }

  async endProfiling(): Promise<OperatorTime[]> {
    if (!this.#backend.readProfile) {
      throw new PlinthError(
        'runtime',
        `Profiles are not available on ${this.#backend.name}; use the CPU device in Node.`,
      );
    }
    return this.#backend.readProfile(this.#session);
  }

  async dispose(): Promise<void> {
    await this.#session.release();
  }
}

const sizeOfShape = (shape: readonly number[]) => shape.reduce((product, dim) => product * dim, 1);

function hostArray(name: string, feed: TensorData | HostArray, spec: TensorSpec): HostArray {
  if (!ArrayBuffer.isView(feed)) {
    if (ArrayBuffer.isView(feed?.data) && Array.isArray(feed.shape)) return feed;
    throw new PlinthError(
      'runtime',
      `run: input "${name}" must be a typed array, { data, shape } or a value that a run returned.`,
    );
  }
  if (spec.shape.some((dim) => typeof dim !== 'number')) {
    throw new PlinthError(
      'runtime',
      `run: input "${name}" has sizes known only now, [${spec.shape.join(', ')}]; feed { data, shape }.`,
    );
  }
  return { data: feed, shape: spec.shape as readonly number[] };
}

function checkFeed(
  name: string,
  spec: TensorSpec,
  shape: readonly number[],
  dtype: DType | undefined,
  length: number,
): void {
  const fits =
    shape.length === spec.shape.length &&
    spec.shape.every((dim, i) => (typeof dim === 'number' ? dim === shape[i] : Number.isInteger(shape[i])));
  if (fits && sizeOfShape(shape) === length && dtype === spec.dtype) return;
  throw new PlinthError(
    'runtime',
    `run: input "${name}" wants [${spec.shape.join(', ')}] ${spec.dtype}, got ${length} values ` +
      `as [${shape.join(', ')}] ${dtype ?? 'of an unknown type'}.`,
  );
}

async function upload(
  backend: OrtBackend,
  transfer: OrtTransfer,
  values: Readonly<Record<string, HostArray>>,
): Promise<Record<string, DeviceTensor>> {
  const uploaded: Record<string, DeviceTensor> = {};
  for (const [name, { data, shape, dtype: wanted }] of Object.entries(values)) {
    const dtype = dtypeOf(data, wanted);
    if (!dtype || sizeOfShape(shape) !== data.length) {
      throw new PlinthError(
        'runtime',
        `upload: "${name}" has ${data.length} values for a shape [${shape.join(', ')}]` +
          `${dtype ? '' : ' and no known element type'}.`,
      );
    }
    const tensor = backend.createTensor(dtype, data, shape);
    uploaded[name] = new OrtValue(backend.keepsBuffers ? await transfer.toDevice(tensor) : tensor, transfer);
  }
  return uploaded;
}

/** Bytes are `bool` unless `uint8` is asked for: the two share an array type. */
function dtypeOf(data: TensorData, wanted?: DType): DType | undefined {
  if (data instanceof Float32Array) return 'float32';
  if (data instanceof Int32Array) return 'int32';
  if (data instanceof BigInt64Array) return 'int64';
  if (data instanceof Uint16Array) return 'float16';
  if (data instanceof Uint8Array) return wanted === 'uint8' ? 'uint8' : 'bool';
  return undefined;
}
