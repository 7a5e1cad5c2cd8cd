/** The options that `plinth scale cost` and `plinth scale limits` share: what runs, on what, on what terms. */
import { type Command, Option } from 'commander';
import { PlinthError } from '../../core/errors.ts';
import type { NumberFormat, RunTerms } from '../../scaling/cost/index.ts';
import { notNegative, positiveInteger, quantity, share } from '../option-values.ts';
import { type ArchitectureFlags, addArchitectureOptions } from './architecture-options.ts';
import type { WorkModel } from './work-model.ts';

export interface WorkFlags extends ArchitectureFlags {
  flops?: number;
  params?: number;
  tokens?: number;
}

export interface TermFlags {
  accelerator?: string;
  count?: number;
  format?: NumberFormat;
  peak?: number;
  utilization?: number;
  price?: number;
  powerWatts?: number;
  hostFactor?: number;
  pue?: number;
  region?: string;
  carbon?: number;
}

export function addWorkOptions(command: Command): Command {
  return addArchitectureOptions(command)
    .option('--flops <number>', 'compute of the whole run, such as 3.14e23', quantity)
    .option('--params <number>', 'parameters that a token uses, such as 175B', quantity)
    .option('--tokens <number>', 'training tokens, such as 300B or 1.4T', quantity);
}

export function addTermOptions(command: Command): Command {
  return command
    .option('--accelerator <name>', 'of "plinth scale cost --list" (default: h100-sxm)')
    .option('--count <number>', 'accelerators (default: 1)', positiveInteger)
    .addOption(
      new Option(
        '--format <name>',
        'whose dense peak counts (default: bf16, or what the chip has instead)',
      ).choices(['fp32', 'tf32', 'fp16', 'bf16', 'fp8', 'fp4']),
    )
    .option('--peak <flop/s>', 'dense peak of one accelerator, such as 989T, instead of the table', quantity)
    .option('--utilization <share>', 'of the peak (MFU), such as 0.4 (default: 0.3 to 0.5)', share)
    .option('--price <dollars>', 'for an hour of one accelerator (default: of the table)', notNegative)
    .option('--power-watts <watts>', 'of one accelerator (default: of the table)', quantity)
    .option('--host-factor <number>', 'servers over accelerators (default: 1 to 1.82)', quantity)
    .option('--pue <number>', 'site over servers (default: 1.09 to 1.56)', quantity)
    .option('--region <name>', 'whose electricity: world, us, eu, france ... (default: world)')
    .option('--carbon <grams>', 'CO2 equivalent of a kWh, instead of the region', notNegative);
}

export function termsOf(flags: TermFlags): RunTerms {
  return {
    ...(flags.accelerator !== undefined && { accelerator: flags.accelerator }),
    ...(flags.format !== undefined && { format: flags.format }),
    ...(flags.peak !== undefined && { peakFlops: flags.peak }),
    ...(flags.utilization !== undefined && { utilization: flags.utilization }),
    ...(flags.price !== undefined && { pricePerHour: flags.price }),
    ...(flags.powerWatts !== undefined && { powerWatts: flags.powerWatts }),
    ...(flags.hostFactor !== undefined && { hostFactor: flags.hostFactor }),
    ...(flags.pue !== undefined && { pue: flags.pue }),
    ...(flags.region !== undefined && { region: flags.region }),
    ...(flags.carbon !== undefined && { carbonGramsPerKWh: flags.carbon }),
  };
}

/** What a run computes and where that comes from. */
export interface Work {
  readonly flops: number;
  readonly params?: number;
  readonly tokens?: number;
  /** How the FLOPs were found, for people. */
  readonly rule: string;
}

/**
 * FLOPs as given, or 6 x parameters x tokens (Kaplan et al. 2020, section 2.1), or by the count of an architecture.
 * Undefined when neither FLOPs nor tokens are given.
 * @throws PlinthError (usage) for combinations that say too much or too little
 */
export function workOf(flags: WorkFlags, model?: WorkModel): Work | undefined {
  const { flops, params, tokens } = flags;
  const ways = 'Give --flops, or --params and --tokens, or --preset (--config, --model) and --tokens.';
  if (flops !== undefined && (params !== undefined || model)) {
    throw new PlinthError('usage', `--flops already says the compute. ${ways}`);
  }
  if (params !== undefined && model) {
    throw new PlinthError('usage', `--params and an architecture both say the size. ${ways}`);
  }
  if (flops !== undefined) {
    return { flops, ...(tokens !== undefined && { tokens }), rule: 'given' };
  }
  if (tokens === undefined) return undefined;
  if (model) return { flops: model.flopsPerToken * tokens, params: model.params, tokens, rule: model.rule };
  if (params === undefined) throw new PlinthError('usage', `--tokens needs a size. ${ways}`);
  return { flops: 6 * params * tokens, params, tokens, rule: '6 x parameters x tokens' };
}
