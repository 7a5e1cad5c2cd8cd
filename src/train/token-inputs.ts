/** A token batch as inputs of a graph, and as what is fed to them. B rows, T inputs a row, N = B * T. */
import type { TokenBatch } from '../data/tokens/token-batch.ts';
import { causalMask, segmentMask } from '../model/transformer.ts';
import type { Feed } from '../runtime/device.ts';
import { input, type Tensor } from '../tensor/index.ts';

export interface TokenShape {
  readonly batchSize: number;
  readonly length: number;
  /** Keep attention within each segment of a row. Without it a row is one causal sequence. */
  readonly segments: boolean;
}

export interface TokenInputs {
  readonly idsBT: Tensor;
  readonly positionsBT: Tensor;
  /** [T, T] or [B, 1, T, T], added to the scores. */
  readonly maskTT: Tensor;
  /** The token after each input. */
  readonly targetsN: Tensor;
  /** 1 where the target counts, else 0. */
  readonly lossMaskN: Tensor;
  /** All of them, for the compiler. */
  readonly inputs: readonly Tensor[];
}

/** @param prefix before every name, where a graph has several batches. */
export function tokenInputs({ batchSize: B, length: T, segments }: TokenShape, prefix = ''): TokenInputs {
  const idsBT = input(`${prefix}inputIds`, [B, T], 'int32');
  const positionsBT = input(`${prefix}positions`, [B, T], 'int64');
  const targetsN = input(`${prefix}targets`, [B * T], 'int32');
  const lossMaskN = input(`${prefix}lossMask`, [B * T]);
  const segmentIdsBT = segments ? input(`${prefix}segmentIds`, [B, T]) : undefined;
  return {
    idsBT,
    positionsBT,
    maskTT: segmentIdsBT ? segmentMask(segmentIdsBT) : causalMask(T),
    targetsN,
    lossMaskN,
    inputs: [idsBT, positionsBT, targetsN, lossMaskN, ...(segmentIdsBT ? [segmentIdsBT] : [])],
  };
}

export function tokenFeeds(
  batch: TokenBatch,
  { segments }: Pick<TokenShape, 'segments'>,
  prefix = '',
): Record<string, Feed> {
  return {
    [`${prefix}inputIds`]: batch.inputIds,
    [`${prefix}positions`]: BigInt64Array.from(batch.positions, BigInt),
    [`${prefix}targets`]: batch.targets,
    [`${prefix}lossMask`]: batch.lossMask,
    ...(segments && { [`${prefix}segmentIds`]: Float32Array.from(batch.segmentIds) }),
  };
}
