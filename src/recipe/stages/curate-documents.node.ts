/**
 * From raw documents to those worth training on: language, rule sets, exact and near duplicates, in this order.
 * Everything dropped is counted under the rule that dropped it; the same documents give the same result.
 */

import { Cleaner, type RuleSetSpec, ruleSetOf } from '../../data/clean/index.ts';
import { Deduplicator, type DedupMethod, findDuplicatesInMemory } from '../../data/dedup/index.ts';
import type { Document } from '../../data/index.ts';
import { loadLanguageIdentifier } from '../../data/language/index.node.ts';
import type { CleaningStep } from '../experiment/experiment.ts';

export interface CurateOptions {
  /** Documents in another language, or in several, are dropped (lid.176 code). */
  readonly language: string;
  /** Rule sets in order; `defaultRules(language)` when left out. */
  readonly rules?: readonly (string | RuleSetSpec)[];
}

export interface CurateResult {
  readonly kept: readonly Document[];
  readonly steps: readonly CleaningStep[];
}

/** Gopher's rules of quality know English words only; its rules of repetition know no language. */
export function defaultRules(language: string): string[] {
  return language === 'en' ? ['gopher-repetition', 'gopher'] : ['gopher-repetition'];
}

const EXACT: DedupMethod = { kind: 'exact', unit: 'document' };
const NEAR: DedupMethod = { kind: 'minhash', preset: 'datatrove' };

/** Throws ConfigError for an unknown rule set. */
export async function curateDocuments(
  documents: readonly Document[],
  { language, rules = defaultRules(language) }: CurateOptions,
): Promise<CurateResult> {
  const identifier = await loadLanguageIdentifier();
  const inLanguage = filterStep('language', documents, (document) => {
    const found = identifier.identifyDocument(document.text).language;
    return found === language ? { document } : { rule: 'other-language' };
  });
  const cleaner = new Cleaner(rules.map(ruleSetOf), {
    identifyLanguage: (text) => identifier.identify(text),
  });
  const clean = filterStep('rules', inLanguage.kept, (document) => {
    const result = cleaner.clean(document);
    return result.kept ? { document: result.document } : { rule: result.rule };
  });
  const distinct = withoutDuplicates('exact duplicates', 'duplicate', clean.kept, EXACT);
  const different = withoutDuplicates('near duplicates', 'near-duplicate', distinct.kept, NEAR);
  return {
    kept: different.kept,
    steps: [inLanguage.step, clean.step, distinct.step, different.step],
  };
}

/** All that the steps dropped, by rule. */
export function droppedByRule(steps: readonly CleaningStep[]): Record<string, number> {
  const sums: Record<string, number> = {};
  for (const { dropped } of steps) {
    for (const [rule, count] of Object.entries(dropped)) sums[rule] = (sums[rule] ?? 0) + count;
  }
  return sums;
}

type Verdict = { readonly document: Document } | { readonly rule: string };

function filterStep(
  name: string,
  documents: readonly Document[],
  judge: (document: Document, ordinal: number) => Verdict,
): { kept: Document[]; step: CleaningStep } {
  const dropped: Record<string, number> = {};
  const kept = documents.flatMap((document, ordinal) => {
    const verdict = judge(document, ordinal);
    if ('document' in verdict) return [verdict.document];
    dropped[verdict.rule] = (dropped[verdict.rule] ?? 0) + 1;
    return [];
  });
  return {
    kept,
    step: {
      name,
      documents: { in: documents.length, out: kept.length },
      bytes: { in: bytesOf(documents), out: bytesOf(kept) },
      dropped,
    },
  };
}

function withoutDuplicates(name: string, rule: string, documents: readonly Document[], method: DedupMethod) {
  const deduplicator = new Deduplicator(findDuplicatesInMemory(documents, method), method);
  return filterStep(name, documents, (document, ordinal) => {
    const verdict = deduplicator.apply(document, ordinal);
    return verdict.kept ? { document: verdict.document } : { rule };
  });
}

export function bytesOf(documents: readonly { text: string }[]): number {
  return documents.reduce((sum, { text }) => sum + Buffer.byteLength(text), 0);
}
