/** Documents kept from training: whole speeches, chapters and pages, in every language at once. */
import { type Document, splitOf } from '../../src/data/index.ts';

export interface HeldOut {
  readonly train: Document[];
  readonly test: Document[];
}

/** Splits by `meta.whole`, so that no page of a held-out whole is trained on, nor its translation. */
export function holdOut(documents: readonly Document[], share: number, seed: number): HeldOut {
  const train: Document[] = [];
  const test: Document[] = [];
  for (const document of documents) {
    const split = splitOf(String(document.meta.whole), { validation: 0, test: share }, seed);
    (split === 'test' ? test : train).push(document);
  }
  return { train, test };
}

/** Evenly spaced documents, each cut to a length: enough to measure by, and soon measured. */
export function sample(documents: readonly Document[], count: number, maxCharacters: number): Document[] {
  const stride = Math.max(1, documents.length / count);
  return Array.from(
    { length: Math.min(count, documents.length) },
    (_, i) => documents[Math.floor(i * stride)]!,
  ).map((document) => ({ ...document, text: document.text.slice(0, maxCharacters).toWellFormed() }));
}
