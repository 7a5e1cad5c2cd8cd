/**
 * Answers that a policy gives now: prompts drawn by key, several answers each in one batch, each answer's tokens as
 * actions and its reward.
 */
import { CancelledError, DataError } from '../../core/errors.ts';
import { KeyedRandom } from '../../core/random.ts';
import { RowOrder } from '../../data/tokens/row-order.ts';
import type { Completion, LanguageModel } from '../../decode/language-model.ts';
import type { ChatMessage } from '../../tokenizer/index.ts';
import type { RewardFunction } from '../reward-function.ts';
import { answeredRow, type SequenceRow } from '../sequence-row.ts';

export interface RlPrompt {
  readonly messages: readonly ChatMessage[];
  /** The line of data, for the reward. */
  readonly record: Readonly<Record<string, unknown>>;
  /** With the header of the assistant's turn at the end. */
  readonly ids: Int32Array;
}

export interface Rollout {
  readonly prompt: RlPrompt;
  readonly completion: Completion;
  /** The prompt as evidence; the answer as actions, the token that ended it among them. */
  readonly row: SequenceRow;
  readonly reward: number;
  /** Cut at the greatest length. */
  readonly isCut: boolean;
}

/** All answers to one prompt. */
export type RolloutGroup = readonly Rollout[];

/** Prompts by number: every one once in each pass, in an order that hangs on the seed and the pass alone. */
export class PromptDeck {
  readonly #prompts: readonly RlPrompt[];
  readonly #order: RowOrder;
  readonly #rounds: number;

  /** @param rounds draws of an iteration, at most. */
  constructor(prompts: readonly RlPrompt[], promptsPerStep: number, rounds: number, seed: number) {
    this.#prompts = prompts;
    this.#order = new RowOrder(prompts.length, promptsPerStep, seed);
    this.#rounds = rounds;
  }

  draw(iteration: number, round = 0): RlPrompt[] {
    const rows = this.#order.rowsOf(iteration * this.#rounds + round);
    return Array.from(rows, ({ row }) => this.#prompts[row]!);
  }
}

export interface RolloutOptions {
  readonly groupSize: number;
  readonly temperature: number;
  readonly maxTokens: number;
  /** Answers hang on this and on the prompt's place among `prompts`. */
  readonly seed: number;
  readonly signal?: AbortSignal | undefined;
}

/**
 * `groupSize` answers to each prompt. Throws DataError for a reward that is not a finite number, CancelledError when
 * the signal fires: an answer cut short must not be judged.
 */
export async function sampleRollouts(
  model: LanguageModel,
  prompts: readonly RlPrompt[],
  reward: RewardFunction,
  { groupSize, temperature, maxTokens, seed, signal }: RolloutOptions,
): Promise<RolloutGroup[]> {
  const random = new KeyedRandom(seed);
  const asked = prompts.flatMap((prompt) => new Array<RlPrompt>(groupSize).fill(prompt));
  const completions = await model.generateMany(
    asked.map(({ ids }) => ids),
    asked.map((_, i) => ({
      maxTokens,
      temperature,
      seed: random.uint32(Math.floor(i / groupSize)),
      choice: i % groupSize,
      ...(signal && { signal }),
    })),
  );
  if (signal?.aborted) {
    throw new CancelledError(
      'Stopped while answers were sampled. The same command goes on from the last step saved.',
    );
  }
  const rewards = await reward.score(
    asked.map(({ messages, record }, i) => ({ messages, record, completion: completions[i]! })),
  );
  const rollouts = asked.map((prompt, i) => {
    const completion = completions[i]!;
    const { tokens, stopToken, finishReason } = completion;
    const own = rewards[i];
    if (own === undefined || !Number.isFinite(own)) {
      throw new DataError(
        `The reward "${reward.name}" gave ${own} for the answer ${JSON.stringify(completion.text)}; rewards must be ` +
          'finite numbers, one for each answer. Nothing was learned from it.',
      );
    }
    return {
      prompt,
      completion,
      row: answeredRow(prompt.ids, stopToken === undefined ? tokens : [...tokens, stopToken]),
      reward: own,
      isCut: finishReason === 'length',
    };
  });
  return prompts.map((_, i) => rollouts.slice(i * groupSize, (i + 1) * groupSize));
}
