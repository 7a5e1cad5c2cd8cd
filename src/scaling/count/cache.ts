/** What a model keeps per sequence while generating: a key/value cache that grows, a recurrent state that does not. */
import { type Architecture, stackBlocks } from '../architecture/architecture.ts';
import { numberBytes } from './precision.ts';

export interface CacheOptions {
  /** Tokens in each sequence. */
  readonly length: number;
  /** Sequences at a time; 1 when missing. */
  readonly batch?: number;
  /** `bf16` when missing. */
  readonly precision?: string;
  /** Tokens the encoder has read, for cross-attention; none when missing. */
  readonly sourceLength?: number;
  /** False: a cache that also keeps what sliding windows hide, as simple implementations do. */
  readonly rolling?: boolean;
}

/** Bytes of the key/value cache. */
export function cacheBytes(architecture: Architecture, options: CacheOptions): number {
  const { length, batch = 1, precision = 'bf16', sourceLength = 0, rolling = true } = options;
  let numbers = 0;
  for (const { block, count } of stackBlocks(architecture.decoder)) {
    numbers += count * block.cacheSize({ target: length, source: sourceLength }, rolling);
  }
  return numbers * batch * numberBytes(precision);
}

/** Bytes that one more token adds, before any sliding window is full. */
export function cacheBytesPerToken(architecture: Architecture, precision = 'bf16'): number {
  return cacheBytes(architecture, { length: 1, precision });
}

/** Bytes of recurrent states, convolutions and token shifts of `batch` sequences; nothing in plain transformers. */
export function stateBytes(
  architecture: Architecture,
  options: { readonly batch?: number; readonly precision?: string } = {},
): number {
  let numbers = 0;
  for (const { block, count } of stackBlocks(architecture.decoder)) numbers += count * block.stateSize;
  return numbers * (options.batch ?? 1) * numberBytes(options.precision ?? 'fp32');
}
