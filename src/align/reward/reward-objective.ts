/**
 * Training a reward model: a transformer whose head gives one number for a text, read at its last token, trained on
 * comparisons of answers (Ouyang et al. 2022, equation 1).
 *
 * Shape suffixes: B answers of a batch, T tokens of a row, N = B * T, D hidden size, G comparisons.
 */
import { DataError, PlinthError } from '../../core/errors.ts';
import { SCORE_WEIGHT, type TransformerConfig } from '../../model/config.ts';
import { type ModelParameters, transformer } from '../../model/transformer.ts';
import type { Feed } from '../../runtime/device.ts';
import {
  add,
  cast,
  greater,
  input,
  linear,
  mul,
  reshape,
  scalar,
  scale,
  sub,
  sum,
  Tensor,
  take,
} from '../../tensor/index.ts';
import type { Objective } from '../../train/objective.ts';
import { tokenFeeds, tokenInputs } from '../../train/token-inputs.ts';
import { rowTokenShape } from '../sequence-logprobs.ts';
import { type RowShape, rowBatch } from '../sequence-row.ts';
import { type ComparedAnswers, centringLoss, comparisonMasks, rankingLoss } from './ranking-loss.ts';

/** Answers to one prompt, each with the prompt before it, and what was said of their order. */
export interface Comparison extends ComparedAnswers {
  readonly rows: readonly ArrayLike<number>[];
}

export interface RewardShape {
  readonly config: TransformerConfig;
  /** T: the longest row. */
  readonly length: number;
}

export interface RewardForward {
  readonly rewardB: Tensor;
  readonly inputs: readonly Tensor[];
}

/** Rewards of B rows as a graph. `parameters` holds the model's and `score.weight` [1, D]. */
export function rewardForward(
  parameters: ModelParameters,
  { config, length }: RewardShape,
  batchSize: number,
): RewardForward {
  const { idsBT, positionsBT, maskTT } = tokenInputs(rowTokenShape({ batchSize, length }));
  const { hiddenND } = transformer(
    parameters,
    config,
    { idsBT, positionsBT, maskTT },
    { maxPositions: length },
  );
  const lastPlaceB = input('lastPlaces', [batchSize], 'int32');
  const score = parameters[SCORE_WEIGHT];
  if (!(score instanceof Tensor)) {
    throw new PlinthError(
      'graph',
      `The parameters of a reward model hold "${SCORE_WEIGHT}" [1, hiddenSize].`,
    );
  }
  const rewardB = reshape(linear(take(hiddenND, lastPlaceB), score), [batchSize]);
  return { rewardB, inputs: [idsBT, positionsBT, lastPlaceB] };
}

/** Throws DataError for a row that is empty or longer than T. */
export function rewardFeeds(rows: readonly ArrayLike<number>[], shape: RowShape): Record<string, Feed> {
  const { batchSize, length } = shape;
  const lastPlaces = new Int32Array(batchSize);
  const sequences = rows.map((row, r) => {
    if (row.length < 1 || row.length > length) {
      throw new DataError(
        `A text of ${row.length} tokens cannot be scored in rows of 1 to ${length} tokens. Raise the length.`,
      );
    }
    lastPlaces[r] = r * length + row.length - 1;
    // A row's inputs are all tokens but the last, and the last one is to be read too.
    const tokens = new Int32Array(row.length + 1);
    tokens.set(Array.from(row));
    return { tokens, actions: new Uint8Array(tokens.length) };
  });
  const { inputIds, positions } = tokenFeeds(rowBatch(sequences, shape), { segments: false });
  return { inputIds: inputIds!, positions: positions!, lastPlaces };
}

export interface RewardObjectiveOptions extends RewardShape {
  /** G: comparisons in a batch at most. */
  readonly numComparisons: number;
  /** Answers in a comparison at most. */
  readonly maxAnswers: number;
  /** Weight of the loss that keeps rewards about 0; 0 for none. */
  readonly centre: number;
}

/**
 * The mean over comparisons of the ranking loss, in nats, plus `centre` times the centring loss. Metrics: the share of
 * pairs in the right order (`accuracy`), by how much the better one leads (`margin`), the mean reward (`reward`).
 */
export function rewardObjective(options: RewardObjectiveOptions): Objective<readonly Comparison[]> {
  const { numComparisons, maxAnswers, length, centre } = options;
  const batchSize = numComparisons * maxAnswers;
  return {
    build: (parameters, lossScale) => {
      const { rewardB, inputs } = rewardForward(parameters, options, batchSize);
      const competitorsBB = input('competitors', [batchSize, batchSize]);
      const pairSharesBB = input('pairShares', [batchSize, batchSize]);
      const membersGB = input('members', [numComparisons, batchSize]);
      const ranking = rankingLoss(rewardB, competitorsBB);
      const loss = centre > 0 ? add(ranking, scale(centringLoss(rewardB, membersGB), centre)) : ranking;
      const leadBB = sub(reshape(rewardB, [batchSize, 1]), reshape(rewardB, [1, batchSize]));
      const scaled = (total: Tensor) => mul(total, lossScale);
      return {
        loss: scaled(loss),
        inputs: [...inputs, competitorsBB, pairSharesBB, membersGB],
        metrics: {
          accuracy: scaled(sum(mul(pairSharesBB, cast(greater(leadBB, scalar(0)), 'float32')))),
          margin: scaled(sum(mul(pairSharesBB, leadBB))),
          reward: scaled(scale(sum(mul(membersGB, reshape(rewardB, [1, batchSize]))), 0.5)),
        },
      };
    },
    feeds: (comparisons) => {
      const masks = comparisonMasks(comparisons, batchSize, numComparisons);
      return {
        ...rewardFeeds(
          comparisons.flatMap(({ rows }) => rows),
          { batchSize, length },
        ),
        competitors: masks.competitorsBB,
        pairShares: masks.pairSharesBB,
        members: masks.membersGB,
      };
    },
    numItems: (comparisons) => comparisons.length,
    numTokens: () => batchSize * length,
  };
}
