/**
 * Bits per byte over documents, and how sure they are. A measurement is one entry a document; intervals come from
 * drawing documents anew with replacement (Efron 1979), because the bytes of one document are not independent.
 */
import { KeyedRandom } from '../core/random.ts';

/** What a model needs to tell one document: its bits, and the bytes of text that they stand for. */
export interface DocumentBits {
  readonly bits: number;
  readonly bytes: number;
}

/** One model's measurements of the same documents in the same order. */
export type DocumentMeasurement = readonly DocumentBits[];

export interface Estimate {
  readonly value: number;
  /** 95 % percentile interval over documents. */
  readonly interval: readonly [low: number, high: number];
}

const NUM_RESAMPLES = 1000;

/** All bits over all bytes; NaN without bytes. */
export function bitsPerByteOf(documents: DocumentMeasurement): number {
  const { bits, bytes } = total(documents);
  return bits / bytes;
}

/**
 * Mean bits per byte of several models (one for each seed, say) on the same documents. Each resample draws the
 * documents once for all models. One document has no interval: [NaN, NaN].
 */
export function estimateBitsPerByte(models: readonly DocumentMeasurement[], seed = 0): Estimate {
  const numDocuments = models[0]?.length ?? 0;
  const mean = (order?: Int32Array) =>
    models.reduce((sum, documents) => sum + bitsPerByteOf(drawn(documents, order)), 0) / models.length;
  return { value: mean(), interval: percentiles(numDocuments, seed, mean) };
}

/**
 * By how many bits per byte `models` need more than `others` on the same documents (below 0: fewer), drawn in
 * pairs: what makes a document hard for both is no part of the uncertainty.
 */
export function estimateDifference(
  models: readonly DocumentMeasurement[],
  others: readonly DocumentMeasurement[],
  seed = 0,
): Estimate {
  const numDocuments = models[0]?.length ?? 0;
  const mean = (runs: readonly DocumentMeasurement[], order?: Int32Array) =>
    runs.reduce((sum, documents) => sum + bitsPerByteOf(drawn(documents, order)), 0) / runs.length;
  const difference = (order?: Int32Array) => mean(models, order) - mean(others, order);
  return { value: difference(), interval: percentiles(numDocuments, seed, difference) };
}

function drawn(documents: DocumentMeasurement, order?: Int32Array): DocumentMeasurement {
  return order ? Array.from(order, (i) => documents[i]!) : documents;
}

function percentiles(
  numDocuments: number,
  seed: number,
  statistic: (order: Int32Array) => number,
): [number, number] {
  if (numDocuments < 2) return [Number.NaN, Number.NaN];
  const random = new KeyedRandom(seed).fork('bootstrap');
  const order = new Int32Array(numDocuments);
  const values = Float64Array.from({ length: NUM_RESAMPLES }, (_, k) => {
    for (let i = 0; i < numDocuments; i++) order[i] = random.integer(k * numDocuments + i, numDocuments);
    return statistic(order);
  }).sort();
  return [values[Math.floor(NUM_RESAMPLES * 0.025)]!, values[Math.ceil(NUM_RESAMPLES * 0.975) - 1]!];
}

function total(documents: DocumentMeasurement): DocumentBits {
  let bits = 0;
  let bytes = 0;
  for (const document of documents) {
    bits += document.bits;
    bytes += document.bytes;
  }
  return { bits, bytes };
}
