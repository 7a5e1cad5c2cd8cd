/**
 * How much text there is. Figures of Villalobos et al. 2024, "Will we run out of data? Limits of LLM scaling based on
 * human-generated data" (arXiv:2211.04325v2), and of Sevilla et al. 2024, "Can AI scaling continue through 2030?" (Epoch AI).
 */
import type { Range } from '../cost/range.ts';

export interface DataStock {
  readonly id: string;
  readonly name: string;
  readonly tokens: Range;
  /** The share of cases that low to high covers, in percent, by the source. */
  readonly intervalPercent: number;
  /** Whether the figure already counts quality filters and repeated passes over good text. */
  readonly countsRepeats: boolean;
  readonly source: string;
}

const VILLALOBOS = 'Villalobos et al. 2024';

export const DATA_STOCKS: readonly DataStock[] = [
  {
    id: 'public-text',
    name: 'public text, usable',
    tokens: { low: 100e12, typical: 300e12, high: 1000e12 },
    intervalPercent: 90,
    countsRepeats: true,
    source: `${VILLALOBOS}; filtered for quality, several epochs`,
  },
  {
    id: 'common-crawl',
    name: 'Common Crawl, raw',
    tokens: { low: 100e12, typical: 130e12, high: 260e12 },
    intervalPercent: 95,
    countsRepeats: false,
    source: VILLALOBOS,
  },
  {
    id: 'indexed-web',
    name: 'indexed web, raw',
    tokens: { low: 130e12, typical: 510e12, high: 2100e12 },
    intervalPercent: 95,
    countsRepeats: false,
    source: VILLALOBOS,
  },
  {
    id: 'whole-web',
    name: 'whole web, raw',
    tokens: { low: 1900e12, typical: 3100e12, high: 5200e12 },
    intervalPercent: 95,
    countsRepeats: false,
    source: `${VILLALOBOS}; with pages that search engines do not reach`,
  },
];

/**
 * Passes over the same text that are worth about as much as new text: Muennighoff et al. 2023, "Scaling data-constrained
 * language models" (arXiv:2305.16264), section 6.
 */
export const USEFUL_EPOCHS = 4;
