/**
 * What a set of documents covers, counted by language x domain x quality x length. Counts are plain JSON, add up
 * over shards, and are bounded: names beyond the bound are counted together under one name that says so.
 */
import type { Facets } from './document-facets.ts';

export interface Amount {
  documents: number;
  /** UTF-8 bytes of text. */
  bytes: number;
  /** 0 where no tokenizer was given. */
  tokens: number;
}

/** [language, domain, quality, length, documents, bytes, tokens] */
export type CoverageCell = readonly [
  language: string,
  domain: string,
  quality: string,
  length: string,
  documents: number,
  bytes: number,
  tokens: number,
];

export interface CoverageCounts {
  readonly cells: readonly CoverageCell[];
}

/** Domains told apart; those that come later are counted together. */
export const MAX_DOMAINS = 5000;
export const OTHER_DOMAINS = '(other domains)';
const SEPARATOR = '\u0000';

export class CoverageCounter {
  readonly #cells = new Map<string, Amount>();
  readonly #domains = new Set<string>();

  add(facets: Facets, bytes: number, tokens = 0): void {
    this.#add(facets.language, facets.domain, facets.quality, facets.length, { documents: 1, bytes, tokens });
  }

  /** Adds the counts of another shard. */
  addCounts({ cells }: CoverageCounts): void {
    for (const [language, domain, quality, length, documents, bytes, tokens] of cells) {
      this.#add(language, domain, quality, length, { documents, bytes, tokens });
    }
  }

  get counts(): CoverageCounts {
    return {
      cells: [...this.#cells].map(([key, { documents, bytes, tokens }]) => {
        const [language, domain, quality, length] = key.split(SEPARATOR) as [string, string, string, string];
        return [language, domain, quality, length, documents, bytes, tokens];
      }),
    };
  }

  #add(language: string, domain: string, quality: string, length: string, amount: Amount): void {
    const known = this.#domainName(domain.replaceAll(SEPARATOR, ''));
    const key = [language, known, quality, length].join(SEPARATOR);
    const cell = this.#cells.get(key);
    if (cell) addAmount(cell, amount);
    else this.#cells.set(key, { ...amount });
  }

  #domainName(domain: string): string {
    if (domain === OTHER_DOMAINS || this.#domains.has(domain)) return domain;
    if (this.#domains.size >= MAX_DOMAINS) return OTHER_DOMAINS;
    this.#domains.add(domain);
    return domain;
  }
}

export function addAmount(into: Amount, from: Amount): void {
  into.documents += from.documents;
  into.bytes += from.bytes;
  into.tokens += from.tokens;
}

/** Adds up the cells by one facet, the largest first (by bytes, then by name). */
export function amountsBy(
  { cells }: CoverageCounts,
  facet: 'language' | 'domain' | 'quality' | 'length',
): Map<string, Amount> {
  const at = { language: 0, domain: 1, quality: 2, length: 3 }[facet];
  const sums = new Map<string, Amount>();
  for (const cell of cells) {
    const name = cell[at] as string;
    const amount = { documents: cell[4], bytes: cell[5], tokens: cell[6] };
    const sum = sums.get(name);
    if (sum) addAmount(sum, amount);
    else sums.set(name, amount);
  }
  return new Map([...sums].sort((a, b) => b[1].bytes - a[1].bytes || (a[0] < b[0] ? -1 : 1)));
}

export function totalOf({ cells }: CoverageCounts): Amount {
  const total = { documents: 0, bytes: 0, tokens: 0 };
  for (const cell of cells) addAmount(total, { documents: cell[4], bytes: cell[5], tokens: cell[6] });
  return total;
}
