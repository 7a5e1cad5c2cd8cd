/**
 * Divides scores by the temperature; at 0 or below only the first maximum is left (greedy). With a `range` the
 * temperature follows the entropy H of the n candidates that are left (llama.cpp's dynamic temperature):
 * low + (high - low) * (H / ln n)^exponent, where low = max(0, temperature - range), high = temperature + range.
 */
import type { Candidates } from './candidates.ts';
import { checkSetting, type StageKind } from './stage.ts';

export interface TemperatureSettings {
  readonly stage: 'temperature';
  readonly temperature: number;
  /** How far the temperature moves to either side. Default 0: it stands still. */
  readonly range?: number;
  /** Default 1. */
  readonly exponent?: number;
}

export const temperatureStage: StageKind<TemperatureSettings> = {
  settings: { temperature: 'number', range: 'number', exponent: 'number' },
  create({ temperature, range = 0, exponent = 1 }) {
    checkSetting('temperature', 'temperature', temperature);
    checkSetting('temperature', 'range', range, { least: 0 });
    checkSetting('temperature', 'exponent', exponent, { least: 0 });
    if (range > 0) {
      const low = Math.max(0, temperature - range);
      const high = temperature + range;
      return {
        keepsFirstMaximum: true,
        apply: (candidates) => {
          if (candidates.size < 2) return;
          // Rounding may put the entropy of equal scores a hair above its bound.
          const share = Math.min(1, Math.max(0, candidates.entropy() / Math.log(candidates.size)));
          heat(candidates, low + (high - low) * share ** exponent);
        },
      };
    }
    return {
      keepsFirstMaximum: true,
      ...(temperature <= 0 && { picksMaximum: true }),
      apply: (candidates) => heat(candidates, temperature),
    };
  },
};

function heat(candidates: Candidates, temperature: number): void {
  if (temperature <= 0) candidates.keepOnly(candidates.argmax());
  if (temperature <= 0 || temperature === 1) return;
  const { scores, size, maximum } = candidates;
  // A tiny temperature would overflow; only differences of scores matter.
  const shift = Math.abs(maximum / temperature) < 1e300 ? 0 : maximum;
  for (let i = 0; i < size; i++) {
    scores[i] = Math.max((scores[i]! - shift) / temperature, -Number.MAX_VALUE);
  }
}
