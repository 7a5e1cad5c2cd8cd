/**
 * Language identification with fastText's lid.176 model (Joulin et al. 2016, arXiv:1607.01759), offline and
 * over the whole text. `top` gives fastText's own labels and probabilities; `identify` adds three rules that
 * cost nothing: no answer without letters, none against the script, and 'unknown' below a least score.
 * One instance holds scratch memory and a word cache: give each thread its own.
 */
import { ConfigError } from '../../core/errors.ts';
import { readFastTextModel } from './fasttext-model.ts';
import { languageOfDocument, languagesOfLines } from './language-lines.ts';
import { TextGuesser } from './text-guesser.ts';

/** No answer: no letters, a script no language of the model has, too few letters, or too low a score. */
export const UNKNOWN_LANGUAGE = 'unknown';
/** Several languages, none with the wanted share of the text. */
export const MIXED_LANGUAGES = 'mixed';

export interface LanguageGuess {
  /** lid.176's code (ISO 639-1 where there is one, else 639-3; `als` is Alemannic), 'unknown' or 'mixed'. */
  language: string;
  /** In [0, 1]. With 'unknown', the score of the guess that was not good enough. */
  score: number;
}

export interface LineLanguage extends LanguageGuess {
  /** Counted from 1; empty lines count but are not listed. */
  line: number;
  /** The line is text.slice(start, end), without its line break. */
  start: number;
  end: number;
}

export interface LanguageShare {
  language: string;
  /** Of the UTF-8 bytes of all lines whose language is known. */
  share: number;
}

export interface DocumentLanguage extends LanguageGuess {
  /** By descending share; empty when no line's language is known. */
  shares: LanguageShare[];
  /** Share of the document's non-empty lines' bytes in lines whose language is not known. */
  unknownShare: number;
  lines: LineLanguage[];
}

export interface LanguageSettings {
  /** Answers that score less are 'unknown'. Default 0.25. */
  minScore?: number;
  /** Shorter lines are 'unknown' unless their script has one language only. Default 20. */
  minLineLetters?: number;
  /** Lines that score less do not count towards a document's shares. Default 0.5, as in cc_net. */
  minLineScore?: number;
  /** A document is in a language when that has at least this share of its known bytes. Default 0.8. */
  minShare?: number;
}

export const DEFAULT_LANGUAGE_SETTINGS: Readonly<Required<LanguageSettings>> = {
  minScore: 0.25,
  minLineLetters: 20,
  minLineScore: 0.5,
  minShare: 0.8,
};

export class LanguageIdentifier {
  readonly languages: readonly string[];
  readonly #guesser: TextGuesser;
  readonly #sum: Float64Array;

  private constructor(guesser: TextGuesser) {
    this.#guesser = guesser;
    this.languages = guesser.labels;
    this.#sum = new Float64Array(guesser.dim);
  }

  /**
   * @param bytes the content of lid.176.ftz
   * @throws FormatError when they are something else
   */
  static fromBytes(bytes: Uint8Array): LanguageIdentifier {
    return new LanguageIdentifier(new TextGuesser(readFastTextModel(bytes)));
  }

  /**
   * fastText's likeliest language of the whole text, except that
   * - a text without letters, or in a script that no language of the model has, is 'unknown' with score 0;
   * - when 80 % of the letters are of one script, only its languages can win. If fastText's first choice is
   *   another, the likeliest of them does, with its probability among them times the script's share; a
   *   language alone in its script (Burmese, Khmer, Thai ...) scores at least that share;
   * - what scores less than `minScore` is 'unknown'.
   * @throws ConfigError for a `minScore` outside [0, 1]
   */
  identify(text: string, settings: Pick<LanguageSettings, 'minScore'> = {}): LanguageGuess {
    const { minScore } = checkedSettings(settings);
    const verdict = this.#guesser.verdict(text, 0, text.length);
    const unknown = this.#guesser.unknownBy(verdict, 1);
    if (unknown) return unknown;
    const numRows = this.#sumRows(text);
    return withMinScore(this.#guesser.guess(verdict, this.#sum, numRows), minScore);
  }

  /**
   * The k likeliest languages by fastText's own probabilities (line breaks count as spaces), best first, no
   * rule applied; even an empty text has some. Probabilities are cut off at 1.
   */
  top(text: string, k: number): LanguageGuess[] {
    const numRows = this.#sumRows(text);
    const probabilities = this.#guesser.probabilities(this.#sum, numRows);
    return [...probabilities.keys()]
      .sort((a, b) => probabilities[b]! - probabilities[a]! || a - b)
      .slice(0, Math.max(0, k))
      .map((label) => ({
        language: this.languages[label]!,
        score: Math.min(1, probabilities[label]!),
      }));
  }

  /**
   * By line, then summed up. Lines are first taken on their own; a line that seems to be in another language
   * than the whole text counts for the text's language all the same unless fastText gives that less than .1
   * there, because neighbours (Danish and Norwegian, Croatian and Serbian) change from line to line. The answer
   * is 'mixed' when no language has `minShare` of the known bytes. `score` is the mean probability of the
   * language over its lines, weighted by bytes; for 'mixed' the largest share. When no line is good enough
   * alone, the whole text's `identify` answers.
   */
  identifyDocument(text: string, settings: LanguageSettings = {}): DocumentLanguage {
    return languageOfDocument(this.#guesser, text, checkedSettings(settings));
  }

  /** The language of every line that is not empty, each on its own; short ones are 'unknown'. */
  identifyLines(
    text: string,
    settings: Pick<LanguageSettings, 'minScore' | 'minLineLetters'> = {},
  ): LineLanguage[] {
    return languagesOfLines(this.#guesser, text, checkedSettings(settings));
  }

  #sumRows(text: string): number {
    return this.#guesser.addRows(text, 0, text.length, this.#sum.fill(0));
  }
}

export function withMinScore(guess: LanguageGuess, minScore: number): LanguageGuess {
  return guess.score < minScore ? { language: UNKNOWN_LANGUAGE, score: guess.score } : guess;
}

function checkedSettings(settings: LanguageSettings): Required<LanguageSettings> {
  const all = { ...DEFAULT_LANGUAGE_SETTINGS, ...settings };
  for (const name of ['minScore', 'minLineScore', 'minShare'] as const) {
    if (!(all[name] >= 0 && all[name] <= 1)) {
      throw new ConfigError(`${name} is ${all[name]}; expected a number from 0 to 1.`);
    }
  }
  if (!(all.minLineLetters >= 0)) {
    throw new ConfigError(`minLineLetters is ${all.minLineLetters}; expected 0 or more.`);
  }
  return all;
}
