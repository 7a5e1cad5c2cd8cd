/**
 * Splits into train, validation and test by a key (an entity, a phrasing, a document id). The same key and
 * seed always give the same split, so that all records of one entity stay together and nothing leaks.
 * Keys are compared after Unicode normalisation, trimming and lower-casing.
 */
import { ConfigError } from '../core/errors.ts';
import { KeyedRandom } from '../core/random.ts';

export type Split = 'train' | 'validation' | 'test';

export interface SplitShares {
  validation: number;
  test: number;
}

/** A uniform number in [0, 1) that is a pure function of the seed and the labels. */
export function keyedUniform(seed: number, ...labels: readonly string[]): number {
  let random = new KeyedRandom(seed);
  for (const label of labels) random = random.fork(label);
  return random.uniform(0);
}

/** The form in which keys are compared: NFC, trimmed, inner white space collapsed, lower case. */
export function normalizeKey(key: string): string {
  return key.normalize('NFC').trim().replace(/\s+/g, ' ').toLowerCase();
}

/**
 * The split of one key by its own hash. Adding or removing other keys never moves it; the sizes of the
 * splits follow the shares only on average.
 */
export function splitOf(key: string, shares: SplitShares, seed: number): Split {
  checkShares(shares);
  const draw = keyedUniform(seed, 'split', normalizeKey(key));
  if (draw < shares.test) return 'test';
  return draw < shares.test + shares.validation ? 'validation' : 'train';
}

/**
 * The splits of a closed set of keys with sizes as near to the shares as whole numbers allow; a positive
 * share gets at least one key while train keeps one. Adding a key may move others; use `splitOf` when it must not.
 */
export function splitKeys(keys: Iterable<string>, shares: SplitShares, seed: number): Map<string, Split> {
  checkShares(shares);
  const distinct = [...new Set([...keys].map(normalizeKey))];
  const ranked = distinct
    .map((key) => ({ key, draw: keyedUniform(seed, 'split', key) }))
    .sort((a, b) => a.draw - b.draw || (a.key < b.key ? -1 : 1));
  const numOf = (share: number): number => (share > 0 ? Math.max(1, Math.round(share * ranked.length)) : 0);
  const numTest = Math.min(numOf(shares.test), Math.max(0, ranked.length - 1));
  const numValidation = Math.min(numOf(shares.validation), Math.max(0, ranked.length - 1 - numTest));
  return new Map(
    ranked.map(({ key }, i) => [
      key,
      i < numTest ? 'test' : i < numTest + numValidation ? 'validation' : 'train',
    ]),
  );
}

/** Divides records so that all records with one key share a split. Order within a split is kept. */
export function splitRecords<T>(
  records: Iterable<T>,
  keyOf: (record: T) => string,
  shares: SplitShares,
  seed: number,
): Record<Split, T[]> {
  const list = [...records];
  const splits = splitKeys(list.map(keyOf), shares, seed);
  const out: Record<Split, T[]> = { train: [], validation: [], test: [] };
  for (const record of list) out[splits.get(normalizeKey(keyOf(record)))!].push(record);
  return out;
}

function checkShares(shares: SplitShares): void {
  const { validation, test } = shares;
  if (validation >= 0 && test >= 0 && validation + test < 1) return;
  throw new ConfigError(
    `Split shares must be at least 0 and leave something for training; got validation ${validation} and test ${test}.`,
  );
}
