/** report.json of a reinforcement: settings, and reward, KL and the other figures by iteration. */

import type { RlSettings } from '../../align/rl/settings.ts';
import { writeFileAtomic } from '../../core/atomic-file.node.ts';
import type { PlinthEvent } from '../../core/events.ts';
import type { TrainingFolder } from '../training-folder.node.ts';
import type { TrainingOutcome } from '../training-outcome.node.ts';
import type { ReinforcementOutcome } from './reinforce.node.ts';

export interface ReinforcementReport {
  readonly method: RlSettings['method'];
  readonly reward: string;
  readonly settings: RlSettings;
  readonly learningRate: number;
  readonly steps: number;
  /** In order; `step` is the last one of the iteration. Means over answers: reward, kl (nats of an answer), length ... */
  readonly iterations: readonly ({ readonly step: number } & Readonly<Record<string, number>>)[];
  /** Greedy answers to the prompts kept aside. */
  readonly validations: readonly ({ readonly step: number } & Readonly<Record<string, number>>)[];
}

interface ReportInput {
  readonly settings: RlSettings;
  readonly reward: string;
  readonly learningRate: number;
  /** Of the whole training. */
  readonly events: readonly PlinthEvent[];
  readonly stepsPerIteration: number;
}

/** Writes `report.json` and adds what it says to the outcome. */
export async function writeReinforcementReport(
  folder: TrainingFolder,
  outcome: TrainingOutcome,
  { settings, reward, learningRate, events, stepsPerIteration }: ReportInput,
): Promise<ReinforcementOutcome> {
  const iterations = events.flatMap((event) =>
    event.type === 'train-step' && event.step % stepsPerIteration === 0
      ? [{ step: event.step, ...event.metrics }]
      : [],
  );
  const validations = events.flatMap((event) =>
    event.type === 'validation' ? [{ step: event.step, ...event.metrics }] : [],
  );
  const report: ReinforcementReport = {
    method: settings.method,
    reward,
    settings,
    learningRate,
    steps: outcome.steps,
    iterations,
    validations,
  };
  await writeFileAtomic(folder.file('report.json'), `${JSON.stringify(report, null, 2)}\n`);
  const rewardOf = (figures: Readonly<Record<string, number>> | undefined) => figures?.reward ?? Number.NaN;
  return {
    ...outcome,
    firstReward: rewardOf(iterations[0]),
    lastReward: rewardOf(iterations.at(-1)),
    ...(validations.length > 0 && {
      validationReward: { before: rewardOf(validations[0]), after: rewardOf(validations.at(-1)) },
    }),
  };
}
