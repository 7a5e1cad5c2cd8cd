/**
 * Keeps candidates whose score lies within n standard deviations (of all candidates' scores, population) of the
 * best (Tang et al. 2024). The same set whatever the temperature before it. n of 0 leaves all.
 */
import { checkSetting, type StageKind } from './stage.ts';

export interface TopNSigmaSettings {
  readonly stage: 'top-n-sigma';
  readonly n: number;
}

export const topNSigmaStage: StageKind<TopNSigmaSettings> = {
  settings: { n: 'number' },
  create({ n }) {
    checkSetting('top-n-sigma', 'n', n, { least: 0 });
    return {
      keepsFirstMaximum: true,
      apply: (candidates) => {
        if (n === 0) return;
        const { scores, size, maximum } = candidates;
        // Taken from the maximum, so that large scores do not cancel.
        let sum = 0;
        for (let i = 0; i < size; i++) sum += scores[i]! - maximum;
        const mean = sum / size;
        let squares = 0;
        for (let i = 0; i < size; i++) squares += (scores[i]! - maximum - mean) ** 2;
        const deviation = Math.sqrt(squares / size);
        // Scores as far apart as numbers go give no finite deviation: then all are within it.
        if (Number.isFinite(deviation)) candidates.keepAtLeast(maximum - n * deviation);
      },
    };
  },
};
