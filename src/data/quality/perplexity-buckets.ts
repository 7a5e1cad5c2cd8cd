/**
 * Head, middle and tail by perplexity within each language, as in cc_net (Wenzek et al. 2019, arXiv:1911.00359): the
 * lower the perplexity under a model of good text, the more a text is like it. Thresholds come from the scored texts
 * themselves, all of them or a keyed sample of bounded size that does not depend on their order.
 */
import { ConfigError } from '../../core/errors.ts';
import { keyedUniform } from '../keyed-split.ts';

export type PerplexityBucket = 'head' | 'middle' | 'tail';

export interface ScoredText {
  language: string;
  /** Or bits per byte: any number that is smaller for better texts, the same kind throughout a language. */
  perplexity: number;
}

export interface BucketShares {
  head: number;
  middle: number;
}

/** Head is below `head`, middle below `tail`, the rest is tail. */
export interface LanguageThresholds {
  head: number;
  tail: number;
  /** Texts that the thresholds were taken from. */
  numScored: number;
}

export type PerplexityThresholds = Readonly<Record<string, LanguageThresholds>>;

/** Terciles, as the paper says; the code of cc_net takes 0.3 and 0.3. */
export const DEFAULT_BUCKET_SHARES: Readonly<BucketShares> = { head: 1 / 3, middle: 1 / 3 };

/**
 * @throws ConfigError for shares that are negative or above 1 together, or a perplexity that is not a number
 */
export function perplexityBuckets(
  scored: readonly ScoredText[],
  shares: BucketShares = DEFAULT_BUCKET_SHARES,
): { thresholds: PerplexityThresholds; buckets: PerplexityBucket[] } {
  const byLanguage = new Map<string, number[]>();
  for (const { language, perplexity } of scored) {
    checkPerplexity(perplexity);
    const values = byLanguage.get(language);
    if (values) values.push(perplexity);
    else byLanguage.set(language, [perplexity]);
  }
  const thresholds = thresholdsOf(byLanguage, shares);
  return {
    thresholds,
    buckets: scored.map(({ language, perplexity }) => bucketOf(thresholds, language, perplexity)!),
  };
}

/** The bucket of a text, or undefined in a language without thresholds. */
export function bucketOf(
  thresholds: PerplexityThresholds,
  language: string,
  perplexity: number,
): PerplexityBucket | undefined {
  checkPerplexity(perplexity);
  if (!Object.hasOwn(thresholds, language)) return undefined;
  const { head, tail } = thresholds[language]!;
  if (perplexity < head) return 'head';
  return perplexity < tail ? 'middle' : 'tail';
}

/**
 * Thresholds from a stream: of each language the texts with the smallest keyed draws are kept, so the sample depends
 * on the ids and the seed alone, not on order or shards.
 */
export class PerplexitySample {
  readonly maxPerLanguage: number;
  readonly seed: number;
  readonly #kept = new Map<string, DrawnPerplexities>();

  /** @param maxPerLanguage default 10,000: quantiles within about 1 % of rank */
  constructor({ maxPerLanguage = 10_000, seed = 0 }: { maxPerLanguage?: number; seed?: number } = {}) {
    if (!Number.isInteger(maxPerLanguage) || maxPerLanguage < 1) {
      throw new ConfigError(`maxPerLanguage is ${maxPerLanguage}; expected a whole number of at least 1.`);
    }
    this.maxPerLanguage = maxPerLanguage;
    this.seed = seed;
  }

  /** @param id unique within the language, or equal texts count for one draw */
  add(id: string, { language, perplexity }: ScoredText): void {
    checkPerplexity(perplexity);
    let kept = this.#kept.get(language);
    if (kept === undefined) {
      kept = new DrawnPerplexities(this.maxPerLanguage);
      this.#kept.set(language, kept);
    }
    kept.add(keyedUniform(this.seed, 'perplexity', id), perplexity);
  }

  thresholds(shares: BucketShares = DEFAULT_BUCKET_SHARES): PerplexityThresholds {
    return thresholdsOf(
      new Map([...this.#kept].map(([language, kept]) => [language, kept.values()])),
      shares,
    );
  }
}

/** The `limit` pairs with the smallest draws, in a binary heap with the largest draw on top. */
class DrawnPerplexities {
  readonly #limit: number;
  readonly #draws: number[] = [];
  readonly #values: number[] = [];

  constructor(limit: number) {
    this.#limit = limit;
  }

  values(): number[] {
    return [...this.#values];
  }

  add(draw: number, value: number): void {
    const draws = this.#draws;
    if (draws.length < this.#limit) {
      draws.push(draw);
      this.#values.push(value);
      for (let at = draws.length - 1; at > 0; ) {
        const above = (at - 1) >> 1;
        if (draws[above]! >= draws[at]!) break;
        this.#swap(at, above);
        at = above;
      }
      return;
    }
    if (draw >= draws[0]!) return;
    draws[0] = draw;
    this.#values[0] = value;
    for (let at = 0; ; ) {
      const left = 2 * at + 1;
      const right = left + 1;
      let largest = at;
      if (left < draws.length && draws[left]! > draws[largest]!) largest = left;
      if (right < draws.length && draws[right]! > draws[largest]!) largest = right;
      if (largest === at) break;
      this.#swap(at, largest);
      at = largest;
    }
  }

  #swap(a: number, b: number): void {
    for (const list of [this.#draws, this.#values]) {
      const value = list[a]!;
      list[a] = list[b]!;
      list[b] = value;
    }
  }
}

function checkPerplexity(perplexity: number): void {
  if (Number.isNaN(perplexity)) throw new ConfigError('A perplexity is NaN; expected a number.');
}

function thresholdsOf(
  byLanguage: ReadonlyMap<string, number[]>,
  { head, middle }: BucketShares,
): PerplexityThresholds {
  if (!(head >= 0 && middle >= 0 && head + middle <= 1 + 1e-12)) {
    throw new ConfigError(
      `Shares are head ${head}, middle ${middle}; expected 0 or more and 1 at most together.`,
    );
  }
  const thresholds: [string, LanguageThresholds][] = [];
  for (const [language, values] of byLanguage) {
    const sorted = Float64Array.from(values).sort();
    const at = (share: number): number =>
      sorted[Math.round(share * sorted.length)] ?? Number.POSITIVE_INFINITY;
    thresholds.push([language, { head: at(head), tail: at(head + middle), numScored: sorted.length }]);
  }
  return Object.fromEntries(thresholds);
}
