/**
 * A model's weights on a device and the two programs that run them: `step` adds one token to every row, `read` any
 * number. Compiled when first needed, kept until disposed. It knows nothing of requests, sampling or text.
 */
import { ConfigError } from '../core/errors.ts';
import { parameterSpecs, type TransformerConfig } from '../model/config.ts';
import { decoderGraph } from '../model/decoder-graph.ts';
import { weightBytes } from '../model/quantize/quantize-weights.ts';
import { isQuantized, type MixedWeights } from '../model/quantized.ts';
import { type ModelParameter, rotaryTableData } from '../model/transformer.ts';
import type { Device, DeviceTensor, Executable, Feed, HostArray } from '../runtime/device.ts';
import { constant, input, quantizedConstant } from '../tensor/index.ts';

/**
 * `strict`: an answer does not depend, to the bit, on what else runs, on how its prompt was cut into runs or on what
 * of it was read before. `fast`: kernels for single rows may be used, which add in another order.
 */
export type Determinism = 'strict' | 'fast';

/** New tokens of some rows, all [numRows, length]. */
export interface DecoderInput {
  readonly numRows: number;
  readonly length: number;
  readonly ids: Int32Array;
  readonly positions: BigInt64Array;
  /** Keys, values and the mask [numRows, 1, length, places]. */
  readonly past: Readonly<Record<string, HostArray>>;
  /** Also give the hidden states that the scores were computed from. */
  readonly hidden?: boolean;
}

export interface DecoderReadInput extends DecoderInput {
  /** Where each new key and value goes: (row, head, place), [numRows, numKvHeads, length, 3]. */
  readonly places: BigInt64Array;
  /** Places among the numRows * length tokens whose scores are wanted; at least one. */
  readonly wanted: Int32Array;
}

export interface DecoderOutput {
  /** [numRows, vocabSize], or [wanted, vocabSize]. */
  readonly logits: Float32Array;
  /** [2 numLayers, numRows, numKvHeads, length, headDim]: keys and values of layer after layer. */
  readonly present: Float32Array;
  /** [.., hiddenSize], as `logits`, when asked for. */
  readonly hidden?: Float32Array;
}

/** `step-alone` is `step` on one thread, for a few rows of a small model: waiting for a second costs more. */
type Form = 'step' | 'step-alone' | 'read';

const FIRST_TABLE_POSITIONS = 512;
/** An ONNX file is a protocol buffer, of less than 2 GiB. */
const MAX_CONSTANT_BYTES = 1.9e9;
/** Up to this size, and for at most so many rows, one thread is faster than several. */
const ALONE_BYTES = 16 * 2 ** 20;
const ALONE_ROWS = 8;
/** From this size on a `fast` program that reads prompts borrows the weights instead of having its own copy. */
const MAX_COPIED_BYTES = 256 * 2 ** 20;

/** What a model gets that asks for neither: `strict` where its weights allow it. */
export function defaultDeterminism(weights: MixedWeights): Determinism {
  return floatBytesOf(weights) <= MAX_CONSTANT_BYTES ? 'strict' : 'fast';
}

/** Bytes of the weights that are not quantised. */
function floatBytesOf(weights: MixedWeights): number {
  let bytes = 0;
  for (const weight of weights.values()) if (!isQuantized(weight)) bytes += weight.data.byteLength;
  return bytes;
}

export class Decoder {
  readonly config: TransformerConfig;
  readonly determinism: Determinism;
  readonly #device: Device;
  readonly #weights: MixedWeights;
  readonly #programs = new Map<Form, Promise<Executable>>();
  /** Weights that programs take as inputs, by form. */
  readonly #fed = new Map<Form, Record<string, DeviceTensor>>();
  readonly #isSmall: boolean;
  readonly #floatBytes: number;
  #tables: Record<string, DeviceTensor> = {};
  #tablePositions = 0;

  /** Throws ConfigError when the weights do not fit the config. */
  constructor(config: TransformerConfig, weights: MixedWeights, device: Device, determinism: Determinism) {
    for (const { name, shape } of parameterSpecs(config)) {
      const weight = weights.get(name);
      if (!weight || weight.shape.join() !== shape.join()) {
        throw new ConfigError(
          `The weight "${name}" is ${weight ? `[${weight.shape.join(', ')}]` : 'missing'}; the config asks for ` +
            `[${shape.join(', ')}]. Are the weights and the config of the same model?`,
        );
      }
    }
    this.config = config;
    this.determinism = determinism;
    this.#device = device;
    this.#weights = weights;
    this.#floatBytes = floatBytesOf(weights);
    if (determinism === 'strict' && device.target !== 'webgpu' && this.#floatBytes > MAX_CONSTANT_BYTES) {
      throw new ConfigError(
        `determinism "strict" needs the weights as constants of one program, of at most ${MAX_CONSTANT_BYTES} bytes; ` +
          `these have ${this.#floatBytes} in float32. Quantise them (quantize: 8), or choose "fast".`,
      );
    }
    this.#isSmall = device.target === 'cpu' && device.numThreads > 1 && weightBytes(weights) <= ALONE_BYTES;
  }

  /** One new token for every row. The results are the caller's own and stay valid. */
  step(batch: DecoderInput): Promise<DecoderOutput> {
    const alone = this.#isSmall && batch.numRows <= ALONE_ROWS;
    return this.#run(alone ? 'step-alone' : 'step', batch, {});
  }

  /** New tokens that see each other and the cache. */
  read(batch: DecoderReadInput): Promise<DecoderOutput> {
    const { numRows, length, places, wanted } = batch;
    return this.#run('read', batch, {
      'past/places': { data: places, shape: [numRows, this.config.numKvHeads, length, 3] },
      wanted: { data: wanted, shape: [wanted.length] },
    });
  }

  async #run(form: Form, batch: DecoderInput, more: Record<string, Feed>): Promise<DecoderOutput> {
    const { numRows, length, ids, positions, past, hidden } = batch;
    const executable = await this.#program(form);
    const results = await executable.run(
      {
        ...this.#fed.get(form),
        ...this.#tables,
        ...past,
        ...more,
        ids: { data: ids, shape: [numRows, length] },
        positions: { data: positions, shape: [numRows, length] },
      },
      hidden ? ['logits', 'hidden', 'present'] : ['logits', 'present'],
    );
    const read = async (name: string) => {
      const values = (await results[name]!.read()) as Float32Array;
      results[name]!.dispose();
      return values;
    };
    const logits = await read('logits');
    const present = await read('present');
    return hidden ? { logits, present, hidden: await read('hidden') } : { logits, present };
  }

  /** Makes positions below `count` usable. */
  async ensurePositions(count: number): Promise<void> {
    if (count <= this.#tablePositions) return;
    const limit = Math.max(count, this.config.maxPositionEmbeddings);
    const wanted = Math.min(limit, Math.max(count, 2 * this.#tablePositions, FIRST_TABLE_POSITIONS));
    const { shape, queries, keys } = rotaryTableData(this.config, wanted);
    const tables = await this.#device.upload({
      'rotary/query-cosine': { data: queries.cosine, shape },
      'rotary/query-sine': { data: queries.sine, shape },
      'rotary/key-cosine': { data: keys.cosine, shape },
      'rotary/key-sine': { data: keys.sine, shape },
    });
    for (const table of Object.values(this.#tables)) table.dispose();
    this.#tables = tables;
    this.#tablePositions = wanted;
  }

  async dispose(): Promise<void> {
    const programs = [...this.#programs.values()];
    this.#programs.clear();
    for (const result of await Promise.allSettled(programs)) {
      if (result.status === 'fulfilled') await result.value.dispose();
    }
    const fed = [...this.#fed.values()].flatMap((tensors) => Object.values(tensors));
    for (const tensor of [...fed, ...Object.values(this.#tables)]) tensor.dispose();
    this.#fed.clear();
    this.#tables = {};
    this.#tablePositions = 0;
  }

  #program(form: Form): Promise<Executable> {
    let program = this.#programs.get(form);
    if (!program) {
      program = this.#compile(form);
      this.#programs.set(form, program);
      program.catch(() => this.#programs.delete(form));
    }
    return program;
  }

  /**
   * Weights are constants of a program where that pays: kernels lay them out once, and then compute a row in the
   * same way whatever the number of rows. Otherwise they are fed: borrowed in host memory, uploaded once to a GPU.
   */
  async #compile(form: Form): Promise<Executable> {
    const { target, numThreads } = this.#device;
    // Kernels cut borrowed weights in other blocks than constants, and then add in another order.
    const strict = this.determinism === 'strict';
    const copies = strict || form !== 'read' || target === 'wasm' || this.#floatBytes <= MAX_COPIED_BYTES;
    const asConstants = target !== 'webgpu' && copies && this.#floatBytes <= MAX_CONSTANT_BYTES;
    const parameters: Record<string, ModelParameter> = {};
    const fed: Record<string, HostArray> = {};
    for (const { name } of parameterSpecs(this.config)) {
      const weight = this.#weights.get(name)!;
      if (isQuantized(weight)) parameters[name] = quantizedConstant(weight);
      else if (asConstants) parameters[name] = constant(weight.data, weight.shape, 'float32');
      else {
        parameters[name] = input(name, weight.shape);
        fed[name] = weight;
      }
    }
    this.#fed.set(form, await this.#device.upload(fed));
    const graph = decoderGraph(parameters, this.config, { form: form === 'read' ? 'read' : 'step', strict });
    // Attention has a product for each key head of each row. Where there are at least as many as threads, no product
    // is shared out among threads, and how one is cut does not depend on how many there are.
    const most = strict ? Math.min(numThreads, this.config.numKvHeads) : numThreads;
    return this.#device.compile(graph, { numThreads: form === 'step-alone' ? 1 : most });
  }
}
