/** Prints answers as `plinth generate` was asked to: plain, piece by piece, as JSON, or with probabilities. */
import { messageOf, PlinthError } from '../../core/errors.ts';
import type { Completion, GenerateOptions, LanguageModel, Prompt } from '../../decode/language-model.ts';
import { EXIT_ERROR, EXIT_STOPPED } from '../exit-codes.ts';
import { styleFor, uncolored } from '../terminal/style.ts';
import { colourDepth } from '../terminal/token-colours.ts';
import { shownOn } from '../terminal/visible-text.ts';
import { completionJson } from './completion-json.ts';
import { markedText, probabilityTable, widthOf } from './probability-view.ts';
import { answerPrompts, choicesOf } from './prompt-batch.ts';
import type { PromptSource } from './prompt-source.ts';

export interface AnswerForm {
  /** Choices were asked for; 1 is still said. */
  readonly numChoices: number | undefined;
  readonly asJson: boolean;
  readonly isStreamed: boolean;
  /** Probabilities are shown, with so many alternatives. */
  readonly numAlternatives: number | undefined;
  readonly useColour: boolean;
  readonly showSeed: boolean;
  /** Say the seed on a terminal: it was drawn, and repeats the answer. */
  readonly noteSeed: boolean;
  readonly showStopToken: boolean;
}

export async function printAnswers(
  model: LanguageModel,
  prompt: Prompt,
  options: GenerateOptions,
  form: AnswerForm,
): Promise<void> {
  const { numChoices, asJson, isStreamed } = form;
  const completions = isStreamed
    ? await streamed(model, prompt, options, form)
    : numChoices === undefined
      ? [await model.generate(prompt, options)]
      : await choicesOf(model, prompt, options, numChoices);
  for (const [choice, completion] of completions.entries()) {
    if (asJson) printJson(completion, model, form, numChoices === undefined ? undefined : choice);
    else if (!isStreamed) printPlain(completion, choice, completions.length, model, form);
    else process.stdout.write('\n');
  }
  noteSeed(completions[0]!, form);
  if (completions.some(({ finishReason }) => finishReason === 'cancelled')) process.exitCode = EXIT_STOPPED;
}

/** One line of JSON for each answer, in the order of the prompts. */
export async function printBatch(
  model: LanguageModel,
  { prompts, notes }: PromptSource & { readonly kind: 'many' },
  options: GenerateOptions,
  form: AnswerForm,
): Promise<void> {
  for (const note of notes) process.stderr.write(`${note}\n`);
  let numDone = 0;
  let numFailed = 0;
  // Without a seed of its own each prompt would get another one, and no single number would repeat the file.
  const seed = options.seed ?? crypto.getRandomValues(new Uint32Array(1))[0]!;
  for await (const { id, result } of answerPrompts(
    model,
    prompts,
    { ...options, seed },
    form.numChoices ?? 1,
  )) {
    numDone++;
    if (result instanceof PlinthError) {
      numFailed++;
      printLine({ id, error: { code: result.code, message: messageOf(result) } });
      continue;
    }
    for (const [choice, completion] of result.entries()) {
      printJson(completion, model, form, form.numChoices === undefined ? undefined : choice, id);
    }
  }
  if (numFailed > 0) {
    process.stderr.write(
      `${numFailed} of ${prompts.length} prompts could not be answered; their lines say why.\n`,
    );
    process.exitCode = EXIT_ERROR;
  }
  if (options.signal?.aborted) {
    process.stderr.write(`Stopped after ${numDone} of ${prompts.length} prompts.\n`);
    process.exitCode = EXIT_STOPPED;
  }
}

async function streamed(
  model: LanguageModel,
  prompt: Prompt,
  options: GenerateOptions,
  { numChoices, asJson }: AnswerForm,
): Promise<Completion[]> {
  const hasText = model.tokenizer !== undefined || !model.capabilities.tokens;
  const seed = options.seed ?? crypto.getRandomValues(new Uint32Array(1))[0]!;
  const choices = Array.from({ length: numChoices ?? 1 }, async (_, choice) => {
    const own = numChoices === undefined ? options : { ...options, seed, choice };
    const stream = model.stream(prompt, own);
    for await (const { text, tokens } of stream) {
      if (asJson) printLine({ ...(numChoices !== undefined && { choice }), text, tokens });
      else {
        process.stdout.write(hasText ? shownOn(process.stdout, text) : tokens.map((id) => `${id} `).join(''));
      }
    }
    return stream.completion;
  });
  return Promise.all(choices);
}

function printPlain(
  completion: Completion,
  choice: number,
  numChoices: number,
  model: LanguageModel,
  form: AnswerForm,
): void {
  const notes = form.useColour ? styleFor(process.stderr, process.env) : uncolored;
  if (numChoices > 1) process.stderr.write(`${notes.dim(`choice ${choice}`)}\n`);
  if (form.numAlternatives === undefined) {
    const { text, tokens } = completion;
    const hasText = model.tokenizer !== undefined || text !== '';
    process.stdout.write(`${hasText ? shownOn(process.stdout, text) : tokens.join(',')}\n`);
    return;
  }
  const depth = colourDepth(process.stdout, process.env, form.useColour);
  const style = form.useColour ? styleFor(process.stdout, process.env) : uncolored;
  const { tokenizer } = model;
  const table = probabilityTable(tokenizer, completion, {
    depth,
    style,
    numAlternatives: form.numAlternatives,
    width: widthOf(process.stdout),
  });
  process.stdout.write(`${markedText(tokenizer, completion, depth)}\n\n${table}\n`);
}

function printJson(
  completion: Completion,
  { tokenizer }: LanguageModel,
  { showSeed, showStopToken }: AnswerForm,
  choice?: number,
  id?: string | number,
): void {
  printLine(
    completionJson(completion, {
      tokenizer,
      id,
      choice,
      showSeed: showSeed || id !== undefined,
      showStopToken,
    }),
  );
}

function noteSeed({ seed }: Completion, { noteSeed: isNoted, asJson }: AnswerForm): void {
  if (!isNoted || asJson || !process.stderr.isTTY) return;
  process.stderr.write(`${styleFor(process.stderr, process.env).dim(`seed ${seed}`)}\n`);
}

function printLine(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value)}\n`);
}
