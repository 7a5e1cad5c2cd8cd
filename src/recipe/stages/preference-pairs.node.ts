/**
 * The pairs of the preference stage: the finetuned model answers training questions at a high temperature, and what it
 * should not have said (out of form, wrong, made up) is set against the right answer or the refusal. Made once and kept
 * in the run's folder, so that a resumed run trains on the same pairs.
 */
import { type FaultPairs, faultPairs, type GivenAnswer, sampleAnswers } from '../../align/honesty/index.ts';
import { writeFileAtomic } from '../../core/atomic-file.node.ts';
import type { EventSink } from '../../core/events.ts';
import { readJsonFile } from '../../core/json-file.node.ts';
import type { LanguageModel } from '../../decode/language-model.ts';
import type { TransformerConfig } from '../../model/config.ts';
import { generationWork, type Work } from '../accounting.ts';
import { type AnswerForms, formFault } from '../facts/answer-form.ts';
import { type FactCorpus, gradeExact, type QuestionAnswer } from '../facts/index.ts';
import { keyedShuffle } from '../facts/write-facts.ts';
import { MAX_ANSWER_TOKENS } from './evaluate-facts.ts';

/** Answers to each question, and their temperature: above 1, so that faults of little probability are seen. */
const NUM_SAMPLES = 4;
export const PAIR_TEMPERATURE = 1.5;
/** Share of the questions asked that are about invented names. */
const INVENTED_SHARE = 1 / 3;
const MAX_PAIRS_PER_QUESTION = 4;

export interface StoredPairs extends FaultPairs {
  readonly fingerprint: string;
  readonly numQuestions: number;
  readonly numAnswers: number;
  /** What sampling them took. */
  readonly generated: Work;
}

export interface PreferencePairsOptions {
  /** Where they are kept. */
  readonly path: string;
  /** Identifies the model and the settings; pairs of others are made anew. */
  readonly fingerprint: string;
  readonly config: TransformerConfig;
  readonly corpus: FactCorpus;
  readonly forms: AnswerForms;
  /** Answers to be sampled, about. */
  readonly numAnswers: number;
  readonly seed: number;
  /** Opened only when there are no pairs yet. */
  readonly model: () => Promise<LanguageModel>;
  readonly onEvent: EventSink;
  readonly signal?: AbortSignal;
}

/** Throws CancelledError when the signal fires, FormatError for a damaged file. */
export async function preferencePairs(options: PreferencePairsOptions): Promise<StoredPairs> {
  const { path, fingerprint, corpus, forms, seed, onEvent, signal } = options;
  const stored = (await readJsonFile(path, 'Delete it to make the pairs again.')) as
    | Partial<StoredPairs>
    | null
    | undefined;
  if (stored?.fingerprint === fingerprint && Array.isArray(stored.pairs)) return stored as StoredPairs;
  const numQuestions = Math.max(1, Math.round(options.numAnswers / NUM_SAMPLES));
  const questions = questionsToAsk(corpus, numQuestions, seed);
  const model = await options.model();
  const start = performance.now();
  try {
    const completions = await sampleAnswers(
      model,
      questions.map(({ question }) => question),
      {
        numSamples: NUM_SAMPLES,
        temperature: PAIR_TEMPERATURE,
        seed,
        maxTokens: MAX_ANSWER_TOKENS,
        ...(signal && { signal }),
        onProgress: (done, total) => {
          const rate = done / ((performance.now() - start) / 1000);
          onEvent({
            type: 'progress',
            stage: 'prefer',
            done,
            total,
            unit: 'questions',
            ratePerSecond: rate,
            secondsLeft: (total - done) / rate,
          });
        },
      },
    );
    const answered = questions.map((question, i) => ({
      ...question,
      chosen: question.answer,
      answers: completions[i]!.map(({ text, finishReason }) => ({ text, finishReason })),
    }));
    const made: StoredPairs = {
      fingerprint,
      ...faultPairs(answered, faultFinder(corpus, forms), { maxPerQuestion: MAX_PAIRS_PER_QUESTION }),
      numQuestions: questions.length,
      numAnswers: completions.flat().length,
      generated: generationWork(
        options.config,
        completions.flat().map(({ usage }) => usage),
      ),
    };
    await writeFileAtomic(path, `${JSON.stringify(made)}\n`);
    return made;
  } finally {
    await model.dispose();
  }
}

/** Training questions of both kinds, in a keyed order. */
function questionsToAsk(
  { questions, unknownQuestions }: FactCorpus,
  numQuestions: number,
  seed: number,
): QuestionAnswer[] {
  const numInvented = Math.min(unknownQuestions.length, Math.round(numQuestions * INVENTED_SHARE));
  return [
    ...keyedShuffle(questions, seed, 'preference-questions').slice(0, numQuestions - numInvented),
    ...keyedShuffle(unknownQuestions, seed, 'preference-questions').slice(0, numInvented),
  ];
}

/** What is wrong with an answer: its form first, then what it says. */
function faultFinder(corpus: FactCorpus, forms: AnswerForms) {
  const isRefusal = (text: string) => corpus.unknownAnswers.some((refusal) => gradeExact(text, refusal));
  return ({ attribute, answer }: QuestionAnswer, given: GivenAnswer): string | undefined => {
    const fault = formFault(forms, attribute, given);
    if (fault) return fault;
    if (gradeExact(given.text, answer)) return undefined;
    if (isRefusal(answer)) return 'invented';
    return isRefusal(given.text) ? 'refused though known' : 'wrong';
  };
}
