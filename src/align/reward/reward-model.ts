/**
 * A trained reward model: what an answer is worth as one number. Only differences between answers to one prompt mean
 * something: sigma(r_a - r_b) is the probability that a is preferred to b.
 */
import { DataError } from '../../core/errors.ts';
import { headedSpecs, SCORE_WEIGHT, type TransformerConfig } from '../../model/config.ts';
import type { Weights } from '../../model/initialize.ts';
import { TIED_OUTPUT } from '../../model/read-checkpoint.ts';
import type { Device, DeviceTensor, Executable } from '../../runtime/device.ts';
import { input } from '../../tensor/index.ts';
import type { ChatFormat, ChatMessage, Tokenizer } from '../../tokenizer/index.ts';
import { answerRow } from '../preference/preference-rows.ts';
import type { AnsweredPrompt, RewardFunction } from '../reward-function.ts';
import type { RowShape } from '../sequence-row.ts';
import { rewardFeeds, rewardForward } from './reward-objective.ts';

export interface RewardModelParts {
  /** With `tieWordEmbeddings`: a reward model has no output matrix. */
  readonly config: TransformerConfig;
  /** Exactly the tensors of `headedSpecs(config, 'score')`. */
  readonly weights: Weights;
  readonly tokenizer: Tokenizer;
  readonly chatFormat: ChatFormat;
}

export interface RewardModelOptions {
  /** Told in reports and mixtures. Default: "reward-model". */
  readonly name?: string;
  /** Tokens of the longest text. Default: the model's context. */
  readonly maxLength?: number;
}

/** Layers to train a reward model on, and the head it begins with. */
export interface RewardModelStart {
  readonly config: TransformerConfig;
  readonly layers: Weights;
  readonly head: Weights;
}

/** A language model's layers without its output matrix, and a head of zeros: no answer is preferred at the start. */
export function rewardModelStart(config: TransformerConfig, weights: Weights): RewardModelStart {
  const layers = new Map(weights);
  layers.delete(TIED_OUTPUT);
  const { hiddenSize } = config;
  const zeros = { shape: [1, hiddenSize], data: new Float32Array(hiddenSize) };
  return { config: { ...config, tieWordEmbeddings: true }, layers, head: new Map([[SCORE_WEIGHT, zeros]]) };
}

/** Rows of a run and lengths of rows that programs are made for, when they are first needed. */
const BATCH_SIZES = [1, 4, 16] as const;
const SHORTEST_LENGTH = 32;

export class RewardModel implements RewardFunction {
  readonly name: string;
  readonly maxLength: number;
  readonly #device: Device;
  readonly #parts: RewardModelParts;
  readonly #weights: Record<string, DeviceTensor>;
  readonly #programs = new Map<string, Promise<Executable>>();

  private constructor(
    device: Device,
    parts: RewardModelParts,
    weights: Record<string, DeviceTensor>,
    { name = 'reward-model', maxLength = parts.config.maxPositionEmbeddings }: RewardModelOptions,
  ) {
    this.name = name;
    this.maxLength = maxLength;
    this.#device = device;
    this.#parts = parts;
    this.#weights = weights;
  }

  static async create(
    device: Device,
    parts: RewardModelParts,
    options: RewardModelOptions = {},
  ): Promise<RewardModel> {
    return new RewardModel(device, parts, await device.upload(Object.fromEntries(parts.weights)), options);
  }

  score(answers: readonly AnsweredPrompt[]): Promise<number[]> {
    return this.scoreAnswers(
      answers.map(({ messages, completion }) => ({
        messages,
        answer: [{ role: 'assistant', content: completion.text }],
      })),
    );
  }

  /**
   * The reward of each answer after its prompt, in order. Rejects with DataError for one that the chat format refuses
   * and one that is too long.
   */
  async scoreAnswers(
    answers: readonly {
      readonly messages: readonly ChatMessage[];
      readonly answer: readonly ChatMessage[];
    }[],
  ): Promise<number[]> {
    const rows = answers.map(({ messages, answer }, i) => {
      const row = this.rowOf(messages, answer);
      if (typeof row === 'string') throw new DataError(`Answer ${i + 1} cannot be scored: ${row}.`);
      return row;
    });
    return this.scoreRows(rows);
  }

  /** The tokens of a prompt with its answer, or why they cannot be scored. */
  rowOf(messages: readonly ChatMessage[], answer: readonly ChatMessage[]): ArrayLike<number> | string {
    const { tokenizer, chatFormat } = this.#parts;
    // A row of the encoding has one token more than its length; here all of its tokens are read.
    const row = answerRow(messages, answer, { tokenizer, chatFormat, length: this.maxLength - 1 });
    return typeof row === 'string' ? row : row.tokens;
  }

  /** The reward of each text of tokens, read at its last one. Rejects with DataError for texts that are too long. */
  async scoreRows(rows: readonly ArrayLike<number>[]): Promise<number[]> {
    const rewards = new Array<number>(rows.length);
    // Texts of about one length share a run, so that little of it is padding.
    const order = rows.map((_, i) => i).sort((a, b) => rows[a]!.length - rows[b]!.length || a - b);
    const most = BATCH_SIZES.at(-1)!;
    for (let at = 0; at < order.length; at += most) {
      const some = order.slice(at, at + most);
      const shape = this.#shapeOf(
        some.length,
        some.reduce((longest, i) => Math.max(longest, rows[i]!.length), 0),
      );
      const feeds = rewardFeeds(
        some.map((i) => rows[i]!),
        shape,
      );
      const { reward } = await (await this.#program(shape)).run({ ...this.#weights, ...feeds });
      const values = await reward!.read();
      for (const [row, i] of some.entries()) rewards[i] = Number(values[row]);
      reward!.dispose();
    }
    return rewards;
  }

  #shapeOf(numRows: number, longest: number): RowShape {
    let length = Math.min(SHORTEST_LENGTH, this.maxLength);
    while (length < longest && length < this.maxLength) length = Math.min(2 * length, this.maxLength);
    return { batchSize: BATCH_SIZES.find((size) => size >= numRows)!, length };
  }

  #program({ batchSize, length }: RowShape): Promise<Executable> {
    const key = `${batchSize} x ${length}`;
    let program = this.#programs.get(key);
    if (!program) {
      const { config } = this.#parts;
      const parameters = Object.fromEntries(
        headedSpecs(config, 'score').map(({ name, shape }) => [name, input(name, shape)]),
      );
      const { rewardB, inputs } = rewardForward(parameters, { config, length }, batchSize);
      program = this.#device.compile(
        { reward: rewardB },
        { inputs: [...Object.values(parameters), ...inputs] },
      );
      this.#programs.set(key, program);
    }
    return program;
  }

  async dispose(): Promise<void> {
    for (const program of this.#programs.values()) await (await program).dispose();
    this.#programs.clear();
    for (const tensor of Object.values(this.#weights)) tensor.dispose();
  }
}
