/**
 * Prose beside a recipe's tables: whole texts from which a model learns the language that its facts are told in.
 * A source whose package is not installed is left out with a note; one that is there but cannot be read is an error.
 */
import type { RuleSetSpec } from '../data/clean/index.ts';
import type { Document } from '../data/document.ts';

export interface ProseSource {
  readonly name: string;
  /** On what terms the texts may be used. */
  readonly licence: string;
  /** What kind of text it is, for the coverage table: 'reference', 'novel', 'speech' ... */
  readonly domain: string;
  /** Language that the texts are in (lid.176 code); documents in another one are dropped. */
  readonly language: string;
  /** Rule sets of cleaning; when left out, Gopher's repetition rules, and for English its quality rules. */
  readonly rules?: readonly (string | RuleSetSpec)[];
  readonly documents: () => Iterable<Document> | Promise<Iterable<Document>>;
}

/** What became of one source. */
export interface ProseSourceReport {
  readonly name: string;
  readonly licence: string;
  readonly domain: string;
  readonly language: string;
  readonly numDocuments: { readonly in: number; readonly out: number };
  readonly numBytes: { readonly in: number; readonly out: number };
  /** Documents dropped, by rule. */
  readonly dropped: Readonly<Record<string, number>>;
  /** Why the source was left out, when it was. */
  readonly missing?: string;
}

/** Whether an error says that a package is not installed, as Node's `import` and `require.resolve` do. */
export function isMissingPackage(error: unknown): boolean {
  const { code } = (error ?? {}) as { code?: unknown };
  return code === 'ERR_MODULE_NOT_FOUND' || code === 'MODULE_NOT_FOUND';
}
