/**
 * Runs a sweep from text to law. Reads top to bottom as the stages go: tokens, the plan, every size but the largest,
 * the law and its prediction, the largest size, the report. What a stop left unfinished is gone on with.
 */
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { digest } from '../../core/digest.node.ts';
import { CancelledError, ConfigError, PlinthError } from '../../core/errors.ts';
import type { EventSink, PlinthEvent } from '../../core/events.ts';
import { saveCheckpoint } from '../../model/checkpoint.node.ts';
import { numParameters } from '../../model/config.ts';
import { checkParametrisation } from '../../model/parametrisation.ts';
import type { Device } from '../../runtime/device.ts';
import { measureSgemm } from '../../runtime/index.ts';
import { type LossLawFit, lawFileOf } from '../../scaling/index.ts';
import { checkSchedule } from '../../train/schedule.ts';
import { announceStages } from '../stages/announce.ts';
import { measureStep } from '../stages/measure-step.ts';
import { fileIdentity } from '../training-folder.node.ts';
import { buildSweepReport } from './build-sweep-report.node.ts';
import { backtest, fitSweepLaw, predictHeldBack, scalingPoints } from './extrapolate.ts';
import { heldOutBatches } from './held-out.ts';
import { checkLadder, checkNumSizes, configOf, parameterCounts, plannedFor, sweepMenu } from './ladder.ts';
import { measureLadder, planBranches, plannedSecondsOf, SWEEP_RULES, settleEnds } from './plan-sweep.ts';
import {
  type BatchShape,
  namesOf,
  SWEEP_PARAMETERS,
  type SweepPoint,
  type SweepSettings,
  type SweepShape,
  type SweepTokens,
} from './sweep.ts';
import { type ResolvedSweep, SweepFolder } from './sweep-folder.node.ts';
import type { SweepReport } from './sweep-report.ts';
import { prepareTextTokens } from './sweep-tokens.node.ts';
import { trainSize } from './train-size.node.ts';
import { writeSweepReport } from './write-sweep-report.node.ts';

export interface SweepOptions {
  /** Text to sweep on (txt, md, jsonl, csv, tsv, each also .gz, or parquet); or `tokens`. */
  readonly files?: readonly string[];
  /** Tokens from elsewhere, such as a recipe's pre-training data. */
  readonly tokens?: SweepTokens;
  /** Folder with a tokenizer.json, for `files`; one is trained when left out. */
  readonly tokenizer?: string;
  readonly vocabSize?: number;
  readonly textColumn?: string;
  readonly folder: string;
  readonly device: Device;
  /** For everything, the held-back size included. */
  readonly minutes: number;
  /** Number of sizes (5 when left out), or the sizes themselves, smallest first. */
  readonly sizes?: number | readonly SweepShape[];
  /** False predicts the largest size and leaves it untrained. The same folder can train it later. */
  readonly trainLargest?: boolean;
  readonly settings?: Partial<SweepSettings>;
  /** Seconds between checkpoints: what a kill can cost at most. 30 when left out. */
  readonly checkpointSeconds?: number;
  readonly fresh?: boolean;
  readonly onEvent?: EventSink;
  readonly signal?: AbortSignal;
}

export interface SweepResult {
  readonly folder: string;
  readonly report: SweepReport;
  /** False when the folder held the finished sweep and nothing was done. */
  readonly trained: boolean;
}

const DEFAULT_SIZES = 5;
const CHECKPOINT_SECONDS = 30;
const MAX_MINUTES = 7 * 24 * 60;

/** Decay to nothing over a fifth of the steps, as 1 - sqrt: the best of Haegele et al. 2024, section 3. */
const DEFAULT_SCHEDULE = {
  kind: 'warmup-stable-decay',
  warmupSteps: 30,
  decayShare: 0.2,
  finalShare: 0,
  decay: '1-sqrt',
} as const;

/**
 * Runs or resumes. Throws ConfigError for minutes or sizes that do not fit or a folder of another request, DataError
 * for text that cannot be read or is too little, CancelledError (state saved) when the signal fires.
 */
export async function runSweep(options: SweepOptions): Promise<SweepResult> {
  const { device, minutes, signal } = options;
  const trainLargest = options.trainLargest ?? true;
  checkOptions(options);
  const shapes = typeof options.sizes === 'object' ? options.sizes : undefined;
  const numSizes = shapes?.length ?? (options.sizes as number | undefined) ?? DEFAULT_SIZES;
  const given = options.settings ?? {};
  const base = plannedFor(sweepMenu()[0]!, given);
  const settings: SweepSettings = {
    seed: base.seed,
    batchSize: base.batchSize,
    contextLength: base.contextLength,
    clipNorm: base.clipNorm,
    schedule: DEFAULT_SCHEDULE,
    ...given,
  };
  const vocabSize = options.vocabSize ?? base.vocabSize;
  const request = {
    data: options.tokens?.identity ?? (await Promise.all((options.files ?? []).map(fileIdentity))),
    tokenizer: options.tokens
      ? null
      : options.tokenizer
        ? resolve(options.tokenizer)
        : `trained, ${vocabSize}`,
    textColumn: options.textColumn ?? null,
    minutes,
    sizes: shapes ?? numSizes,
    settings: JSON.parse(JSON.stringify(settings)) as object,
  };
  const folder = await SweepFolder.open(options.folder, request, options.fresh ?? false);

  const pending: PlinthEvent[] = [];
  const onEvent: EventSink = (event) => {
    if (event.type === 'train-step' || event.type === 'validation') pending.push(event);
    options.onEvent?.(event);
  };
  const keep = async () => {
    await folder.metrics.append(pending.splice(0));
    await folder.clock.save();
  };
  const sizeStages = Array.from({ length: numSizes - 1 }, (_, i) => `size ${i + 1} of ${numSizes}`);
  const stages = ['data', 'plan', ...sizeStages, 'law', ...(trainLargest ? ['largest size'] : []), 'report'];
  const announced = announceStages(stages, onEvent);
  const stage = async <T>(
    name: string,
    work: () => Promise<T>,
    detail?: (result: T) => string,
  ): Promise<T> => {
    if (signal?.aborted) throw new CancelledError('Stopped. The same command goes on from here.');
    try {
      return await announced(name, work, detail);
    } catch (error) {
      if (signal?.aborted && !(error instanceof PlinthError)) throw new CancelledError();
      throw error;
    } finally {
      await keep().catch(() => {});
    }
  };

  const finished = await finishedReport(folder, trainLargest);
  if (finished) return { folder: folder.path, report: finished, trained: false };

  const tokens = await stage(
    'data',
    async () =>
      options.tokens ??
      (await prepareTextTokens(folder.path, digest(request.data), {
        files: options.files!,
        ...(options.tokenizer !== undefined && { tokenizer: options.tokenizer }),
        vocabSize,
        ...(options.textColumn !== undefined && { textColumn: options.textColumn }),
        seed: settings.seed,
        onEvent,
        ...(signal && { signal }),
      })),
    ({ numTokens }) => `${numTokens} tokens`,
  );
  const shape: BatchShape = {
    batchSize: settings.batchSize,
    sequenceLength: settings.contextLength,
    seed: settings.seed,
  };
  const tokensPerStep = shape.batchSize * shape.sequenceLength;
  const batches = tokens.train(shape);
  const validation = tokens.validation(shape);
  const availableHeldOut = validation.rowsPerEpoch * shape.sequenceLength;
  const configFor = (one: SweepShape) => configOf(one, given, tokens);
  const optimizerFor = (one: SweepShape) => plannedFor(one, given).pretrainOptimizer;

  const resolved = await stage(
    'plan',
    async () => folder.resolved ?? (await folder.resolve(await plan())),
    ({ sizes, ends }) =>
      `${sizes.map((size) => `${size.shape.hiddenSize}x${size.shape.numLayers}`).join(', ')}; up to ${ends.at(-1)! * tokensPerStep} tokens each`,
  );
  const heldOut = heldOutBatches(validation, resolved.numHeldOutTokens, tokens.tokenizer);

  async function plan(): Promise<ResolvedSweep> {
    const sgemmGflops = await measureSgemm(device);
    const measure = async (one: SweepShape) => {
      const config = configFor(one);
      return {
        shape: one,
        ...parameterCounts(config),
        ...(await measureStep(device, config, batches, optimizerFor(one), signal)),
      };
    };
    const budget = () => ({
      seconds: minutes * 60 * SWEEP_RULES.plannedShare - SWEEP_RULES.finalSeconds - folder.clock.seconds,
      schedule: settings.schedule,
      shortenWarmup: given.schedule === undefined,
      tokensPerStep,
      numTokens: tokens.numTokens,
      numHeldOutTokens: availableHeldOut,
    });
    if (shapes) checkLadder(shapes, (one) => parameterCounts(configFor(one)).nonEmbedding);
    const total = (one: SweepShape) => numParameters(configFor(one));
    const menu = shapes ?? sweepMenu();
    const sizes = await measureLadder({ menu, numSizes, trainLargest, total, measure, budget });
    const trained = trainLargest ? sizes : sizes.slice(0, -1);
    const secondsPerStep = trained.map((size) => size.secondsPerStep);
    const planned = planBranches({ ...budget(), secondsPerStep });
    const plannedSeconds = folder.clock.seconds + planned.seconds + SWEEP_RULES.finalSeconds;
    return { ...planned, sizes, numTrainTokens: tokens.numTokens, sgemmGflops, plannedSeconds, settled: {} };
  }

  /** Decided once for each size, by the time that is left and the speed that the sizes before it had. */
  async function endsOf(index: number): Promise<readonly number[]> {
    const before = folder.resolved!.settled;
    if (before[index]) return before[index];
    const numTrained = trainLargest ? numSizes : numSizes - 1;
    const ends = settleEnds(
      { ...resolved, ends: before[index - 1] ?? resolved.ends },
      {
        seconds: minutes * 60 * SWEEP_RULES.settledShare - SWEEP_RULES.finalSeconds - folder.clock.seconds,
        secondsPerStep: slowed(resolved, await folder.points(), tokensPerStep).slice(index, numTrained),
        tokensPerStep,
      },
    );
    if (ends.at(-1)! < resolved.ends.at(-1)!) {
      const message =
        `The machine is slower than measured: sizes from this one on read ${ends.at(-1)! * tokensPerStep} tokens ` +
        `instead of ${resolved.ends.at(-1)! * tokensPerStep}.`;
      onEvent({ type: 'note', level: 'warning', message });
    }
    await folder.resolve({ ...folder.resolved!, settled: { ...before, [index]: ends } });
    return ends;
  }

  /** Trains one rung and journals its points. */
  async function train(index: number, name: string): Promise<void> {
    const size = resolved.sizes[index]!;
    const config = configFor(size.shape);
    const ends = await endsOf(index);
    const done = (await folder.points()).filter((point) => point.size === index);
    await trainSize({
      stage: name,
      folder: folder.file('sizes', String(index)),
      fingerprint: digest({ request, schedule: resolved.schedule, index }),
      device,
      config,
      seed: settings.seed,
      optimizer: optimizerFor(size.shape),
      parametrisation: settings.parametrisation,
      schedule: resolved.schedule,
      clipNorm: settings.clipNorm,
      batches,
      heldOut,
      ends,
      finished: new Set(done.map(({ steps }) => steps)),
      checkpointSeconds: options.checkpointSeconds ?? CHECKPOINT_SECONDS,
      peakGflops: resolved.sgemmGflops,
      onEvent,
      ...(signal && { signal }),
      onBranch: async ({ end, heldOut: measured, flops, seconds, weights }) => {
        const isModel = index === numSizes - 1 && end === ends.at(-1);
        if (isModel) {
          const files = tokens.tokenizerFiles;
          const model = { config, weights: await weights(), overwrite: true, ...(files && { files }) };
          await saveCheckpoint(folder.file('model'), model);
        }
        const { hiddenSize, numLayers } = size.shape;
        await folder.addPoint({
          size: index,
          hiddenSize,
          numLayers,
          params: size.total,
          nonEmbedding: size.nonEmbedding,
          steps: end,
          tokens: end * tokensPerStep,
          epochs: (end * tokensPerStep) / tokens.numTokens,
          flops,
          ...measured,
          seconds,
        });
        await keep();
      },
    });
  }

  for (const [i, name] of sizeStages.entries()) {
    await stage(
      name,
      () => train(i, name),
      () => detailOf(resolved.sizes[i]!.shape),
    );
  }

  const seed = settings.seed;
  const source = `plinth scale sweep on ${namesOf(options.files ?? [tokens.identity])}; N counts ${SWEEP_PARAMETERS}`;
  const { heldOutFit, backtestMiss } = await stage('law', async () => {
    const known = (await folder.points()).filter(({ size }) => size < numSizes - 1);
    const fit = fitSweepLaw(known, { seed, source: `${source}; fitted without the largest size` });
    // The prediction is on disk before the largest size takes its first step.
    await folder.writeJson('law.json', lawFileOf(fit, scalingPoints(known)));
    return { heldOutFit: fit, backtestMiss: backtest(known) };
  });

  if (trainLargest) {
    await stage(
      'largest size',
      () => train(numSizes - 1, 'largest size'),
      () => detailOf(resolved.sizes.at(-1)!.shape),
    );
  }

  return stage('report', async () => {
    const points = await folder.points();
    const fit = trainLargest ? fitSweepLaw(points, { seed, source }) : heldOutFit;
    await folder.writeJson('law.json', lawFileOf(fit, scalingPoints(points)));
    const report = buildSweepReport({
      options,
      folder,
      settings,
      vocabSize: tokens.vocabSize,
      heldOut,
      points,
      heldOutFit,
      fit,
      backtestMiss,
      heldBack: heldBackOf(heldOutFit, points),
      optimizers: resolved.sizes.map((size) => optimizerFor(size.shape)),
    });
    await writeSweepReport(folder, report);
    return { folder: folder.path, report, trained: true };
  });

  function heldBackOf(fit: LossLawFit, points: readonly SweepPoint[]) {
    const ends = folder.resolved!.settled[numSizes - 1] ?? resolved.ends;
    const tokenCounts = ends.map((end) => end * tokensPerStep);
    return predictHeldBack(fit, resolved.sizes.at(-1)!, tokenCounts, {
      actual: points.filter(({ size }) => size === numSizes - 1),
      backtest: backtestMiss,
    });
  }
}

/** Seconds of a step of each size, if the machine goes on as it did with the sizes that are finished. */
function slowed(
  { sizes, ...plan }: ResolvedSweep,
  points: readonly SweepPoint[],
  tokensPerStep: number,
): number[] {
  let [planned, taken] = [0, 0];
  for (const [i, size] of sizes.entries()) {
    const own = points.filter((point) => point.size === i);
    if (own.length === 0) continue;
    const ends = plan.settled[i] ?? plan.ends;
    planned += plannedSecondsOf({ ...plan, ends }, size.secondsPerStep, tokensPerStep);
    taken += own.reduce((sum, { seconds }) => sum + seconds, 0);
  }
  const factor = planned > 0 ? Math.max(1, taken / planned) : 1;
  return sizes.map(({ secondsPerStep }) => secondsPerStep * factor);
}

const detailOf = ({ hiddenSize, numLayers }: SweepShape) => `${hiddenSize} wide, ${numLayers} layers`;

function checkOptions(options: SweepOptions): void {
  const { files, tokens, minutes, sizes, settings, vocabSize, tokenizer } = options;
  if ((files === undefined) === (tokens === undefined)) {
    throw new ConfigError('A sweep takes either files or tokens. Give one of them.');
  }
  if (files?.length === 0) throw new ConfigError('No file was given. Name at least one with text.');
  if (!(minutes > 0 && minutes <= MAX_MINUTES)) {
    throw new ConfigError(`minutes must be above 0 and at most ${MAX_MINUTES} (a week), got ${minutes}.`);
  }
  if (vocabSize !== undefined && tokenizer !== undefined) {
    throw new ConfigError('Give either a tokenizer or a vocabSize for a new one, not both.');
  }
  const useless = (['tokenizer', 'vocabSize', 'textColumn'] as const).find(
    (key) => options[key] !== undefined,
  );
  if (tokens && useless !== undefined) {
    throw new ConfigError(`"${useless}" has no effect where tokens are given. Leave it out.`);
  }
  if (sizes !== undefined) checkNumSizes(typeof sizes === 'number' ? sizes : sizes.length);
  if (settings?.schedule) checkSchedule(settings.schedule);
  if (settings?.parametrisation) checkParametrisation(settings.parametrisation);
}

/** The report of a finished sweep; one without the largest size is unfinished when that is now wanted. */
async function finishedReport(folder: SweepFolder, trainLargest: boolean): Promise<SweepReport | undefined> {
  if (!existsSync(folder.file('report.json'))) return undefined;
  const { readJsonFile } = await import('../../core/json-file.node.ts');
  const report = (await readJsonFile(
    folder.file('report.json'),
    'Delete it to make it again.',
  )) as SweepReport;
  const isTrained = report.heldBack.every(({ actual }) => typeof actual === 'number');
  return isTrained || !trainLargest ? report : undefined;
}
