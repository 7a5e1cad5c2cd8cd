/**
 * Which model a `plinth scale` command is about: a preset by name, a config.json, or a folder (or finished run)
 * with one. Shared by all commands that count.
 */
import { join } from 'node:path';
import { type Command, InvalidArgumentError } from 'commander';
import { DataError, PlinthError } from '../../core/errors.ts';
import type { Architecture } from '../../scaling/architecture/index.ts';

/** More than there is text of any kind; keeps products of it finite. */
const MAX_TOKENS = 1e30;

export interface ArchitectureFlags {
  preset?: string;
  config?: string;
  model?: string;
}

/** Adds --preset, --config and --model. */
export function addArchitectureOptions(command: Command): Command {
  return command
    .option(
      '--preset <name>',
      'a well-known model, such as gpt2 or llama-2-7b ("plinth scale params --list")',
    )
    .option('--config <file>', "a config.json (Hugging Face's keys, state-spaces', nanoGPT's or Plinth's)")
    .option('--model <folder>', 'a folder with config.json, or a finished run by name');
}

/**
 * The model that the flags name.
 * @throws PlinthError `usage` unless exactly one flag is given, DataError when the file is not there, ConfigError
 * when its content is not understood.
 */
export async function architectureFromFlags(flags: ArchitectureFlags): Promise<Architecture> {
  const given = [flags.preset, flags.config, flags.model].filter((flag) => flag !== undefined);
  if (given.length !== 1) {
    throw new PlinthError(
      'usage',
      `${given.length === 0 ? 'Say which model:' : 'Give one model only:'} --preset NAME (such as gpt2), --config FILE, or --model FOLDER. "plinth scale params --list" shows the presets.`,
    );
  }
  const { architectureFromConfig, architectureOf } = await import('../../scaling/architecture/index.ts');
  if (flags.preset !== undefined) return architectureOf(flags.preset);
  const path = flags.config ?? join(await modelFolder(flags.model!), 'config.json');
  const { readJsonFile } = await import('../../core/json-file.node.ts');
  const json = await readJsonFile(path, 'Expected the config.json of a model.');
  if (json === undefined)
    throw new DataError(`There is no file ${path}. Expected the config.json of a model.`);
  return architectureFromConfig(json);
}

/** The folder that --model means. */
export async function modelFolder(name: string): Promise<string> {
  const { findModel } = await import('../model-folder.ts');
  return findModel(name);
}

/** Lengths of sequences: 4096, 256K (262144), 1M (1048576). K and M are powers of two here, as contexts are. */
export function tokenLength(text: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*([km])?$/i.exec(text.trim());
  const scale = { k: 1024, m: 1024 ** 2 }[match?.[2]?.toLowerCase() ?? ''] ?? 1;
  const value = match ? Number(match[1]) * scale : Number.NaN;
  if (!(Number.isSafeInteger(value) && value >= 1)) {
    throw new InvalidArgumentError('Expected a number of tokens, such as 2048, 256K (262144) or 1M.');
  }
  return value;
}

/** Numbers of training tokens: 300B, 1.4T, 5e11, 20000000. B, G, M, K and T are powers of ten. */
export function tokenCount(text: string): number {
  const match = /^(\d+(?:\.\d+)?(?:e[+-]?\d+)?)\s*([kmgbt])?$/i.exec(text.trim());
  const scale = { k: 1e3, m: 1e6, g: 1e9, b: 1e9, t: 1e12 }[match?.[2]?.toLowerCase() ?? ''] ?? 1;
  const value = match ? Number(match[1]) * scale : Number.NaN;
  if (!(value >= 1 && value <= MAX_TOKENS)) {
    throw new InvalidArgumentError('Expected a number of tokens, such as 300B, 1.4T or 5e11.');
  }
  return value;
}
