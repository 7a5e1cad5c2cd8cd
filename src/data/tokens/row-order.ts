/** The keyed order in which rows are given: one permutation for each epoch, a pure function of (seed, epoch). */
import { ConfigError } from '../../core/errors.ts';
import { KeyedRandom } from '../../core/random.ts';
import type { BatchCursor } from './token-batch.ts';

export class RowOrder {
  readonly numRows: number;
  readonly batchSize: number;
  readonly #random: KeyedRandom;
  /** The permutations in use; a batch touches two epochs at most when there are at least B rows. */
  readonly #permutations = new Map<number, Uint32Array>();

  constructor(numRows: number, batchSize: number, seed: number) {
    this.numRows = numRows;
    this.batchSize = batchSize;
    this.#random = new KeyedRandom(seed).fork('row-order');
  }

  cursorAt(step: number): BatchCursor {
    if (!Number.isInteger(step) || step < 0) {
      throw new ConfigError(`A step is a whole number of at least 0; got ${step}.`);
    }
    const given = step * this.batchSize;
    return { epoch: Math.floor(given / this.numRows), position: given % this.numRows };
  }

  /** The rows of batch `step`, with the epoch each belongs to. */
  *rowsOf(step: number): Generator<{ row: number; epoch: number }> {
    let { epoch, position } = this.cursorAt(step);
    for (let i = 0; i < this.batchSize; i++) {
      if (position === this.numRows) {
        epoch++;
        position = 0;
      }
      yield { row: this.#permutation(epoch)[position++]!, epoch };
    }
  }

  #permutation(epoch: number): Uint32Array {
    let order = this.#permutations.get(epoch);
    if (!order) {
      if (this.#permutations.size >= 2) this.#permutations.clear();
      order = this.#random.fork(`epoch-${epoch}`).permutation(this.numRows);
      this.#permutations.set(epoch, order);
    }
    return order;
  }
}

export function checkBatchShape(batchSize: number, sequenceLength: number): void {
  for (const [name, value] of Object.entries({ batchSize, sequenceLength })) {
    if (Number.isInteger(value) && value >= 1) continue;
    throw new ConfigError(`${name} must be a whole number of at least 1; got ${value}.`);
  }
}
