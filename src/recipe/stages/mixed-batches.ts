/**
 * Batches with a fixed number of rows from each of several sources: the shares of a mix hold in every step, not
 * only on average, and a batch stays a pure function of its step.
 */
import { ConfigError } from '../../core/errors.ts';
import {
  type BatchCursor,
  type BatchSource,
  emptyBatch,
  type TokenBatch,
} from '../../data/tokens/token-batch.ts';
import type { TokenDataset } from '../../data/tokens/token-dataset.ts';
import { WindowBatches, type WindowOptions } from '../../data/tokens/window-batches.ts';

export interface MixPart {
  readonly dataset: TokenDataset;
  /** Rows of each batch, at least 1. */
  readonly numRows: number;
}

/**
 * Whole rows for shares that add up to 1, by largest remainders; a share above 0 gets at least one row.
 * @throws ConfigError when there are more such shares than rows.
 */
export function rowsByShare(shares: readonly number[], batchSize: number): number[] {
  const numPositive = shares.filter((share) => share > 0).length;
  if (numPositive > batchSize) {
    throw new ConfigError(
      `A batch of ${batchSize} rows cannot hold ${numPositive} sources; set batchSize to at least ${numPositive}.`,
    );
  }
  const exact = shares.map((share) => share * batchSize);
  const rows = exact.map((value, i) => (shares[i]! > 0 ? Math.max(1, Math.floor(value)) : 0));
  const order = exact.map((value, i) => ({ i, left: value - rows[i]! }));
  let missing = batchSize - rows.reduce((sum, count) => sum + count, 0);
  order.sort((a, b) => b.left - a.left || a.i - b.i);
  for (const { i } of order) {
    if (missing <= 0) break;
    if (shares[i]! === 0) continue;
    rows[i]!++;
    missing--;
  }
  // Small shares rounded up take from the largest.
  for (; missing < 0; missing++) rows[rows.indexOf(Math.max(...rows))]!--;
  return rows;
}

/** Rows stand in the order of the parts. The epoch of a step is that of the first part. */
export class MixedBatches implements BatchSource {
  readonly batchSize: number;
  readonly sequenceLength: number;
  readonly rowsPerEpoch: number;
  readonly targetsPerEpoch: number;
  readonly #parts: readonly WindowBatches[];

  /** Throws DataError when a set holds less than a window. */
  constructor(parts: readonly MixPart[], options: Omit<WindowOptions, 'batchSize'>) {
    this.#parts = parts.map(
      ({ dataset, numRows }) => new WindowBatches(dataset, { ...options, batchSize: numRows }),
    );
    this.batchSize = parts.reduce((sum, { numRows }) => sum + numRows, 0);
    this.sequenceLength = options.sequenceLength;
    this.rowsPerEpoch = this.#parts[0]!.rowsPerEpoch;
    this.targetsPerEpoch = this.#parts[0]!.targetsPerEpoch;
  }

  cursorAt(step: number): BatchCursor {
    return this.#parts[0]!.cursorAt(step);
  }

  batch(step: number): TokenBatch {
    const batch = emptyBatch(this.batchSize, this.sequenceLength);
    let at = 0;
    for (const source of this.#parts) {
      const part = source.batch(step);
      for (const name of ['inputIds', 'targets', 'lossMask', 'segmentIds', 'positions'] as const) {
        batch[name].set(part[name], at);
      }
      batch.numTargets += part.numTargets;
      at += part.inputIds.length;
    }
    return batch;
  }
}
