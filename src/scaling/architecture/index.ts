/** Any model as data: from a config.json, from a preset's name, or from Plinth's own config. */
export type { Architecture, Layer, Stack } from './architecture.ts';
export type { Block, CausalMask, FlopsPart, Lengths, Part, Weight } from './block.ts';
export { architectureFromConfig, KNOWN_MODEL_TYPES } from './config.ts';
export { architectureOf, findPreset, PRESETS, type Preset } from './presets.ts';
export { architectureOfTransformer, type TransformerShape } from './transformer-config.ts';
