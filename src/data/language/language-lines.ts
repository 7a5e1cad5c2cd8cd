/** A document's language from the languages of its lines: shares by bytes, 'mixed' and 'unknown' included. */
import type {
  DocumentLanguage,
  LanguageIdentifier,
  LanguageSettings,
  LanguageShare,
} from './language-identifier.ts';

/** A line speaks against the whole text's language only below this probability of that language. */
const MAX_CONTRARY_PROBABILITY = 0.1;

/** See `LanguageIdentifier.identifyDocument`. */
export function identifyByLine(
  identifier: LanguageIdentifier,
  text: string,
  settings: Required<LanguageSettings>,
): DocumentLanguage {
  const { minScore, minLineScore, minShare } = settings;
  const whole = identifier.identify(text, { minScore });
  const lines = identifier.identifyLines(text, settings);
  const bytesOf = new Map<string, number>();
  const scoreOf = new Map<string, number>();
  let numBytes = 0;
  let numKnownBytes = 0;
  for (const line of lines) {
    const size = utf8Size(text, line.start, line.end);
    numBytes += size;
    if (line.language === 'unknown') continue;
    if (line.language !== whole.language && whole.language !== 'unknown') {
      const probability = identifier.probabilityOf(whole.language, text, line.start, line.end);
      if (probability >= MAX_CONTRARY_PROBABILITY) {
        line.language = whole.language;
        line.score = probability;
      }
    }
    if (line.score < minLineScore && line.language !== whole.language) continue;
    numKnownBytes += size;
    bytesOf.set(line.language, (bytesOf.get(line.language) ?? 0) + size);
    scoreOf.set(line.language, (scoreOf.get(line.language) ?? 0) + size * line.score);
  }
  const unknownShare = numBytes === 0 ? 0 : 1 - numKnownBytes / numBytes;
  const shares: LanguageShare[] = [...bytesOf]
    .map(([language, size]) => ({ language, share: size / numKnownBytes }))
    .sort((a, b) => b.share - a.share || (a.language < b.language ? -1 : 1));
  const first = shares[0];
  if (first === undefined) return { ...whole, shares, unknownShare, lines };
  if (first.share < minShare) return { language: 'mixed', score: first.share, shares, unknownShare, lines };
  const score = scoreOf.get(first.language)! / bytesOf.get(first.language)!;
  return { language: first.language, score, shares, unknownShare, lines };
}

/** Bytes of text[start, end) in UTF-8. */
function utf8Size(text: string, start: number, end: number): number {
  let size = 0;
  for (let i = start; i < end; i++) {
    const unit = text.charCodeAt(i);
    if (unit < 0x80) size++;
    else if (unit < 0x800 || (unit >= 0xd800 && unit < 0xe000)) size += 2;
    else size += 3;
  }
  return size;
}
