/**
 * What cleaning did, as plain JSON that adds up: counts of several workers over parts of the input give the counts
 * of the whole, in any order. For documents, bytes and lines: in = out + dropped.
 */
import { DataError } from '../../core/errors.ts';
import type { Settings } from './rule.ts';
import type { RuleSet } from './rule-sets.ts';

export interface RuleCounts {
  rule: string;
  set: string;
  source: string;
  thresholds: Settings;
  documentsIn: number;
  documentsOut: number;
  bytesIn: number;
  bytesOut: number;
  /** Lines that the rule came to see; a line removed by an earlier rule is not among them. */
  linesIn: number;
  /** Lines that it removed from documents. */
  linesDropped: number;
  /** Lines that went with the documents it dropped. */
  linesOfDroppedDocuments: number;
}

export interface InOut {
  in: number;
  out: number;
}

export interface CleanCounts {
  documents: InOut;
  /** UTF-8 bytes of the texts. */
  bytes: InOut;
  /** Lines by Python's str.splitlines. */
  lines: InOut;
  /** In the order in which they run. */
  rules: RuleCounts[];
  /** Rules of the sets that do not run, and why. */
  leftOut: { rule: string; set: string; reason: string }[];
}

/** Zero; without sets the counts that any others can be added to. */
export function emptyCleanCounts(sets: readonly RuleSet[] = []): CleanCounts {
  return {
    documents: { in: 0, out: 0 },
    bytes: { in: 0, out: 0 },
    lines: { in: 0, out: 0 },
    rules: sets.flatMap((set) =>
      set.rules.map(({ name, source, thresholds }) => ({
        rule: name,
        set: set.name,
        source,
        thresholds,
        documentsIn: 0,
        documentsOut: 0,
        bytesIn: 0,
        bytesOut: 0,
        linesIn: 0,
        linesDropped: 0,
        linesOfDroppedDocuments: 0,
      })),
    ),
    leftOut: [],
  };
}

const ruleSums = [
  'documentsIn',
  'documentsOut',
  'bytesIn',
  'bytesOut',
  'linesIn',
  'linesDropped',
  'linesOfDroppedDocuments',
] as const satisfies readonly (keyof RuleCounts)[];

/** @throws DataError when the two were counted with different rules. */
export function addCleanCounts(into: CleanCounts, from: CleanCounts): void {
  if (from.rules.length === 0 && from.documents.in === 0) return;
  if (into.rules.length === 0 && into.documents.in === 0) {
    into.rules = from.rules.map((rule) => ({ ...rule }));
    into.leftOut = from.leftOut.map((rule) => ({ ...rule }));
  } else {
    const namesOf = ({ rules }: CleanCounts) => rules.map(({ set, rule }) => `${set}/${rule}`).join(' ');
    if (namesOf(into) !== namesOf(from)) {
      throw new DataError(
        `Counts of different rules cannot be added: ${namesOf(into) || 'none'} and ${namesOf(from) || 'none'}.`,
      );
    }
    for (const [i, rule] of into.rules.entries()) {
      for (const key of ruleSums) rule[key] += from.rules[i]![key];
    }
  }
  for (const key of ['documents', 'bytes', 'lines'] as const) {
    into[key].in += from[key].in;
    into[key].out += from[key].out;
  }
}

export interface CleanSummary {
  documents: InOut;
  bytes: InOut;
  /** Documents dropped, by rule; rules that dropped none are not listed. */
  dropped: Record<string, number>;
  /** `dropped` holds removed lines and the lines of dropped documents. */
  lines: InOut & { dropped: Record<string, number> };
  rules: RuleSummary[];
  leftOut: CleanCounts['leftOut'];
}

export interface RuleSummary {
  rule: string;
  set: string;
  documentsIn: number;
  documentsOut: number;
  bytesIn: number;
  bytesOut: number;
  linesDropped: number;
  source: string;
  thresholds: Settings;
}

export function cleanSummary(counts: CleanCounts): CleanSummary {
  const dropped: Record<string, number> = {};
  const linesDropped: Record<string, number> = {};
  for (const rule of counts.rules) {
    add(dropped, rule.rule, rule.documentsIn - rule.documentsOut);
    add(linesDropped, rule.rule, rule.linesDropped + rule.linesOfDroppedDocuments);
  }
  return {
    documents: { ...counts.documents },
    bytes: { ...counts.bytes },
    dropped,
    lines: { ...counts.lines, dropped: linesDropped },
    rules: counts.rules.map(({ linesIn, linesOfDroppedDocuments, ...rule }) => rule),
    leftOut: counts.leftOut.map((rule) => ({ ...rule })),
  };
}

function add(sums: Record<string, number>, key: string, value: number): void {
  if (value !== 0) sums[key] = (sums[key] ?? 0) + value;
}
