/**
 * Finetuning by low-rank adapters (Hu et al. 2021): the model's weights are frozen and fed, A and B are trained. No
 * gradient of a frozen matrix is computed, and no optimizer state is kept for it.
 */
import {
  adaptedModules,
  checkLowRankSettings,
  initializeLowRank,
  type LowRankSettings,
  lowRankFactor,
  lowRankSpecs,
  mergeLowRank,
  tokenModules,
} from '../model/adapter/low-rank.ts';
import type { PatchedRows } from '../model/adapter/patched-rows.ts';
import { parameterSpecs, type TransformerConfig } from '../model/config.ts';
import type { Weights } from '../model/initialize.ts';
import type { AdaptedMatrix } from '../model/transformer.ts';
import type { Trainable } from './trainable.ts';

/** Throws ConfigError for settings out of range and for targets that the model does not have. */
export function lowRankModel(
  config: TransformerConfig,
  weights: Weights,
  { seed, ...settings }: LowRankSettings & { readonly seed: number },
): Trainable {
  checkLowRankSettings(settings, config);
  const modules = adaptedModules(config, settings.targets);
  const factor = lowRankFactor(settings);
  return {
    config,
    specs: lowRankSpecs(config, settings),
    initial: initializeLowRank(config, weights, settings, seed),
    frozen: new Map(parameterSpecs(config).map(({ name }) => [name, weights.get(name)!])),
    parameters: (trained, frozen) => {
      const adapted = modules.map(({ weight, a, b }): [string, AdaptedMatrix] => [
        weight,
        { matrix: frozen[weight]!, down: trained[a]!, up: trained[b]!, factor },
      ]);
      const patched = tokenModules(config, settings).map(({ weight, rows }): [string, PatchedRows] => [
        weight,
        { embedding: frozen[weight]!, rows: trained[rows]!, tokens: settings.tokens! },
      ]);
      return { ...frozen, ...Object.fromEntries(adapted), ...Object.fromEntries(patched) };
    },
    merge: (trained) => mergeLowRank(config, weights, settings, trained),
  };
}
