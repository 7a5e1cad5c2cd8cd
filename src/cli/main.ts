/**
 * The command line: builds the program of commands, runs one, and turns whatever happens into an exit code.
 * Commands import their heavy parts when they run, so that `--help` answers at once.
 */
import { Command, CommanderError } from 'commander';
import { packageVersion } from '../core/package-root.node.ts';
import { chatCommand } from './commands/chat.ts';
import { dataCommand } from './commands/data.ts';
import { demonstrateCommand } from './commands/demonstrate.ts';
import { exportCommand } from './commands/export.ts';
import { generateCommand } from './commands/generate.ts';
import { loraCommand } from './commands/lora.ts';
import { newCommand } from './commands/new.ts';
import { planCommand } from './commands/plan.ts';
import { preferCommand } from './commands/prefer.ts';
import { quantizeCommand } from './commands/quantize.ts';
import { rewardCommand } from './commands/reward.ts';
import { rlCommand } from './commands/rl.ts';
import { runCommand } from './commands/run.ts';
import { scaleCommand } from './commands/scale.ts';
import { sftCommand } from './commands/sft.ts';
import { tokenizerCommand } from './commands/tokenizer.ts';
import { trainCommand } from './commands/train.ts';
import { EXIT_OK, EXIT_USAGE, endingOf } from './exit-codes.ts';
import type { Installation } from './installation.ts';

const EXAMPLES = `
Examples:
  $ plinth run atlas                       train the small atlas model and talk to it
  $ plinth new fruit --from fruit.csv      draft a recipe from a table
  $ plinth run fruit --minutes 10
  $ plinth generate --model runs/fruit/model --chat "What colour is a lemon?"

Exit codes: 0 done, 1 error, 2 wrong usage, 130 stopped by Ctrl-C.
With --json a command prints its result, or {"error":{"code","message"}}, as one line on stdout.`;

/** Runs one command line (without the names of node and the script) and returns the exit code. */
export async function main(
  argv: readonly string[],
  installation: Installation = { isCheckout: true },
): Promise<number> {
  const asJson = argv.includes('--json');
  let usageText = '';
  const program = new Command('plinth')
    .description(
      'Foundation models, end to end, in TypeScript: train, finetune and run small models of your own.',
    )
    .version(packageVersion(), '-V, --version', 'print the version')
    .helpCommand(false)
    .addHelpText('after', EXAMPLES);
  for (const command of [
    runCommand(installation),
    planCommand(installation),
    newCommand(),
    dataCommand(),
    trainCommand(),
    sftCommand(),
    rewardCommand(),
    preferCommand(),
    rlCommand(),
    demonstrateCommand(),
    loraCommand(),
    generateCommand(),
    chatCommand(),
    quantizeCommand(),
    exportCommand(),
    tokenizerCommand(),
    scaleCommand(),
  ]) {
    program.addCommand(command);
  }
  if (argv.length === 0) {
    program.outputHelp();
    return EXIT_OK;
  }
  forEachCommand(program, (command) => {
    command.exitOverride().configureOutput({
      writeErr: (text) => {
        usageText += text;
      },
    });
  });
  try {
    await program.parseAsync(argv as string[], { from: 'user' });
    return Number(process.exitCode ?? EXIT_OK);
  } catch (error) {
    if (error instanceof CommanderError) {
      if (error.exitCode === 0) return EXIT_OK;
      const text = usageText.trim() || error.message;
      if (asJson) process.stdout.write(`${JSON.stringify({ error: { code: 'usage', message: text } })}\n`);
      else process.stderr.write(`${text}\nSee "plinth ${commandName(program, argv)}--help".\n`);
      return EXIT_USAGE;
    }
    const ending = endingOf(error, asJson);
    process.stdout.write(ending.stdout);
    process.stderr.write(ending.stderr);
    return ending.exitCode;
  }
}

function forEachCommand(command: Command, visit: (command: Command) => void): void {
  visit(command);
  for (const child of command.commands) forEachCommand(child, visit);
}

/** The commands that the line begins with, each followed by a space. */
function commandName(program: Command, argv: readonly string[]): string {
  let name = '';
  let command = program;
  for (const word of argv) {
    const child = command.commands.find((one) => one.name() === word);
    if (!child) break;
    name += `${word} `;
    command = child;
  }
  return name;
}
