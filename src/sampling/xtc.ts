/**
 * Exclude top choices: with a chance of `probability`, drops every candidate of at least the probability
 * `threshold` but the least of them, where at least two reach it (llama.cpp's rule). A threshold above 0.5
 * can never be reached twice and leaves all.
 */
import { checkSetting, type StageKind } from './stage.ts';

export interface XtcSettings {
  readonly stage: 'xtc';
  readonly probability: number;
  readonly threshold: number;
  /** Drop nothing if fewer than so many would be left. Default 1. */
  readonly minKeep?: number;
}

export const xtcStage: StageKind<XtcSettings> = {
  settings: { probability: 'number', threshold: 'number', minKeep: 'number' },
  create({ probability, threshold, minKeep = 1 }, nextLane) {
    checkSetting('xtc', 'probability', probability, { least: 0, most: 1 });
    checkSetting('xtc', 'threshold', threshold, { least: 0, most: 1 });
    checkSetting('xtc', 'minKeep', minKeep, { least: 0, whole: true });
    const isIdle = probability === 0 || threshold > 0.5;
    const lane = nextLane();
    return {
      keepsFirstMaximum: isIdle,
      apply: (candidates, { draws }) => {
        if (isIdle || candidates.size < 2 || draws.uniform(lane) >= probability) return;
        const { ids, scores, weights, size } = candidates;
        const least = threshold * candidates.totalWeight();
        const isTop = (i: number) => weights[i]! >= least;
        // The last of them in order of scores; of equal scores the highest id.
        let last = -1;
        let numTop = 0;
        for (let i = 0; i < size; i++) {
          if (!isTop(i)) continue;
          numTop++;
          if (
            last < 0 ||
            scores[i]! < scores[last]! ||
            (scores[i] === scores[last] && ids[i]! > ids[last]!)
          ) {
            last = i;
          }
        }
        if (numTop < 2 || size - (numTop - 1) < minKeep) return;
        let kept = 0;
        for (let i = 0; i < size; i++) {
          if (i !== last && isTop(i)) continue;
          ids[kept] = ids[i]!;
          scores[kept++] = scores[i]!;
        }
        candidates.truncate(kept);
      },
    };
  },
};
