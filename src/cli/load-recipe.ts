/**
 * Finds a recipe or an experiment by name or path and loads it. A name means `recipes/NAME.ts` (.mts, .js, .mjs) in the current
 * folder, then one that ships with Plinth. What a recipe's own code throws is reported as the recipe's fault.
 */
import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { register as registerHooks } from 'node:module';
import { extname, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { ConfigError, DataError, messageOf, PlinthError } from '../core/errors.ts';
import { nearestName } from '../core/nearest-name.ts';
import { defineExperiment, type Experiment } from '../recipe/experiment/experiment.ts';
import { defineRecipe, type Recipe } from '../recipe/recipe.ts';
import { type Installation, importsHookUrl, ownRecipesFolder } from './installation.ts';

const EXTENSIONS = ['.ts', '.mts', '.js', '.mjs'];

export type LoadedRecipe =
  | { readonly kind: 'recipe'; readonly recipe: Recipe; readonly path: string }
  | { readonly kind: 'experiment'; readonly experiment: Experiment; readonly path: string };

/** Throws DataError when there is none, ConfigError when the file is neither a recipe nor an experiment. */
export async function loadRecipe(
  nameOrPath: string,
  installation: Installation,
  folder = process.cwd(),
): Promise<LoadedRecipe> {
  const path = await findRecipe(nameOrPath, installation, folder);
  await readyForRecipes(installation);
  let loaded: { default?: unknown };
  try {
    loaded = (await import(pathToFileURL(path).href)) as { default?: unknown };
  } catch (error) {
    throw recipeError('The recipe could not be loaded', path, error);
  }
  if (isExperiment(loaded.default)) {
    return { kind: 'experiment', experiment: checkedExperiment(loaded.default, path), path };
  }
  return { kind: 'recipe', recipe: checkedRecipe(loaded.default, path), path };
}

let isReady = false;

/** Lets Node read TypeScript and resolve `plinth/...` to this Plinth, once a process. */
async function readyForRecipes(installation: Installation): Promise<void> {
  if (isReady) return;
  isReady = true;
  if (!installation.isCheckout) {
    const { register } = await import('tsx/esm/api');
    register({ tsconfig: false });
  }
  registerHooks(importsHookUrl, { data: { isCheckout: installation.isCheckout } });
}

async function findRecipe(nameOrPath: string, installation: Installation, folder: string): Promise<string> {
  const isPath = /[\\/]/.test(nameOrPath) || EXTENSIONS.includes(extname(nameOrPath));
  if (isPath) {
    const path = resolve(folder, nameOrPath);
    if (existsSync(path)) return path;
    throw new DataError(
      `There is no recipe file ${path}. Draft one with "plinth new NAME --from TABLE.csv".`,
    );
  }
  const places = [join(folder, 'recipes'), ownRecipesFolder(installation)];
  for (const place of places) {
    for (const extension of EXTENSIONS) {
      const path = join(place, `${nameOrPath}${extension}`);
      if (existsSync(path)) return path;
    }
  }
  const known = [...new Set((await Promise.all(places.map(recipeNames))).flat())].sort();
  const near = nearestName(nameOrPath, known);
  throw new DataError(
    `There is no recipe "${nameOrPath}": looked for ${places.map((place) => join(place, `${nameOrPath}.ts`)).join(' and ')}. ` +
      `${near ? `Did you mean "${near}"?` : known.length > 0 ? `Recipes here: ${known.join(', ')}.` : ''} ` +
      `Draft one with "plinth new ${nameOrPath} --from TABLE.csv".`,
  );
}

/** Files beside a recipe that share its name's beginning (`atlas-facts.ts`) are its parts, not recipes. */
async function recipeNames(folder: string): Promise<string[]> {
  const files = await readdir(folder).catch(() => []);
  const names = files
    .filter((file) => EXTENSIONS.includes(extname(file)) && !/\.d\.m?ts$/.test(file))
    .map((file) => file.slice(0, -extname(file).length));
  return names.filter((name) => !names.some((other) => name.startsWith(`${other}-`)));
}

function isExperiment(value: unknown): value is Experiment {
  const experiment = value as Experiment | undefined;
  return typeof experiment === 'object' && experiment !== null && typeof experiment.data === 'function';
}

function checkedExperiment(experiment: Experiment, path: string): Experiment {
  const { data } = defineExperiment(experiment);
  return {
    ...experiment,
    data: async (options) => {
      try {
        return await data(options);
      } catch (error) {
        throw recipeError("The experiment's texts could not be read", path, error);
      }
    },
  };
}

function checkedRecipe(value: unknown, path: string): Recipe {
  const recipe = value as Recipe | undefined;
  const isRecipe =
    typeof recipe === 'object' &&
    recipe !== null &&
    typeof recipe.name === 'string' &&
    typeof recipe.sources === 'function';
  if (!isRecipe) {
    throw new ConfigError(
      `${path} does not export a recipe. Write: export default defineRecipe({ name: '...', description: '...', ` +
        'minutes: 5, sources: () => [...] });',
    );
  }
  const { sources } = defineRecipe(recipe);
  return {
    ...recipe,
    sources: async () => {
      try {
        return await sources();
      } catch (error) {
        throw recipeError("The recipe's sources could not be read", path, error);
      }
    },
  };
}

/** A Plinth error as it is; anything else with the line of the recipe where it was thrown. */
function recipeError(what: string, path: string, error: unknown): PlinthError {
  if (error instanceof PlinthError) return error;
  const stack = error instanceof Error ? (error.stack ?? '') : '';
  const line = stack.split(`${path}:`)[1]?.match(/^\d+/)?.[0];
  const at = line === undefined ? '' : `, line ${line}`;
  return new ConfigError(`${what} (${path}${at}): ${messageOf(error)}`, { cause: error });
}
