/**
 * Keeps candidates of at least the probability min(cutoff, sqrt(cutoff) * exp(-H)), H the entropy in nats, and the
 * best ones always (Hewitt et al. 2022, eta sampling as transformers has it). 0 leaves all.
 */
import { checkSetting, type StageKind } from './stage.ts';

export interface EtaSettings {
  readonly stage: 'eta';
  readonly cutoff: number;
}

export const etaStage: StageKind<EtaSettings> = {
  settings: { cutoff: 'number' },
  create({ cutoff }) {
    checkSetting('eta', 'cutoff', cutoff, { least: 0, below: 1 });
    const logCutoff = Math.log(cutoff);
    return {
      keepsFirstMaximum: true,
      apply: (candidates) => {
        if (cutoff === 0) return;
        const total = candidates.totalWeight();
        const logEta = Math.min(logCutoff, logCutoff / 2 - candidates.entropy(total));
        candidates.keepAtLeast(candidates.maximum + Math.log(total) + logEta);
      },
    };
  },
};
