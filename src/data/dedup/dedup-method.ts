/**
 * What counts as a duplicate: the settings of exact and of near deduplication, with the published ones as presets.
 * A resolved method is plain JSON with nothing left open; signatures of two methods are comparable only when
 * they are equal.
 */
import { ConfigError } from '../../core/errors.ts';
import { FOLDINGS, type Folding } from './character-folding.ts';
import { TEXT_UNITS, type TextUnit } from './text-units.ts';

export interface ExactMethod {
  readonly kind: 'exact';
  readonly unit: TextUnit;
  /**
   * How a unit is folded before it is compared. Default: documents `none` (every character counts), paragraphs
   * `cc-net`, lines `c4`. All but `none` also leave out white space at both ends.
   */
  readonly normalize?: Folding;
}

export interface MinHashMethod {
  readonly kind: 'minhash';
  /** Where settings that are not given come from. Default 'datatrove'. */
  readonly preset?: MinHashPreset;
  /** What is compared: sets of runs of so many words or characters. */
  readonly shingle?: { readonly unit: 'word' | 'character'; readonly size: number };
  readonly normalize?: Folding;
  readonly numBands?: number;
  readonly rowsPerBand?: number;
  readonly seed?: number;
  /**
   * Documents that share a band count as duplicates only if their estimated Jaccard similarity is at least this.
   * Default null: sharing a band is enough, as in datatrove.
   */
  readonly minSimilarity?: number | null;
  /** Which document of a cluster stays: the first in input order (default) or the one with the longest text. */
  readonly keep?: 'first' | 'longest';
}

export type DedupMethod = ExactMethod | MinHashMethod;

export type ResolvedExactMethod = Required<ExactMethod>;
export type ResolvedMinHashMethod = Required<Omit<MinHashMethod, 'preset'>>;
export type ResolvedMethod = ResolvedExactMethod | ResolvedMinHashMethod;

export type MinHashPreset = 'datatrove' | 'text-dedup' | 'nemo' | 'refinedweb';

type PresetSettings = Pick<ResolvedMinHashMethod, 'shingle' | 'normalize' | 'numBands' | 'rowsPerBand'>;

/** Two documents of similarity s share a band with probability 1 - (1 - s^rows)^bands. */
export const MINHASH_PRESETS: Readonly<Record<MinHashPreset, PresetSettings>> = {
  /** FineWeb's: half of the pairs at s = .685, .924 at s = .8 (datatrove pipeline/dedup/minhash.py). */
  datatrove: {
    shingle: { unit: 'word', size: 5 },
    normalize: 'datatrove',
    numBands: 14,
    rowsPerBand: 8,
  },
  /** Finds dissimilar pairs too (.999 at s = .6): meant to be verified, so give `minSimilarity`. */
  'text-dedup': {
    shingle: { unit: 'word', size: 2 },
    normalize: 'text-dedup',
    numBands: 50,
    rowsPerBand: 4,
  },
  /** NeMo Curator: runs of characters of the text as it is. */
  nemo: { shingle: { unit: 'character', size: 24 }, normalize: 'none', numBands: 20, rowsPerBand: 13 },
  /** Penedo et al. 2023 (arXiv 2306.01116, G.3.1): 9,000 hashes; theirs are of GPT-2 tokens, these of words. */
  refinedweb: {
    shingle: { unit: 'word', size: 5 },
    normalize: 'datatrove',
    numBands: 20,
    rowsPerBand: 450,
  },
};

const DEFAULT_NORMALIZATION: Readonly<Record<TextUnit, Folding>> = {
  document: 'none',
  paragraph: 'cc-net',
  line: 'c4',
};

/** Hash functions of a signature at most; RefinedWeb uses 9,000. */
export const MAX_HASHES = 65_536;
export const MAX_SHINGLE_SIZE = 1000;

/** @throws ConfigError for an unknown name or a number out of range. */
export function resolveMethod(method: DedupMethod): ResolvedMethod {
  if (method.kind === 'exact') {
    const { unit } = method;
    checkName('unit', unit, TEXT_UNITS);
    const normalize = method.normalize ?? DEFAULT_NORMALIZATION[unit];
    checkName('normalization', normalize, FOLDINGS);
    return { kind: 'exact', unit, normalize };
  }
  if (method.kind === 'minhash') return resolveMinHash(method);
  throw new ConfigError(
    `A deduplication method is 'exact' or 'minhash'; got '${(method as { kind: unknown }).kind}'.`,
  );
}

export function resolveMinHash(method: Omit<MinHashMethod, 'kind'>): ResolvedMinHashMethod {
  const preset = method.preset ?? 'datatrove';
  checkName('preset', preset, Object.keys(MINHASH_PRESETS));
  const base = MINHASH_PRESETS[preset];
  const resolved: ResolvedMinHashMethod = {
    kind: 'minhash',
    shingle: {
      unit: (method.shingle ?? base.shingle).unit,
      size: (method.shingle ?? base.shingle).size,
    },
    normalize: method.normalize ?? base.normalize,
    numBands: method.numBands ?? base.numBands,
    rowsPerBand: method.rowsPerBand ?? base.rowsPerBand,
    seed: method.seed ?? 1,
    minSimilarity: method.minSimilarity ?? null,
    keep: method.keep ?? 'first',
  };
  checkName('normalization', resolved.normalize, FOLDINGS);
  checkName('shingle unit', resolved.shingle.unit, ['word', 'character']);
  checkName('choice of what to keep', resolved.keep, ['first', 'longest']);
  checkCount('shingle.size', resolved.shingle.size, MAX_SHINGLE_SIZE);
  checkCount('numBands', resolved.numBands, MAX_HASHES);
  checkCount('rowsPerBand', resolved.rowsPerBand, MAX_HASHES);
  checkCount('numBands x rowsPerBand', resolved.numBands * resolved.rowsPerBand, MAX_HASHES);
  if (!Number.isSafeInteger(resolved.seed)) {
    throw new ConfigError(`seed must be a whole number; got ${resolved.seed}.`);
  }
  const { minSimilarity } = resolved;
  if (minSimilarity !== null && !(minSimilarity >= 0 && minSimilarity <= 1)) {
    throw new ConfigError(`minSimilarity must lie between 0 and 1, or be null; got ${minSimilarity}.`);
  }
  return resolved;
}

function checkName(what: string, name: string, known: readonly string[]): void {
  if (known.includes(name)) return;
  throw new ConfigError(`Unknown ${what} '${name}'; known are ${known.join(', ')}.`);
}

function checkCount(what: string, count: number, max: number): void {
  if (Number.isInteger(count) && count >= 1 && count <= max) return;
  throw new ConfigError(`${what} must be a whole number from 1 to ${max}; got ${count}.`);
}
