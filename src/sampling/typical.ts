/**
 * Locally typical sampling (Meister et al. 2022): keeps the candidates whose surprise -ln p is nearest to the
 * entropy, until their probability passes p; the most probable token may be among those dropped. p of 1 keeps
 * all, p of 0 the most typical alone. Of equally typical ones lower ids come first.
 */
import { checkFlag, checkSetting, type StageKind } from './stage.ts';

export interface TypicalSettings {
  readonly stage: 'typical';
  readonly p: number;
  /** Stop once p is reached, as transformers does. Default: once it is exceeded, as llama.cpp does. */
  readonly stopAtP?: boolean;
  /** Also keep what is as typical as the last one kept, as transformers does. Default false. */
  readonly keepTies?: boolean;
}

export const typicalStage: StageKind<TypicalSettings> = {
  settings: { p: 'number', stopAtP: 'flag', keepTies: 'flag' },
  create({ p, stopAtP = false, keepTies = false }) {
    checkSetting('typical', 'p', p, { least: 0, most: 1 });
    checkFlag('typical', 'stopAtP', stopAtP);
    checkFlag('typical', 'keepTies', keepTies);
    return {
      keepsFirstMaximum: p >= 1,
      apply: (candidates) => {
        if (p >= 1) return;
        const { maximum } = candidates;
        const total = candidates.totalWeight();
        const base = Math.log(total) - candidates.entropy(total);
        const enough = p * total;
        let weight = 0;
        let lastCost = -1;
        candidates.keepCheapestWhile(
          (score) => Math.abs(base + (maximum - score)),
          (cost, score) => {
            const isEnough = stopAtP ? weight >= enough : weight > enough;
            if (lastCost >= 0 && isEnough && !(keepTies && cost === lastCost)) return false;
            weight += Math.exp(score - maximum);
            lastCost = cost;
            return true;
          },
          enough,
        );
      },
    };
  },
};
