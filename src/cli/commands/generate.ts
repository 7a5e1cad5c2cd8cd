/** `plinth generate`: one completion of one prompt. */
import { Command } from 'commander';
import { PlinthError } from '../../core/errors.ts';
import type { Completion, LanguageModel, Prompt } from '../../decode/language-model.ts';
import { EXIT_STOPPED } from '../exit-codes.ts';
import {
  addDeviceOptions,
  addGenerationOptions,
  type DeviceFlags,
  type GenerationFlags,
  generateOptions,
  openDevice,
} from '../generation-options.ts';
import { listenForInterrupt } from '../interrupt.ts';
import { findModel } from '../model-folder.ts';
import { tokenIds } from '../option-values.ts';

interface GenerateFlags extends GenerationFlags, DeviceFlags {
  model: string;
  prompt?: string;
  promptTokens?: number[];
  chat?: string;
  stream?: boolean;
  json?: boolean;
}

const HELP = `
PROMPT is a text that the model continues, as it stands. A model trained to chat answers a question only when it
is asked in its chat format: use --chat for that. With --prompt-tokens the model needs no tokenizer, and then
"text" is empty.

--json prints one line with exactly these fields: text, tokens, finishReason (stop, length or cancelled) and
usage {promptTokens, completionTokens}. With --stream each piece comes first, as {"text","tokens"}.

Examples:
  $ plinth generate --model runs/atlas --chat "What is the capital of Kenya?"
  $ plinth generate --model ./my-model "Once upon a time" --temperature 0.8 --top-p 0.9 --seed 1 --stream
  $ plinth generate --model ./my-model --prompt-tokens 1,5,9 --max-tokens 20 --json`;

export function generateCommand(): Command {
  const command = new Command('generate')
    .summary('continue a text or answer a question')
    .description('Continue a text, or answer one question with --chat.')
    .argument('[prompt]', 'text to continue')
    .requiredOption('--model <folder>', "a model's folder, a run's folder or a run's name")
    .option('--prompt <text>', 'text to continue')
    .option('--prompt-tokens <ids>', 'token ids to continue, separated by commas', tokenIds)
    .option('--chat <text>', "a message to answer, in the model's chat format");
  addDeviceOptions(addGenerationOptions(command));
  return command
    .option('--stream', 'print the text as it comes')
    .option('--json', 'print the completion as one line of JSON')
    .addHelpText('after', HELP)
    .action(generate);
}

async function generate(text: string | undefined, flags: GenerateFlags): Promise<void> {
  const prompt = promptOf(text, flags);
  const folder = await findModel(flags.model);
  const { loadLanguageModel } = await import('../../decode/load-model.node.ts');
  using interrupt = listenForInterrupt(() => {});
  const model = await loadLanguageModel(folder, {
    device: await openDevice(flags),
    requireTokenizer: flags.promptTokens === undefined,
  });
  try {
    const options = { ...generateOptions(flags), signal: interrupt.signal };
    const completion = flags.stream
      ? await streamed(model, prompt, options, flags.json ?? false)
      : await model.generate(prompt, options);
    if (flags.json) process.stdout.write(`${JSON.stringify(resultOf(completion))}\n`);
    else if (flags.stream) process.stdout.write('\n');
    else process.stdout.write(`${completion.text === '' ? completion.tokens.join(',') : completion.text}\n`);
    if (completion.finishReason === 'cancelled') process.exitCode = EXIT_STOPPED;
  } finally {
    await model.dispose();
  }
}

function promptOf(text: string | undefined, { prompt, promptTokens, chat }: GenerateFlags): Prompt {
  const given = [text, prompt, promptTokens, chat].filter((value) => value !== undefined);
  if (given.length !== 1) {
    throw new PlinthError(
      'usage',
      `Give exactly one of PROMPT, --prompt, --prompt-tokens and --chat; got ${given.length}. See "plinth generate --help".`,
    );
  }
  if (chat !== undefined) return { messages: [{ role: 'user', content: chat }] };
  return promptTokens ?? text ?? prompt!;
}

async function streamed(
  model: LanguageModel,
  prompt: Prompt,
  options: Parameters<LanguageModel['stream']>[1],
  asJson: boolean,
): Promise<Completion> {
  const stream = model.stream(prompt, options);
  const hasText = model.tokenizer !== undefined;
  for await (const { text, tokens } of stream) {
    const plain = hasText ? text : tokens.map((id) => `${id} `).join('');
    process.stdout.write(asJson ? `${JSON.stringify({ text, tokens })}\n` : plain);
  }
  return stream.completion;
}

const resultOf = ({ text, tokens, finishReason, usage }: Completion) => ({
  text,
  tokens,
  finishReason,
  usage,
});
