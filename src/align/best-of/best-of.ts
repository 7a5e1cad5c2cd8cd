/**
 * Choosing among samples by a reward: the best of n, and rejection sampling. Each prompt's samples hang on its own text
 * and the seed alone, so another list of prompts changes none of them.
 */
import { CancelledError, ConfigError, DataError } from '../../core/errors.ts';
import { KeyedRandom } from '../../core/random.ts';
import type { Completion, GenerateOptions, LanguageModel } from '../../decode/language-model.ts';
import type { ChatMessage } from '../../tokenizer/index.ts';
import type { RewardFunction } from '../reward-function.ts';
import { bestOfKlEstimate } from './best-of-bounds.ts';

export interface SampledPrompt {
  readonly messages: readonly ChatMessage[];
  /** What a reward needs to judge answers; {} for none. */
  readonly record: Readonly<Record<string, unknown>>;
}

export interface JudgedAnswer {
  readonly completion: Completion;
  readonly reward: number;
  /** Of the answer's tokens without its end, in nats; NaN where the model gives none. */
  readonly logprob: number;
}

export interface BestOfOptions {
  /** Samples for each prompt. */
  readonly n: number;
  readonly reward: RewardFunction;
  readonly seed?: number;
  /** Temperature 1 when left out. `seed` and `choice` are set here. */
  readonly generation?: Omit<GenerateOptions, 'seed' | 'choice' | 'signal' | 'search'>;
  readonly signal?: AbortSignal;
  /** Told after every batch of prompts. */
  readonly onProgress?: (done: number, total: number) => void;
}

export interface BestOf {
  readonly best: JudgedAnswer;
  /** All n, in the order in which they were drawn; the best one is the first of the highest reward. */
  readonly answers: readonly JudgedAnswer[];
  /** How far the choice moves from the model, estimated from the best one's probability; NaN where it is not known. */
  readonly kl: number;
}

/** Answers that decode together, between two calls of `onProgress`. */
const BATCH = 256;
const DEFAULT_TEMPERATURE = 1;

/**
 * The best of n samples for each prompt, in order. Throws ConfigError for n below 1, DataError for a reward that is not
 * finite, CancelledError when the signal fires: an answer cut short must not be judged.
 */
export async function bestOf(
  model: LanguageModel,
  prompts: readonly SampledPrompt[],
  options: BestOfOptions,
): Promise<BestOf[]> {
  const { n, onProgress } = options;
  checkCount('n', n);
  const found: BestOf[] = [];
  const perBatch = Math.max(1, Math.floor(BATCH / n));
  for (let at = 0; at < prompts.length; at += perBatch) {
    const some = prompts.slice(at, at + perBatch);
    const draws = some.flatMap((prompt) => Array.from({ length: n }, (_, choice) => ({ prompt, choice })));
    const judged = await judgedSamples(model, draws, options);
    for (let i = 0; i < some.length; i++) {
      const answers = judged.slice(i * n, (i + 1) * n);
      const best = answers.reduce((most, answer) => (answer.reward > most.reward ? answer : most));
      found.push({ best, answers, kl: bestOfKlEstimate(best.logprob, n) });
    }
    onProgress?.(found.length, prompts.length);
  }
  return found;
}

export interface RejectionOptions extends Omit<BestOfOptions, 'n'> {
  /** An answer is taken when its reward is at least this. */
  readonly threshold: number;
  /** Samples for a prompt at most. */
  readonly maxSamples: number;
}

export interface Rejection {
  /** The first answer that reached the threshold; undefined when none did. */
  readonly accepted: JudgedAnswer | undefined;
  /** How many were drawn, the accepted one among them. */
  readonly numSamples: number;
}

/**
 * Draws for each prompt until an answer reaches the threshold. Sample number k of a prompt is that of `bestOf` with the
 * same seed. Throws as `bestOf` does.
 */
export async function rejectionSample(
  model: LanguageModel,
  prompts: readonly SampledPrompt[],
  options: RejectionOptions,
): Promise<Rejection[]> {
  const { threshold, maxSamples, onProgress } = options;
  checkCount('maxSamples', maxSamples);
  const found: Rejection[] = prompts.map(() => ({ accepted: undefined, numSamples: 0 }));
  let open = prompts.map((_, i) => i);
  for (let choice = 0; choice < maxSamples && open.length > 0; choice++) {
    for (let at = 0; at < open.length; at += BATCH) {
      const some = open.slice(at, at + BATCH);
      const draws = some.map((i) => ({ prompt: prompts[i]!, choice }));
      const judged = await judgedSamples(model, draws, options);
      for (const [k, i] of some.entries()) {
        const accepted = judged[k]!.reward >= threshold ? judged[k]! : undefined;
        found[i] = { accepted, numSamples: choice + 1 };
      }
    }
    open = open.filter((i) => !found[i]!.accepted);
    onProgress?.(prompts.length - open.length, prompts.length);
  }
  return found;
}

/** Sample number `choice` of a prompt. */
export interface Draw {
  readonly prompt: Pick<SampledPrompt, 'messages'>;
  readonly choice: number;
}

/**
 * The completions of draws, in order, with log-probabilities where the model gives them. Throws CancelledError when
 * the signal fires.
 */
export async function sampleDraws(
  model: LanguageModel,
  draws: readonly Draw[],
  { seed = 1, generation = {}, signal }: Pick<BestOfOptions, 'seed' | 'generation' | 'signal'>,
): Promise<Completion[]> {
  const random = new KeyedRandom(seed);
  const { logprobs, seeded } = model.capabilities;
  const completions = await model.generateMany(
    draws.map(({ prompt: { messages } }) => ({ messages })),
    draws.map(({ prompt: { messages }, choice }) => ({
      ...(generation.chain === undefined && { temperature: DEFAULT_TEMPERATURE }),
      ...generation,
      ...(logprobs && { logprobs: generation.logprobs ?? 0 }),
      ...(seeded && { seed: random.fork(JSON.stringify(messages)).uint32(0), choice }),
      ...(signal && { signal }),
    })),
  );
  if (!signal?.aborted) return completions;
  throw new CancelledError('Stopped while answers were sampled. The same call samples them again.');
}

async function judgedSamples(
  model: LanguageModel,
  draws: readonly (Draw & { readonly prompt: SampledPrompt })[],
  { reward, ...sampling }: Omit<BestOfOptions, 'n'>,
): Promise<JudgedAnswer[]> {
  const completions = await sampleDraws(model, draws, sampling);
  const rewards = await reward.score(
    draws.map(({ prompt: { messages, record } }, i) => ({ messages, record, completion: completions[i]! })),
  );
  return completions.map((completion, i) => {
    const own = rewards[i];
    if (own === undefined || !Number.isFinite(own)) {
      throw new DataError(
        `The reward "${reward.name}" gave ${own} for the answer ${JSON.stringify(completion.text)}; rewards must ` +
          'be finite numbers, one for each answer.',
      );
    }
    return { completion, reward: own, logprob: logprobOf(completion) };
  });
}

function logprobOf({ logprobs }: Completion): number {
  return logprobs ? logprobs.reduce((sum, { logprob }) => sum + logprob, 0) : Number.NaN;
}

function checkCount(name: string, value: number): void {
  if (Number.isSafeInteger(value) && value >= 1) return;
  throw new ConfigError(`${name} is ${value}; expected a whole number of at least 1.`);
}
