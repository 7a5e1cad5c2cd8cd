/** Divides scores by the temperature; at 0 or below only the first maximum is left (greedy). */
import { checkSetting, type StageKind } from './stage.ts';

export interface TemperatureSettings {
  readonly stage: 'temperature';
  readonly temperature: number;
}

export const temperatureStage: StageKind<TemperatureSettings> = {
  create({ temperature }) {
    checkSetting(
      'temperature',
      'temperature',
      temperature,
      Number.NEGATIVE_INFINITY,
      Number.POSITIVE_INFINITY,
    );
    if (temperature <= 0) {
      return {
        keepsFirstMaximum: true,
        picksMaximum: true,
        apply: (candidates) => candidates.keepOnly(candidates.argmax()),
      };
    }
    return {
      keepsFirstMaximum: true,
      apply: (candidates) => {
        if (temperature === 1) return;
        const { scores, size, maximum } = candidates;
        // A tiny temperature would overflow; only differences of scores matter.
        const shift = Math.abs(maximum / temperature) < 1e300 ? 0 : maximum;
        for (let i = 0; i < size; i++) {
          scores[i] = Math.max((scores[i]! - shift) / temperature, -Number.MAX_VALUE);
        }
      },
    };
  },
};
