/**
 * What a model knows, found by asking it: a fact is asked in its phrasings, greedily and at a temperature. The classes
 * are those of SliCK (Gekhman et al. 2024, "Does fine-tuning LLMs on new knowledge encourage hallucinations?",
 * section 3), where prompts vary by their examples; here they vary by their phrasing.
 */
import { ConfigError } from '../../core/errors.ts';
import type { LanguageModel } from '../../decode/language-model.ts';
import { type AnswerCount, answerEntropy, countAnswers, isAnswer } from './answer-text.ts';
import { type SampleOptions, sampleAnswers } from './sample-answers.ts';

/**
 * `highly-known`: every greedy answer is right. `maybe-known`: some are. `weakly-known`: none is, but a sampled one.
 * `unknown`: no answer is right.
 */
export const KNOWLEDGE_CLASSES = ['highly-known', 'maybe-known', 'weakly-known', 'unknown'] as const;
export type KnowledgeClass = (typeof KNOWLEDGE_CLASSES)[number];

export interface KnowledgeQuestion {
  /** The same question in other words; one is enough, but then nothing can be `maybe-known`. */
  readonly phrasings: readonly string[];
  /** Answers that count as right. */
  readonly answers: readonly string[];
}

export interface Knowledge {
  readonly class: KnowledgeClass;
  /** Share of the phrasings whose greedy answer is right. */
  readonly greedyShare: number;
  /** Share of the sampled answers that are right. */
  readonly sampledShare: number;
  /** Sampled answers that say the same as the most frequent one, as a share. */
  readonly agreement: number;
  /** Of the sampled answers, in nats. */
  readonly entropy: number;
  /** Distinct sampled answers, the most frequent first. */
  readonly answers: readonly AnswerCount[];
}

export interface ProbeOptions {
  /** Answers to each phrasing. Default 4. */
  readonly numSamples?: number;
  /** Default 0.5, as in the paper. */
  readonly temperature?: number;
  readonly seed?: number;
  /** Default 48. */
  readonly maxTokens?: number;
  /** As `SampleOptions.promptOf`: a base model is asked in plain text. */
  readonly promptOf?: SampleOptions['promptOf'];
  readonly signal?: AbortSignal;
  readonly onProgress?: (done: number, total: number) => void;
}

const DEFAULT_SAMPLES = 4;
const DEFAULT_TEMPERATURE = 0.5;
const DEFAULT_MAX_TOKENS = 48;

/** Throws ConfigError for a question without phrasing or answer; CancelledError when the signal fires. */
export async function probeKnowledge(
  model: LanguageModel,
  questions: readonly KnowledgeQuestion[],
  options: ProbeOptions = {},
): Promise<Knowledge[]> {
  const { numSamples = DEFAULT_SAMPLES, temperature = DEFAULT_TEMPERATURE, seed = 0 } = options;
  const { maxTokens = DEFAULT_MAX_TOKENS, promptOf, signal, onProgress } = options;
  if (!(Number.isInteger(numSamples) && numSamples >= 1)) {
    throw new ConfigError(`numSamples must be a whole number of at least 1, got ${numSamples}.`);
  }
  const bad = questions.findIndex(({ phrasings, answers }) => phrasings.length === 0 || answers.length === 0);
  if (bad >= 0) {
    throw new ConfigError(`Question ${bad} has no phrasing or no answer; give at least one of each.`);
  }
  const prompts = questions.flatMap(({ phrasings }) => phrasings);
  const numAnswers = prompts.length * (1 + numSamples);
  const common = { seed, maxTokens, ...(promptOf && { promptOf }), ...(signal && { signal }) };
  const greedy = await sampleAnswers(model, prompts, {
    ...common,
    numSamples: 1,
    temperature: 0,
    onProgress: (done) => onProgress?.(done, numAnswers),
  });
  const sampled = await sampleAnswers(model, prompts, {
    ...common,
    numSamples,
    temperature,
    onProgress: (done) => onProgress?.(prompts.length + done * numSamples, numAnswers),
  });
  let at = 0;
  return questions.map(({ phrasings, answers }) => {
    const texts = (completions: typeof greedy) =>
      completions.slice(at, at + phrasings.length).flatMap((some) => some.map(({ text }) => text));
    const knowledge = knowledgeFrom(texts(greedy), texts(sampled), answers);
    at += phrasings.length;
    return knowledge;
  });
}

/** The class and the figures that greedy and sampled answers to one question give. */
export function knowledgeFrom(
  greedy: readonly string[],
  sampled: readonly string[],
  accepted: readonly string[],
): Knowledge {
  const shareRight = (texts: readonly string[]) =>
    texts.filter((text) => isAnswer(text, accepted)).length / texts.length;
  const greedyShare = shareRight(greedy);
  const sampledShare = shareRight(sampled);
  const answers = countAnswers(sampled);
  return {
    class: knowledgeClass(greedyShare, sampledShare),
    greedyShare,
    sampledShare,
    agreement: answers[0]!.count / sampled.length,
    entropy: answerEntropy(answers),
    answers,
  };
}

function knowledgeClass(greedyShare: number, sampledShare: number): KnowledgeClass {
  if (greedyShare === 1) return 'highly-known';
  if (greedyShare > 0) return 'maybe-known';
  return sampledShare > 0 ? 'weakly-known' : 'unknown';
}

/** How many questions are in each class. */
export function countKnowledge(knowledge: readonly Knowledge[]): Record<KnowledgeClass, number> {
  const counts = { 'highly-known': 0, 'maybe-known': 0, 'weakly-known': 0, unknown: 0 };
  for (const one of knowledge) counts[one.class]++;
  return counts;
}
