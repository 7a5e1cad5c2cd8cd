/**
 * A transfer experiment from texts to report: tokens, coordinate checks, the sweep of learning rates, the page. The
 * folder keeps every result in `runs.jsonl`, so that the same command goes on where it was stopped and a wider one
 * makes only what is new; `report.json` and `report.html` are of the last command that ended.
 */
import { mkdir, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { removeStaleTemporaries, writeFileAtomic } from '../../core/atomic-file.node.ts';
import { CancelledError, ConfigError, PlinthError } from '../../core/errors.ts';
import { type EventSink, ignoreEvents } from '../../core/events.ts';
import { packageVersion } from '../../core/package-root.node.ts';
import { type TokenBatch, type TokenDataset, WindowBatches } from '../../data/index.ts';
import { checkParametrisation, type Parametrisation } from '../../model/parametrisation.ts';
import type { Device } from '../../runtime/device.ts';
import { checkOptimizer, DEFAULT_OPTIMIZER, type OptimizerSettings } from '../../train/optimizer.ts';
import type { Schedule } from '../../train/schedule.ts';
import { announceStages } from '../stages/announce.ts';
import { type CoordinateCheck, type CoordinateCheckOptions, coordinateCheck } from './coordinate-check.ts';
import { renderTransferReport } from './html-transfer.ts';
import { type LearningRateTransfer, learningRateTransfer, type StoredRun } from './learning-rate-transfer.ts';
import { RunJournal } from './run-journal.node.ts';
import { DEFAULT_FAMILY, type TransferFamily } from './transfer-model.ts';
import type { TransferReport } from './transfer-report.ts';
import { type TransferTokens, transferTokens } from './transfer-tokens.node.ts';

export interface RunTransferOptions {
  readonly texts: () => AsyncIterable<{ readonly text: string }> | Iterable<{ readonly text: string }>;
  /** What the text is, for the report. */
  readonly description: string;
  readonly folder: string;
  readonly device: Device;
  /** Folder with a tokenizer.json; left out, one is trained on the text. */
  readonly tokenizer?: string;
  readonly vocabSize?: number;
  readonly widths?: readonly number[];
  readonly depth?: number;
  readonly rates?: readonly number[];
  /** Default: standard, and muP with the largest width as its base. */
  readonly parametrisations?: readonly Parametrisation[];
  readonly baseWidth?: number;
  readonly numSteps?: number;
  readonly batchSize?: number;
  readonly contextLength?: number;
  readonly headDim?: number;
  readonly seed?: number;
  readonly numSeeds?: number;
  readonly optimizer?: Partial<OptimizerSettings>;
  /** Only the check of activations, no sweep. */
  readonly onlyCheck?: boolean;
  /** Depths of a second check, which needs CompleteP. Default none. */
  readonly depths?: readonly number[];
  readonly checkSteps?: number;
  readonly fresh?: boolean;
  readonly command?: string;
  readonly onEvent?: EventSink;
  readonly signal?: AbortSignal;
}

export interface RunTransferResult {
  readonly folder: string;
  readonly report: TransferReport;
}

export const TRANSFER_DEFAULTS = {
  widths: [64, 128, 256],
  depth: 4,
  /** 2^-11 to 2^-7; sweeps begin in the middle and go on beyond the ends where they must. */
  rates: [-11, -10, -9, -8, -7].map((power) => 2 ** power),
  numSteps: 200,
  batchSize: 8,
  contextLength: 64,
  vocabSize: 512,
  checkSteps: 5,
} as const;

const JOURNAL = 'runs.jsonl';
/** Part of a model's steps over which its rate rises. */
const WARMUP_SHARE = 0.1;
const NUM_VALIDATION_BATCHES = 8;
const CHECK_SEEDS = 2;

/** Throws ConfigError and DataError for what cannot be used, CancelledError (results kept) when stopped. */
export async function runTransfer(options: RunTransferOptions): Promise<RunTransferResult> {
  const onEvent = options.onEvent ?? ignoreEvents;
  const settings = settled(options);
  const { widths, depth, numSteps, batchSize, contextLength, seed, seeds, parametrisations } = settings;
  const folder = resolve(options.folder);
  await mkdir(folder, { recursive: true });
  await removeStaleTemporaries(folder);
  if (options.fresh) await rm(join(folder, JOURNAL), { force: true });
  const journal = await RunJournal.open(join(folder, JOURNAL));
  const checkNames = settings.checks.map(({ axis }) => `coordinate check over the ${axis}`);
  const announced = announceStages(
    ['text', ...checkNames, ...(options.onlyCheck ? [] : ['learning rates']), 'report'],
    onEvent,
  );
  const stage = async <T>(name: string, work: () => Promise<T>): Promise<T> => {
    if (options.signal?.aborted) throw new CancelledError('Stopped. The same command goes on from here.');
    try {
      return await announced(name, work);
    } catch (error) {
      if (options.signal?.aborted && !(error instanceof PlinthError)) throw new CancelledError();
      throw error;
    }
  };
  const tokens = await stage('text', () =>
    transferTokens(options.texts(), {
      tokenizer: options.tokenizer,
      vocabSize: options.vocabSize ?? TRANSFER_DEFAULTS.vocabSize,
      numTokens: numSteps * batchSize * contextLength,
      seed,
    }),
  );
  const shape = { batchSize, sequenceLength: contextLength, seed, documentSegments: true };
  const batches = new WindowBatches(tokens.train, shape);
  const validation = tokens.validation && validationBatches(tokens.validation, shape);
  const family: TransferFamily = {
    ...DEFAULT_FAMILY,
    headDim: settings.headDim,
    vocabSize: tokens.vocabSize,
    contextLength,
  };
  const data = { tokens: tokens.identity, shape };

  const checks: CoordinateCheck[] = [];
  for (const [i, sizes] of settings.checks.entries()) {
    const name = checkNames[i]!;
    const check = {
      family,
      parametrisations: sizes.parametrisations,
      widths: sizes.widths,
      depths: sizes.depths,
      optimizer: { ...settings.optimizer, learningRate: settings.checkRate },
      numSteps: options.checkSteps ?? TRANSFER_DEFAULTS.checkSteps,
      seeds: Array.from({ length: CHECK_SEEDS }, (_, k) => seed + k),
    };
    checks.push(
      await stage(name, () =>
        keptCheck(journal, { ...check, batches, device: options.device }, data, name, options),
      ),
    );
  }

  const epochs = (numSteps * batchSize) / batches.rowsPerEpoch;
  const measure = epochs > 1 && validation ? 'validation' : 'training';
  let transfer: LearningRateTransfer | null = null;
  if (!options.onlyCheck) {
    const start = performance.now();
    transfer = await stage('learning rates', () =>
      learningRateTransfer({
        device: options.device,
        batches,
        validation,
        family,
        depth,
        widths,
        rates: settings.rates,
        parametrisations,
        optimizer: settings.optimizer,
        schedule: settings.schedule,
        clipNorm: 1,
        numSteps,
        seeds,
        measure,
        finished: (run) => restored(journal.get({ run, data })),
        onRun: (run, result) =>
          journal.add({ run, data }, result, {
            parametrisation: run.parametrisation.kind,
            width: run.config.hiddenSize,
            depth: run.config.numLayers,
            learningRate: run.optimizer.learningRate,
            seed: run.seed,
          }),
        onModel: (done, total) => {
          const seconds = (performance.now() - start) / 1000;
          const ratePerSecond = done / seconds;
          onEvent({
            type: 'progress',
            stage: 'learning rates',
            done,
            total,
            unit: 'models',
            ratePerSecond,
            secondsLeft: done === 0 ? Number.NaN : (total - done) / ratePerSecond,
          });
        },
        signal: options.signal,
      }),
    );
  }

  return stage('report', async () => {
    const report: TransferReport = {
      kind: 'transfer',
      plinthVersion: packageVersion(),
      data: {
        description: options.description,
        numTrainTokens: tokens.train.numTokens,
        numValidationTokens: tokens.validation?.numTokens ?? 0,
        vocabSize: tokens.vocabSize,
        epochs,
      },
      model: {
        headDim: family.headDim,
        mlpRatio: family.mlpRatio,
        contextLength,
        batchSize,
        initializerRange: family.initializerRange,
        tieWordEmbeddings: family.tieWordEmbeddings,
      },
      transfer,
      checks,
      notes: notesOf(tokens, epochs, measure),
      command: options.command ?? 'npx plinth scale transfer',
    };
    await writeFileAtomic(join(folder, 'report.html'), renderTransferReport(report));
    await writeFileAtomic(join(folder, 'report.json'), `${JSON.stringify(report, null, 2)}\n`);
    return { folder, report };
  });
}

interface CheckSizes {
  readonly axis: 'width' | 'depth';
  readonly widths: readonly number[];
  readonly depths: readonly number[];
  readonly parametrisations: readonly Parametrisation[];
}

/** Every number, given or by default. */
function settled(options: RunTransferOptions) {
  const { seed = 1, numSeeds = 1, depths = [], headDim = DEFAULT_FAMILY.headDim } = options;
  const given = { ...TRANSFER_DEFAULTS, ...withoutUndefined(options) };
  const { depth, numSteps, batchSize, contextLength } = given;
  const widths: readonly number[] = [...given.widths].sort((a, b) => a - b);
  const rates: readonly number[] = [...given.rates].sort((a, b) => a - b);
  if (widths.length < 2) {
    throw new ConfigError(`A transfer is between at least two widths, got ${widths.join(', ') || 'none'}.`);
  }
  // The largest width as base: the spread of initial weights suits wide models, and there no run is made twice.
  const baseWidth = options.baseWidth ?? widths.at(-1)!;
  const parametrisations = options.parametrisations ?? [{ kind: 'standard' }, { kind: 'mup', baseWidth }];
  for (const one of parametrisations) checkParametrisation(one);
  const optimizer: OptimizerSettings = { ...DEFAULT_OPTIMIZER, weightDecay: 0, ...options.optimizer };
  checkOptimizer(optimizer);
  const schedule: Schedule = {
    kind: 'constant',
    warmupSteps: Math.round(numSteps * WARMUP_SHARE),
    decayShare: 0,
    finalShare: 1,
    decay: 'linear',
  };
  const checks: CheckSizes[] = [{ axis: 'width', widths, depths: [depth], parametrisations }];
  if (depths.length > 0) {
    const baseDepth = Math.min(...depths);
    checks.push({
      axis: 'depth',
      widths: [widths[0]!],
      depths: [...depths].sort((a, b) => a - b),
      parametrisations: [
        { kind: 'standard' },
        { kind: 'mup', baseWidth },
        { kind: 'completep', baseWidth, baseDepth },
      ],
    });
  }
  return {
    widths,
    depth,
    rates,
    numSteps,
    batchSize,
    contextLength,
    headDim,
    seed,
    seeds: Array.from({ length: numSeeds }, (_, i) => seed + i),
    parametrisations,
    optimizer,
    schedule,
    checks,
    checkRate: rates[Math.floor((rates.length - 1) / 2)]!,
  };
}

function withoutUndefined<T extends object>(value: T): Partial<T> {
  return Object.fromEntries(Object.entries(value).filter(([, one]) => one !== undefined)) as Partial<T>;
}

async function keptCheck(
  journal: RunJournal,
  check: CoordinateCheckOptions,
  data: object,
  stage: string,
  { onEvent = ignoreEvents, signal }: RunTransferOptions,
): Promise<CoordinateCheck> {
  const { batches, device, ...request } = check;
  const kept = journal.get<CoordinateCheck>({ check: request, data });
  if (kept) return kept;
  const result = await coordinateCheck({
    ...check,
    signal,
    onModel: (done, total) =>
      onEvent({
        type: 'progress',
        stage,
        done,
        total,
        unit: 'models',
        ratePerSecond: Number.NaN,
        secondsLeft: Number.NaN,
      }),
  });
  await journal.add({ check: request, data }, result, { check: result.axis, sizes: result.sizes });
  return result;
}

/** JSON has no NaN; a loss that was none is null there. */
function restored(stored: StoredRun | undefined): StoredRun | undefined {
  return (
    stored && {
      trainLoss: stored.trainLoss ?? Number.NaN,
      validationLoss: stored.validationLoss ?? Number.NaN,
      seconds: stored.seconds,
    }
  );
}

function validationBatches(
  dataset: TokenDataset,
  shape: { batchSize: number; sequenceLength: number; seed: number; documentSegments: boolean },
): TokenBatch[] | undefined {
  if (dataset.numTokens <= shape.sequenceLength) return undefined;
  const source = new WindowBatches(dataset, shape);
  const numBatches = Math.min(
    NUM_VALIDATION_BATCHES,
    Math.max(1, Math.floor(source.rowsPerEpoch / shape.batchSize)),
  );
  return Array.from({ length: numBatches }, (_, i) => source.batch(i));
}

function notesOf({ isCut }: TransferTokens, epochs: number, measure: 'training' | 'validation'): string[] {
  return [
    ...(isCut ? ['There was more text than these models read; the rest was left out.'] : []),
    ...(epochs > 1
      ? [
          `Each model reads the text ${epochs.toFixed(1)} times; ${
            measure === 'validation'
              ? 'so the loss on validation text is compared.'
              : 'without text kept aside the training loss is compared, which flatters rates that memorise.'
          }`,
        ]
      : []),
  ];
}
