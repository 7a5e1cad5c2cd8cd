/**
 * `--set key=value`: settings of a recipe by name. A dot reaches into a group (`pretrainOptimizer.learningRate`).
 * Unknown names are refused with the nearest known one. Values are checked for their kind; their range is the
 * plan's affair. The known names come from the settings' own defaults, so none is forgotten here.
 */
import { PlinthError } from '../core/errors.ts';
import { nearestName } from '../core/nearest-name.ts';
import type { RecipeOverrides, RecipeSettings } from '../recipe/recipe.ts';
import { DEFAULT_OPTIMIZER } from '../train/optimizer.ts';
import { DEFAULT_SCHEDULE } from '../train/schedule.ts';

type Kind = 'number' | 'text';

const NUMBERS: Record<
  Exclude<
    keyof RecipeSettings,
    'pretrainOptimizer' | 'sftOptimizer' | 'preferOptimizer' | 'pretrainSchedule' | 'sftSchedule'
  >,
  Kind
> = {
  seed: 'number',
  vocabSize: 'number',
  maxParams: 'number',
  hiddenSize: 'number',
  numLayers: 'number',
  numHeads: 'number',
  numKvHeads: 'number',
  intermediateSize: 'number',
  contextLength: 'number',
  batchSize: 'number',
  pretrainSteps: 'number',
  sftSteps: 'number',
  preferSteps: 'number',
  clipNorm: 'number',
  unknownShare: 'number',
  proseShare: 'number',
};

const KINDS: ReadonlyMap<string, Kind> = new Map([
  ...Object.entries(NUMBERS),
  ...groupKinds('pretrainOptimizer', DEFAULT_OPTIMIZER),
  ...groupKinds('sftOptimizer', DEFAULT_OPTIMIZER),
  ...groupKinds('preferOptimizer', DEFAULT_OPTIMIZER),
  ...groupKinds('pretrainSchedule', DEFAULT_SCHEDULE),
  ...groupKinds('sftSchedule', DEFAULT_SCHEDULE),
]);

function groupKinds(group: string, defaults: object): [string, Kind][] {
  return Object.entries(defaults).map(([key, value]) => [
    `${group}.${key}`,
    typeof value === 'number' ? 'number' : 'text',
  ]);
}

/** Throws PlinthError `usage` that names the fault and the nearest known key. */
export function parseSettings(pairs: readonly string[]): RecipeOverrides {
  const settings: Record<string, number | Record<string, number | string>> = {};
  for (const pair of pairs) {
    const at = pair.indexOf('=');
    if (at < 1) {
      throw new PlinthError('usage', `--set ${pair}: expected key=value, such as --set vocabSize=1024.`);
    }
    const key = pair.slice(0, at).trim();
    const text = pair.slice(at + 1).trim();
    const kind = KINDS.get(key);
    if (!kind) throw unknownKey(key);
    const value = kind === 'number' ? Number(text) : text;
    if (text === '' || (typeof value === 'number' && !Number.isFinite(value))) {
      throw new PlinthError('usage', `--set ${key}: expected a ${kind}, got "${text}".`);
    }
    const [group, field] = key.split('.');
    if (field === undefined) settings[group!] = value as number;
    else settings[group!] = { ...(settings[group!] as Record<string, number | string>), [field]: value };
  }
  return settings as RecipeOverrides;
}

function unknownKey(key: string): PlinthError {
  const near = nearestName(key, [...KINDS.keys()]);
  const hint = near ? `Did you mean "${near}"?` : `Known settings: ${[...KINDS.keys()].join(', ')}.`;
  return new PlinthError('usage', `--set ${key}: there is no such setting. ${hint}`);
}
