/** Keeps the k best candidates (Fan et al. 2018). k of 0 leaves all. */
import { checkFlag, checkSetting, type StageKind } from './stage.ts';

export interface TopKSettings {
  readonly stage: 'top-k';
  readonly k: number;
  /** Also keep what ties with the k-th, as vLLM and transformers do. Default: exactly k, lower ids first. */
  readonly keepTies?: boolean;
}

export const topKStage: StageKind<TopKSettings> = {
  settings: { k: 'number', keepTies: 'flag' },
  create({ k, keepTies = false }) {
    checkSetting('top-k', 'k', k, { least: 0, whole: true });
    checkFlag('top-k', 'keepTies', keepTies);
    return {
      keepsFirstMaximum: true,
      apply: (candidates) => {
        if (k === 0 || k >= candidates.size) return;
        // The scan for the k-th score throws most of the vocabulary out before anything is sorted.
        candidates.keepAtLeast(candidates.kthScore(k));
        if (!keepTies) candidates.keepBestWhile((_, taken) => taken < k);
      },
    };
  },
};
