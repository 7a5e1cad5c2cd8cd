/**
 * How a model answers, beside what it knows: the form of answers drawn at temperature 1, how varied it is on open
 * prompts, whether its probabilities come true; and all of it before a stage and after it, on the same questions.
 */
import {
  answerEntropy,
  answerProbability,
  countAnswers,
  expectedCalibrationError,
  sampleAnswers,
} from '../../align/honesty/index.ts';
import { KeyedRandom } from '../../core/random.ts';
import type { Completion, LanguageModel } from '../../decode/language-model.ts';
import { type DocumentMeasurement, estimateBitsPerByte, estimateDifference } from '../../evaluate/index.ts';
import { percentileInterval } from '../../scaling/laws/percentile-interval.ts';
import { type AnswerForms, formFault } from '../facts/answer-form.ts';
import type { FactCorpus, QuestionAnswer } from '../facts/index.ts';
import { keyedShuffle } from '../facts/write-facts.ts';
import type { BehaviourChange, BehaviourName, EstimateWithInterval } from '../report/report.ts';
import { type FactEvaluation, type GradedAnswer, MAX_ANSWER_TOKENS, scoreOf } from './evaluate-facts.ts';

/** Questions whose form is looked at, each answered once. */
const MAX_FORM_QUESTIONS = 1500;
const NUM_OPEN_PROMPTS = 16;
const NUM_OPEN_SAMPLES = 16;
const MAX_OPEN_TOKENS = 16;
const NUM_RESAMPLES = 400;

/** Answers that `measureBehaviour` draws of one model, at most. */
export function numBehaviourAnswers(corpus: FactCorpus): number {
  const { heldOutPhrasing, unknown } = corpus.evaluation;
  return (
    Math.min(MAX_FORM_QUESTIONS, heldOutPhrasing.length + unknown.length) +
    NUM_OPEN_PROMPTS * NUM_OPEN_SAMPLES
  );
}

export interface Behaviour {
  readonly graded: readonly GradedAnswer[];
  /** Drawn at temperature 1, in the order of the questions; true where the form is wrong. */
  readonly sampledFaults: readonly boolean[];
  readonly greedyFaults: readonly boolean[];
  /** Answers to each open prompt. */
  readonly open: readonly (readonly string[])[];
  /** All answers, the greedy ones included. */
  readonly completions: readonly Completion[];
}

/** Throws CancelledError when the signal fires. */
export async function measureBehaviour(
  model: LanguageModel,
  corpus: FactCorpus,
  forms: AnswerForms,
  { graded }: Pick<FactEvaluation, 'graded'>,
  options: { readonly seed: number; readonly signal?: AbortSignal },
): Promise<Behaviour> {
  const { seed, signal } = options;
  const common = { temperature: 1, seed, ...(signal && { signal }) };
  const questions = formQuestions(corpus, seed);
  const sampled = await sampleAnswers(
    model,
    questions.map(({ question }) => question),
    { ...common, numSamples: 1, maxTokens: MAX_ANSWER_TOKENS },
  );
  const open = await sampleAnswers(model, openPrompts(corpus, seed), {
    ...common,
    numSamples: NUM_OPEN_SAMPLES,
    maxTokens: MAX_OPEN_TOKENS,
    promptOf: (text) => text,
  });
  const isFaulty = ({ attribute }: QuestionAnswer, completion: Completion) =>
    formFault(forms, attribute, completion) !== undefined;
  return {
    graded,
    sampledFaults: questions.map((question, i) => isFaulty(question, sampled[i]![0]!)),
    greedyFaults: graded.map(({ question, completion }) => isFaulty(question, completion)),
    open: open.map((answers) => answers.map(({ text }) => text)),
    completions: [...graded.map(({ completion }) => completion), ...sampled.flat(), ...open.flat()],
  };
}

function formQuestions({ evaluation }: FactCorpus, seed: number): QuestionAnswer[] {
  const all = [...evaluation.heldOutPhrasing, ...evaluation.unknown];
  return keyedShuffle(all, seed, 'form-questions').slice(0, MAX_FORM_QUESTIONS);
}

/** Beginnings of statements, up to the name: many continuations are right. */
function openPrompts({ statements }: FactCorpus, seed: number): string[] {
  const beginnings = statements.flatMap(({ entity, text }) => {
    const at = text.toLowerCase().indexOf(entity.toLowerCase());
    const words = text.slice(0, Math.max(0, at)).trim().split(/\s+/);
    return words.length >= 2 ? [words.join(' ')] : [];
  });
  return keyedShuffle([...new Set(beginnings)], seed, 'open-prompts').slice(0, NUM_OPEN_PROMPTS);
}

/** One entry for each behaviour that could be measured. */
export function behaviourChanges(before: Behaviour, after: Behaviour): BehaviourChange[] {
  const knownOf = ({ graded }: Behaviour) => graded.filter(({ question }) => question.split !== 'unknown');
  const inventedOf = ({ graded }: Behaviour) => graded.filter(({ question }) => question.split === 'unknown');
  const shares: [BehaviourName, (behaviour: Behaviour) => readonly boolean[]][] = [
    ['right', (behaviour) => knownOf(behaviour).map(({ isRight }) => isRight)],
    ['refusedInvented', (behaviour) => inventedOf(behaviour).map(({ isRight }) => isRight)],
    [
      'refusedKnown',
      (behaviour) => knownOf(behaviour).map(({ isRefusal, isRight }) => isRefusal && !isRight),
    ],
    ['wrongForm', ({ sampledFaults }) => sampledFaults],
    ['wrongFormGreedy', ({ greedyFaults }) => greedyFaults],
  ];
  const changes = shares.map(([name, flagsOf]) => shareChange(name, flagsOf(before), flagsOf(after)));
  return [...changes, calibrationChange(before, after), ...diversityChanges(before, after)];
}

function shareChange(
  name: BehaviourName,
  before: readonly boolean[],
  after: readonly boolean[],
): BehaviourChange {
  const measured = (flags: readonly boolean[]) => flags.map((flag) => ({ bits: flag ? 1 : 0, bytes: 1 }));
  return {
    name,
    before: scoreOf(before),
    after: scoreOf(after),
    // A mean over questions is estimated as bits over bytes of documents are.
    change: estimateDifference([measured(after)], [measured(before)]),
    numAnswers: before.length,
  };
}

function calibrationChange(before: Behaviour, after: Behaviour): BehaviourChange {
  return {
    name: 'calibrationError',
    before: calibrationOf(before),
    after: calibrationOf(after),
    numAnswers: before.graded.length,
  };
}

/** Expected calibration error of the greedy answers, with a percentile interval over questions. */
function calibrationOf({ graded }: Behaviour): EstimateWithInterval {
  const judged = graded.map(({ completion, isRight }) => ({
    probability: answerProbability(completion),
    isRight,
  }));
  const random = new KeyedRandom(0).fork('calibration');
  const values = Array.from({ length: NUM_RESAMPLES }, (_, r) =>
    expectedCalibrationError(
      judged.map((_, i) => judged[random.integer(r * judged.length + i, judged.length)]!),
    ),
  );
  return { value: expectedCalibrationError(judged), interval: percentileInterval(values) };
}

function diversityChanges(before: Behaviour, after: Behaviour): BehaviourChange[] {
  if (before.open.length === 0) return [];
  const measures: [BehaviourName, (answers: readonly string[]) => number][] = [
    ['distinct', (answers) => countAnswers(answers).length / answers.length],
    ['entropy', (answers) => answerEntropy(countAnswers(answers))],
  ];
  return measures.map(([name, measure]) => {
    const of = ({ open }: Behaviour): DocumentMeasurement =>
      open.map((answers) => ({ bits: measure(answers), bytes: 1 }));
    return {
      name,
      before: estimateBitsPerByte([of(before)]),
      after: estimateBitsPerByte([of(after)]),
      change: estimateDifference([of(after)], [of(before)]),
      numAnswers: before.open.flat().length,
    };
  });
}
