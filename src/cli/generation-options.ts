/** The options that every command which generates text has, and how they become `GenerateOptions`. */
import { type Command, Option } from 'commander';
import type { GenerateOptions } from '../decode/language-model.ts';
import { collect, notNegative, positiveInteger, share, wholeNumber } from './option-values.ts';

export interface GenerationFlags {
  maxTokens?: number;
  temperature?: number;
  topK?: number;
  topP?: number;
  seed?: number;
  stop?: string[];
}

export interface DeviceFlags {
  device?: 'cpu' | 'webgpu' | 'cuda';
  threads?: number;
}

export function addGenerationOptions(command: Command): Command {
  return command
    .option('--max-tokens <number>', 'longest answer in tokens (default: 256)', positiveInteger)
    .option('--temperature <number>', '0 always takes the likeliest token (default: 0)', notNegative)
    .option('--top-k <number>', 'draw among the K likeliest tokens', positiveInteger)
    .option('--top-p <number>', 'draw among the likeliest tokens that together have probability P', share)
    .option('--seed <number>', 'seed of the draws: same seed, same answer', wholeNumber)
    .option('--stop <text>', 'end the answer before this text; may be repeated', collect);
}

export function addDeviceOptions(command: Command): Command {
  return command
    .addOption(
      new Option('--device <name>', 'where to compute (default: cpu)').choices(['cpu', 'webgpu', 'cuda']),
    )
    .option('--threads <number>', 'threads of the CPU (default: all cores)', positiveInteger);
}

export function generateOptions({
  maxTokens,
  temperature,
  topK,
  topP,
  seed,
  stop,
}: GenerationFlags): GenerateOptions {
  return {
    ...(maxTokens !== undefined && { maxTokens }),
    ...(temperature !== undefined && { temperature }),
    ...(topK !== undefined && { topK }),
    ...(topP !== undefined && { topP }),
    ...(seed !== undefined && { seed }),
    ...(stop !== undefined && { stop }),
  };
}

export async function openDevice({ device = 'cpu', threads }: DeviceFlags) {
  const { nodeDeviceByName } = await import('../runtime/index.node.ts');
  return nodeDeviceByName(device, threads === undefined ? {} : { numThreads: threads });
}
