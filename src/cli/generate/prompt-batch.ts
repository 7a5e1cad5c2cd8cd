/**
 * Many prompts in one go: answers come in the order of the prompts, as soon as they and all before them are
 * ready, so that a stopped run leaves whole lines. A prompt that cannot be answered gives its error and does not
 * stop the others.
 */
import { PlinthError } from '../../core/errors.ts';
import type { Completion, GenerateOptions, LanguageModel } from '../../decode/language-model.ts';
import type { NamedPrompt } from './prompt-source.ts';

/** Answers under way at a time: enough that an engine's batch is always full. */
const MAX_UNDER_WAY = 256;
/** Faults of one prompt; every other error concerns all. */
const OF_ONE_PROMPT: ReadonlySet<string> = new Set(['data', 'limit', 'tokenizer', 'not-finite']);

export interface PromptAnswer {
  readonly id: string | number;
  readonly result: readonly Completion[] | PlinthError;
}

/** `numChoices` completions of one prompt: choices 0 and following of the options' seed. */
export function choicesOf(
  model: LanguageModel,
  prompt: NamedPrompt['prompt'],
  options: GenerateOptions,
  numChoices: number,
): Promise<Completion[]> {
  return model.generateMany(
    Array.from({ length: numChoices }, () => prompt),
    Array.from({ length: numChoices }, (_, choice) => ({ ...options, choice })),
  );
}

/** Ends early, without the answers under way, when the options' signal is aborted. */
export async function* answerPrompts(
  model: LanguageModel,
  prompts: readonly NamedPrompt[],
  options: GenerateOptions,
  numChoices: number,
): AsyncGenerator<PromptAnswer> {
  const width = model.capabilities.batching ? Math.max(1, Math.floor(MAX_UNDER_WAY / numChoices)) : 1;
  const underWay: Promise<PromptAnswer>[] = [];
  let next = 0;
  const answer = async ({ id, prompt }: NamedPrompt): Promise<PromptAnswer> => {
    try {
      return { id, result: await choicesOf(model, prompt, options, numChoices) };
    } catch (error) {
      if (error instanceof PlinthError && OF_ONE_PROMPT.has(error.code)) return { id, result: error };
      throw error;
    }
  };
  while (next < prompts.length || underWay.length > 0) {
    while (next < prompts.length && underWay.length < width) {
      const started = answer(prompts[next++]!);
      // Waited for in turn below; until then a rejection must not count as unhandled.
      started.catch(() => {});
      underWay.push(started);
    }
    const first = await underWay.shift()!;
    if (options.signal?.aborted) return;
    yield first;
  }
}
