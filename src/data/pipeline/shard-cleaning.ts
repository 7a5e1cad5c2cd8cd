/**
 * Rule sets over the documents of one shard: verdicts, counts, and a few examples for each rule, chosen by a hash
 * of the document so that they do not depend on shards or order.
 */
import {
  addCleanCounts,
  type CleanCounts,
  Cleaner,
  type CleanResult,
  type RuleSetSpec,
  ruleSetOf,
} from '../clean/index.ts';
import type { Document } from '../document.ts';
import { keyedUniform } from '../keyed-split.ts';
import type { LanguageGuess } from '../language/index.ts';

export interface CleanSettings {
  /** Names of rule sets, or sets of one's own, in the order in which they are applied. */
  readonly ruleSets: readonly (string | RuleSetSpec)[];
}

/** A document that a rule dropped, cut short, to be looked at. */
export interface DropExample {
  readonly id: string;
  readonly source: string;
  readonly detail: string;
  readonly excerpt: string;
  /** Examples with the lowest are kept. */
  readonly draw: number;
}

export interface ShardCleanResult {
  readonly counts: CleanCounts;
  readonly examples: Readonly<Record<string, readonly DropExample[]>>;
}

const EXAMPLES_PER_RULE = 5;
const EXCERPT_CHARACTERS = 400;

export class ShardCleaning {
  readonly #cleaner: Cleaner;
  readonly #examples: Record<string, DropExample[]> = {};

  /** @param identifyLanguage needed when a rule asks for a language. */
  constructor(settings: CleanSettings, identifyLanguage?: (text: string) => LanguageGuess) {
    this.#cleaner = new Cleaner(
      settings.ruleSets.map((spec) => ruleSetOf(spec)),
      identifyLanguage ? { identifyLanguage } : {},
    );
  }

  add(document: Document): CleanResult {
    const result = this.#cleaner.clean(document);
    if (!result.kept) this.#keepExample(result.rule, document, result.detail);
    return result;
  }

  get result(): ShardCleanResult {
    return { counts: this.#cleaner.counts, examples: this.#examples };
  }

  #keepExample(rule: string, { id, source, text }: Document, detail: string): void {
    this.#examples[rule] ??= [];
    const draw = keyedUniform(0, source, id);
    const excerpt = text.slice(0, EXCERPT_CHARACTERS).toWellFormed();
    insertExample(this.#examples[rule], { id, source, detail, excerpt, draw });
  }
}

/** Adds up shards' results. */
export function mergeCleanResults(results: Iterable<ShardCleanResult>): ShardCleanResult | undefined {
  let counts: CleanCounts | undefined;
  const examples: Record<string, DropExample[]> = {};
  for (const result of results) {
    if (counts) addCleanCounts(counts, result.counts);
    else counts = structuredClone(result.counts);
    for (const [rule, list] of Object.entries(result.examples)) {
      examples[rule] ??= [];
      for (const example of list) insertExample(examples[rule], example);
    }
  }
  return counts && { counts, examples };
}

function insertExample(list: DropExample[], example: DropExample): void {
  if (list.length === EXAMPLES_PER_RULE && list.at(-1)!.draw <= example.draw) return;
  list.push(example);
  list.sort((a, b) => a.draw - b.draw);
  list.length = Math.min(list.length, EXAMPLES_PER_RULE);
}
