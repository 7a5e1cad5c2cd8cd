/**
 * adapter_config.json as PEFT writes and reads it (huggingface.co/docs/peft/developer_guides/checkpoint): LoRA on
 * linear layers. Settings of PEFT that change what an adapter computes and that do not exist here are refused.
 */
import { FormatError } from '../../core/errors.ts';
import type { TransformerConfig } from '../config.ts';
import {
  ALL_LINEAR,
  checkLowRankSettings,
  type LowRankSettings,
  type LowRankTargets,
  tokenModules,
} from './low-rank.ts';

export const ADAPTER_CONFIG_NAME = 'adapter_config.json';
export const ADAPTER_WEIGHTS_NAME = 'adapter_model.safetensors';
/** The base model's config as the adapter was trained with it; PEFT passes over it. */
export const BASE_CONFIG_NAME = 'base_config.json';

export interface AdapterConfig {
  readonly rank: number;
  readonly alpha: number;
  readonly rankStabilised: boolean;
  /** Undefined where the file has a pattern: the tensors then say which modules are adapted. */
  readonly targets: LowRankTargets | undefined;
  /** Rows of the embedding that the adapter replaces. */
  readonly tokens: readonly number[];
  /** As it was given when the adapter was trained: a path or a name. */
  readonly baseModel: string | null;
}

/** What PEFT takes when the file leaves a setting out. */
const DEFAULT_RANK = 8;
const DEFAULT_ALPHA = 8;

/** Settings that must be absent, null, empty or this for the adapter to be what Plinth computes. */
const NEUTRAL: Readonly<Record<string, unknown>> = {
  bias: 'none',
  fan_in_fan_out: false,
  use_dora: false,
  use_qalora: false,
  lora_bias: false,
  rank_pattern: undefined,
  alpha_pattern: undefined,
  modules_to_save: undefined,
  layer_replication: undefined,
  target_parameters: undefined,
  alora_invocation_tokens: undefined,
};

/** @throws FormatError that names the file, the setting, its value and what to do. */
export function parseAdapterConfig(path: string, raw: Readonly<Record<string, unknown>>): AdapterConfig {
  const refuse = (key: string, expected: string): never => {
    throw new FormatError(`${path}: "${key}" is ${JSON.stringify(raw[key])}; expected ${expected}.`);
  };
  if (raw.peft_type !== 'LORA') refuse('peft_type', '"LORA", the one kind of adapter that is supported');
  for (const [key, neutral] of Object.entries(NEUTRAL)) {
    const value = raw[key];
    if (isEmpty(value) || value === neutral) continue;
    refuse(
      key,
      `${neutral === undefined ? 'nothing' : JSON.stringify(neutral)}. Merge this adapter with PEFT`,
    );
  }
  const { r = DEFAULT_RANK, lora_alpha: alpha = DEFAULT_ALPHA, use_rslora: rankStabilised = false } = raw;
  if (typeof r !== 'number' || !Number.isSafeInteger(r) || r < 1) refuse('r', 'a whole number of at least 1');
  if (typeof alpha !== 'number' || !(alpha > 0 && Number.isFinite(alpha))) {
    refuse('lora_alpha', 'a number above 0');
  }
  if (typeof rankStabilised !== 'boolean') refuse('use_rslora', 'true or false');
  const { base_model_name_or_path: baseModel = null } = raw;
  if (baseModel !== null && typeof baseModel !== 'string')
    refuse('base_model_name_or_path', 'a name or null');
  return {
    rank: r as number,
    alpha: alpha as number,
    rankStabilised: rankStabilised as boolean,
    targets: isEmpty(raw.layers_to_transform) && isEmpty(raw.exclude_modules) ? targetsOf() : undefined,
    tokens: tokensOf(),
    baseModel: baseModel as string | null,
  };

  function tokensOf(): number[] {
    const { trainable_token_indices: given = null } = raw;
    const lists: unknown[] =
      typeof given === 'object' && given !== null && !Array.isArray(given) ? Object.values(given) : [given];
    const [tokens, ...others] = isEmpty(given) ? [[]] : lists;
    const isList = Array.isArray(tokens) && tokens.every((id) => Number.isSafeInteger(id) && id >= 0);
    if (!isList || others.some((other) => JSON.stringify(other) !== JSON.stringify(tokens))) {
      refuse('trainable_token_indices', 'a list of token ids, the same for input and output');
    }
    return tokens as number[];
  }

  function targetsOf(): LowRankTargets | undefined {
    const { target_modules: targets } = raw;
    if (targets === ALL_LINEAR) return ALL_LINEAR;
    if (typeof targets === 'string') return undefined;
    const isList = Array.isArray(targets) && targets.every((name) => typeof name === 'string' && name !== '');
    if (!isList || targets.length === 0)
      refuse('target_modules', 'a list of names, a pattern or "all-linear"');
    return targets as string[];
  }
}

function isEmpty(value: unknown): boolean {
  if (value === undefined || value === null) return true;
  return typeof value === 'object' && Object.keys(value).length === 0;
}

/** @param modules the names of the adapted modules, which stand for `all-linear` by their last parts. */
export function formatAdapterConfig(
  config: TransformerConfig,
  settings: LowRankSettings,
  modules: readonly string[],
  baseModel: string | null,
): string {
  checkLowRankSettings(settings, config);
  const tokens = tokenModules(config, settings).map(({ module }) => [
    module.split('.').at(-1)!,
    settings.tokens,
  ]);
  const { rank, alpha, targets, rankStabilised = false } = settings;
  const json = {
    alpha_pattern: {},
    auto_mapping: null,
    base_model_name_or_path: baseModel,
    bias: 'none',
    fan_in_fan_out: false,
    inference_mode: true,
    init_lora_weights: true,
    layers_pattern: null,
    layers_to_transform: null,
    lora_alpha: alpha,
    lora_dropout: 0,
    modules_to_save: null,
    peft_type: 'LORA',
    r: rank,
    rank_pattern: {},
    revision: null,
    target_modules:
      targets === ALL_LINEAR ? [...new Set(modules.map((name) => name.split('.').at(-1)!))] : targets,
    task_type: 'CAUSAL_LM',
    trainable_token_indices: tokens.length > 0 ? Object.fromEntries(tokens) : null,
    use_dora: false,
    use_rslora: rankStabilised,
  };
  return `${JSON.stringify(json, null, 2)}\n`;
}
