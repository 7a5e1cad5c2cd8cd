/**
 * Held-out loss and spans of a model in one pass: always the same windows, so that differences between models are not
 * those between texts. The standard error is over windows; windows of one document are alike, so it is a lower bound.
 */
import { CancelledError, DataError } from '../../core/errors.ts';
import type { BatchSource, TokenBatch } from '../../data/tokens/token-batch.ts';
import { bitsPerByte, targetBytes } from '../../evaluate/index.ts';
import { parameterSpecs, type TransformerConfig } from '../../model/config.ts';
import { logits, segmentMask, transformer } from '../../model/transformer.ts';
import type { Device, Executable, Feed } from '../../runtime/device.ts';
import { argmax, cast, crossEntropy, equal, input } from '../../tensor/index.ts';
import type { Tokenizer } from '../../tokenizer/index.ts';
import type { TrainingState } from '../../train/training-step.ts';
import { SpanCounter } from './emergence.ts';
import { SPAN_LENGTHS, type SpanMatch } from './sweep.ts';

/** Fixed batches of held-out text, read once. */
export interface HeldOutBatches {
  readonly batches: readonly TokenBatch[];
  readonly numTargets: number;
  /** NaN without a tokenizer. */
  readonly numBytes: number;
}

/** The first batches of a source, about `numTokens` tokens. Throws DataError when it holds less than one batch's row. */
export function heldOutBatches(
  source: BatchSource,
  numTokens: number,
  tokenizer: Tokenizer | undefined,
): HeldOutBatches {
  const { batchSize, sequenceLength, rowsPerEpoch } = source;
  const numRows = Math.min(rowsPerEpoch, Math.ceil(numTokens / sequenceLength));
  const batches: TokenBatch[] = [];
  for (let row = 0; row < numRows; row += batchSize) {
    const batch = source.batch(row / batchSize);
    // Rows beyond the epoch's end are those of its beginning again.
    const repeated = row + batchSize - rowsPerEpoch;
    batches.push(repeated > 0 ? withoutLastRows(batch, repeated) : batch);
  }
  const numTargets = batches.reduce((sum, batch) => sum + batch.numTargets, 0);
  if (numTargets === 0) {
    throw new DataError('The held-out text holds no token to predict. Give more text.');
  }
  const bytesOf = (batch: TokenBatch) => targetBytes(tokenizer!, batch.targets, batch.lossMask);
  const numBytes = tokenizer ? batches.reduce((sum, batch) => sum + bytesOf(batch), 0) : Number.NaN;
  return { batches, numTargets, numBytes };
}

function withoutLastRows(batch: TokenBatch, numRows: number): TokenBatch {
  const lossMask = batch.lossMask.slice();
  lossMask.fill(0, (batch.batchSize - numRows) * batch.sequenceLength);
  return { ...batch, lossMask, numTargets: lossMask.reduce((sum, value) => sum + value, 0) };
}

export interface HeldOutResult {
  /** Nats a token. */
  readonly loss: number;
  readonly standardError: number;
  readonly bitsPerByte: number;
  readonly spans: readonly SpanMatch[];
}

export class HeldOutEvaluator {
  readonly #executable: Executable;
  readonly #names: readonly string[];

  private constructor(executable: Executable, names: readonly string[]) {
    this.#executable = executable;
    this.#names = names;
  }

  static async compile(
    device: Device,
    config: TransformerConfig,
    { batchSize: B, sequenceLength: T }: { readonly batchSize: number; readonly sequenceLength: number },
  ): Promise<HeldOutEvaluator> {
    const specs = parameterSpecs(config);
    const parameters = Object.fromEntries(
      specs.map(({ name, shape }) => [name, input(`parameter/${name}`, shape)]),
    );
    const idsBT = input('inputIds', [B, T], 'int32');
    const positionsBT = input('positions', [B, T], 'int64');
    const segmentIdsBT = input('segmentIds', [B, T]);
    const targetsN = input('targets', [B * T], 'int32');
    const inputs = { idsBT, positionsBT, maskTT: segmentMask(segmentIdsBT) };
    const { hiddenND } = transformer(parameters, config, inputs, { maxPositions: T });
    const scoresNV = logits(parameters, config, hiddenND);
    const hitN = cast(equal(cast(argmax(scoresNV), 'int32'), targetsN), 'float32');
    const executable = await device.compile(
      { lossN: crossEntropy(scoresNV, targetsN), hitN },
      { inputs: [...Object.values(parameters), idsBT, positionsBT, segmentIdsBT, targetsN] },
    );
    return new HeldOutEvaluator(
      executable,
      specs.map(({ name }) => `parameter/${name}`),
    );
  }

  /** Throws CancelledError when the signal fires. */
  async run(state: TrainingState, heldOut: HeldOutBatches, signal?: AbortSignal): Promise<HeldOutResult> {
    const parameters: Record<string, Feed> = {};
    for (const name of this.#names) parameters[name] = state.get(name)!;
    const spans = new SpanCounter(SPAN_LENGTHS);
    const rows: { nats: number; count: number }[] = [];
    for (const batch of heldOut.batches) {
      if (signal?.aborted) throw new CancelledError();
      const { lossN, hitN } = await this.#executable.run({ ...parameters, ...feedsOf(batch) });
      const [losses, hits] = [await lossN!.read(), await hitN!.read()] as [Float32Array, Float32Array];
      const T = batch.sequenceLength;
      for (let row = 0; row < batch.batchSize; row++) {
        const counts = batch.lossMask.subarray(row * T, (row + 1) * T);
        let nats = 0;
        let count = 0;
        for (let t = 0; t < T; t++) {
          if (!counts[t]) continue;
          nats += losses[row * T + t]!;
          count++;
        }
        if (count > 0) rows.push({ nats, count });
        spans.addRow(counts, hits.subarray(row * T, (row + 1) * T));
      }
      lossN!.dispose();
      hitN!.dispose();
    }
    const { loss, standardError } = meanOverRows(rows);
    return {
      loss,
      standardError,
      bitsPerByte: bitsPerByte(loss, heldOut.numTargets, heldOut.numBytes),
      spans: spans.results(),
    };
  }

  async dispose(): Promise<void> {
    await this.#executable.dispose();
  }
}

function feedsOf(batch: TokenBatch): Record<string, Feed> {
  return {
    inputIds: batch.inputIds,
    positions: BigInt64Array.from(batch.positions, BigInt),
    segmentIds: Float32Array.from(batch.segmentIds),
    targets: batch.targets,
  };
}

/** The mean of a token and the standard error of that ratio of sums (linearised; Cochran 1977, section 2.11). */
function meanOverRows(rows: readonly { readonly nats: number; readonly count: number }[]): {
  loss: number;
  standardError: number;
} {
  const count = rows.reduce((sum, row) => sum + row.count, 0);
  const loss = rows.reduce((sum, row) => sum + row.nats, 0) / count;
  const squares = rows.reduce((sum, row) => sum + (row.nats - loss * row.count) ** 2, 0);
  const n = rows.length;
  return { loss, standardError: n > 1 ? Math.sqrt((squares * n) / (n - 1)) / count : Number.NaN };
}
