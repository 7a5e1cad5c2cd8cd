/**
 * Rewards by their text, with those that need Node: `model:FOLDER` is a reward model, `module:FILE` a TypeScript or
 * JavaScript module that exports a `RewardFunction`, `sql-valid` and `sql-result` run answers on SQLite. Terms of a
 * mixture may be of any kind.
 */
import { access } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { loadRewardModel } from '../../align/reward/reward-checkpoint.node.ts';
import type { RewardModel } from '../../align/reward/reward-model.ts';
import type { RewardFunction } from '../../align/reward-function.ts';
import {
  parseRewardTerms,
  REWARD_PROGRAMS,
  rewardMixture,
  rewardProgram,
  type WeightedReward,
} from '../../align/reward-programs.ts';
import { type SqlRewardOptions, sqlReward } from '../../align/rl/sql-reward.node.ts';
import { ConfigError, messageOf } from '../../core/errors.ts';
import type { Device } from '../../runtime/device.ts';

export interface OpenedReward {
  readonly reward: RewardFunction;
  /** True when programs alone judge, so that a full score is 1. */
  readonly isProgram: boolean;
  /** Frees reward models. */
  dispose(): Promise<void>;
}

/** They compare with the record's "schema" and "answer". */
const SQL_REWARDS: Readonly<Record<string, SqlRewardOptions['compare']>> = {
  'sql-valid': 'valid',
  'sql-result': 'result',
};
/** A file of a module may be given by itself, as in `--reward judge.ts`. */
const MODULE_FILE = /\.[cm]?[jt]s$/;
/** Names that hold it in a module, in the order of preference. */
const EXPORTS = ['default', 'reward', 'validator'] as const;

/** Throws ConfigError for text that cannot be read and modules without a reward, and as `loadRewardModel` does. */
export async function openReward(text: string, device: Device): Promise<OpenedReward> {
  const models: RewardModel[] = [];
  const dispose = async () => {
    for (const model of models) await model.dispose();
  };
  if (MODULE_FILE.test(text) && !text.includes(':')) {
    return { reward: await importReward(text), isProgram: false, dispose };
  }
  const terms: WeightedReward[] = [];
  try {
    const parsed = parseRewardTerms(text);
    for (const { weight, name, argument } of parsed) {
      const reward = await openTerm(name, argument, device, models);
      terms.push({ weight, reward });
    }
    const isProgram = parsed.every(
      ({ name }) => Object.hasOwn(REWARD_PROGRAMS, name) || Object.hasOwn(SQL_REWARDS, name),
    );
    return { reward: rewardMixture(terms), isProgram, dispose };
  } catch (error) {
    await dispose();
    throw error;
  }
}

async function openTerm(
  name: string,
  argument: string | undefined,
  device: Device,
  models: RewardModel[],
): Promise<RewardFunction> {
  if (Object.hasOwn(SQL_REWARDS, name)) {
    if (argument === undefined) return sqlReward({ compare: SQL_REWARDS[name]! });
    throw new ConfigError(`The reward ${name} takes no argument, got "${argument}".`);
  }
  if (name !== 'model' && name !== 'module') return rewardProgram(name, argument);
  if (argument === undefined) {
    throw new ConfigError(
      `The reward ${name} needs ${name === 'model' ? 'a folder' : 'a file'}: ${name}:PATH.`,
    );
  }
  if (name === 'module') return importReward(argument);
  const model = await loadRewardModel(await modelFolderIn(argument), { device, name: `model:${argument}` });
  models.push(model);
  return model;
}

/** The folder of a training holds its result as `model/`. */
async function modelFolderIn(folder: string): Promise<string> {
  const inside = join(folder, 'model');
  const isTraining = await access(join(inside, 'config.json')).then(
    () => true,
    () => false,
  );
  return isTraining ? inside : folder;
}

async function importReward(file: string): Promise<RewardFunction> {
  let exported: Record<string, unknown>;
  try {
    exported = await import(pathToFileURL(resolve(file)).href);
  } catch (error) {
    throw new ConfigError(`The reward ${file} could not be loaded: ${messageOf(error)}`, { cause: error });
  }
  const found = EXPORTS.map((name) => exported[name]).find((value) => value !== undefined);
  const { name = file, score } = (found ?? {}) as Partial<RewardFunction>;
  if (typeof score !== 'function') {
    throw new ConfigError(
      `${file} exports no reward. Expected: export const reward = { name: 'mine', score: (answers) => ` +
        'answers.map(({ completion, record }) => (completion.text === record.answer ? 1 : 0)) };',
    );
  }
  return { name, score: (answers) => score.call(found, answers) };
}
