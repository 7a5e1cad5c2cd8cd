/**
 * The range of every setting of a recipe, in one table. A setting that passes can be trained with, memory and
 * data permitting; what depends on another setting (heads and width, say) is checked by the plan.
 */
import { ConfigError } from '../core/errors.ts';
import { checkOptimizer } from '../train/optimizer.ts';
import { checkSchedule } from '../train/schedule.ts';
import type { RecipeSettings } from './recipe.ts';

type NumberName = {
  [K in keyof RecipeSettings]: RecipeSettings[K] extends number ? K : never;
}[keyof RecipeSettings];

const WHOLE_NUMBERS = {
  seed: [0, Number.MAX_SAFE_INTEGER],
  vocabSize: [1, 1_000_000],
  maxParams: [50_000, 500_000_000],
  hiddenSize: [2, 16_384],
  numLayers: [1, 256],
  numHeads: [1, 512],
  numKvHeads: [1, 512],
  intermediateSize: [1, 131_072],
  contextLength: [2, 131_072],
  batchSize: [1, 65_536],
  pretrainSteps: [1, 100_000_000],
  sftSteps: [1, 100_000_000],
  preferSteps: [0, 100_000_000],
} as const satisfies Partial<Record<NumberName, readonly [number, number]>>;

/** Most tokens in one batch; activations of one step grow with it. */
const MAX_BATCH_TOKENS = 4_194_304;

const OTHERS: readonly (keyof RecipeSettings)[] = [
  'pretrainOptimizer',
  'sftOptimizer',
  'preferOptimizer',
  'pretrainSchedule',
  'sftSchedule',
  'clipNorm',
  'unknownShare',
  'proseShare',
];
const NAMES: ReadonlySet<string> = new Set([...Object.keys(WHOLE_NUMBERS), ...OTHERS]);

/** Checks those that are given. Throws ConfigError that names the setting, its value and its range. */
export function checkSettings(settings: Partial<RecipeSettings>): void {
  const unknown = Object.keys(settings).find((name) => !NAMES.has(name));
  if (unknown !== undefined) {
    throw new ConfigError(`There is no setting "${unknown}". Settings: ${[...NAMES].join(', ')}.`);
  }
  for (const [name, [low, high]] of Object.entries(WHOLE_NUMBERS)) {
    const value = settings[name as keyof typeof WHOLE_NUMBERS];
    if (value === undefined || (Number.isInteger(value) && value >= low && value <= high)) continue;
    throw new ConfigError(`${name} must be a whole number from ${low} to ${high}, got ${value}.`);
  }
  const { clipNorm, batchSize, contextLength } = settings;
  if (clipNorm !== undefined && !(clipNorm > 0))
    throw new ConfigError(`clipNorm must be above 0 (Infinity for no clipping), got ${clipNorm}.`);
  for (const name of ['unknownShare', 'proseShare'] as const) {
    const share = settings[name];
    if (share === undefined || (share >= 0 && share < 1)) continue;
    throw new ConfigError(`${name} must be at least 0 and below 1, got ${share}.`);
  }
  if (
    batchSize !== undefined &&
    contextLength !== undefined &&
    batchSize * contextLength > MAX_BATCH_TOKENS
  ) {
    throw new ConfigError(
      `batchSize ${batchSize} of contextLength ${contextLength} is ${batchSize * contextLength} tokens; ` +
        `a batch may have ${MAX_BATCH_TOKENS}. Lower one of them.`,
    );
  }
  for (const name of ['pretrainOptimizer', 'sftOptimizer', 'preferOptimizer'] as const) {
    if (settings[name]) checkOptimizer(settings[name], name);
  }
  for (const name of ['pretrainSchedule', 'sftSchedule'] as const) {
    if (settings[name]) checkSchedule(settings[name], name);
  }
}
