/** `plinth chat`: a talk with a model in the terminal. */
import { Command, Option } from 'commander';
import type { ChatSettings } from '../chat-settings.ts';
import { fieldOf, GENERATION_FLAGS, type GenerationFlags } from '../generate/generation-flags.ts';
import {
  addGenerationOptions,
  addModelOptions,
  generateOptions,
  type ModelFlags,
  refuseUnsupported,
} from '../generation-options.ts';

interface ChatFlags extends GenerationFlags, ModelFlags {
  system?: string;
  history?: 'on' | 'off';
  trim?: ChatSettings['trim'];
  showProbabilities?: boolean;
  json?: boolean;
  color: boolean;
  lineHistory: boolean;
}

const HELP = `
Answers appear as they are generated. Ctrl-C stops an answer; twice, it leaves. /help lists the commands: settings
change with /set, named as the flags here; answers can be edited, taken back, repeated, continued and saved. A line
that ends with a backslash goes on in the next one.

With --history on, the model sees the whole conversation; off, each question stands alone. The default is off for
models of a recipe's run, which have learned single questions only, and on for others. When the conversation
outgrows the context, --trim oldest leaves the oldest turns out and says so; --trim error refuses.

When stdin is not a terminal, every line is one message or command and the answers are printed line by line; a line
that fails is said on stderr and the exit code is 1. With --json each line gives one line: {"text","tokens",
"finishReason","usage"} (and "seed" with sampling options, "logprobs" with --show-probabilities, "messagesLeftOut"
when some are), {"command","text"} or {"error":{"code","message"}}.

Lines typed on a terminal are kept for the arrow keys of the next talk, in $XDG_STATE_HOME/plinth/chat-lines
(~/.local/state), readable by you alone; --no-line-history keeps none.

Examples:
  $ plinth chat --model runs/atlas
  $ plinth chat --model ./my-model --system "Answer briefly." --temperature 0.7
  $ plinth chat --model runs/atlas --show-probabilities
  $ echo "What is the capital of Kenya?" | plinth chat --model atlas`;

export function chatCommand(): Command {
  const command = new Command('chat')
    .summary('talk with a model')
    .description('Talk with a model that has a chat format.')
    .optionsGroup('Model:');
  addModelOptions(command)
    .optionsGroup('Conversation:')
    .option('--system <text>', 'a system message before the conversation')
    .addOption(
      new Option('--history <when>', 'show the model earlier turns')
        .choices(['on', 'off'])
        .helpGroup('Conversation:'),
    )
    .addOption(
      new Option('--trim <what>', 'when the conversation outgrows the context (default: oldest)')
        .choices(['oldest', 'error'])
        .helpGroup('Conversation:'),
    )
    .optionsGroup('Output:')
    .option('--show-probabilities', 'colour every token by its probability; list the uncertain ones')
    .option('--json', 'one line of JSON for each line of input')
    .option('--no-color', 'no colours; uncertain tokens are marked by brackets')
    .option('--no-line-history', 'do not keep typed lines for the next talk');
  addGenerationOptions(command, ['log-probabilities']);
  return command.addHelpText('after', HELP).action(chat);
}

async function chat(flags: ChatFlags): Promise<void> {
  const { model, quantize, draft, determinism, device, threads, system, history, trim } = flags;
  const generation = Object.fromEntries(
    GENERATION_FLAGS.map(({ name }) => [fieldOf(name), flags[fieldOf(name)]]).filter(
      ([, value]) => value !== undefined,
    ),
  ) as GenerationFlags;
  // Faults of the flags are wrong usage, before a model is opened.
  generateOptions(generation);
  const { chatWithFolder } = await import('../chat-terminal.ts');
  await chatWithFolder(model, {
    quantize,
    draft,
    determinism,
    device,
    threads,
    settings: {
      flags: generation,
      probabilities: flags.showProbabilities ?? false,
      ...(system !== undefined && { system }),
      ...(history !== undefined && { history: history === 'on' }),
      ...(trim !== undefined && { trim }),
    },
    asJson: flags.json ?? false,
    useColour: flags.color,
    keepLines: flags.lineHistory,
    check: (loaded) => refuseUnsupported(generation, loaded),
  });
}
