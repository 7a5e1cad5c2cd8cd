/** The options of every training that can train a low-rank adapter instead of the whole model. */
import type { Command } from 'commander';
import { PlinthError } from '../core/errors.ts';
import { ALL_LINEAR } from '../model/adapter/low-rank.ts';
import type { LowRankOptions } from '../recipe/post-training/trained-result.node.ts';
import { nameList, positiveInteger, quantity } from './option-values.ts';

export interface LowRankFlags {
  loraRank?: number;
  loraAlpha?: number;
  loraTargets?: string[];
  rslora?: boolean;
  merge?: boolean;
}

export function addLowRankOptions(command: Command): Command {
  return command
    .option('--lora-rank <number>', 'train a low-rank adapter of this rank, not the model', positiveInteger)
    .option('--lora-alpha <number>', 'scale of the adapter, alpha / rank (default: twice the rank)', quantity)
    .option(
      '--lora-targets <names>',
      `layers that get one, such as q_proj,v_proj (default: ${ALL_LINEAR})`,
      nameList,
    )
    .option('--rslora', 'scale by alpha / sqrt(rank)')
    .option('--merge', 'save the model with the adapter in it too');
}

/** Undefined where the whole model is to be trained. Throws PlinthError `usage` for flags that need --lora-rank. */
export function lowRankOf(flags: LowRankFlags): LowRankOptions | undefined {
  const { loraRank: rank, loraAlpha, loraTargets, rslora, merge = false } = flags;
  if (rank === undefined) {
    const idle = (['loraAlpha', 'loraTargets', 'rslora', 'merge'] as const).find(
      (name) => flags[name] !== undefined,
    );
    if (idle === undefined) return undefined;
    const flag = idle.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
    throw new PlinthError('usage', `--${flag} is about an adapter; give --lora-rank too, or leave it out.`);
  }
  return {
    rank,
    alpha: loraAlpha ?? 2 * rank,
    targets: loraTargets === undefined || loraTargets.includes(ALL_LINEAR) ? ALL_LINEAR : loraTargets,
    ...(rslora && { rankStabilised: true }),
    merge,
  };
}
