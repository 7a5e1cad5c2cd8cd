/**
 * One training batch as flat row-major arrays [B, T], and the promise every source of batches gives: batch
 * number `step` is a pure function of the data, the options and `step`, so that a resumed run needs only its
 * step number.
 */

export interface TokenBatch {
  batchSize: number;
  sequenceLength: number;
  inputIds: Int32Array;
  /** The token after each input. */
  targets: Int32Array;
  /** 1 where the target counts in the loss, else 0. */
  lossMask: Float32Array;
  /** 1, 2 ... for the documents of a row, 0 for padding. Attention stays within equal ids. */
  segmentIds: Int32Array;
  /** Positions for rotary embeddings, restarting at 0 with each segment. */
  positions: Int32Array;
  /** Number of ones in the loss mask. */
  numTargets: number;
}

/** Where a step stands: the epoch and the number of rows of it already given. */
export interface BatchCursor {
  epoch: number;
  position: number;
}

export interface BatchSource {
  readonly batchSize: number;
  readonly sequenceLength: number;
  /** Rows of one pass over the data. Batches run on across epochs, so an epoch need not end with a batch. */
  readonly rowsPerEpoch: number;
  /** Tokens that count in the loss in one pass. */
  readonly targetsPerEpoch: number;
  batch(step: number): TokenBatch;
  cursorAt(step: number): BatchCursor;
}

export function emptyBatch(batchSize: number, sequenceLength: number, padId = 0): TokenBatch {
  const size = batchSize * sequenceLength;
  return {
    batchSize,
    sequenceLength,
    inputIds: new Int32Array(size).fill(padId),
    targets: new Int32Array(size).fill(padId),
    lossMask: new Float32Array(size),
    segmentIds: new Int32Array(size),
    positions: new Int32Array(size),
    numTargets: 0,
  };
}
