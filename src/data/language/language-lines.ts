/** Languages of lines, and a document's language from them: shares by bytes, 'mixed' and 'unknown' included. */
import {
  type DocumentLanguage,
  type LanguageGuess,
  type LanguageSettings,
  type LanguageShare,
  type LineLanguage,
  MIXED_LANGUAGES,
  UNKNOWN_LANGUAGE,
  withMinScore,
} from './language-identifier.ts';
import type { TextGuesser } from './text-guesser.ts';

/** A line speaks against the whole text's language only below this probability of that language. */
const MAX_CONTRARY_PROBABILITY = 0.1;

type LineSettings = Pick<Required<LanguageSettings>, 'minScore' | 'minLineLetters'>;

/** A line with the sum of its rows, which is valid while it is visited. */
interface SummedLine {
  readonly line: LineLanguage;
  readonly sum: Float64Array;
  readonly numRows: number;
}

/** Visits every line; `isBlank` ones have rows only if they hold control characters. */
function visitLines(
  guesser: TextGuesser,
  text: string,
  { minScore, minLineLetters }: LineSettings,
  visit: (line: SummedLine, isBlank: boolean) => void,
): void {
  const sum = new Float64Array(guesser.dim);
  let number = 0;
  for (let start = 0; start <= text.length; ) {
    const newline = text.indexOf('\n', start);
    const next = newline < 0 ? text.length : newline;
    const end = next > start && text.charCodeAt(next - 1) === 13 ? next - 1 : next;
    number++;
    sum.fill(0);
    const numRows = guesser.addRows(text, start, end, sum);
    let guess: LanguageGuess = { language: UNKNOWN_LANGUAGE, score: 0 };
    const blank = isBlank(text, start, end);
    if (!blank) {
      const verdict = guesser.verdict(text, start, end);
      guess =
        guesser.unknownBy(verdict, minLineLetters) ??
        withMinScore(guesser.guess(verdict, sum, numRows), minScore);
    }
    visit({ line: { ...guess, line: number, start, end }, sum, numRows }, blank);
    start = next + 1;
  }
}

/** See `LanguageIdentifier.identifyLines`. */
export function languagesOfLines(guesser: TextGuesser, text: string, settings: LineSettings): LineLanguage[] {
  const lines: LineLanguage[] = [];
  visitLines(guesser, text, settings, ({ line }, blank) => {
    if (!blank) lines.push(line);
  });
  return lines;
}

/** See `LanguageIdentifier.identifyDocument`. The rows of the whole text are those of its lines. */
export function languageOfDocument(
  guesser: TextGuesser,
  text: string,
  settings: Required<LanguageSettings>,
): DocumentLanguage {
  const { minScore, minLineScore, minShare } = settings;
  const { dim } = guesser;
  const lines: LineLanguage[] = [];
  const total = new Float64Array(dim);
  let numTotalRows = 0;
  // The sums of lines with a language, for a second look once the whole text's language is known.
  let sums = new Float64Array(16 * dim);
  const rowCounts: number[] = [];
  visitLines(guesser, text, settings, ({ line, sum, numRows }, blank) => {
    for (let column = 0; column < dim; column++) total[column]! += sum[column]!;
    numTotalRows += numRows;
    if (blank) return;
    lines.push(line);
    if (line.language === UNKNOWN_LANGUAGE) return;
    const at = rowCounts.push(numRows) - 1;
    if ((at + 1) * dim > sums.length) {
      const larger = new Float64Array(2 * sums.length);
      larger.set(sums);
      sums = larger;
    }
    sums.set(sum, at * dim);
  });
  const verdict = guesser.verdict(text, 0, text.length);
  const whole =
    guesser.unknownBy(verdict, 1) ?? withMinScore(guesser.guess(verdict, total, numTotalRows), minScore);

  const bytesOf = new Map<string, number>();
  const scoreOf = new Map<string, number>();
  let numBytes = 0;
  let numKnownBytes = 0;
  let at = 0;
  for (const line of lines) {
    const size = utf8Size(text, line.start, line.end);
    numBytes += size;
    if (line.language === UNKNOWN_LANGUAGE) continue;
    const sum = sums.subarray(at * dim, (at + 1) * dim);
    const numRows = rowCounts[at++]!;
    if (line.language !== whole.language && whole.language !== UNKNOWN_LANGUAGE) {
      const probability = guesser.probabilityOf(whole.language, sum, numRows);
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
  if (first.share < minShare) {
    return { language: MIXED_LANGUAGES, score: first.share, shares, unknownShare, lines };
  }
  const score = scoreOf.get(first.language)! / bytesOf.get(first.language)!;
  return { language: first.language, score, shares, unknownShare, lines };
}

function isBlank(text: string, start: number, end: number): boolean {
  for (let i = start; i < end; i++) if (text.charCodeAt(i) > 32) return false;
  return true;
}

/** Bytes of text[start, end) in UTF-8. */
function utf8Size(text: string, start: number, end: number): number {
  let size = end - start;
  for (let i = start; i < end; i++) {
    const unit = text.charCodeAt(i);
    if (unit >= 0x80) size += unit < 0x800 || (unit >= 0xd800 && unit < 0xe000) ? 1 : 2;
  }
  return size;
}
