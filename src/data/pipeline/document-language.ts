/** The language of a document: what its meta says if we wrote it there, else what is identified. */
import type { Document } from '../document.ts';
import type { LanguageIdentifier } from '../language/index.ts';

export function languageOf({ text, meta }: Document, identifier: LanguageIdentifier): string {
  // A score stands only beside a language that was identified; a bare field may hold anything.
  if (typeof meta.language === 'string' && typeof meta.languageScore === 'number') return meta.language;
  return identifier.identifyDocument(text).language;
}
