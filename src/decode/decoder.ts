/**
 * A model's weights on a device and the programs that run them: compiled when first needed, one for each
 * number of new positions, kept until disposed. It knows nothing of requests, sampling or text.
 */
import { ConfigError } from '../core/errors.ts';
import { parameterSpecs, type TransformerConfig } from '../model/config.ts';
import { decoderGraph } from '../model/decoder-graph.ts';
import type { Weights } from '../model/initialize.ts';
import { rotaryTableData } from '../model/transformer.ts';
import type { Device, DeviceTensor, Executable, Feed, HostArray } from '../runtime/device.ts';

/** New tokens of some rows, padded at the end to one length. */
export interface DecoderInput {
  readonly numRows: number;
  /** New positions T of every row. */
  readonly length: number;
  /** Token ids [numRows, T]. */
  readonly ids: Int32Array;
  /** Positions [numRows, T]. */
  readonly positions: BigInt64Array;
  /** For T > 1: the place among the numRows * T tokens whose scores are wanted, one a row. */
  readonly last?: Int32Array;
  /** Feeds of the cache; none for rows that begin. */
  readonly past?: Readonly<Record<string, HostArray>>;
}

export interface DecoderOutput {
  /** [numRows, vocabSize] */
  readonly logits: Float32Array;
  /** [2 numLayers, numRows, numKvHeads, T, headDim]: keys and values of layer after layer. */
  readonly present: Float32Array;
}

const FIRST_TABLE_POSITIONS = 512;

export class Decoder {
  readonly config: TransformerConfig;
  readonly #device: Device;
  readonly #weights: Record<string, DeviceTensor>;
  readonly #programs = new Map<string, Promise<Executable>>();
  #tables: Record<string, DeviceTensor> = {};
  #tablePositions = 0;

  private constructor(config: TransformerConfig, device: Device, weights: Record<string, DeviceTensor>) {
    this.config = config;
    this.#device = device;
    this.#weights = weights;
  }

  /** Uploads the weights. Throws ConfigError when they do not fit the config. */
  static async create(config: TransformerConfig, weights: Weights, device: Device): Promise<Decoder> {
    const values: Record<string, HostArray> = {};
    for (const { name, shape } of parameterSpecs(config)) {
      const weight = weights.get(name);
      if (!weight || weight.shape.join() !== shape.join()) {
        throw new ConfigError(
          `The weight "${name}" is ${weight ? `[${weight.shape.join(', ')}]` : 'missing'}; the config asks for ` +
            `[${shape.join(', ')}]. Are the weights and the config of the same model?`,
        );
      }
      values[name] = weight;
    }
    return new Decoder(config, device, await device.upload(values));
  }

  /** One run. The results are the caller's own and stay valid. */
  async run(batch: DecoderInput): Promise<DecoderOutput> {
    const { numRows, length, ids, positions, last, past } = batch;
    const executable = await this.#program(length, past !== undefined);
    const feeds: Record<string, Feed> = {
      ...this.#weights,
      ...this.#tables,
      ...past,
      ids: { data: ids, shape: [numRows, length] },
      positions: { data: positions, shape: [numRows, length] },
    };
    if (last) feeds.last = { data: last, shape: [numRows] };
    const results = await executable.run(feeds);
    const logits = (await results.logits!.read()) as Float32Array;
    const present = (await results.present!.read()) as Float32Array;
    results.logits!.dispose();
    results.present!.dispose();
    return { logits, present };
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
    for (const tensor of [...Object.values(this.#weights), ...Object.values(this.#tables)]) tensor.dispose();
    this.#tables = {};
    this.#tablePositions = 0;
  }

  #program(length: number, hasPast: boolean): Promise<Executable> {
    const key = `${length} ${hasPast}`;
    let program = this.#programs.get(key);
    if (!program) {
      program = this.#device.compile(decoderGraph(this.config, length, hasPast));
      this.#programs.set(key, program);
      program.catch(() => this.#programs.delete(key));
    }
    return program;
  }
}
