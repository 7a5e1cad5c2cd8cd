/**
 * Runs an experiment from texts to report. Reads top to bottom as the stages go: texts, one tokenizer for all arms,
 * the plan, every arm with every seed, the report. What a stop left unfinished is gone on with; what is finished
 * is not done again.
 */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileAtomic } from '../../core/atomic-file.node.ts';
import { digest } from '../../core/digest.node.ts';
import { CancelledError, PlinthError } from '../../core/errors.ts';
import { type EventSink, ignoreEvents } from '../../core/events.ts';
import { readJsonFile } from '../../core/json-file.node.ts';
import type { DocumentMeasurement } from '../../evaluate/index.ts';
import { nodeDeviceByName } from '../../runtime/index.node.ts';
import {
  DEFAULT_TOKENIZER_CONFIG,
  formatTokenizerConfig,
  formatTokenizerJson,
} from '../../tokenizer/index.ts';
import { modelConfig } from '../plan.ts';
import type { RecipeOverrides } from '../recipe.ts';
import { announceStages } from '../stages/announce.ts';
import { DocumentLoss } from '../stages/document-loss.ts';
import { END_OF_TEXT } from '../stages/fact-data.node.ts';
import { planOnMachine } from '../stages/plan-on-machine.ts';
import { buildExperimentReport } from './build-experiment-report.node.ts';
import { checkExperimentData, checkNumSeeds, type Experiment } from './experiment.ts';
import { ExperimentFolder, type ExperimentRequest } from './experiment-folder.node.ts';
import type { ExperimentReport } from './experiment-report.ts';
import { armBatches, numWindows, prepareTokens, sharedTokenizer } from './experiment-tokens.node.ts';
import { renderExperimentReport } from './html-experiment.ts';
import { type ExperimentSettings, planExperimentSteps, planShape } from './plan-experiment.ts';
import { type ModelResult, trainModel } from './train-model.node.ts';

export interface ExperimentOptions {
  /** The experiment's folder; `defaultExperimentFolder(experiment, options)` when left out. */
  readonly folder?: string;
  readonly minutes?: number;
  readonly params?: number;
  readonly numSeeds?: number;
  /** Of the texts; models take it and the numbers after it. 1 when left out. */
  readonly seed?: number;
  readonly device?: 'cpu' | 'webgpu' | 'cuda';
  readonly numThreads?: number;
  readonly overrides?: RecipeOverrides;
  readonly checkpointSeconds?: number;
  readonly fresh?: boolean;
  readonly onEvent?: EventSink;
  readonly signal?: AbortSignal;
}

export interface ExperimentResult {
  readonly folder: string;
  readonly report: ExperimentReport;
  /** False when the folder held the finished experiment and nothing was done. */
  readonly trained: boolean;
}

/** Rows of an evaluation batch. */
const EVALUATION_ROWS = 16;

export function defaultExperimentFolder(
  experiment: Experiment,
  options: Pick<ExperimentOptions, 'minutes' | 'params' | 'numSeeds' | 'seed'> = {},
): string {
  const { minutes, params, numSeeds, seed } = options;
  const parts = [experiment.name];
  if (minutes !== undefined && minutes !== experiment.minutes) parts.push(`${minutes}min`);
  if (params !== undefined) parts.push(`${params}params`);
  if (numSeeds !== undefined && numSeeds !== experiment.numSeeds) parts.push(`${numSeeds}seeds`);
  if (seed !== undefined) parts.push(`seed${seed}`);
  return join('runs', parts.join('-'));
}

/**
 * Runs or resumes. Throws CancelledError after saving when the signal fires; ConfigError when the folder belongs
 * to another request or the data is not usable; DataError when a package with texts is not installed.
 */
export async function runExperiment(
  experiment: Experiment,
  options: ExperimentOptions = {},
): Promise<ExperimentResult> {
  const onEvent = options.onEvent ?? ignoreEvents;
  const { signal } = options;
  const dial = {
    minutes: options.minutes ?? experiment.minutes,
    ...(options.params !== undefined && { params: options.params }),
  };
  const numSeeds = options.numSeeds ?? experiment.numSeeds;
  checkNumSeeds(numSeeds);
  const overrides: RecipeOverrides = { ...experiment.settings, ...options.overrides };
  const seed = options.seed ?? overrides.seed ?? 1;
  const data = await experiment.data({ seed });
  checkExperimentData(data);
  const numModels = data.arms.length * numSeeds;
  // The vocabulary does not depend on the machine; sizes are planned once it is measured.
  const { vocabSize } = planShape(dial, numModels, overrides);
  const request: ExperimentRequest = {
    experiment: experiment.name,
    ...dial,
    numSeeds,
    seed,
    device: options.device ?? 'cpu',
    overrides,
    dataDigest: digest({
      arms: data.arms.map(({ name, parts }) => [
        name,
        parts.map((part) => [part.name, part.share, part.documents.map(({ text }) => text)]),
      ]),
      evaluations: data.evaluations.map(({ name, documents }) => [name, documents.map(({ text }) => text)]),
    }),
  };
  const folder = await ExperimentFolder.open(
    options.folder ?? defaultExperimentFolder(experiment, options),
    request,
    options.fresh ?? false,
  );
  const finished = await readJsonFile(
    folder.file('report.json'),
    'Delete it to make the report again, or add --fresh to start over.',
  );
  if (finished) return { folder: folder.path, report: finished as ExperimentReport, trained: false };

  const seeds = Array.from({ length: numSeeds }, (_, i) => seed + i);
  // Seed by seed, so that a stop leaves whole comparisons.
  const models = seeds.flatMap((one) => data.arms.map((arm) => ({ arm, seed: one })));
  const stageOf = (arm: string, one: number) => `${arm}, seed ${one}`;
  const announced = announceStages(
    ['tokenizer', 'plan', ...models.map(({ arm, seed: one }) => stageOf(arm.name, one)), 'report'],
    onEvent,
  );
  const stage = async <T>(name: string, work: () => Promise<T>): Promise<T> => {
    if (signal?.aborted) throw new CancelledError('Stopped. The same command goes on from here.');
    try {
      return await announced(name, work);
    } catch (error) {
      if (signal?.aborted && !(error instanceof PlinthError)) throw new CancelledError();
      throw error;
    } finally {
      await folder.clock.save().catch(() => {});
    }
  };

  const tokenizer = await stage('tokenizer', () =>
    sharedTokenizer(folder.file('tokenizer'), data, vocabSize, onEvent),
  );
  const endOfTextId = tokenizer.specialTokens.get(END_OF_TEXT)!;
  const device = await nodeDeviceByName(
    request.device,
    options.numThreads ? { numThreads: options.numThreads } : {},
  );
  const tokens = prepareTokens(data.arms, tokenizer, endOfTextId);
  const configOf = (shape: ExperimentSettings) =>
    modelConfig(
      {
        ...shape,
        sftOptimizer: shape.pretrainOptimizer,
        preferOptimizer: shape.pretrainOptimizer,
        sftSchedule: shape.pretrainSchedule,
        unknownShare: 0,
        proseShare: 0,
      },
      { vocabSize: tokenizer.vocabSize, endOfTextId, endOfTurnId: endOfTextId },
    );

  const resolved = await stage('plan', async () => {
    if (folder.resolved) return folder.resolved;
    const {
      settings: sized,
      machine,
      measured,
    } = await planOnMachine({
      device,
      plan: (onMachine) => planShape(dial, numModels, overrides, onMachine),
      config: configOf,
      batches: (sizes) => armBatches(data.arms[0]!, tokens, { ...sizes, seed }),
      ...(signal && { signal }),
    });
    const windows = numWindows(data.evaluations, tokenizer, sized.contextLength);
    const planned = planExperimentSteps(dial, {
      secondsPerStep: measured.secondsPerStep,
      secondsSoFar: folder.clock.seconds,
      numModels,
      // In batches of training's size, for which the time of a step is known.
      numEvaluationBatches: Math.ceil(windows / sized.batchSize),
    });
    return folder.resolve({
      ...planned,
      numSteps: overrides.pretrainSteps ?? planned.numSteps,
      ...measured,
      sgemmGflops: machine.gflops,
      settings: sized,
    });
  });
  const { settings: shape } = resolved;
  const config = configOf(shape);
  const batchesFor = (arm: (typeof data.arms)[number], one: number) =>
    armBatches(arm, tokens, { ...shape, seed: one });

  const tokenizerConfig = { ...DEFAULT_TOKENIZER_CONFIG, chatTemplate: null, eosToken: END_OF_TEXT };
  const files = new Map([
    ['tokenizer.json', formatTokenizerJson(tokenizer)],
    ['tokenizer_config.json', formatTokenizerConfig(tokenizer, tokenizerConfig)],
  ]);
  const documentLoss = await DocumentLoss.compile(device, config, {
    batchSize: EVALUATION_ROWS,
    length: shape.contextLength,
  });
  const results: ModelResult[] = [];
  try {
    for (const { arm, seed: one } of models) {
      const name = stageOf(arm.name, one);
      const path = folder.file('arms', fileName(arm.name), `seed-${one}`);
      await mkdir(path, { recursive: true });
      const result = await stage(name, () =>
        trainModel({
          folder: path,
          stage: name,
          arm: arm.name,
          seed: one,
          fingerprint: digest({ request, resolved, arm: arm.name, seed: one }),
          device,
          config,
          tokenizer,
          files,
          resolved,
          batches: () => batchesFor(arm, one),
          evaluations: data.evaluations,
          documentLoss,
          ...(options.checkpointSeconds !== undefined && { checkpointSeconds: options.checkpointSeconds }),
          onEvent,
          onCheckpoint: () => folder.clock.save(),
          ...(signal && { signal }),
        }),
      );
      results.push(result);
    }
  } finally {
    await documentLoss.dispose();
  }

  return stage('report', async () => {
    const report = buildExperimentReport({
      experiment,
      data,
      folder,
      resolved,
      tokenizer,
      tokens,
      config,
      device,
      results,
      measurements: (arm, evaluation) =>
        results.filter((one) => one.arm === arm).map((one) => measurementOf(one, evaluation)),
    });
    await writeFileAtomic(folder.file('report.html'), renderExperimentReport(report));
    // Last of all: a report.json says that the experiment is complete.
    await writeFileAtomic(folder.file('report.json'), `${JSON.stringify(report, null, 2)}\n`);
    return { folder: folder.path, report, trained: true };
  });
}

function measurementOf(result: ModelResult, evaluation: string): DocumentMeasurement {
  return result.documents[evaluation]!.map(([bits, bytes]) => ({ bits, bytes }));
}

/** An arm's name as a folder's; a digest tells apart names that differ in other characters. */
function fileName(arm: string): string {
  const plain = arm
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-|-$/g, '');
  return plain === arm ? arm : `${plain.slice(0, 40)}-${digest(arm).slice(0, 6)}`;
}
