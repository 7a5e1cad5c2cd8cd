/** Keeps candidates at least p times as probable as the best (Nguyen et al. 2024). p of 0 leaves all. */
import { checkSetting, type StageKind } from './stage.ts';

export interface MinPSettings {
  readonly stage: 'min-p';
  readonly p: number;
}

export const minPStage: StageKind<MinPSettings> = {
  settings: { p: 'number' },
  create({ p }) {
    checkSetting('min-p', 'p', p, { least: 0, most: 1 });
    const logP = Math.log(p);
    return {
      keepsFirstMaximum: true,
      apply: (candidates) => {
        if (p > 0) candidates.keepAtLeast(candidates.maximum + logP);
      },
    };
  },
};
