/** What every backend of `LanguageModel` does alike with its calls: seeds, options for each prompt, the end. */
import { ConfigError, PlinthError } from '../core/errors.ts';
import type { AnswerGroup } from './answer.ts';
import { completionStream } from './completion-stream.ts';
import type {
  Completion,
  CompletionChunk,
  CompletionStream,
  GenerateOptions,
  Prompt,
} from './language-model.ts';

/** A seed for callers who gave none: 32 bits, so that it is easily typed again. */
export function freshSeed(): number {
  return crypto.getRandomValues(new Uint32Array(1))[0]!;
}

export function disposedError(): PlinthError {
  return new PlinthError('usage', 'This language model was disposed; load it again to generate.');
}

/** An answer in pieces; a reader who leaves early gives up the group that `start` is given. */
export function abandonableStream(
  start: (group: AnswerGroup, push: (chunk: CompletionChunk) => void) => Promise<Completion>,
): CompletionStream {
  const group: AnswerGroup = { isAbandoned: false };
  return completionStream(
    // A prompt or option that is refused rejects the completion.
    async (push) => start(group, push),
    () => {
      group.isAbandoned = true;
    },
  );
}

/** All completions, in order. When one fails nobody will see the others, and the group is given up. */
export async function allOrNone(
  completions: readonly Promise<Completion>[],
  group: AnswerGroup,
): Promise<Completion[]> {
  try {
    return await Promise.all(completions);
  } catch (error) {
    group.isAbandoned = true;
    throw error;
  }
}

/** The options of each prompt. Throws ConfigError when a list of them has another length. */
export function optionsOfEach(
  prompts: readonly Prompt[],
  options: GenerateOptions | readonly GenerateOptions[],
): readonly GenerateOptions[] {
  if (!Array.isArray(options)) return prompts.map(() => options as GenerateOptions);
  if (options.length !== prompts.length) {
    throw new ConfigError(
      `generateMany: ${prompts.length} prompts and ${options.length} options; give one for each, or one for all.`,
    );
  }
  return options as readonly GenerateOptions[];
}
