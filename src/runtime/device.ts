/**
 * Where programs run. One interface over ONNX Runtime's builds: compile once, run many times. Values that a
 * program returns are `DeviceTensor`s, which may live in host memory or on a GPU; a program's outputs can
 * be fed to the next run without leaving the device. Nothing here knows of models or training.
 */
import type { CompileOptions, DType, Program, Target, Tensor, TensorData } from '../tensor/index.ts';

/** Values in host memory, row-major. */
export interface HostArray {
  readonly data: TensorData;
  readonly shape: readonly number[];
  /** Says that uploaded bytes are numbers; without it a Uint8Array holds truth values. */
  readonly dtype?: 'uint8';
}

/** A value that a program returned or a device uploaded. Dispose it when it may live on a GPU. */
export interface DeviceTensor {
  readonly shape: readonly number[];
  readonly dtype: DType;
  /** The values in host memory. On CPU this is the tensor's own memory, not a copy. */
  read(): Promise<TensorData>;
  /** Frees device memory now. Safe to call twice; a no-op in host memory. */
  dispose(): void;
}

/** What a program takes: a bare typed array where the input's shape is fixed, or values with their shape. */
export type Feed = TensorData | HostArray | DeviceTensor;

export interface ExecutableOptions {
  /** Outputs that stay on the device between runs (a training step's state). Others come back to the host. */
  keepOnDevice?: readonly string[];
  /**
   * Allocate values one by one instead of in one planned block: up to half the memory (the plan is laid out
   * beside what the first run allocated), at a few per cent of speed.
   */
  lowMemory?: boolean;
  /** Threads of a run, at most the device's. Default: the device's. Only devices of Node honour it. */
  numThreads?: number;
  /** Record a profile of operators; read it with `endProfiling()`. */
  profile?: boolean;
}

export interface Executable {
  readonly program: Program;
  /** Throws PlinthError `runtime` when a feed is missing, unknown or of the wrong size, or the run fails. */
  run(
    feeds: Readonly<Record<string, Feed>>,
    outputs?: readonly string[],
  ): Promise<Record<string, DeviceTensor>>;
  /** Ends recording and gives time by operator, largest first. Needs `profile: true` and Node. */
  endProfiling(): Promise<OperatorTime[]>;
  dispose(): Promise<void>;
}

export interface OperatorTime {
  readonly operator: string;
  readonly count: number;
  readonly milliseconds: number;
  readonly share: number;
}

export interface Device {
  readonly name: 'cpu' | 'webgpu' | 'cuda' | 'web-wasm' | 'web-webgpu';
  readonly target: Target;
  readonly numThreads: number;
  /** Loads a program. The program must have been compiled for this device's target. */
  load(program: Program, options?: ExecutableOptions): Promise<Executable>;
  /** Compiles expressions for this device's target and loads them. */
  compile(
    outputs: Readonly<Record<string, Tensor>>,
    options?: Omit<CompileOptions, 'target'> & ExecutableOptions,
  ): Promise<Executable>;
  /** Puts values into the device's memory, to be fed many times. In host memory this costs nothing. */
  upload(values: Readonly<Record<string, HostArray>>): Promise<Record<string, DeviceTensor>>;
}
