/** Several answers to each of many questions, drawn so that each question's answers hang on its own text alone. */
import { CancelledError } from '../../core/errors.ts';
import { KeyedRandom } from '../../core/random.ts';
import type { Completion, LanguageModel, Prompt } from '../../decode/language-model.ts';

export interface SampleOptions {
  /** Answers to each question. */
  readonly numSamples: number;
  /** 0 gives the greedy answer. */
  readonly temperature: number;
  readonly seed: number;
  /** Longest answer that is waited for, in tokens. */
  readonly maxTokens: number;
  /** How a question is put to the model. Default: as a chat's only message. */
  readonly promptOf?: (question: string) => Prompt;
  /** Log-probabilities of each answer's tokens too. */
  readonly logprobs?: boolean;
  readonly signal?: AbortSignal;
  /** Told after every batch of questions. */
  readonly onProgress?: (done: number, total: number) => void;
}

const asChat = (content: string): Prompt => ({ messages: [{ role: 'user', content }] });

/** Answers that decode together, between two calls of `onProgress`. */
const BATCH = 256;

/**
 * The answers to each question, in order. Throws CancelledError when the signal fires: an answer cut short must not
 * be judged.
 */
export async function sampleAnswers(
  model: LanguageModel,
  questions: readonly string[],
  options: SampleOptions,
): Promise<Completion[][]> {
  const { numSamples, temperature, maxTokens, signal, promptOf = asChat } = options;
  const random = new KeyedRandom(options.seed);
  const perBatch = Math.max(1, Math.floor(BATCH / numSamples));
  const answers: Completion[][] = [];
  for (let at = 0; at < questions.length; at += perBatch) {
    const some = questions.slice(at, at + perBatch);
    const prompts = some.flatMap((question) => Array.from({ length: numSamples }, () => promptOf(question)));
    const each = some.flatMap((question) => {
      const seed = random.fork(question).uint32(0);
      return Array.from({ length: numSamples }, (_, choice) => ({
        maxTokens,
        temperature,
        ...(temperature > 0 && { seed, choice }),
        ...(options.logprobs && { logprobs: 0 }),
        ...(signal && { signal }),
      }));
    });
    const completions = await model.generateMany(prompts, each);
    if (signal?.aborted)
      throw new CancelledError('Stopped while sampling. The same command goes on from here.');
    for (let i = 0; i < some.length; i++) {
      answers.push(completions.slice(i * numSamples, (i + 1) * numSamples));
    }
    options.onProgress?.(answers.length, questions.length);
  }
  return answers;
}

/** Probability that the model gave to the answer's tokens; NaN without log-probabilities. */
export function answerProbability({ logprobs }: Completion): number {
  if (!logprobs) return Number.NaN;
  return Math.exp(logprobs.reduce((sum, { logprob }) => sum + logprob, 0));
}
