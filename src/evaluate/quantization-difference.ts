/**
 * What quantising costs: bits of the same documents under a model's float weights and under its quantised ones, with
 * an interval over documents, and how often both choose the same next token. The quantised model runs on the device's
 * own kernels (on a CPU they round the left sides of products to 8 bits as well), so the figures are those of decoding.
 *
 * Documents are read in windows of T tokens that overlap by one, each seen on its own; a document's first token is
 * not counted.
 */
import { CancelledError, DataError } from '../core/errors.ts';
import { parameterSpecs, type TransformerConfig } from '../model/config.ts';
import type { Weights } from '../model/initialize.ts';
import { isQuantized, type MixedWeights } from '../model/quantized.ts';
import { causalMask, logits, type ModelParameter, transformer } from '../model/transformer.ts';
import type { Device, Executable, Feed } from '../runtime/device.ts';
import { argmax, cast, crossEntropy, input, quantizedConstant } from '../tensor/index.ts';
import { bitsPerByteOf, type DocumentBits, type Estimate, estimateDifference } from './document-bits.ts';
import { type DocumentWindow, numTargetsOf, windowArrays, windowsOf } from './document-windows.ts';
import { wilsonInterval } from './interval.ts';

export interface TokenDocument {
  readonly tokens: ArrayLike<number>;
  /** Bytes of text that the tokens after the first stand for; left out, one each: bits per token instead. */
  readonly bytes?: number;
}

export interface QuantizationDifferenceInput {
  readonly config: TransformerConfig;
  readonly weights: Weights;
  /** The same model quantised (or any other weights of the same config). */
  readonly quantized: MixedWeights;
  readonly documents: readonly TokenDocument[];
  readonly device: Device;
  /** T; default 256 or the model's context, whichever is less. */
  readonly length?: number;
  readonly signal?: AbortSignal;
  /** Called after each batch with the windows done and all windows, of both models together. */
  readonly onProgress?: (done: number, total: number) => void;
}

export interface QuantizationDifference {
  /** What bits are counted by. */
  readonly unit: 'byte' | 'token';
  /** Documents with at least one token to predict. */
  readonly numDocuments: number;
  /** Documents of fewer than two tokens, which say nothing. */
  readonly numSkipped: number;
  readonly numTokens: number;
  /** Bits a byte (or a token) with the float weights and with the quantised ones. */
  readonly before: number;
  readonly after: number;
  /** After minus before, with a 95 % interval over documents (NaN for a single one). */
  readonly difference: Estimate;
  /** Nats a token. */
  readonly lossBefore: number;
  readonly lossAfter: number;
  /** Places at which both models' most likely next tokens are the same. */
  readonly sameGreedy: { readonly share: number; readonly interval: readonly [number, number] };
}

const DEFAULT_LENGTH = 256;
const MAX_ROWS = 16;
/** Scores of one batch, float32. */
const MAX_SCORE_BYTES = 64e6;

/** Per document nats, and per place the most likely token, in order of the windows. */
interface Reading {
  readonly nats: Float64Array;
  readonly greedy: Int32Array;
}

/**
 * Measures both models. Throws DataError when no document has two tokens or a token is no id of the model's,
 * CancelledError when the signal fires.
 */
export async function measureQuantization(
  request: QuantizationDifferenceInput,
): Promise<QuantizationDifference> {
  const { config, weights, quantized, device } = request;
  const length = Math.min(request.length ?? DEFAULT_LENGTH, config.maxPositionEmbeddings);
  const documents = request.documents.filter(({ tokens }) => tokens.length > 1);
  if (documents.length === 0) {
    throw new DataError(
      'No document has a token to predict: at least two tokens are needed. Give more text.',
    );
  }
  checkTokens(documents, config.vocabSize);
  const windows = windowsOf(
    documents.map(({ tokens }) => tokens),
    length,
  );
  const before = await read(request, { device, weights, documents, windows, length, done: 0 });
  const after = await read(request, {
    device,
    weights: quantized,
    documents,
    windows,
    length,
    done: windows.length,
  });
  const numTokens = documents.reduce((sum, { tokens }) => sum + tokens.length - 1, 0);
  const hasBytes = documents.every(({ bytes }) => bytes !== undefined);
  const bitsOf = ({ nats }: Reading): DocumentBits[] =>
    documents.map(({ tokens, bytes }, i) => ({
      bits: nats[i]! / Math.LN2,
      bytes: hasBytes ? bytes! : tokens.length - 1,
    }));
  const [bitsBefore, bitsAfter] = [bitsOf(before), bitsOf(after)];
  const total = ({ nats }: Reading) => nats.reduce((sum, value) => sum + value, 0) / numTokens;
  const numSame = before.greedy.reduce((sum, id, i) => sum + (id === after.greedy[i] ? 1 : 0), 0);
  return {
    unit: hasBytes ? 'byte' : 'token',
    numDocuments: documents.length,
    numSkipped: request.documents.length - documents.length,
    numTokens,
    before: bitsPerByteOf(bitsBefore),
    after: bitsPerByteOf(bitsAfter),
    difference: estimateDifference([bitsAfter], [bitsBefore]),
    lossBefore: total(before),
    lossAfter: total(after),
    sameGreedy: { share: numSame / numTokens, interval: wilsonInterval(numSame, numTokens) },
  };
}

function checkTokens(documents: readonly TokenDocument[], vocabSize: number): void {
  documents.forEach(({ tokens }, document) => {
    for (let i = 0; i < tokens.length; i++) {
      if (Number.isInteger(tokens[i]) && tokens[i]! >= 0 && tokens[i]! < vocabSize) continue;
      throw new DataError(
        `Document ${document + 1} holds token ${tokens[i]} at place ${i}; expected ids below the model's ${vocabSize}.`,
      );
    }
  });
}

interface Pass {
  readonly device: Device;
  readonly weights: MixedWeights;
  readonly documents: readonly TokenDocument[];
  readonly windows: readonly DocumentWindow[];
  readonly length: number;
  /** Windows that were read before this pass, for progress. */
  readonly done: number;
}

async function read(
  { config, signal, onProgress }: QuantizationDifferenceInput,
  { device, weights, documents, windows, length: T, done }: Pass,
): Promise<Reading> {
  const rows = Math.floor(MAX_SCORE_BYTES / (4 * T * config.vocabSize));
  const B = Math.max(1, Math.min(MAX_ROWS, rows, windows.length));
  const { executable, feeds } = await compileReader(device, config, weights, B, T);
  const nats = new Float64Array(documents.length);
  const greedy: number[] = [];
  try {
    for (let at = 0; at < windows.length; at += B) {
      if (signal?.aborted) throw new CancelledError();
      const batch = windows.slice(at, at + B);
      // Nothing is masked: places that predict nothing are not read.
      const { inputIds, targets, positions } = windowArrays(batch, B, T);
      const { lossN, greedyN } = await executable.run({ ...feeds, inputIds, targets, positions });
      const [losses, ids] = [await lossN!.read(), await greedyN!.read()];
      batch.forEach((window, row) => {
        for (let i = row * T; i < row * T + numTargetsOf(window, T); i++) {
          nats[window.document]! += Number(losses[i]);
          greedy.push(Number(ids[i]));
        }
      });
      lossN!.dispose();
      greedyN!.dispose();
      onProgress?.(done + Math.min(at + B, windows.length), 2 * windows.length);
    }
  } finally {
    await executable.dispose();
  }
  return { nats, greedy: Int32Array.from(greedy) };
}

/** Float weights are fed, quantised ones are constants: only those are laid out for the kernels. */
async function compileReader(
  device: Device,
  config: TransformerConfig,
  weights: MixedWeights,
  B: number,
  T: number,
): Promise<{ executable: Executable; feeds: Record<string, Feed> }> {
  const feeds: Record<string, Feed> = {};
  const parameters: Record<string, ModelParameter> = {};
  for (const { name, shape } of parameterSpecs(config)) {
    const weight = weights.get(name);
    if (!weight) throw new DataError(`The weights lack "${name}", which the config asks for.`);
    if (isQuantized(weight)) {
      parameters[name] = quantizedConstant(weight);
    } else {
      parameters[name] = input(name, shape);
      feeds[name] = weight;
    }
  }
  const idsBT = input('inputIds', [B, T], 'int32');
  const positionsBT = input('positions', [B, T], 'int64');
  const targetsN = input('targets', [B * T], 'int32');
  const inputs = { idsBT, positionsBT, maskTT: causalMask(T) };
  const { hiddenND } = transformer(parameters, config, inputs, { maxPositions: T });
  const scoresNV = logits(parameters, config, hiddenND);
  const executable = await device.compile({
    lossN: crossEntropy(scoresNV, targetsN),
    greedyN: cast(argmax(scoresNV), 'int32'),
  });
  return { executable, feeds };
}
