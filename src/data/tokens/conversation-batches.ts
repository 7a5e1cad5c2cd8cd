/**
 * Finetuning batches: each document of the set is one conversation, and several share a row of T inputs by
 * best-fit decreasing packing. Conversations in a row carry their own segment ids and positions, so that
 * neither attention nor loss crosses from one into another; padding is segment 0. Which conversations share a
 * row is a function of the seed; the order of rows changes with each epoch.
 */
import { DataError } from '../../core/errors.ts';
import { KeyedRandom } from '../../core/random.ts';
import { checkBatchShape, RowOrder } from './row-order.ts';
import { type BatchCursor, type BatchSource, emptyBatch, type TokenBatch } from './token-batch.ts';
import type { TokenDataset } from './token-dataset.ts';
import { type TrainOn, trainingTargets } from './training-targets.ts';

export interface ConversationOptions {
  batchSize: number;
  /** T: number of inputs in a row. */
  sequenceLength: number;
  seed: number;
  /** What happens to conversations of more than T + 1 tokens. Default 'leave-out'. */
  tooLong?: 'truncate' | 'leave-out' | 'error';
  /** Id written where no conversation is; never counted, never attended to. Default 0. */
  padId?: number;
  /** Which tokens are learned from. Default 'assistant': those that the loss mask marks. */
  trainOn?: TrainOn;
}

export interface PackingReport {
  numConversations: number;
  numPacked: number;
  numTruncated: number;
  numTooLong: number;
  /** Left out because no token of theirs is to be predicted. */
  numWithoutTargets: number;
  numRows: number;
  /** Share of the rows' places that hold tokens. */
  fillShare: number;
}

export class ConversationBatches implements BatchSource {
  readonly batchSize: number;
  readonly sequenceLength: number;
  readonly targetsPerEpoch: number;
  readonly report: PackingReport;
  readonly #dataset: TokenDataset;
  readonly #order: RowOrder;
  readonly #rows: number[][];
  readonly #padId: number;
  readonly #trainOn: TrainOn;

  /** @throws DataError when nothing can be packed, or for a long conversation under 'error'. */
  constructor(dataset: TokenDataset, options: ConversationOptions) {
    const { batchSize, sequenceLength, seed, tooLong = 'leave-out', padId = 0 } = options;
    const { trainOn = 'assistant' } = options;
    checkBatchShape(batchSize, sequenceLength);
    this.batchSize = batchSize;
    this.sequenceLength = sequenceLength;
    this.#dataset = dataset;
    this.#padId = padId;
    this.#trainOn = trainOn;
    const chosen = chooseConversations(dataset, sequenceLength, tooLong, trainOn);
    const { report, conversations, lengths } = chosen;
    if (conversations.length === 0) {
      throw new DataError(
        `No conversation can be packed into rows of ${sequenceLength}: of ${report.numConversations}, ` +
          `${report.numTooLong} are too long and ${report.numWithoutTargets} have no token to predict. ` +
          "Raise sequenceLength, set tooLong to 'truncate', or check the loss mask.",
      );
    }
    this.targetsPerEpoch = chosen.numTargets;
    const shuffled = new KeyedRandom(seed).fork('packing').permutation(conversations.length);
    this.#rows = packBestFit(lengths, shuffled, sequenceLength).map((row) =>
      row.map((i) => conversations[i]!),
    );
    const numPlaces = this.#rows.length * sequenceLength;
    const numUsed = lengths.reduce((sum, length) => sum + length, 0);
    this.report = { ...report, numRows: this.#rows.length, fillShare: numUsed / numPlaces };
    this.#order = new RowOrder(this.#rows.length, batchSize, seed);
  }

  get rowsPerEpoch(): number {
    return this.#rows.length;
  }

  cursorAt(step: number): BatchCursor {
    return this.#order.cursorAt(step);
  }

  batch(step: number): TokenBatch {
    return this.#batchOf([...this.#order.rowsOf(step)].map(({ row }) => this.#rows[row]!));
  }

  /** Each row once, in the order of the first epoch, the last batch filled up with padding: for measuring. */
  *once(): Generator<TokenBatch, void, undefined> {
    for (let step = 0; step * this.batchSize < this.#rows.length; step++) {
      const rows = [...this.#order.rowsOf(step)].filter(({ epoch }) => epoch === 0);
      yield this.#batchOf(rows.map(({ row }) => this.#rows[row]!));
    }
  }

  #batchOf(rows: Iterable<readonly number[]>): TokenBatch {
    const batch = emptyBatch(this.batchSize, this.sequenceLength, this.#padId);
    let rowStart = 0;
    for (const conversations of rows) {
      let at = rowStart;
      for (const [i, conversation] of conversations.entries())
        at = this.#place(batch, at, conversation, i + 1);
      rowStart += this.sequenceLength;
    }
    return batch;
  }

  #place(batch: TokenBatch, at: number, conversation: number, segment: number): number {
    const start = this.#dataset.documentStart(conversation);
    const end = this.#dataset.documentStart(conversation + 1);
    const numInputs = Math.min(end - start - 1, this.sequenceLength);
    const tokens = this.#dataset.readTokens(start, numInputs + 1);
    const mask = targetsOf(this.#dataset, start, end, this.#trainOn);
    for (let t = 0; t < numInputs; t++) {
      batch.inputIds[at + t] = tokens[t]!;
      batch.targets[at + t] = tokens[t + 1]!;
      batch.lossMask[at + t] = mask[t + 1]!;
      batch.segmentIds[at + t] = segment;
      batch.positions[at + t] = t;
      batch.numTargets += mask[t + 1]!;
    }
    return at + numInputs;
  }
}

function chooseConversations(
  dataset: TokenDataset,
  sequenceLength: number,
  tooLong: NonNullable<ConversationOptions['tooLong']>,
  trainOn: TrainOn,
): {
  conversations: number[];
  lengths: number[];
  numTargets: number;
  report: Omit<PackingReport, 'numRows' | 'fillShare'>;
} {
  const conversations: number[] = [];
  const lengths: number[] = [];
  const report = {
    numConversations: dataset.numDocuments,
    numPacked: 0,
    numTruncated: 0,
    numTooLong: 0,
    numWithoutTargets: 0,
  };
  let numTargets = 0;
  for (let i = 0; i < dataset.numDocuments; i++) {
    const start = dataset.documentStart(i);
    const end = dataset.documentStart(i + 1);
    const numInputs = end - start - 1;
    const isTooLong = numInputs > sequenceLength;
    if (isTooLong && tooLong === 'error') {
      throw new DataError(
        `Conversation ${i} has ${numInputs + 1} tokens; rows hold ${sequenceLength + 1}. ` +
          "Raise sequenceLength or set tooLong to 'truncate' or 'leave-out'.",
      );
    }
    if (isTooLong && tooLong === 'leave-out') {
      report.numTooLong++;
      continue;
    }
    const length = Math.min(numInputs, sequenceLength);
    const mask = targetsOf(dataset, start, end, trainOn).subarray(1, length + 1);
    const targets = mask.reduce((sum, value) => sum + value, 0);
    if (targets === 0) {
      report.numWithoutTargets++;
      continue;
    }
    if (isTooLong) report.numTruncated++;
    conversations.push(i);
    lengths.push(length);
    numTargets += targets;
  }
  report.numPacked = conversations.length;
  return { conversations, lengths, numTargets, report };
}

/** Of the whole conversation, also where only its beginning is used: a cut does not make another turn the last. */
function targetsOf(dataset: TokenDataset, start: number, end: number, trainOn: TrainOn): Uint8Array {
  return trainingTargets(dataset.readLossMask(start, end - start), trainOn);
}

/**
 * Best-fit decreasing: longest first, each into the row with the least room that still takes it. Equal lengths
 * go in the given order. Returns the indices in each row; every length must be at most `capacity`.
 */
export function packBestFit(
  lengths: readonly number[],
  order: ArrayLike<number>,
  capacity: number,
): number[][] {
  const rank = Array.from(order).sort((a, b) => lengths[b]! - lengths[a]!);
  const rows: number[][] = [];
  const rowsByRoom: number[][] = Array.from({ length: capacity + 1 }, () => []);
  const hasRoom = new Uint8Array(capacity + 1);
  for (const index of rank) {
    const need = lengths[index]!;
    const room = hasRoom.indexOf(1, need);
    let row: number;
    let left: number;
    if (room === -1) {
      row = rows.push([]) - 1;
      left = capacity - need;
    } else {
      row = rowsByRoom[room]!.pop()!;
      if (rowsByRoom[room]!.length === 0) hasRoom[room] = 0;
      left = room - need;
    }
    rows[row]!.push(index);
    if (left === 0) continue;
    rowsByRoom[left]!.push(row);
    hasRoom[left] = 1;
  }
  return rows;
}
