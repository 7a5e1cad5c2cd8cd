/**
 * Facts -> training texts and evaluation sets. What always holds: the held-out phrasing of a fact is in no
 * training text, every phrasing is trained for some other entity (given two or more), evaluation names are
 * in no training text, and the same sources, options and seed give the same corpus.
 */
import { ConfigError } from '../../core/errors.ts';
import { KeyedRandom } from '../../core/random.ts';
import { keyedUniform, normalizeKey, splitKeys } from '../../data/keyed-split.ts';
import { collectFacts, type Fact, type FactSource, type LeftOutFact } from './collect-facts.ts';
import { writeUnknowns } from './unknowns.ts';

export type FactSplit = 'train' | 'heldOutPhrasing' | 'heldOutEntity' | 'unknown';

export interface QuestionAnswer {
  /** The name asked about; for reverse questions the value given. */
  entity: string;
  /** Sheet and column: 'countries/capital'; with '/reverse' for questions back to the entity. */
  attribute: string;
  /** Number of the phrasing within its attribute. */
  phrasing: number;
  question: string;
  answer: string;
  split: FactSplit;
}

export interface Statement {
  entity: string;
  attribute: string;
  phrasing: number;
  text: string;
}

export interface FactCorpus {
  facts: Fact[];
  leftOut: LeftOutFact[];
  statements: Statement[];
  /** Training questions about known facts. */
  questions: QuestionAnswer[];
  /** Training questions about invented names. */
  unknownQuestions: QuestionAnswer[];
  evaluation: {
    heldOutPhrasing: QuestionAnswer[];
    /** Facts of entities that training saw in statements only; empty unless `statementOnlyShare` is set. */
    heldOutEntity: QuestionAnswer[];
    unknown: QuestionAnswer[];
  };
  unknownAnswers: string[];
}

export interface FactOptions {
  seed?: number;
  /** Share of the training questions that ask about invented names. Default 0.12. */
  unknownShare?: number;
  /** Evaluation questions about invented names, for each phrasing. Default 3. */
  numUnknownPerPhrasing?: number;
  /** Share of the entities that training sees in statements only (Allen-Zhu and Li 2023). Default 0. */
  statementOnlyShare?: number;
}

/** @throws ConfigError for a sheet or option that cannot be used; DataError when no fact is left. */
export function writeFacts(sources: readonly FactSource[], options: FactOptions = {}): FactCorpus {
  const { seed = 0, unknownShare = 0.12, numUnknownPerPhrasing = 3, statementOnlyShare = 0 } = options;
  checkOptions(sources, unknownShare, numUnknownPerPhrasing);
  const corpus: FactCorpus = {
    facts: [],
    leftOut: [],
    statements: [],
    questions: [],
    unknownQuestions: [],
    evaluation: { heldOutPhrasing: [], heldOutEntity: [], unknown: [] },
    unknownAnswers: [...new Set(sources.map(({ sheet }) => sheet.unknown.answer))],
  };
  for (const source of sources) {
    const { facts, leftOut } = collectFacts(source);
    if (facts.length === 0) {
      throw new ConfigError(
        `Fact sheet '${source.sheet.name}' gives no fact: all ${leftOut.length} candidates were left out ` +
          `(first reason: ${leftOut[0]?.reason ?? 'the table has no rows'}). Check entity.key, the columns and the limits.`,
      );
    }
    for (const fact of facts) corpus.facts.push(fact);
    for (const entry of leftOut) corpus.leftOut.push(entry);
    const entities = new Set(facts.map((fact) => fact.entity));
    const entitySplit = splitKeys(entities, { validation: 0, test: statementOnlyShare }, seed);
    for (const group of groupByAttribute(facts)) writeGroup(group, entitySplit, seed, corpus);
  }
  dropLeaks(corpus);
  const numUnknown = Math.round((corpus.questions.length * unknownShare) / (1 - unknownShare));
  writeUnknowns(sources, corpus, { seed, numTrain: numUnknown, numPerPhrasing: numUnknownPerPhrasing });
  return corpus;
}

export function attributeKey(fact: Pick<Fact, 'sheet' | 'attribute' | 'direction'>): string {
  return `${fact.sheet}/${fact.attribute}${fact.direction === 'reverse' ? '/reverse' : ''}`;
}

/**
 * Which phrasing each fact of one attribute holds out: a keyed hash of the fact's id. No phrasing is held out
 * for every fact, so each is trained somewhere. -1 where there is nothing to hold out (a single phrasing or fact).
 */
export function heldOutPhrasings(facts: readonly Fact[], seed: number): number[] {
  const numPhrasings = Math.min(...facts.map((fact) => fact.questions.length));
  if (numPhrasings < 2 || facts.length < 2) return facts.map(() => -1);
  const held = facts.map((fact) => Math.floor(keyedUniform(seed, 'held-out', fact.id) * numPhrasings));
  if (held.every((phrasing) => phrasing === held[0])) held[0] = (held[0]! + 1) % numPhrasings;
  return held;
}

function writeGroup(
  facts: readonly Fact[],
  entitySplit: ReadonlyMap<string, string>,
  seed: number,
  corpus: FactCorpus,
): void {
  const held = heldOutPhrasings(facts, seed);
  for (const [i, fact] of facts.entries()) {
    const attribute = attributeKey(fact);
    fact.statements.forEach((text, phrasing) => {
      corpus.statements.push({ entity: fact.entity, attribute, phrasing, text });
    });
    const statementOnly = entitySplit.get(normalizeKey(fact.entity)) === 'test';
    const subject = fact.direction === 'reverse' ? fact.value : fact.entity;
    fact.questions.forEach((question, phrasing) => {
      const base = { entity: subject, attribute, phrasing, question, answer: fact.answer };
      if (statementOnly) corpus.evaluation.heldOutEntity.push({ ...base, split: 'heldOutEntity' });
      else if (phrasing === held[i])
        corpus.evaluation.heldOutPhrasing.push({ ...base, split: 'heldOutPhrasing' });
      else corpus.questions.push({ ...base, split: 'train' });
    });
  }
}

/** Two templates may render alike for one entity; a training question equal to a held-out one must go. */
function dropLeaks(corpus: FactCorpus): void {
  const { heldOutPhrasing, heldOutEntity } = corpus.evaluation;
  const evaluated = new Set(
    [...heldOutPhrasing, ...heldOutEntity].map(({ question }) => normalizeKey(question)),
  );
  corpus.questions = corpus.questions.filter(({ question }) => !evaluated.has(normalizeKey(question)));
}

function groupByAttribute(facts: readonly Fact[]): Fact[][] {
  const groups = new Map<string, Fact[]>();
  for (const fact of facts) {
    const key = attributeKey(fact);
    const group = groups.get(key);
    if (group) group.push(fact);
    else groups.set(key, [fact]);
  }
  return [...groups.values()];
}

function checkOptions(sources: readonly FactSource[], unknownShare: number, numPerPhrasing: number): void {
  if (sources.length === 0)
    throw new ConfigError('writeFacts needs at least one table with its fact sheet; got none.');
  const names = sources.map(({ sheet }) => sheet.name);
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined)
    throw new ConfigError(`Two fact sheets are named '${twice}'; give each its own name.`);
  if (!(unknownShare >= 0 && unknownShare < 1)) {
    throw new ConfigError(`unknownShare must be at least 0 and below 1; got ${unknownShare}.`);
  }
  if (!(Number.isInteger(numPerPhrasing) && numPerPhrasing >= 0)) {
    throw new ConfigError(
      `numUnknownPerPhrasing must be a whole number of at least 0; got ${numPerPhrasing}.`,
    );
  }
}

/** A keyed order of any list, for mixing documents. */
export function keyedShuffle<T>(items: readonly T[], seed: number, label: string): T[] {
  return Array.from(new KeyedRandom(seed).fork(label).permutation(items.length), (i) => items[i]!);
}
