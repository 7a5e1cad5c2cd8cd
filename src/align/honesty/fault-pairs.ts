/**
 * Preference pairs from a model's own answers: what it should say, chosen over what it said and should not have. For
 * a question about something known that is the right answer over a wrong one (factual); for one that nobody can answer
 * a refusal over an invention (counterfactual).
 */
import { DataError } from '../../core/errors.ts';
import type { FinishReason } from '../../decode/language-model.ts';
import type { PreferencePair } from '../preference/preference-data.ts';
import { type AnswerCount, countAnswers, isAnswer, normalAnswer } from './answer-text.ts';
import type { Knowledge } from './probe-knowledge.ts';

/** An answer, and whether it came to an end by itself. */
export interface GivenAnswer {
  readonly text: string;
  readonly finishReason: FinishReason;
}

/** A question with what a model said to it. */
export interface AnsweredQuestion {
  readonly question: string;
  /** What it should say. */
  readonly chosen: string;
  /** Several answers of the model. */
  readonly answers: readonly GivenAnswer[];
}

export interface FaultPairs {
  readonly pairs: readonly PreferencePair[];
  /** How many pairs each fault gave. */
  readonly numByFault: Readonly<Record<string, number>>;
}

export interface FaultPairOptions {
  /** Pairs of one question at most: its most frequent faulty answers. Default 2. */
  readonly maxPerQuestion?: number;
}

const DEFAULT_MAX_PER_QUESTION = 2;

/**
 * A pair for each distinct faulty answer, the most frequent first.
 * @param faultOf what is wrong with an answer to a question; undefined where nothing is.
 * @throws DataError for a chosen answer that is itself faulty: it would be preferred and shunned at once.
 */
export function faultPairs<Question extends AnsweredQuestion>(
  questions: readonly Question[],
  faultOf: (question: Question, answer: GivenAnswer) => string | undefined,
  { maxPerQuestion = DEFAULT_MAX_PER_QUESTION }: FaultPairOptions = {},
): FaultPairs {
  const pairs: PreferencePair[] = [];
  const numByFault: Record<string, number> = {};
  for (const item of questions) {
    const ownFault = faultOf(item, { text: item.chosen, finishReason: 'stop' });
    if (ownFault !== undefined) {
      throw new DataError(
        `The answer to be preferred to "${item.question}" is "${item.chosen}", which is faulty itself (${ownFault}). ` +
          'Correct the answer or the rule.',
      );
    }
    const chosen = normalAnswer(item.chosen);
    const faulty = item.answers.flatMap((answer) => {
      const fault = faultOf(item, answer);
      // An answer that differs in case or white space alone is no opposite of the chosen one.
      return fault === undefined || normalAnswer(answer.text) === chosen ? [] : [{ ...answer, fault }];
    });
    for (const { text } of countAnswers(faulty.map((answer) => answer.text)).slice(0, maxPerQuestion)) {
      const { fault } = faulty.find((answer) => answer.text.trim() === text)!;
      pairs.push(pairOf(item.question, item.chosen, text));
      numByFault[fault] = (numByFault[fault] ?? 0) + 1;
    }
  }
  return { pairs, numByFault };
}

export interface ProbedAnswer {
  readonly question: string;
  /** Answers that count as right; the first is the one to be preferred. */
  readonly accepted: readonly string[];
  readonly knowledge: Pick<Knowledge, 'class' | 'answers'>;
}

/**
 * Factual and counterfactual pairs from a probe: what the model knows, chosen over its wrong answers and its refusals;
 * a refusal, chosen over its most confident answer to what it does not know. Confident is what it says most often.
 */
export function honestyPairs(
  probed: readonly ProbedAnswer[],
  refusal: string,
  options: FaultPairOptions = {},
): FaultPairs {
  const refused = (answer: string) => isAnswer(answer, [refusal]);
  const items = probed.map(({ question, accepted, knowledge }) => ({
    question,
    accepted,
    isKnown: knowledge.class !== 'unknown',
    chosen: knowledge.class === 'unknown' ? refusal : accepted[0]!,
    answers: knowledge.answers.flatMap(({ text, count }: AnswerCount) =>
      Array.from({ length: count }, () => ({ text, finishReason: 'stop' as const })),
    ),
  }));
  return faultPairs(
    items,
    ({ isKnown, accepted }, { text }) => {
      if (!isKnown) return refused(text) ? undefined : 'invented';
      if (isAnswer(text, accepted)) return undefined;
      return refused(text) ? 'refused though known' : 'wrong';
    },
    options,
  );
}

function pairOf(question: string, chosen: string, rejected: string): PreferencePair {
  return {
    messages: [{ role: 'user', content: question }],
    chosen: [{ role: 'assistant', content: chosen }],
    rejected: [{ role: 'assistant', content: rejected }],
  };
}
