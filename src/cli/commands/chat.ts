/** `plinth chat`: a talk with a model in the terminal. */
import { Command, Option } from 'commander';
import {
  addDeviceOptions,
  addGenerationOptions,
  type DeviceFlags,
  type GenerationFlags,
  generateOptions,
} from '../generation-options.ts';
import { findModel } from '../model-folder.ts';

interface ChatFlags extends GenerationFlags, DeviceFlags {
  model: string;
  system?: string;
  history?: 'on' | 'off';
}

const HELP = `
Answers appear as they are generated. Ctrl-C stops an answer; twice, it leaves. Commands: /help, /reset, /settings,
/quit. When stdin is not a terminal, every line is one message and the answers are printed line by line.

With --history on, the model sees the whole conversation; off, each question stands alone. The default is off for
models of a recipe's run, which have learned single questions only, and on for others.

Examples:
  $ plinth chat --model runs/atlas
  $ plinth chat --model ./my-model --system "Answer briefly." --temperature 0.7
  $ echo "What is the capital of Kenya?" | plinth chat --model atlas`;

export function chatCommand(): Command {
  const command = new Command('chat')
    .summary('talk with a model')
    .description('Talk with a model that has a chat format.')
    .requiredOption('--model <folder>', "a model's folder, a run's folder or a run's name")
    .option('--system <text>', 'a system message before the conversation')
    .addOption(new Option('--history <when>', 'show the model earlier turns').choices(['on', 'off']));
  addDeviceOptions(addGenerationOptions(command));
  return command.addHelpText('after', HELP).action(chat);
}

async function chat(flags: ChatFlags): Promise<void> {
  const folder = await findModel(flags.model);
  const { chatWithFolder } = await import('../chat-terminal.ts');
  await chatWithFolder(folder, {
    device: flags.device,
    threads: flags.threads,
    system: flags.system,
    history: flags.history === undefined ? undefined : flags.history === 'on',
    options: generateOptions(flags),
  });
}
