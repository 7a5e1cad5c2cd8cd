/** Counts of a fact corpus, for reports and for judging whether a budget is enough. */
import { attributeKey, type FactCorpus } from './write-facts.ts';

export interface FactStatistics {
  numFacts: number;
  numEntities: number;
  numStatements: number;
  numQuestions: number;
  numUnknownQuestions: number;
  numHeldOutPhrasing: number;
  numHeldOutEntity: number;
  numUnknownEvaluation: number;
  /** Length of all training texts. */
  numCharacters: number;
  meanAnswerCharacters: number;
  byAttribute: { attribute: string; numFacts: number; numValues: number; leftOut: Record<string, number> }[];
}

export function factStatistics(corpus: FactCorpus): FactStatistics {
  const attributes = new Map<
    string,
    { numFacts: number; values: Set<string>; leftOut: Record<string, number> }
  >();
  const entryOf = (key: string) => {
    const entry = attributes.get(key) ?? { numFacts: 0, values: new Set<string>(), leftOut: {} };
    attributes.set(key, entry);
    return entry;
  };
  for (const fact of corpus.facts) {
    const entry = entryOf(attributeKey(fact));
    entry.numFacts++;
    entry.values.add(fact.answer);
  }
  for (const item of corpus.leftOut) {
    const { leftOut } = entryOf(attributeKey(item));
    leftOut[item.reason] = (leftOut[item.reason] ?? 0) + 1;
  }
  let numCharacters = 0;
  for (const { text } of corpus.statements) numCharacters += text.length;
  for (const { question, answer } of [...corpus.questions, ...corpus.unknownQuestions]) {
    numCharacters += question.length + answer.length;
  }
  const answers = corpus.facts.reduce((sum, fact) => sum + fact.answer.length, 0);
  return {
    numFacts: corpus.facts.length,
    numEntities: new Set(corpus.facts.map((fact) => `${fact.sheet}/${fact.entity}`)).size,
    numStatements: corpus.statements.length,
    numQuestions: corpus.questions.length,
    numUnknownQuestions: corpus.unknownQuestions.length,
    numHeldOutPhrasing: corpus.evaluation.heldOutPhrasing.length,
    numHeldOutEntity: corpus.evaluation.heldOutEntity.length,
    numUnknownEvaluation: corpus.evaluation.unknown.length,
    numCharacters,
    meanAnswerCharacters: answers / Math.max(1, corpus.facts.length),
    byAttribute: [...attributes].map(([attribute, { numFacts, values, leftOut }]) => ({
      attribute,
      numFacts,
      numValues: values.size,
      leftOut,
    })),
  };
}

/** The statistics as a small text table. */
export function formatFactStatistics(statistics: FactStatistics): string {
  const lines = [
    `${statistics.numFacts} facts about ${statistics.numEntities} entities; ${statistics.numStatements} statements, ` +
      `${statistics.numQuestions} questions and ${statistics.numUnknownQuestions} about invented names to train on ` +
      `(${statistics.numCharacters} characters)`,
    `to evaluate: ${statistics.numHeldOutPhrasing} held-out phrasings, ${statistics.numHeldOutEntity} held-out entities, ` +
      `${statistics.numUnknownEvaluation} invented names`,
  ];
  const width = Math.max(...statistics.byAttribute.map(({ attribute }) => attribute.length));
  for (const { attribute, numFacts, numValues, leftOut } of statistics.byAttribute) {
    const reasons = Object.entries(leftOut).map(([reason, count]) => `${count} ${reason}`);
    const tail = reasons.length > 0 ? `  left out: ${reasons.join(', ')}` : '';
    lines.push(
      `${attribute.padEnd(width)}  ${String(numFacts).padStart(5)} facts  ${String(numValues).padStart(5)} answers${tail}`,
    );
  }
  return lines.join('\n');
}
