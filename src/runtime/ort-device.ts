/**
 * A `Device` on any build of ONNX Runtime that speaks onnxruntime-common's interface. The builds differ in
 * how a session is made and in what memory outputs may stay; `OrtBackend` holds just that.
 */
import type { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-common';
import { messageOf, PlinthError } from '../core/errors.ts';
import {
  compile,
  type DType,
  input,
  type Program,
  reshape,
  type TensorData,
  type TensorSpec,
} from '../tensor/index.ts';
import type {
  Device,
  DeviceTensor,
  Executable,
  ExecutableOptions,
  Feed,
  HostArray,
  OperatorTime,
} from './device.ts';

export interface OrtBackend {
  readonly name: Device['name'];
  readonly target: Device['target'];
  readonly numThreads: number;
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

  constructor(tensor: OrtTensor) {
    this.tensor = tensor;
  }

  get shape(): readonly number[] {
    return this.tensor.dims;
  }

  get dtype(): DType {
    return this.tensor.type as DType;
  }

  async read(): Promise<TensorData> {
    if (this.tensor.location === 'cpu') return this.tensor.data as TensorData;
    return (await this.tensor.getData(false)) as TensorData;
  }

  dispose(): void {
    if (this.tensor.location !== 'cpu') this.tensor.dispose();
  }
}

export function ortDevice(backend: OrtBackend): Device {
  const device: Device = {
    name: backend.name,
    target: backend.target,
    numThreads: backend.numThreads,
    load: (program, options = {}) => load(backend, program, options),
    compile: (outputs, { keepOnDevice, profile, ...options } = {}) =>
      load(backend, compile(outputs, { ...options, target: backend.target }), {
        ...(keepOnDevice && { keepOnDevice }),
        ...(profile && { profile }),
      }),
    upload: (values) => upload(backend, device, values),
  };
  return device;
}

async function load(backend: OrtBackend, program: Program, options: ExecutableOptions): Promise<Executable> {
  if (program.target !== backend.target) {
    throw new PlinthError(
      'runtime',
      `This program was compiled for ${program.target}, the device ${backend.name} runs ${backend.target}. ` +
        `Compile it with device.compile(...) or { target: '${backend.target}' }.`,
    );
  }
  const kept = backend.keepsBuffers ? (options.keepOnDevice ?? []) : [];
  const names = Object.keys(program.outputs);
  const sessionOptions: InferenceSession.SessionOptions = {
    graphOptimizationLevel: 'all',
    executionMode: 'sequential',
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
  return new OrtExecutable(backend, program, session);
}

class OrtExecutable implements Executable {
  readonly program: Program;
  readonly #backend: OrtBackend;
  readonly #session: InferenceSession;

  constructor(backend: OrtBackend, program: Program, session: InferenceSession) {
    this.program = program;
    this.#backend = backend;
    this.#session = session;
  }

  async run(
    feeds: Readonly<Record<string, Feed>>,
    outputs: readonly string[] = Object.keys(this.program.outputs),
  ): Promise<Record<string, DeviceTensor>> {
    const { inputs } = this.program;
    for (const name of Object.keys(feeds)) {
      if (!(name in inputs)) {
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
    let results: InferenceSession.OnnxValueMapType;
    try {
      results = await this.#session.run(tensors, outputs as string[]);
    } catch (error) {
      throw new PlinthError('runtime', `The program failed on ${this.#backend.name}: ${messageOf(error)}`, {
        cause: error,
      });
    }
    return Object.fromEntries(outputs.map((name) => [name, new OrtValue(results[name] as OrtTensor)]));
  }

  #tensorOf(name: string, feed: Feed, spec: TensorSpec): OrtTensor {
    if (feed instanceof OrtValue) return feed.tensor;
    const bare = ArrayBuffer.isView(feed);
    const data = bare ? feed : (feed as HostArray).data;
    const shape = bare ? (spec.shape as readonly number[]) : (feed as HostArray).shape;
    if (bare && spec.shape.some((dim) => typeof dim !== 'number')) {
      throw new PlinthError(
        'runtime',
        `run: input "${name}" has sizes known only now, [${spec.shape.join(', ')}]; feed { data, shape }.`,
      );
    }
    const fits =
      shape.length === spec.shape.length &&
      spec.shape.every((dim, i) => typeof dim !== 'number' || dim === shape[i]);
    const size = shape.reduce((product, dim) => product * dim, 1);
    if (!fits || size !== data.length) {
      throw new PlinthError(
        'runtime',
        `run: input "${name}" wants [${spec.shape.join(', ')}] ${spec.dtype}, got ${data.length} values as [${shape.join(', ')}].`,
      );
    }
    try {
      return this.#backend.createTensor(spec.dtype, data, shape);
    } catch (error) {
      throw new PlinthError('runtime', `run: input "${name}" (${spec.dtype}): ${messageOf(error)}`, {
        cause: error,
      });
    }
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

async function upload(
  backend: OrtBackend,
  device: Device,
  values: Readonly<Record<string, HostArray>>,
): Promise<Record<string, DeviceTensor>> {
  const names = Object.keys(values);
  if (!backend.keepsBuffers || names.length === 0) {
    return Object.fromEntries(
      names.map((name) => {
        const { data, shape } = values[name]!;
        return [name, new OrtValue(backend.createTensor(dtypeOf(data), data, shape))];
      }),
    );
  }
  // A program that hands its inputs through; the flattening keeps its outputs distinct from its inputs.
  const outputs = Object.fromEntries(
    names.map((name) => {
      const { data, shape } = values[name]!;
      return [`${name}.device`, reshape(reshape(input(name, shape, dtypeOf(data)), [-1]), shape)];
    }),
  );
  const executable = await device.compile(outputs, { keepOnDevice: Object.keys(outputs), optimize: false });
  const results = await executable.run(values);
  return Object.fromEntries(names.map((name) => [name, results[`${name}.device`]!]));
}

function dtypeOf(data: TensorData): DType {
  if (data instanceof Float32Array) return 'float32';
  if (data instanceof Int32Array) return 'int32';
  if (data instanceof BigInt64Array) return 'int64';
  if (data instanceof Uint16Array) return 'float16';
  return 'bool';
}
