/** report.json of a reinforcement: settings, and reward, KL and the other figures by iteration. */

import type { RlSettings } from '../../align/rl/settings.ts';
import type { PlinthEvent } from '../../core/events.ts';
import type { TransformerConfig } from '../../model/config.ts';
import { generationWork, type StageUse, scoringWork } from '../accounting.ts';
import type { TrainingFolder } from '../training-folder.node.ts';
import type { TrainingOutcome } from '../training-outcome.node.ts';
import type { ReinforcementOutcome } from './reinforce.node.ts';
import { accountForTraining, addToReport } from './training-report.node.ts';

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
  readonly config: TransformerConfig;
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
  { config, settings, reward, learningRate, events, stepsPerIteration }: ReportInput,
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
  const accounting = await accountForTraining(folder, 'rl', () => rolloutWork(config, settings, iterations));
  await addToReport(folder, { ...report, accounting });
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

/**
 * Answers of every iteration at their mean lengths, and the two passes over them: of the policy that answered and of
 * the reference. Answers sampled anew because all of a group earned the same are not counted.
 */
function rolloutWork(
  config: TransformerConfig,
  { promptsPerStep, groupSize }: RlSettings,
  iterations: ReinforcementReport['iterations'],
): Pick<StageUse, 'generation' | 'scoring'> {
  const numAnswers = promptsPerStep * groupSize;
  const lengths = iterations.map(({ promptLength = 0, length = 0 }) => ({
    promptTokens: Math.round(promptLength),
    completionTokens: Math.round(length),
  }));
  const times = (work: { flops: number; tokens: number }, factor: number) => ({
    flops: work.flops * factor,
    tokens: work.tokens * factor,
  });
  const generation = generationWork(config, lengths);
  const scoring = scoringWork(
    config,
    lengths.map(({ promptTokens, completionTokens }) => promptTokens + completionTokens),
  );
  return { generation: times(generation, numAnswers), scoring: times(scoring, 2 * numAnswers) };
}
