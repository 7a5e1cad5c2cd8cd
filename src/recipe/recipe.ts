/**
 * A recipe: what to learn and how long to take. Everything else (vocabulary, size, steps, rates) follows
 * from the time given and can be set by name. A recipe file exports one of these as its default.
 */
import { ConfigError } from '../core/errors.ts';
import type { DataLaw } from '../scaling/plan/index.ts';
import type { OptimizerSettings } from '../train/optimizer.ts';
import type { Schedule } from '../train/schedule.ts';
import type { FactSource } from './facts/index.ts';
import type { ProseSource } from './prose.ts';

export interface Recipe {
  /** Name of the run's folder: letters, digits, '-' and '_'. */
  readonly name: string;
  readonly description: string;
  /** Where the facts come from and on what terms they may be used. */
  readonly sources: () => readonly RecipeSource[] | Promise<readonly RecipeSource[]>;
  /** Texts that pre-training reads beside the facts; `proseShare` says how much of them. */
  readonly prose?: readonly ProseSource[];
  /** The one dial: minutes for the whole run on this machine. */
  readonly minutes: number;
  readonly settings?: RecipeOverrides;
  /** How the loss of pre-training on this recipe's data falls with size and tokens; own sweeps or none. */
  readonly law?: DataLaw;
}

export interface RecipeSource extends FactSource {
  readonly licence: string;
}

/** Every number that the plan derives. Those given in a recipe or on the command line are kept. */
export interface RecipeSettings {
  readonly seed: number;
  readonly vocabSize: number;
  /** The plan chooses no size beyond this, whatever the machine could train; a size given by hand may be larger. */
  readonly maxParams: number;
  readonly hiddenSize: number;
  readonly numLayers: number;
  readonly numHeads: number;
  readonly numKvHeads: number;
  readonly intermediateSize: number;
  readonly contextLength: number;
  readonly batchSize: number;
  readonly pretrainSteps: number;
  readonly sftSteps: number;
  /** Of the preference stage; 0 leaves it out. */
  readonly preferSteps: number;
  readonly pretrainOptimizer: OptimizerSettings;
  readonly sftOptimizer: OptimizerSettings;
  readonly preferOptimizer: OptimizerSettings;
  readonly pretrainSchedule: Schedule;
  readonly sftSchedule: Schedule;
  readonly clipNorm: number;
  /** Share of training questions that ask about invented names. */
  readonly unknownShare: number;
  /** Share of the rows of each pre-training batch that are prose, where the recipe has any. */
  readonly proseShare: number;
}

type SettingsGroup =
  | 'pretrainOptimizer'
  | 'sftOptimizer'
  | 'preferOptimizer'
  | 'pretrainSchedule'
  | 'sftSchedule';

/** Settings that are given; of a group, the fields that are. The plan fills in the rest. */
export type RecipeOverrides = Partial<Omit<RecipeSettings, SettingsGroup>> & {
  readonly [Group in SettingsGroup]?: Partial<RecipeSettings[Group]>;
};

const NAME = /^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/;

/** Checks a recipe's own fields. Throws ConfigError that names the field. */
export function defineRecipe(recipe: Recipe): Recipe {
  if (!NAME.test(recipe.name)) {
    throw new ConfigError(
      `Recipe name "${recipe.name}": use 1-64 letters, digits, "-" or "_", starting with a letter or digit.`,
    );
  }
  if (!(recipe.minutes > 0 && Number.isFinite(recipe.minutes))) {
    throw new ConfigError(`Recipe "${recipe.name}": minutes must be above 0, got ${recipe.minutes}.`);
  }
  return recipe;
}
