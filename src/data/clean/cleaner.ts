/**
 * Runs documents through rule sets, one document at a time, and counts what every rule did. Rules run in the order
 * of their sets; neighbouring rules on lines run together, line by line, so that a document dropped in its middle
 * has been seen up to there and no further, as in C4's code. A document whose text is empty at the end is dropped by
 * a closing rule, `empty-text`. The same documents give the same results and counts, whatever came before.
 */
import { ConfigError } from '../../core/errors.ts';
import type { Document } from '../document.ts';
import { stripSpace, utf8Bytes } from './character-classes.ts';
import { type CleanCounts, emptyCleanCounts, type RuleCounts } from './clean-counts.ts';
import { type IdentifyLanguage, Page } from './page.ts';
import type { LineCheck, Rule, RuleBody } from './rule.ts';
import type { RuleSet } from './rule-sets.ts';

export interface CleanServices {
  /** Synchronous guess of a text's language: lid.176 code and a score from 0 to 1. */
  identifyLanguage?: IdentifyLanguage;
}

export type CleanResult =
  | { kept: true; document: Document }
  | { kept: false; document: Document; rule: string; set: string; detail: string };

type DocumentBody = Extract<RuleBody, { kind: 'document' }>;
type LinesBody = Extract<RuleBody, { kind: 'lines' }>;

type Step =
  | { kind: 'document'; body: DocumentBody; counts: RuleCounts }
  | { kind: 'lines'; bodies: readonly LinesBody[]; counts: readonly RuleCounts[]; strips: boolean };

interface Drop {
  counts: RuleCounts;
  detail: string;
}

const closingSet: RuleSet = {
  name: 'closing',
  description: 'Runs after all sets.',
  rules: [
    {
      name: 'empty-text',
      description: 'Drops documents whose text is empty.',
      source: 'Plinth',
      thresholds: {},
      needsLanguage: 'never',
      body: { kind: 'document', check: ({ length }) => (length === 0 ? 'no text' : null) },
    },
  ],
};

export class Cleaner {
  readonly counts: CleanCounts;
  readonly #page: Page;
  readonly #steps: readonly Step[];

  /** @throws ConfigError when a rule needs `identifyLanguage` and it is not given. */
  constructor(sets: readonly RuleSet[], services: CleanServices = {}) {
    const { identifyLanguage } = services;
    if (sets.length === 0) throw new ConfigError('Cleaning needs at least one rule set.');
    const leftOut: CleanCounts['leftOut'] = [];
    const running = [...sets, closingSet].map((set) => ({
      ...set,
      rules: set.rules.filter((rule) => {
        if (rule.needsLanguage === 'never' || identifyLanguage !== undefined) return true;
        if (rule.needsLanguage === 'always') throw needsIdentifier(set, rule);
        leftOut.push({ rule: rule.name, set: set.name, reason: 'no identifyLanguage was given' });
        return false;
      }),
    }));
    this.counts = emptyCleanCounts(running);
    this.counts.leftOut = leftOut;
    this.#steps = stepsOf(running, this.counts.rules);
    this.#page = new Page(identifyLanguage);
  }

  /** The document as it stays (a new object when its text changed), or which rule dropped it and why. */
  clean(document: Document): CleanResult {
    const { counts } = this;
    const page = this.#page;
    page.load(document, document.text);
    counts.documents.in++;
    counts.bytes.in += page.numBytes;
    counts.lines.in += page.numLines;
    for (const step of this.#steps) {
      const drop = step.kind === 'document' ? judge(step.body, step.counts, page) : runLines(step, page);
      if (drop !== null) {
        const { rule, set } = drop.counts;
        return { kept: false, document, rule, set, detail: drop.detail };
      }
    }
    counts.documents.out++;
    counts.bytes.out += page.numBytes;
    counts.lines.out += page.numLines;
    const { text } = page;
    return { kept: true, document: text === document.text ? document : { ...document, text } };
  }
}

function needsIdentifier(set: RuleSet, rule: Rule): ConfigError {
  return new ConfigError(
    `Rule ${rule.name} of set ${set.name} needs to know languages, and the cleaner was given no identifyLanguage. ` +
      `Give one, or take the rule out: {"name": "mine", "extends": ["${set.name}"], ` +
      `"rules": [{"rule": "${rule.name}", "off": true}]}.`,
  );
}

function stepsOf(sets: readonly RuleSet[], counts: readonly RuleCounts[]): Step[] {
  const steps: Step[] = [];
  let index = 0;
  for (const { rules } of sets) {
    let group: { bodies: LinesBody[]; counts: RuleCounts[]; strips: boolean } | null = null;
    for (const { body } of rules) {
      const own = counts[index++]!;
      if (body.kind === 'document') {
        group = null;
        steps.push({ kind: 'document', body, counts: own });
        continue;
      }
      if (group === null) {
        group = { bodies: [], counts: [], strips: false };
        steps.push({ kind: 'lines', ...group });
      }
      group.bodies.push(body);
      group.counts.push(own);
      if (body.stripsText === true) (steps.at(-1) as { strips: boolean }).strips = true;
    }
  }
  return steps;
}

function enter(counts: RuleCounts, numBytes: number, numLines: number): void {
  counts.documentsIn++;
  counts.bytesIn += numBytes;
  counts.linesIn += numLines;
}

function leave(counts: RuleCounts, numBytes: number): void {
  counts.documentsOut++;
  counts.bytesOut += numBytes;
}

function judge(body: DocumentBody, counts: RuleCounts, page: Page): Drop | null {
  enter(counts, page.numBytes, page.numLines);
  const detail = body.check(page);
  if (detail === null) {
    leave(counts, page.numBytes);
    return null;
  }
  counts.linesOfDroppedDocuments += page.numLines;
  return { counts, detail };
}

function runLines(step: Extract<Step, { kind: 'lines' }>, page: Page): Drop | null {
  const { bodies, counts, strips } = step;
  const numRules = bodies.length;
  const checks: LineCheck[] = [];
  const ruleOfCheck: number[] = [];
  for (const [rule, body] of bodies.entries()) {
    const check = body.begin(page);
    if (check === null) continue;
    checks.push(check);
    ruleOfCheck.push(rule);
  }
  const bytesBefore = page.numBytes;
  const linesBefore = page.numLines;
  if (checks.length === 0 && !strips) {
    for (const own of counts) {
      enter(own, bytesBefore, linesBefore);
      leave(own, bytesBefore);
    }
    return null;
  }
  const isAscii = page.numBytes === page.length;
  const bytesOf = (line: string) => (isAscii ? line.length : utf8Bytes(line));
  const dropped = new Array<number>(numRules).fill(0);
  const removedBytes = new Array<number>(numRules).fill(0);
  const kept: string[] = [];
  let isChanged = false;
  let lastDropper = -1;
  let numSeen = 0;
  let numDropped = 0;
  for (const original of page.splitLines()) {
    let line: string | null = original;
    numSeen++;
    for (let c = 0; c < checks.length; c++) {
      const outcome = checks[c]!(line);
      if (outcome === line) continue;
      const rule = ruleOfCheck[c]!;
      isChanged = true;
      if (outcome === null) {
        dropped[rule]!++;
        numDropped++;
        removedBytes[rule]! += bytesOf(line) + 1;
        lastDropper = rule;
        line = null;
        break;
      }
      if (typeof outcome !== 'string') {
        return dropWithin(counts, rule, outcome.detail, page, numSeen, dropped, removedBytes);
      }
      removedBytes[rule]! += bytesOf(line) - bytesOf(outcome);
      line = outcome;
    }
    if (line !== null) kept.push(line);
  }
  if (strips || isChanged) {
    let text = kept.join('\n');
    if (strips) text = stripSpace(text);
    else if (kept.length > 0 && endsInBreak(page.text)) text += '\n';
    // No line end goes with the last of the lines.
    if (kept.length === 0 && lastDropper >= 0) removedBytes[lastDropper]!--;
    if (text !== page.text) page.change(text);
  }
  // What joining and stripping took is the first rule's doing.
  removedBytes[0]! += bytesBefore - page.numBytes - sum(removedBytes);
  dropped[0]! += linesBefore - numDropped - page.numLines;
  let numBytes = bytesBefore;
  let numLines = linesBefore;
  for (const [rule, own] of counts.entries()) {
    enter(own, numBytes, numLines);
    numBytes -= removedBytes[rule]!;
    numLines -= dropped[rule]!;
    own.linesDropped += dropped[rule]!;
    leave(own, numBytes);
  }
  return null;
}

/** A line dropped the document: later rules have seen earlier lines, but the document did not come through to them. */
function dropWithin(
  counts: readonly RuleCounts[],
  dropper: number,
  detail: string,
  page: Page,
  numSeen: number,
  dropped: readonly number[],
  removedBytes: readonly number[],
): Drop {
  let numBytes = page.numBytes;
  let numLines = numSeen;
  for (const [rule, own] of counts.entries()) {
    if (rule <= dropper) enter(own, numBytes, numLines);
    else own.linesIn += numLines;
    numBytes -= removedBytes[rule]!;
    numLines -= dropped[rule]! + (rule === dropper ? 1 : 0);
    own.linesDropped += dropped[rule]!;
    if (rule < dropper) leave(own, numBytes);
  }
  const own = counts[dropper]!;
  own.linesOfDroppedDocuments += page.numLines - sum(dropped);
  return { counts: own, detail };
}

function endsInBreak(text: string): boolean {
  return text.endsWith('\n') || text.endsWith('\r');
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
