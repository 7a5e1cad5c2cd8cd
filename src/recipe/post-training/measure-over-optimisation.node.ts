/**
 * Measures over-optimisation: samples answers of a model (best of n) and of the checkpoints of its reinforcement, and
 * scores them by the proxy that was pushed on and by the gold reward that it stands for.
 */
import { join } from 'node:path';
import { bestOf, type JudgedAnswer, type SampledPrompt } from '../../align/best-of/best-of.ts';
import {
  type BestOfPoint,
  bestOfCurve,
  type CurvePoint,
  meanAndError,
} from '../../align/best-of/over-optimisation.ts';
import type { AnsweredPrompt, RewardFunction } from '../../align/reward-function.ts';
import { SequenceScorer, totalLogprob } from '../../align/sequence-logprobs.ts';
import { answeredRow, type SequenceRow } from '../../align/sequence-row.ts';
import { writeFileAtomic } from '../../core/atomic-file.node.ts';
import type { Completion, GenerateOptions, LanguageModel } from '../../decode/language-model.ts';
import type { TransformerConfig } from '../../model/config.ts';
import type { Weights } from '../../model/initialize.ts';
import type { Device } from '../../runtime/device.ts';
import { encodeChat } from '../../tokenizer/index.ts';
import { type OverOptimisationReport, renderOverOptimisation } from './over-optimisation-report.ts';

export interface MeasureOptions {
  readonly prompts: readonly SampledPrompt[];
  readonly proxy: RewardFunction;
  readonly gold: RewardFunction;
  /** Answers to each prompt: the largest n of best-of-n. */
  readonly numSamples: number;
  readonly seed?: number;
  /** As answers are sampled; temperature 1 when left out, which the KL is that of. */
  readonly generation?: Omit<GenerateOptions, 'seed' | 'choice' | 'signal' | 'search'>;
  readonly signal?: AbortSignal;
}

/** Points of best-of-n for n = 1, 2, 4 ... `numSamples`, from one pool of answers for each prompt. */
export async function measureBestOf(model: LanguageModel, options: MeasureOptions): Promise<BestOfPoint[]> {
  const { prompts, numSamples, proxy, gold, ...sampling } = options;
  const pools = await bestOf(model, prompts, { ...sampling, n: numSamples, reward: proxy });
  const golds = await goldOf(
    gold,
    prompts,
    pools.map(({ answers }) => answers),
  );
  return bestOfCurve(
    pools.map(({ answers }, i) =>
      answers.map(({ reward, logprob }, k) => ({ proxy: reward, gold: golds[i]![k]!, logprob })),
    ),
  );
}

export interface MeasuredCheckpoint {
  /** 'step 400' */
  readonly label: string;
  /** It decodes with these weights. */
  readonly model: LanguageModel;
  readonly weights: Weights;
}

export interface CheckpointsOptions extends MeasureOptions {
  readonly device: Device;
  /** Of the initial model and of all checkpoints. */
  readonly config: TransformerConfig;
  readonly initial: Weights;
  /** Tokens of a prompt with its answer at most. */
  readonly length: number;
}

/** Rows that are scored together. */
const SCORED_ROWS = 16;

/**
 * One point for each checkpoint: the mean rewards of its answers, and its KL from the initial model by the answers' own
 * log-ratios, E[log pi - log pi_0], which is unbiased at temperature 1. Give the initial model as the first checkpoint.
 */
export async function measureCheckpoints(
  checkpoints: Iterable<MeasuredCheckpoint> | AsyncIterable<MeasuredCheckpoint>,
  options: CheckpointsOptions,
): Promise<CurvePoint[]> {
  const { prompts, numSamples, proxy, gold, device, config, initial, length, ...sampling } = options;
  const scorer = await SequenceScorer.compile(device, config, { batchSize: SCORED_ROWS, length });
  const points: CurvePoint[] = [];
  try {
    for await (const { label, model, weights } of checkpoints) {
      const pools = await bestOf(model, prompts, { ...sampling, n: numSamples, reward: proxy });
      const answers = pools.map((pool) => pool.answers);
      const golds = await goldOf(gold, prompts, answers);
      const rows = prompts.flatMap((prompt, i) =>
        answers[i]!.map(({ completion }) => rowOf(model, prompt, completion)),
      );
      const own = await scorer.score(weights, rows);
      const reference = await scorer.score(initial, rows);
      const ratios = own.map((logprobs, r) => totalLogprob(logprobs) - totalLogprob(reference[r]!));
      // A mean of log-ratios can come out below 0 near the initial model, where it is all chance.
      const kl = Math.max(0, meanAndError(ratios).mean);
      const proxies = meanAndError(
        answers.map((pool) => meanAndError(pool.map(({ reward }) => reward)).mean),
      );
      const goldMeans = meanAndError(golds.map((values) => meanAndError(values).mean));
      points.push({
        label,
        kl,
        proxy: proxies.mean,
        gold: goldMeans.mean,
        proxyError: proxies.error,
        goldError: goldMeans.error,
      });
    }
  } finally {
    await scorer.dispose();
  }
  return points;
}

function rowOf(
  { tokenizer, chatFormat }: LanguageModel,
  { messages }: SampledPrompt,
  answer: Completion,
): SequenceRow {
  const prompt = encodeChat(tokenizer!, chatFormat!, messages, { addGenerationPrompt: true }).ids;
  const { tokens, stopToken } = answer;
  return answeredRow(prompt, stopToken === undefined ? tokens : [...tokens, stopToken]);
}

async function goldOf(
  gold: RewardFunction,
  prompts: readonly SampledPrompt[],
  pools: readonly (readonly JudgedAnswer[])[],
): Promise<number[][]> {
  const asked: AnsweredPrompt[] = prompts.flatMap((prompt, i) =>
    pools[i]!.map(({ completion }) => ({ ...prompt, completion })),
  );
  const scores = await gold.score(asked);
  let at = 0;
  return pools.map(({ length }) => {
    at += length;
    return scores.slice(at - length, at);
  });
}

/** Writes over-optimisation.html and .json into a folder. */
export async function writeOverOptimisation(folder: string, report: OverOptimisationReport): Promise<void> {
  await writeFileAtomic(join(folder, 'over-optimisation.html'), renderOverOptimisation(report));
  await writeFileAtomic(join(folder, 'over-optimisation.json'), `${JSON.stringify(report, null, 2)}\n`);
}
