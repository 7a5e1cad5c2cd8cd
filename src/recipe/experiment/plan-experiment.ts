/**
 * Minutes in, the numbers of an experiment out. Every arm and seed gets the same shape and the same steps; that is
 * what makes arms comparable, so a machine that slows down makes an experiment late, never uneven. Pure functions.
 */
import { ConfigError } from '../../core/errors.ts';
import type { Machine } from '../../scaling/plan/index.ts';
import { planModel } from '../plan.ts';
import type { RecipeOverrides, RecipeSettings } from '../recipe.ts';

/** Seconds for texts, tokenizer, measuring and the report. */
const FIXED_SECONDS = 20;
/** Seconds of each model beside its steps: compiling and saving. */
const SECONDS_PER_MODEL = 1.5;
/** Time of one batch without its backward pass, in parts of a training step. */
const FORWARD_SHARE = 0.4;
/** Part of the budget that is planned for. */
const PLANNED_SHARE = 0.95;
const MIN_STEPS = 20;

/** Settings of recipes that mean nothing in an experiment. */
const WITHOUT_EFFECT = [
  'sftSteps',
  'sftOptimizer',
  'sftSchedule',
  'preferSteps',
  'preferOptimizer',
  'unknownShare',
  'proseShare',
] as const;

export type ExperimentSettings = Omit<RecipeSettings, (typeof WITHOUT_EFFECT)[number] | 'pretrainSteps'>;

export interface ExperimentDial {
  readonly minutes: number;
  readonly params?: number;
}

/** Shape and rates, by the minutes that one model gets. Throws ConfigError as `planModel`, and for settings without effect. */
export function planShape(
  dial: ExperimentDial,
  numModels: number,
  overrides: RecipeOverrides,
  machine?: Machine,
): ExperimentSettings {
  const useless = WITHOUT_EFFECT.find((name) => overrides[name] !== undefined);
  if (useless)
    throw new ConfigError(`The setting "${useless}" has no effect in an experiment. Leave it out.`);
  const { sftOptimizer, sftSchedule, preferOptimizer, unknownShare, proseShare, ...settings } = planModel(
    { ...dial, minutes: dial.minutes / numModels },
    overrides,
    machine ? { machine } : {},
  );
  return settings;
}

/** Steps of each model, from the measured time of one. */
export function planExperimentSteps(
  dial: ExperimentDial,
  measured: {
    readonly secondsPerStep: number;
    readonly secondsSoFar: number;
    readonly numModels: number;
    /** Batches of all evaluations together. */
    readonly numEvaluationBatches: number;
  },
): { numSteps: number; plannedSeconds: number } {
  const { secondsPerStep, secondsSoFar, numModels, numEvaluationBatches } = measured;
  const besideSteps = SECONDS_PER_MODEL + numEvaluationBatches * secondsPerStep * FORWARD_SHARE;
  const seconds = dial.minutes * 60 * PLANNED_SHARE - secondsSoFar - FIXED_SECONDS;
  const numSteps = Math.max(MIN_STEPS, Math.floor((seconds / numModels - besideSteps) / secondsPerStep));
  return {
    numSteps,
    plannedSeconds: secondsSoFar + FIXED_SECONDS + numModels * (besideSteps + numSteps * secondsPerStep),
  };
}
