/** Grades of quality for an audit: by a classifier's score in fifths, or by perplexity as head, middle and tail. */
import type { Document } from '../document.ts';
import { loadClassifier } from '../quality/index.node.ts';

/** A file that `plinth data quality train` wrote. */
export interface QualitySettings {
  readonly kind: 'classifier' | 'perplexity';
  readonly path: string;
}

export type QualityGrader = (document: Document, language: string) => string;

const FIFTHS = ['0.0 to 0.2', '0.2 to 0.4', '0.4 to 0.6', '0.6 to 0.8', '0.8 to 1.0'] as const;

export async function qualityGrader({ path }: QualitySettings): Promise<QualityGrader> {
  const classifier = await loadClassifier(path);
  const name = classifier.labels.length === 2 ? classifier.labels[0] : undefined;
  if (name === undefined) return ({ text }) => classifier.classify(text).label;
  return ({ text }) => `${name} ${FIFTHS[Math.min(4, Math.floor(classifier.score(text) * 5))]}`;
}
