/**
 * Well-known models by name: their config in the keys of its own library, the total that is published for it (when
 * there is one to the last digit), and where that stands. The total is checked by a test, never used to count.
 */
import { ConfigError } from '../../core/errors.ts';
import { nearestName } from '../../core/nearest-name.ts';
import type { Architecture } from './architecture.ts';
import { architectureFromConfig } from './config.ts';
import { ENCODER_DECODER_PRESETS } from './presets/encoder-decoder-presets.ts';
import { GPT_PRESETS } from './presets/gpt-presets.ts';
import { LLAMA_PRESETS } from './presets/llama-presets.ts';
import { MIXTURE_PRESETS } from './presets/mixture-presets.ts';
import { RECURRENT_PRESETS } from './presets/recurrent-presets.ts';

export interface Preset {
  readonly name: string;
  readonly config: Readonly<Record<string, unknown>>;
  /** Parameters to the last digit as published; null when only a rounded number is public. */
  readonly published: number | null;
  readonly source: string;
  /** Other names that people use. */
  readonly aliases: readonly string[];
}

const FAMILIES = [
  ...GPT_PRESETS,
  ...LLAMA_PRESETS,
  ...MIXTURE_PRESETS,
  ...RECURRENT_PRESETS,
  ...ENCODER_DECODER_PRESETS,
];

export const PRESETS: readonly Preset[] = FAMILIES.flatMap(({ base, source, models }) =>
  models.map(({ name, published = null, aliases = [], source: ownSource, ...config }) => ({
    name,
    config: { ...base, ...config },
    published,
    source: ownSource ?? source,
    aliases,
  })),
);

/** "Llama 2 7B", "llama2_7b", "meta-llama/Llama-2-7b-hf" -> "llama27b". */
function plainName(name: string): string {
  return name
    .toLowerCase()
    .replace(/^.*\//, '')
    .replace(/^meta[-_ ]/, '')
    .replace(/[-_ ](?:hf|base|instruct|chat|it|v0\.[1-3])$/, '')
    .replace(/[^a-z0-9.]/g, '')
    .replaceAll(/(?<![0-9])\.|\.(?![0-9])/g, '');
}

/** The preset of that name, whatever its capitals, dashes and owner. @throws ConfigError with the nearest names. */
export function findPreset(name: string): Preset {
  const wanted = plainName(name.slice(0, 200));
  const found =
    PRESETS.find((preset) => preset.name === name.toLowerCase()) ??
    PRESETS.find((preset) => [preset.name, ...preset.aliases].some((one) => plainName(one) === wanted));
  if (found) return found;
  const names = PRESETS.map((preset) => preset.name);
  const alike = names.filter((one) => wanted.length > 2 && plainName(one).includes(wanted));
  const near = alike.length > 0 ? alike.join(', ') : nearestName(name, names);
  throw new ConfigError(
    `There is no preset "${name.slice(0, 100)}". ${near ? `Did you mean ${near}? ` : ''}Presets: ${names.join(', ')}.`,
  );
}

/** The architecture of a preset, under the preset's name. */
export function architectureOf(presetName: string): Architecture {
  const preset = findPreset(presetName);
  return { ...architectureFromConfig(preset.config), name: preset.name };
}
