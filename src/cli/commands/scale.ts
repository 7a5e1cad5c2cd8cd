/** `plinth scale`: what a model of any size needs, and what is worth training. */
import { Command } from 'commander';
import { costCommand } from './scale-cost.ts';
import { fitCommand } from './scale-fit.ts';
import { flopsCommand } from './scale-flops.ts';
import { limitsCommand } from './scale-limits.ts';
import { memoryCommand } from './scale-memory.ts';
import { optimalCommand } from './scale-optimal.ts';
import { paramsCommand } from './scale-params.ts';
import { scaleSweepCommand } from './scale-sweep.ts';
import { transferCommand } from './scale-transfer.ts';

export function scaleCommand(): Command {
  const command = new Command('scale')
    .summary('count, price and predict models of any size')
    .description(
      'What a model of any size needs and what is worth training: parameters, FLOPs, memory, cost, scaling laws, sweeps, limits.',
    );
  const subcommands: Command[] = [
    paramsCommand(),
    flopsCommand(),
    memoryCommand(),
    costCommand(),
    limitsCommand(),
    optimalCommand(),
    fitCommand(),
    scaleSweepCommand(),
    transferCommand(),
  ];
  for (const subcommand of subcommands) command.addCommand(subcommand);
  return command;
}
