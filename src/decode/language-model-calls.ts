/** What every backend of `LanguageModel` does alike with its calls: seeds, options for each prompt, the end. */
import { ConfigError, PlinthError } from '../core/errors.ts';
import type { GenerateOptions, Prompt } from './language-model.ts';

/** A seed for callers who gave none: 32 bits, so that it is easily typed again. */
export function freshSeed(): number {
  return crypto.getRandomValues(new Uint32Array(1))[0]!;
}

export function disposedError(): PlinthError {
  return new PlinthError('usage', 'This language model was disposed; load it again to generate.');
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
