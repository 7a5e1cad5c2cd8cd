/**
 * Units of a text as 64-bit keys: equal folded text, equal key. Not made against an adversary. Among N different
 * units the probability that any two share a key is about N^2 / 2^65: 3e-8 for a million, 3e-4 for 100 million.
 */
import { SPACE, TextFolder, UNSPACED } from './character-folding.ts';
import type { ResolvedExactMethod } from './dedup-method.ts';
import { unitSpans } from './text-units.ts';
import { mix32 } from './word-hasher.ts';

const STEP_1 = 0x9e3779b1 | 0;
const STEP_2 = 0x85ebca77 | 0;
const START_1 = 0x243f6a88;
const START_2 = 0x13198a2e;

/** Stands for "has no key": empty when folded, so the same as nothing. No unit's key is (0, 0). */
export const NO_KEY = 0;

/** Writes two lanes as one key (high, low) at `out[at]`; both words depend on both lanes, one to one. */
export function writeKey(lane1: number, lane2: number, out: Uint32Array, at: number): void {
  const high = mix32(lane1 ^ mix32(lane2));
  const low = mix32(lane2 ^ high);
  out[at] = high;
  out[at + 1] = high === 0 && low === 0 ? 1 : low;
}

export class UnitHasher {
  readonly method: ResolvedExactMethod;
  readonly #folder: TextFolder | null;
  #keys = new Uint32Array(64);

  constructor(method: ResolvedExactMethod) {
    this.method = method;
    this.#folder = method.normalize === 'none' ? null : new TextFolder(method.normalize);
  }

  /** Spans of the units and their keys, high and low word in turn; the array is used again by the next call. */
  hash(text: string): { spans: number[]; keys: Uint32Array } {
    const spans = unitSpans(text, this.method.unit);
    if (this.#keys.length < spans.length) this.#keys = new Uint32Array(2 * spans.length);
    const keys = this.#keys;
    for (let i = 0; i < spans.length; i += 2) {
      if (this.#folder === null) hashText(text, spans[i]!, spans[i + 1]!, keys, i);
      else hashFolded(this.#folder.fold(text, spans[i], spans[i + 1]), keys, i);
    }
    this.#folder?.release();
    return { spans, keys: keys.subarray(0, spans.length) };
  }
}

function hashText(text: string, start: number, end: number, out: Uint32Array, at: number): void {
  let h1 = START_1;
  let h2 = START_2;
  for (let i = start; i < end; i++) {
    const unit = text.charCodeAt(i);
    h1 = Math.imul(h1 ^ unit, STEP_1);
    h1 ^= h1 >>> 15;
    h2 = Math.imul(h2 ^ unit, STEP_2);
    h2 = (h2 << 13) | (h2 >>> 19);
  }
  finish(h1, h2, end - start, out, at);
}

function hashFolded({ values, length }: TextFolder, out: Uint32Array, at: number): void {
  let start = 0;
  let end = length;
  while (start < end && isSpace(values[start]!)) start++;
  while (end > start && isSpace(values[end - 1]!)) end--;
  const mask = UNSPACED - 1;
  let h1 = START_1;
  let h2 = START_2;
  for (let i = start; i < end; i++) {
    const value = values[i]! & mask;
    h1 = Math.imul(h1 ^ value, STEP_1);
    h1 ^= h1 >>> 15;
    h2 = Math.imul(h2 ^ value, STEP_2);
    h2 = (h2 << 13) | (h2 >>> 19);
  }
  finish(h1, h2, end - start, out, at);
}

function finish(h1: number, h2: number, length: number, out: Uint32Array, at: number): void {
  if (length === 0) {
    out[at] = NO_KEY;
    out[at + 1] = NO_KEY;
  } else {
    writeKey(h1 ^ length, h2, out, at);
  }
}

function isSpace(value: number): boolean {
  return (
    value === SPACE ||
    (value < 0x21 && value > 8) ||
    (value > 0x7f && /\s/.test(String.fromCodePoint(value & (UNSPACED - 1))))
  );
}
