/**
 * Batches of preference items. Batch number `step` is a pure function of the items, the options and `step`. Each epoch
 * goes over all items in an order of its own; good and bad answers are spread evenly over it.
 */
import { RowOrder } from '../../data/tokens/row-order.ts';
import type { Weights } from '../../model/initialize.ts';
import { type SequenceScorer, totalLogprob } from '../sequence-logprobs.ts';
import { rowBatch, type SequenceRow } from '../sequence-row.ts';
import type { PreferenceItem } from './preference-items.ts';
import type { PreferenceBatch, PreferenceShape } from './preference-objective.ts';

export interface PreferenceBatchOptions extends PreferenceShape {
  readonly seed: number;
  /** Written where no token is. Default 0. */
  readonly padId?: number;
  /** From `referenceLogprobs`, for a loss that uses a reference. */
  readonly reference?: Float32Array;
}

/**
 * Log-probability of each item's first and second answer under fixed weights, in nats [2 * items]. Throws what
 * `SequenceScorer.score` throws.
 */
export async function referenceLogprobs(
  scorer: SequenceScorer,
  weights: Weights,
  items: readonly PreferenceItem[],
): Promise<Float32Array> {
  const scores = await scorer.score(
    weights,
    items.flatMap(({ first, second }) => [first, second]),
  );
  return Float32Array.from(scores, totalLogprob);
}

const NO_ROW: SequenceRow = { tokens: [], actions: [] };

/** Where an item stands in every epoch: number `place` among the good or among the bad ones. */
interface Slot {
  readonly stratum: number;
  readonly place: number;
}

export class PreferenceBatches {
  readonly numItems: number;
  readonly #items: readonly PreferenceItem[];
  readonly #options: PreferenceBatchOptions;
  /** Indices of the good items and of the bad ones. */
  readonly #strata: readonly (readonly number[])[];
  readonly #orders: readonly RowOrder[];
  readonly #slots: readonly Slot[];

  /** @param items at least one. */
  constructor(items: readonly PreferenceItem[], options: PreferenceBatchOptions) {
    this.numItems = items.length;
    this.#items = items;
    this.#options = options;
    const indices = items.map((_, i) => i);
    this.#strata = [true, false]
      .map((isGood) => indices.filter((i) => items[i]!.isGood === isGood))
      .filter((stratum) => stratum.length > 0);
    // One row at a time: batches run over both.
    this.#orders = this.#strata.map((stratum, k) => new RowOrder(stratum.length, 1, options.seed + k));
    this.#slots = this.#strata
      .flatMap((stratum, k) => stratum.map((_, place) => ({ stratum: k, place })))
      .sort((a, b) => this.#depth(a) - this.#depth(b));
  }

  /** Share of its stratum that stands before a slot. */
  #depth({ stratum, place }: Slot): number {
    return (place + 1 / 2) / this.#strata[stratum]!.length;
  }

  batch(step: number): PreferenceBatch {
    const { batchSize } = this.#options;
    return this.#batchOf(Array.from({ length: batchSize }, (_, i) => this.#itemAt(step * batchSize + i)));
  }

  /** `count` items or all, each once, spread over the data; the last batch may hold fewer. For validation. */
  *inOrder(count = this.numItems): Generator<PreferenceBatch> {
    const { batchSize } = this.#options;
    const total = Math.min(count, this.numItems);
    for (let start = 0; start < total; start += batchSize) {
      const size = Math.min(batchSize, total - start);
      yield this.#batchOf(
        Array.from({ length: size }, (_, i) => Math.floor(((start + i) * this.numItems) / total)),
      );
    }
  }

  /** The item that is given as number `count`, over all epochs. */
  #itemAt(count: number): number {
    const epoch = Math.floor(count / this.numItems);
    const { stratum, place } = this.#slots[count % this.numItems]!;
    const indices = this.#strata[stratum]!;
    const [first] = this.#orders[stratum]!.rowsOf(epoch * indices.length + place);
    return indices[first!.row]!;
  }

  #batchOf(indices: readonly number[]): PreferenceBatch {
    const { batchSize, length, padId, reference } = this.#options;
    const items = indices.map((i) => this.#items[i]!);
    const half = (rows: readonly SequenceRow[]) => [
      ...rows,
      ...new Array<SequenceRow>(batchSize - rows.length).fill(NO_ROW),
    ];
    const rows = [...half(items.map(({ first }) => first)), ...half(items.map(({ second }) => second))];
    const batch: PreferenceBatch = {
      tokens: rowBatch(rows, { batchSize: 2 * batchSize, length }, padId),
      reference: new Float32Array(2 * batchSize),
      isGood: new Float32Array(batchSize),
      mask: new Float32Array(batchSize),
      classWeight: new Float32Array(batchSize),
      numItems: items.length,
    };
    for (const [b, i] of indices.entries()) {
      const { isGood } = this.#items[i]!;
      const { length: numAlike } = this.#strata[isGood ? 0 : this.#strata.length - 1]!;
      batch.mask[b] = 1;
      batch.isGood[b] = isGood ? 1 : 0;
      batch.classWeight[b] = this.numItems / numAlike;
      if (!reference) continue;
      batch.reference[b] = reference[2 * i]!;
      batch.reference[batchSize + b] = reference[2 * i + 1]!;
    }
    return batch;
  }
}
