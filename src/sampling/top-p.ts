/**
 * Nucleus sampling (Holtzman et al. 2020): keeps the smallest set of best candidates whose probability is at
 * least p, the one that crosses p included. p of 0 keeps the best alone, p of 1 keeps all.
 */
import { checkSetting, type StageKind } from './stage.ts';

export interface TopPSettings {
  readonly stage: 'top-p';
  readonly p: number;
  /** Keep at least so many. Default 1. */
  readonly minKeep?: number;
}

export const topPStage: StageKind<TopPSettings> = {
  settings: { p: 'number', minKeep: 'number' },
  create({ p, minKeep = 1 }) {
    checkSetting('top-p', 'p', p, { least: 0, most: 1 });
    checkSetting('top-p', 'minKeep', minKeep, { least: 0, whole: true });
    return {
      keepsFirstMaximum: true,
      apply: (candidates) => {
        if (p >= 1) return;
        const { maximum } = candidates;
        const enough = p * candidates.totalWeight();
        // The scan throws most of the vocabulary out before anything is sorted.
        if (minKeep <= 1) candidates.dropTail(enough);
        let weight = 0;
        candidates.keepBestWhile((score, taken) => {
          if (weight >= enough && taken >= Math.max(1, minKeep)) return false;
          weight += Math.exp(score - maximum);
          return true;
        });
      },
    };
  },
};
