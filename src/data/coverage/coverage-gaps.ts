/**
 * What a job's evaluation asks for and its training data does not hold. A model can only do what its data covers:
 * no Vietnamese in, no Vietnamese out.
 */
import { languageName } from '../language/index.ts';
import { type Amount, amountsBy, type CoverageCounts, totalOf } from './coverage-counts.ts';

export interface CoverageGap {
  readonly facet: 'language' | 'domain';
  readonly name: string;
  /** In the evaluation. */
  readonly evaluationDocuments: number;
  readonly evaluationShare: number;
  /** In the training data. */
  readonly trainingDocuments: number;
  readonly trainingBytes: number;
  readonly trainingShare: number;
  readonly message: string;
}

export interface GapOptions {
  /** Less text than this behind a language or domain is too little. Default 100,000 bytes. */
  readonly minTrainingBytes?: number;
  /** A facet with a smaller share of the evaluation is not looked at: single items are misread at times. Default 0.02. */
  readonly minEvaluationShare?: number;
  /**
   * Whether domains are compared. 'auto' (default) compares them when the two sides share a name at least: names
   * that come from files of two folders mean nothing to one another.
   */
  readonly domains?: boolean | 'auto';
}

/** Labels that say what could not be told. */
const NO_LANGUAGE = new Set(['unknown', 'mixed']);

/** Languages (and domains) of the evaluation with no training data behind them, or too little. Worst first. */
export function coverageGaps(
  training: CoverageCounts,
  evaluation: CoverageCounts,
  options: GapOptions = {},
): CoverageGap[] {
  const languages = gapsBy('language', training, evaluation, options).filter(
    ({ name }) => !NO_LANGUAGE.has(name),
  );
  const { domains: compare = 'auto' } = options;
  const hasDomains = compare === 'auto' ? shareDomain(training, evaluation) : compare;
  const domains = hasDomains ? gapsBy('domain', training, evaluation, options) : [];
  return [...languages, ...domains].sort(
    (a, b) => a.trainingBytes - b.trainingBytes || b.evaluationShare - a.evaluationShare,
  );
}

function shareDomain(training: CoverageCounts, evaluation: CoverageCounts): boolean {
  const names = amountsBy(training, 'domain');
  return [...amountsBy(evaluation, 'domain').keys()].some((name) => names.has(name));
}

function gapsBy(
  facet: 'language' | 'domain',
  training: CoverageCounts,
  evaluation: CoverageCounts,
  { minTrainingBytes = 100_000, minEvaluationShare = 0.02 }: GapOptions,
): CoverageGap[] {
  const have = amountsBy(training, facet);
  const trainingBytes = Math.max(1, totalOf(training).bytes);
  const evaluationDocuments = Math.max(1, totalOf(evaluation).documents);
  const gaps: CoverageGap[] = [];
  for (const [name, asked] of amountsBy(evaluation, facet)) {
    const evaluationShare = asked.documents / evaluationDocuments;
    const amount: Amount = have.get(name) ?? { documents: 0, bytes: 0, tokens: 0 };
    if (evaluationShare < minEvaluationShare || amount.bytes >= minTrainingBytes) continue;
    gaps.push({
      facet,
      name,
      evaluationDocuments: asked.documents,
      evaluationShare,
      trainingDocuments: amount.documents,
      trainingBytes: amount.bytes,
      trainingShare: amount.bytes / trainingBytes,
      message: messageOf(facet, name, asked.documents, amount),
    });
  }
  return gaps;
}

function messageOf(facet: 'language' | 'domain', name: string, numAsked: number, amount: Amount): string {
  const what = facet === 'language' ? `${languageName(name)} (${name})` : `the domain '${name}'`;
  const asked = `The evaluation has ${numAsked} ${numAsked === 1 ? 'item' : 'items'} in ${what}`;
  if (amount.documents === 0) {
    return facet === 'language'
      ? `${asked}, the training data has none: no ${languageName(name)} in, no ${languageName(name)} out.`
      : `${asked}, the training data has none.`;
  }
  return `${asked}, the training data only ${amount.documents} ${amount.documents === 1 ? 'document' : 'documents'} (${amount.bytes} bytes).`;
}
