/**
 * Log-probabilities that a model gives to the actions of sequences: as a graph that can be differentiated, and as
 * numbers of a fixed model (the reference of preference losses, the policy before an update).
 *
 * Shape suffixes: B rows, T inputs a row, N = B * T.
 */
import { parameterSpecs, type TransformerConfig } from '../model/config.ts';
import type { Weights } from '../model/initialize.ts';
import { logits, type ModelParameters, transformer } from '../model/transformer.ts';
import type { Device, Executable } from '../runtime/device.ts';
import { crossEntropy, input, mul, neg, reshape, scale, type Tensor } from '../tensor/index.ts';
import { type TokenInputs, type TokenShape, tokenFeeds, tokenInputs } from '../train/token-inputs.ts';
import { type RowShape, rowBatch, type SequenceRow } from './sequence-row.ts';

export interface SequenceForward {
  /** Log-probability of each target, in nats; 0 where it is no action. */
  readonly logprobBT: Tensor;
  /** After the last norm, for heads. */
  readonly hiddenND: Tensor;
  /** Divided by the temperature. */
  readonly logitsNV: Tensor;
}

/**
 * @param shape as `inputs` were made for.
 * @param temperature of the distributions that the log-probabilities are those of.
 */
export function sequenceForward(
  parameters: ModelParameters,
  config: TransformerConfig,
  { idsBT, positionsBT, maskTT, targetsN, lossMaskN }: TokenInputs,
  { batchSize, length }: RowShape,
  temperature = 1,
): SequenceForward {
  const { hiddenND } = transformer(
    parameters,
    config,
    { idsBT, positionsBT, maskTT },
    { maxPositions: length },
  );
  const scores = logits(parameters, config, hiddenND);
  const logitsNV = temperature === 1 ? scores : scale(scores, 1 / temperature);
  const logprobN = mul(neg(crossEntropy(logitsNV, targetsN)), lossMaskN);
  return { logprobBT: reshape(logprobN, [batchSize, length]), hiddenND, logitsNV };
}

/** Rows are causal sequences of one segment, so no mask of segments is needed: padding comes after everything. */
export const rowTokenShape = ({ batchSize, length }: RowShape): TokenShape => ({
  batchSize,
  length,
  segments: false,
});

/** Scores sequences with given weights: one program for models of one shape. */
export class SequenceScorer {
  readonly #executable: Executable;
  readonly #shape: RowShape;

  private constructor(executable: Executable, shape: RowShape) {
    this.#executable = executable;
    this.#shape = shape;
  }

  static async compile(
    device: Device,
    config: TransformerConfig,
    shape: RowShape,
    temperature = 1,
  ): Promise<SequenceScorer> {
    const parameters = Object.fromEntries(
      parameterSpecs(config).map(({ name, shape: own }) => [name, input(name, own)]),
    );
    const tokens = tokenInputs(rowTokenShape(shape));
    const { logprobBT } = sequenceForward(parameters, config, tokens, shape, temperature);
    const executable = await device.compile(
      { logprobBT },
      { inputs: [...Object.values(parameters), ...tokens.inputs] },
    );
    return new SequenceScorer(executable, shape);
  }

  /**
   * For each row the log-probabilities of its tokens from the second on [tokens - 1], in nats; 0 where a token is no
   * action. Throws DataError for sequences that do not fit a row.
   */
  async score(weights: Weights, rows: readonly SequenceRow[]): Promise<Float32Array[]> {
    const { batchSize, length } = this.#shape;
    const feeds = Object.fromEntries(weights);
    const scores: Float32Array[] = [];
    for (let at = 0; at < rows.length; at += batchSize) {
      const some = rows.slice(at, at + batchSize);
      const batch = rowBatch(some, this.#shape);
      const { logprobBT } = await this.#executable.run({
        ...feeds,
        ...tokenFeeds(batch, { segments: false }),
      });
      const data = (await logprobBT!.read()) as Float32Array;
      logprobBT!.dispose();
      for (const [row, { tokens }] of some.entries()) {
        scores.push(data.slice(row * length, row * length + tokens.length - 1));
      }
    }
    return scores;
  }

  dispose(): Promise<void> {
    return this.#executable.dispose();
  }
}

/** Sum of a row's log-probabilities: that of its whole answer, in nats. */
export function totalLogprob(logprobs: ArrayLike<number>): number {
  let total = 0;
  for (let t = 0; t < logprobs.length; t++) total += logprobs[t]!;
  return total;
}
