/** `plinth generate`: completions of one prompt, or of a file of prompts. */
import { Command } from 'commander';
import { PlinthError } from '../../core/errors.ts';
import type { GenerateOptions } from '../../decode/language-model.ts';
import { printAnswers, printBatch } from '../generate/print-answers.ts';
import { DEFAULT_ALTERNATIVES, logprobsFor } from '../generate/probability-view.ts';
import { type PromptFlags, type PromptSource, readPrompts } from '../generate/prompt-source.ts';
import {
  addGenerationOptions,
  addModelOptions,
  type GenerationFlags,
  generateOptions,
  hasChance,
  hasSampling,
  type ModelFlags,
  openModel,
  refuseUnsupported,
} from '../generation-options.ts';
import { listenForInterrupt } from '../interrupt.ts';
import { positiveInteger, tokenIds } from '../option-values.ts';

interface GenerateFlags extends GenerationFlags, ModelFlags, PromptFlags {
  n?: number;
  stream?: boolean;
  json?: boolean;
  showProbabilities?: boolean;
  color: boolean;
}

const HELP = `
PROMPT is a text that the model continues, as it stands. A model trained to chat answers a question only when it
is asked in its chat format: use --chat or --messages for that. With --prompt-tokens the model needs no tokenizer,
and then "text" is empty. Without any of these the prompt is read from stdin, if that is no terminal. A file named
"-" is stdin. One line break at the end of a file or of stdin is not part of the prompt.

The answer goes to stdout, everything else to stderr. On a terminal, control characters in it are shown as escapes.

--json prints one line with exactly these fields: text, tokens, finishReason (stop, length or cancelled) and
usage {promptTokens, completionTokens}. Options add to them: any sampling option "seed", --stop-tokens "stopToken",
--logprobs "logprobs", --prompt-logprobs "promptLogprobs". With --stream each piece comes first, as {"text","tokens"}.
--n prints one line for each choice, with "choice" in front.

--prompts FILE reads {"prompt":"..."} (or token ids) or {"messages":[...]} from each line, with an "id" if you like,
and prints such a line for each, in the same order, with the id (or the number of the line) in front. A prompt that
cannot be answered gives {"id","error":{"code","message"}}, the others go on, and the exit code is 1.

Examples:
  $ plinth generate --model runs/atlas --chat "What is the capital of Kenya?"
  $ plinth generate --model ./my-model "Once upon a time" --temperature 0.8 --top-p 0.9 --seed 1 --stream
  $ plinth generate --model ./my-model "Once upon a time" --temperature 1 --n 5 --json
  $ plinth generate --model ./my-model --prompt-tokens 1,5,9 --max-tokens 20 --json
  $ plinth generate --model runs/atlas --chat "What is the capital of Kenya?" --show-probabilities
  $ plinth generate --model runs/atlas --prompts questions.jsonl > answers.jsonl`;

export function generateCommand(): Command {
  const command = new Command('generate')
    .summary('continue a text or answer a question')
    .description('Continue a text, or answer a question with --chat.')
    .argument('[prompt]', 'text to continue')
    .optionsGroup('Model:');
  addModelOptions(command)
    .optionsGroup('Prompt:')
    .option('--prompt <text>', 'text to continue')
    .option('--prompt-file <file>', 'file with the text to continue')
    .option('--prompt-tokens <ids>', 'token ids to continue, separated by commas', tokenIds)
    .option('--chat <text>', "a message to answer, in the model's chat format")
    .option('--messages <file>', 'JSON file with a chat to answer: [{"role","content"}, ...]')
    .option('--system <text>', 'a system message before the chat')
    .option('--prompts <file>', 'JSON lines with many prompts; the answers are JSON lines too')
    .optionsGroup('Output:')
    .option('--n <number>', 'so many different answers to each prompt', positiveInteger)
    .option('--stream', 'print the text as it comes')
    .option('--json', 'print the completion as one line of JSON')
    .option('--show-probabilities', 'colour every token by its probability; list the uncertain ones')
    .option('--no-color', 'mark uncertain tokens by brackets instead of colours');
  addGenerationOptions(command);
  return command.addHelpText('after', HELP).action(generate);
}

async function generate(text: string | undefined, flags: GenerateFlags): Promise<void> {
  const options = optionsOf(flags);
  const source = await readPrompts(text, flags);
  checkOutput(flags, source);
  using interrupt = listenForInterrupt(() => {});
  const model = await openModel(flags, { requireTokenizer: flags.promptTokens === undefined });
  try {
    refuseUnsupported(flags, model);
    const signalled = { ...options, signal: interrupt.signal };
    const form = {
      numChoices: flags.n,
      asJson: flags.json ?? false,
      isStreamed: flags.stream ?? false,
      numAlternatives: flags.showProbabilities ? (flags.logprobs ?? DEFAULT_ALTERNATIVES) : undefined,
      useColour: flags.color,
      showSeed: flags.seed !== undefined || hasSampling(options) || flags.n !== undefined,
      // Otherwise only --json tells which seed would repeat the answer.
      noteSeed: flags.seed === undefined && hasSampling(options) && hasChance(options),
      showStopToken: flags.stopTokens !== undefined,
    };
    if (source.kind === 'many') await printBatch(model, source, signalled, form);
    else await printAnswers(model, source.prompt, signalled, form);
  } finally {
    await model.dispose();
  }
}

function optionsOf(flags: GenerateFlags): GenerateOptions {
  const options = generateOptions(flags);
  if (flags.n !== undefined && flags.n > 1) {
    if (options.search) {
      throw usage('--n asks for different draws, and a search draws nothing: it finds one answer.');
    }
    if (!hasChance(options)) {
      throw usage(
        `--n ${flags.n} without chance gives the same answer ${flags.n} times; give --temperature too.`,
      );
    }
  }
  if (!flags.showProbabilities) return options;
  return { ...options, logprobs: logprobsFor(flags.logprobs) };
}

/** Refuses what would be asked for and not be seen. */
function checkOutput(flags: GenerateFlags, source: PromptSource): void {
  const isJson = flags.json || source.kind === 'many';
  if (source.kind === 'many' && flags.stream) {
    throw usage(
      '--stream shows one answer as it comes; with --prompts every line comes as soon as it is whole.',
    );
  }
  if (flags.stream && (flags.n ?? 1) > 1 && !isJson) {
    throw usage('--stream with --n mixes several texts; add --json, which says of each piece whose it is.');
  }
  if (flags.showProbabilities && isJson) {
    throw usage('--show-probabilities is for reading; with JSON the numbers come by --logprobs.');
  }
  if (flags.showProbabilities && flags.stream) {
    throw usage('--show-probabilities needs the whole answer; leave --stream out.');
  }
  if (flags.logprobs !== undefined && !isJson && !flags.showProbabilities) {
    throw usage('--logprobs are shown by --json or --show-probabilities; give one of them.');
  }
  if (flags.promptLogprobs !== undefined && !isJson) {
    throw usage('--prompt-logprobs are shown by --json; give it too.');
  }
  const hasLogprobs =
    flags.showProbabilities || flags.logprobs !== undefined || flags.promptLogprobs !== undefined;
  if (flags.logprobsMode !== undefined && !hasLogprobs) {
    throw usage('--logprobs-mode says which --logprobs are meant; give --logprobs too.');
  }
}

const usage = (message: string) => new PlinthError('usage', `${message} See "plinth generate --help".`);
