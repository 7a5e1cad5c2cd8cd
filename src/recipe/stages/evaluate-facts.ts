/** The evaluation stage: held-out phrasings of known facts, and names that do not exist. */
import { CancelledError } from '../../core/errors.ts';
import type { EventSink } from '../../core/events.ts';
import type { Completion, LanguageModel } from '../../decode/language-model.ts';
import { wilsonInterval } from '../../evaluate/index.ts';
import type { Work } from '../accounting.ts';
import { type FactCorpus, gradeExact, type QuestionAnswer } from '../facts/index.ts';
import type { AnswerSample, BehaviourChange, Report, Score } from '../report/report.ts';

/** Longest answer that is waited for, in tokens. */
export const MAX_ANSWER_TOKENS = 48;
/** Questions decoded at a time, between two progress events. */
const BATCH = 256;
const SAMPLES_PER_KIND = 12;

export interface FactEvaluation {
  readonly heldOutPhrasing: Report['evaluation']['heldOutPhrasing'];
  readonly unknown: Report['evaluation']['unknown'];
  readonly samples: readonly AnswerSample[];
  /** Greedy answers, held-out phrasings first and invented names after them. */
  readonly graded: readonly GradedAnswer[];
}

export interface GradedAnswer {
  readonly question: QuestionAnswer;
  readonly completion: Completion;
  readonly isRight: boolean;
  readonly isRefusal: boolean;
}

/** What the evaluation stage finds out; `prose` where a recipe has any, `changes` where it had a preference stage. */
export interface RunEvaluation extends Omit<FactEvaluation, 'graded'> {
  readonly prose?: Report['evaluation']['prose'];
  readonly changes?: readonly BehaviourChange[];
  /** Of all answers. */
  readonly generated: Work;
}

/** Asks every evaluation question, greedily decoded. Throws CancelledError when the signal fires. */
export async function evaluateFacts(
  model: LanguageModel,
  corpus: FactCorpus,
  options: { onEvent: EventSink; signal?: AbortSignal },
): Promise<FactEvaluation> {
  const known = corpus.evaluation.heldOutPhrasing;
  const invented = corpus.evaluation.unknown;
  const completions = await askAll(model, [...known, ...invented], options);
  const answers = completions.map(({ text }) => text.trim());
  const knownAnswers = answers.slice(0, known.length);
  const inventedAnswers = answers.slice(known.length);
  const refused = (answer: string) => corpus.unknownAnswers.some((unknown) => gradeExact(answer, unknown));
  const right = known.map(({ answer }, i) => gradeExact(knownAnswers[i]!, answer));
  const abstained = inventedAnswers.map(refused);
  // Where the right answer is itself a refusal, refusing is no fault.
  const falselyRefused = knownAnswers.map((answer, i) => refused(answer) && !right[i]);
  const score = scoreOf(right);
  const abstentionScore = scoreOf(abstained);
  const falseAbstentionScore = scoreOf(falselyRefused);
  return {
    heldOutPhrasing: { exactMatch: score.value, score, byAttribute: byAttribute(known, right) },
    unknown: {
      abstention: abstentionScore.value,
      abstentionScore,
      falseAbstention: falseAbstentionScore.value,
      falseAbstentionScore,
    },
    graded: [...known, ...invented].map((question, i) => ({
      question,
      completion: completions[i]!,
      isRight: i < known.length ? right[i]! : abstained[i - known.length]!,
      isRefusal: refused(answers[i]!),
    })),
    samples: [
      ...samplesOf('held-out phrasing', known, knownAnswers, right),
      ...samplesOf('invented name', invented, inventedAnswers, abstained),
    ],
  };
}

async function askAll(
  model: LanguageModel,
  questions: readonly QuestionAnswer[],
  { onEvent, signal }: { onEvent: EventSink; signal?: AbortSignal },
): Promise<Completion[]> {
  const answers: Completion[] = [];
  const start = performance.now();
  for (let at = 0; at < questions.length; at += BATCH) {
    const prompts = questions
      .slice(at, at + BATCH)
      .map(({ question }) => ({ messages: [{ role: 'user' as const, content: question }] }));
    const completions = await model.generateMany(prompts, {
      maxTokens: MAX_ANSWER_TOKENS,
      temperature: 0,
      logprobs: 0,
      ...(signal && { signal }),
    });
    // A stopped answer is cut short; it must not be graded.
    if (signal?.aborted)
      throw new CancelledError('Stopped while evaluating. The same command goes on from here.');
    answers.push(...completions);
    const rate = answers.length / ((performance.now() - start) / 1000);
    onEvent({
      type: 'progress',
      stage: 'evaluate',
      done: answers.length,
      total: questions.length,
      unit: 'questions',
      ratePerSecond: rate,
      secondsLeft: (questions.length - answers.length) / rate,
    });
  }
  return answers;
}

export function scoreOf(right: readonly boolean[]): Score {
  const numCorrect = right.filter(Boolean).length;
  return {
    value: right.length > 0 ? numCorrect / right.length : 0,
    interval: wilsonInterval(numCorrect, right.length),
    numCorrect,
    numQuestions: right.length,
  };
}

function byAttribute(
  questions: readonly QuestionAnswer[],
  right: readonly boolean[],
): { attribute: string; score: Score }[] {
  const groups = new Map<string, boolean[]>();
  questions.forEach(({ attribute }, i) => {
    const group = groups.get(attribute) ?? [];
    group.push(right[i]!);
    groups.set(attribute, group);
  });
  return [...groups].map(([attribute, results]) => ({ attribute, score: scoreOf(results) }));
}

/** Evenly spaced answers, and wrong ones first: they are what a reader looks for. */
function samplesOf(
  kind: AnswerSample['kind'],
  questions: readonly QuestionAnswer[],
  answers: readonly string[],
  right: readonly boolean[],
): AnswerSample[] {
  const sample = (i: number): AnswerSample => ({
    kind,
    question: questions[i]!.question,
    expected: questions[i]!.answer,
    answer: answers[i]!,
    correct: right[i]!,
  });
  const wrong = questions.flatMap((_, i) => (right[i] ? [] : [i])).slice(0, SAMPLES_PER_KIND / 2);
  const others = questions.flatMap((_, i) => (right[i] ? [i] : []));
  const stride = Math.max(1, Math.floor(others.length / (SAMPLES_PER_KIND - wrong.length)));
  const spaced = others.filter((_, k) => k % stride === 0);
  return [...wrong, ...spaced.slice(0, SAMPLES_PER_KIND - wrong.length)].map(sample);
}
