/**
 * Pre-training batches: the token sequence is cut into windows of T + 1 tokens that overlap by one, so that
 * each token is predicted once an epoch. The cut is shifted by a keyed offset each epoch, which brings the
 * remainder at the end into play. With `documentSegments`, documents in one window do not see each other and
 * the first token of a document is not predicted from the one before.
 */
import { DataError } from '../../core/errors.ts';
import { KeyedRandom } from '../../core/random.ts';
import { checkBatchShape, RowOrder } from './row-order.ts';
import { type BatchCursor, type BatchSource, emptyBatch, type TokenBatch } from './token-batch.ts';
import { documentAt, type TokenDataset } from './token-dataset.ts';

export interface WindowOptions {
  batchSize: number;
  /** T: number of inputs in a row. */
  sequenceLength: number;
  seed: number;
  documentSegments?: boolean;
}

export class WindowBatches implements BatchSource {
  readonly batchSize: number;
  readonly sequenceLength: number;
  readonly rowsPerEpoch: number;
  readonly #dataset: TokenDataset;
  readonly #order: RowOrder;
  readonly #offsets: KeyedRandom;
  readonly #documentSegments: boolean;

  /** @throws DataError when the set holds fewer than T + 1 tokens. */
  constructor(dataset: TokenDataset, options: WindowOptions) {
    const { batchSize, sequenceLength, seed, documentSegments = false } = options;
    checkBatchShape(batchSize, sequenceLength);
    this.batchSize = batchSize;
    this.sequenceLength = sequenceLength;
    this.rowsPerEpoch = Math.floor((dataset.numTokens - 1) / sequenceLength);
    if (this.rowsPerEpoch < 1) {
      throw new DataError(
        `A window of ${sequenceLength} tokens needs a set of at least ${sequenceLength + 1}; this one has ` +
          `${dataset.numTokens}. Give more text or a shorter sequenceLength.`,
      );
    }
    this.#dataset = dataset;
    this.#documentSegments = documentSegments;
    this.#order = new RowOrder(this.rowsPerEpoch, batchSize, seed);
    this.#offsets = new KeyedRandom(seed).fork('window-offset');
  }

  get targetsPerEpoch(): number {
    return this.rowsPerEpoch * this.sequenceLength;
  }

  cursorAt(step: number): BatchCursor {
    return this.#order.cursorAt(step);
  }

  batch(step: number): TokenBatch {
    const batch = emptyBatch(this.batchSize, this.sequenceLength);
    let at = 0;
    for (const { row, epoch } of this.#order.rowsOf(step)) {
      this.#fillRow(batch, at, this.#offset(epoch) + row * this.sequenceLength);
      at += this.sequenceLength;
    }
    return batch;
  }

  #offset(epoch: number): number {
    const remainder = this.#dataset.numTokens - 1 - this.rowsPerEpoch * this.sequenceLength;
    return this.#offsets.integer(epoch, remainder + 1);
  }

  #fillRow(batch: TokenBatch, at: number, start: number): void {
    const length = this.sequenceLength;
    const tokens = this.#dataset.readTokens(start, length + 1);
    const mask = this.#dataset.readLossMask(start, length + 1);
    batch.inputIds.set(tokens.subarray(0, length), at);
    batch.targets.set(tokens.subarray(1), at);
    let document = this.#documentSegments ? documentAt(this.#dataset, start) : 0;
    let end = this.#documentSegments ? this.#dataset.documentStart(document + 1) : Number.POSITIVE_INFINITY;
    let segment = 1;
    let position = 0;
    for (let t = 0; t < length; t++) {
      if (start + t >= end) {
        end = this.#dataset.documentStart(++document + 1);
        segment++;
        position = 0;
      }
      batch.segmentIds[at + t] = segment;
      batch.positions[at + t] = position++;
      // The target of a document's last token belongs to the next document.
      const counts = start + t + 1 < end ? mask[t + 1]! : 0;
      batch.lossMask[at + t] = counts;
      batch.numTargets += counts;
    }
  }
}
