/** Keeps candidates of at least this probability, and the best ones always (Hewitt et al. 2022). 0 leaves all. */
import { checkSetting, type StageKind } from './stage.ts';

export interface EpsilonSettings {
  readonly stage: 'epsilon';
  readonly cutoff: number;
}

export const epsilonStage: StageKind<EpsilonSettings> = {
  settings: { cutoff: 'number' },
  create({ cutoff }) {
    checkSetting('epsilon', 'cutoff', cutoff, { least: 0, below: 1 });
    return {
      keepsFirstMaximum: true,
      apply: (candidates) => {
        if (cutoff === 0) return;
        candidates.keepAtLeast(candidates.maximum + Math.log(cutoff * candidates.totalWeight()));
      },
    };
  },
};
