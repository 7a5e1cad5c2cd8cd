/**
 * The steps between a text and a guess: the sum of its rows, what its script allows, and the decision. Holds
 * scratch memory and the word cache; knows nothing of lines, documents or least scores.
 */
import type { FastTextModel } from './fasttext-model.ts';
import { LabelTree } from './label-tree.ts';
import type { LanguageGuess } from './language-identifier.ts';
import { ScriptCounter, type ScriptVerdict } from './scripts.ts';
import { WordRows } from './word-rows.ts';

/** A script with one language decides alone from so many letters on. */
const MIN_SCRIPT_LETTERS = 2;

export class TextGuesser {
  readonly labels: readonly string[];
  readonly dim: number;
  readonly #rows: WordRows;
  readonly #tree: LabelTree;
  readonly #scripts = new ScriptCounter();
  readonly #labelNumbers: ReadonlyMap<string, number>;
  /** Row of the end of a text. */
  readonly #end: Float64Array;
  readonly #numEndRows: number;
  /** Mean row of the latest text. */
  readonly #hidden: Float64Array;

  constructor(model: FastTextModel) {
    this.labels = model.labels;
    this.dim = model.dim;
    this.#labelNumbers = new Map(model.labels.map((label, i) => [label, i]));
    this.#rows = new WordRows(model);
    this.#tree = new LabelTree(model);
    this.#hidden = new Float64Array(model.dim);
    this.#end = new Float64Array(model.dim);
    this.#numEndRows = this.#rows.addEnd(this.#end);
  }

  /** Adds the rows of text[start, end) to `sum` [dim] and returns their number. */
  addRows(text: string, start: number, end: number, sum: Float64Array): number {
    return this.#rows.addText(text, start, end, sum);
  }

  verdict(text: string, start: number, end: number): ScriptVerdict {
    return this.#scripts.verdict(text, start, end);
  }

  /**
   * What can be said without the classifier: 'unknown' without letters, in a script that no language of the model
   * has, and below `minLetters` letters unless the script has one language only. Else undefined.
   */
  unknownBy(verdict: ScriptVerdict, minLetters: number): LanguageGuess | undefined {
    const isKnown =
      verdict.numLetters > 0 &&
      verdict.languages?.length !== 0 &&
      (verdict.numLetters >= minLetters || soleLanguage(verdict) !== undefined);
    return isKnown ? undefined : { language: 'unknown', score: 0 };
  }

  /** fastText's choice from a sum of rows, within what the script allows. */
  guess(verdict: ScriptVerdict, sum: Float64Array, numRows: number): LanguageGuess {
    this.#average(sum, numRows);
    const best = this.labels[this.#tree.best(this.#hidden)]!;
    const score = this.#tree.bestProbability;
    const { languages: allowed, share } = verdict;
    const sole = soleLanguage(verdict);
    if (sole !== undefined) return { language: sole, score: best === sole ? Math.max(score, share) : share };
    if (allowed === undefined || allowed.includes(best)) return { language: best, score };
    return this.#bestOf(allowed, share);
  }

  /** Of the allowed languages the likeliest; its score is its probability among them times the script's share. */
  #bestOf(allowed: readonly string[], share: number): LanguageGuess {
    const probabilities = this.#tree.all(this.#hidden);
    let total = 0;
    let best = 'unknown';
    let highest = 0;
    for (const language of allowed) {
      const label = this.#labelNumbers.get(language);
      if (label === undefined) continue;
      const probability = probabilities[label]!;
      total += probability;
      if (probability > highest) {
        highest = probability;
        best = language;
      }
    }
    return { language: best, score: total === 0 ? 0 : Math.min(1, (highest / total) * share) };
  }

  /** fastText's probability of a language; 0 for one it does not have. */
  probabilityOf(language: string, sum: Float64Array, numRows: number): number {
    const label = this.#labelNumbers.get(language);
    if (label === undefined) return 0;
    this.#average(sum, numRows);
    return this.#tree.probabilityOf(label, this.#hidden);
  }

  /** fastText's probabilities of all labels [numLabels]; valid until the next call. */
  probabilities(sum: Float64Array, numRows: number): Float64Array {
    this.#average(sum, numRows);
    return this.#tree.all(this.#hidden);
  }

  #average(sum: Float64Array, numRows: number): void {
    const total = Math.max(1, numRows + this.#numEndRows);
    for (let column = 0; column < this.dim; column++) {
      this.#hidden[column] = (sum[column]! + this.#end[column]!) / total;
    }
  }
}

function soleLanguage({ languages, numLetters }: ScriptVerdict): string | undefined {
  return languages?.length === 1 && numLetters >= MIN_SCRIPT_LETTERS ? languages[0] : undefined;
}
