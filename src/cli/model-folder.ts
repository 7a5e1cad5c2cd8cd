/** What `--model` may name: a model's folder, a run's folder, or a run by name. */
import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join, relative, resolve } from 'node:path';
import { DataError } from '../core/errors.ts';
import { nearestName } from '../core/nearest-name.ts';
import { ADAPTER_CONFIG_NAME } from '../model/adapter/adapter-config.ts';

const isModel = (folder: string) => existsSync(join(folder, 'config.json'));

/** The folder with config.json. Throws DataError that says which runs there are. */
export async function findModel(name: string, currentFolder = process.cwd()): Promise<string> {
  const given = resolve(currentFolder, name);
  const places = [given, join(given, 'model'), join(currentFolder, 'runs', name, 'model')];
  const found = places.find(isModel);
  if (found) return found;
  const runs = (await readdir(join(currentFolder, 'runs')).catch(() => []))
    .filter((run) => isModel(join(currentFolder, 'runs', run, 'model')))
    .sort();
  if (
    existsSync(join(given, 'recipe.json')) ||
    existsSync(join(currentFolder, 'runs', name, 'recipe.json'))
  ) {
    throw new DataError(
      `The run ${name} has no model yet: it is not finished. Start it again with "plinth run".`,
    );
  }
  const near = nearestName(name, runs);
  const hint = near
    ? `Did you mean "${near}"?`
    : runs.length > 0
      ? `Runs here: ${runs.join(', ')}.`
      : 'Train one with "plinth run atlas".';
  throw new DataError(`There is no model in ${given}: it holds no config.json. ${hint}`);
}

/** The folder with adapter_config.json: the one named, or the `adapter` in a training's. Throws DataError. */
export function findAdapter(name: string): string {
  const given = resolve(name);
  const found = [given, join(given, 'adapter')].find((folder) =>
    existsSync(join(folder, ADAPTER_CONFIG_NAME)),
  );
  if (found) return found;
  throw new DataError(
    `There is no adapter in ${given}: it holds no ${ADAPTER_CONFIG_NAME}. Trainings with --lora-rank leave one in the folder of their --out.`,
  );
}

/**
 * Models of a recipe's run have learned single questions: turns before the one asked are new to them and make
 * the answers worse. Their folder lies in the run's folder.
 */
export const answersSingleQuestions = (modelFolder: string) =>
  existsSync(join(modelFolder, '..', 'recipe.json'));

/** A path as it is best typed from here. */
export const shownPath = (path: string) => {
  const short = relative(process.cwd(), path);
  return short === '' ? '.' : short.startsWith('..') ? path : short;
};
