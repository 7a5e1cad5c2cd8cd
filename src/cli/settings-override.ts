/**
 * `--set key=value`: settings of a recipe by name. A dot reaches into a group (`pretrainOptimizer.learningRate`).
 * Unknown names are refused with the nearest known one. Values are checked for their kind; their range is the
 * plan's affair. The known names come from the settings' own defaults, so none is forgotten here.
 */
import { PlinthError } from '../core/errors.ts';
import { nearestName } from '../core/nearest-name.ts';
import { type Dial, planModel } from '../recipe/plan.ts';
import type { RecipeSettings } from '../recipe/recipe.ts';
import { DEFAULT_OPTIMIZER } from '../train/optimizer.ts';
import { DEFAULT_SCHEDULE } from '../train/schedule.ts';

type Kind = 'number' | 'text';

const NUMBERS: Record<
  Exclude<keyof RecipeSettings, 'pretrainOptimizer' | 'sftOptimizer' | 'pretrainSchedule' | 'sftSchedule'>,
  Kind
> = {
  seed: 'number',
  vocabSize: 'number',
  hiddenSize: 'number',
  numLayers: 'number',
  numHeads: 'number',
  numKvHeads: 'number',
  intermediateSize: 'number',
  contextLength: 'number',
  batchSize: 'number',
  pretrainSteps: 'number',
  sftSteps: 'number',
  clipNorm: 'number',
  unknownShare: 'number',
  proseShare: 'number',
};

const KINDS: ReadonlyMap<string, Kind> = new Map([
  ...Object.entries(NUMBERS),
  ...groupKinds('pretrainOptimizer', DEFAULT_OPTIMIZER),
  ...groupKinds('sftOptimizer', DEFAULT_OPTIMIZER),
  ...groupKinds('pretrainSchedule', DEFAULT_SCHEDULE),
  ...groupKinds('sftSchedule', DEFAULT_SCHEDULE),
]);

function groupKinds(group: string, defaults: object): [string, Kind][] {
  return Object.entries(defaults).map(([key, value]) => [
    `${group}.${key}`,
    typeof value === 'number' ? 'number' : 'text',
  ]);
}

/** A value of `RecipeSettings` or, for a group, the fields that were named. */
export type SettingsOverride = Record<string, number | Record<string, number | string>>;

/** Throws PlinthError `usage` that names the fault and the nearest known key. */
export function parseSettings(pairs: readonly string[]): SettingsOverride {
  const settings: SettingsOverride = {};
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
  return settings;
}

/** Groups as the plan would fill them, with the named fields replaced: settings know whole groups only. */
export function completeSettings(
  settings: SettingsOverride,
  base: Partial<RecipeSettings>,
  dial: Dial,
): Partial<RecipeSettings> {
  const entries = Object.entries(settings);
  const isGroup = ([, value]: [string, unknown]) => typeof value === 'object';
  const single = Object.fromEntries(entries.filter((entry) => !isGroup(entry))) as Partial<RecipeSettings>;
  if (!entries.some(isGroup)) return single;
  const planned = planModel(dial, { ...base, ...single }) as Record<string, unknown>;
  const groups = entries
    .filter(isGroup)
    .map(([name, fields]) => [name, { ...(planned[name] as object), ...(fields as object) }]);
  return { ...single, ...Object.fromEntries(groups) };
}

function unknownKey(key: string): PlinthError {
  const near = nearestName(key, [...KINDS.keys()]);
  const hint = near ? `Did you mean "${near}"?` : `Known settings: ${[...KINDS.keys()].join(', ')}.`;
  return new PlinthError('usage', `--set ${key}: there is no such setting. ${hint}`);
}
