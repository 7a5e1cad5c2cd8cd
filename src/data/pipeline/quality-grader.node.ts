/**
 * Grades of quality for an audit. A classifier's score is graded in fifths. Perplexity is graded as head, middle and
 * tail of its language, which only the whole data can tell: a shard counts by fine bins of perplexity, and the bins
 * become grades when all shards are in.
 */
import { CoverageCounter, type CoverageCounts } from '../coverage/index.ts';
import type { Document } from '../document.ts';
import { DEFAULT_BUCKET_SHARES, LinearClassifier, loadQualityModel } from '../quality/index.node.ts';

/** A file that `plinth data quality` wrote. */
export interface QualitySettings {
  readonly path: string;
}

export type QualityGrader = (document: Document) => string;

const FIFTHS = ['0.0 to 0.2', '0.2 to 0.4', '0.4 to 0.6', '0.6 to 0.8', '0.8 to 1.0'] as const;
const BIN_PREFIX = 'perplexity bin ';
/** Bins to a doubling of perplexity: one is 3.5 % wide. */
const BINS_PER_DOUBLING = 20;

/** Grades by a classifier, bins by a perplexity model. @throws DataError or FormatError for the file. */
export async function qualityGrader({ path }: QualitySettings): Promise<QualityGrader> {
  const model = await loadQualityModel(path);
  if (!(model instanceof LinearClassifier)) {
    return ({ text }) => `${BIN_PREFIX}${Math.round(Math.log2(model.perplexity(text)) * BINS_PER_DOUBLING)}`;
  }
  const name = model.labels.length === 2 ? model.labels[0] : undefined;
  if (name === undefined) return ({ text }) => model.classify(text).label;
  return ({ text }) => `${name} ${FIFTHS[Math.min(4, Math.floor(model.score(text) * 5))]}`;
}

/** Bins as head, middle and tail: terciles by documents, language by language, as in cc_net. */
export function gradeBins(counts: CoverageCounts): CoverageCounts {
  const byLanguage = new Map<string, Map<number, number>>();
  for (const [language, , quality, , documents] of counts.cells) {
    const bin = binOf(quality);
    if (bin === undefined) continue;
    const bins = byLanguage.get(language) ?? new Map<number, number>();
    byLanguage.set(language, bins);
    bins.set(bin, (bins.get(bin) ?? 0) + documents);
  }
  if (byLanguage.size === 0) return counts;
  const grades = new Map([...byLanguage].map(([language, bins]) => [language, gradesOf(bins)]));
  const graded = new CoverageCounter();
  graded.addCounts({
    cells: counts.cells.map(([language, domain, quality, ...rest]) => {
      const bin = binOf(quality);
      const grade = bin === undefined ? quality : grades.get(language)!.get(bin)!;
      return [language, domain, grade, ...rest];
    }),
  });
  return graded.counts;
}

function binOf(quality: string): number | undefined {
  return quality.startsWith(BIN_PREFIX) ? Number(quality.slice(BIN_PREFIX.length)) : undefined;
}

/** A bin belongs to the grade in which its middle document lies. */
function gradesOf(bins: ReadonlyMap<number, number>): Map<number, string> {
  const total = [...bins.values()].reduce((sum, documents) => sum + documents, 0);
  const { head, middle } = DEFAULT_BUCKET_SHARES;
  const grades = new Map<number, string>();
  let before = 0;
  for (const [bin, documents] of [...bins].sort(([a], [b]) => a - b)) {
    const place = (before + documents / 2) / total;
    grades.set(bin, place <= head ? 'head' : place <= head + middle ? 'middle' : 'tail');
    before += documents;
  }
  return grades;
}
