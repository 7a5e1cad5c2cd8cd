/**
 * Pre-training on text files: read, encode, keep some documents aside for validation, train, save. Resumes by
 * itself. The tokenizer is given; everything else follows from the shape, the steps (or minutes) and the seed.
 */
import { resolve } from 'node:path';
import { digest } from '../core/digest.node.ts';
import { ConfigError } from '../core/errors.ts';
import { type EventSink, ignoreEvents } from '../core/events.ts';
import { type TokenDataset, WindowBatches } from '../data/index.node.ts';
import { targetBytes } from '../evaluate/index.ts';
import type { TransformerConfig } from '../model/config.ts';
import { initializeWeights } from '../model/initialize.ts';
import type { Device } from '../runtime/device.ts';
import { type DataLaw, textLaw } from '../scaling/plan/index.ts';
import { loadTokenizer } from '../tokenizer/index.node.ts';
import { formatTokenizerConfig, formatTokenizerJson, type Tokenizer } from '../tokenizer/index.ts';
import { availableMemoryBytes } from './machine.node.ts';
import { modelConfig, type PlannedSettings, planModel } from './plan.ts';
import { planNote, predictPretraining } from './predicted-loss.ts';
import type { RecipeOverrides } from './recipe.ts';
import { announceStages } from './stages/announce.ts';
import { END_OF_TEXT } from './stages/fact-data.node.ts';
import { planOnMachine } from './stages/plan-on-machine.ts';
import { prepareTextSets } from './stages/text-data.node.ts';
import { trainStage } from './stages/train-stage.node.ts';
import { fileIdentity, TrainingFolder } from './training-folder.node.ts';
import { saveOutcome, type TrainingOutcome } from './training-outcome.node.ts';

export interface PretrainOptions {
  /** txt, md, jsonl, csv, tsv (each also .gz) or parquet. */
  readonly files: readonly string[];
  /** Folder with a tokenizer.json. */
  readonly tokenizer: string;
  /** Where everything goes; the model lands in `model/`. */
  readonly folder: string;
  readonly device: Device;
  /** Steps, or minutes of training to turn into steps by this machine's speed. */
  readonly length: { readonly steps: number } | { readonly minutes: number };
  /** Number of parameters to aim at. Left out: the best size for the minutes, or 1,000,000 with steps. */
  readonly params?: number;
  /** A law fitted to this text (a sweep's law.json, read by `loadLaw`), for the size and the expected loss. */
  readonly law?: DataLaw;
  readonly settings?: RecipeOverrides;
  /** Share of documents kept aside, default 0.01; 0 for none. */
  readonly validationShare?: number;
  readonly textColumn?: string;
  readonly fresh?: boolean;
  readonly onEvent?: EventSink;
  readonly signal?: AbortSignal;
}

const DEFAULT_PARAMETERS = 1_000_000;
const PLAN_MINUTES = 5;
const STAGES = ['data', 'plan', 'pretrain'] as const;

/** Throws ConfigError and DataError for what cannot be used, CancelledError (state saved) when stopped. */
export async function pretrainOnFiles(options: PretrainOptions): Promise<TrainingOutcome> {
  const { device, signal, length, textColumn } = options;
  const onEvent = options.onEvent ?? ignoreEvents;
  const validationShare = options.validationShare ?? 0.01;
  const { tokenizer, config: tokenizerConfig } = await loadTokenizer(options.tokenizer);
  const endOfTextId = endOfText(tokenizer);
  // What comes out continues text; it learns a chat format when it is finetuned on chats.
  const baseConfig = { ...tokenizerConfig, chatTemplate: null, eosToken: END_OF_TEXT };
  const { vocabSize } = tokenizer;
  const overrides = { ...options.settings, vocabSize };
  const params = options.params ?? ('steps' in length ? DEFAULT_PARAMETERS : undefined);
  const dial = {
    minutes: 'minutes' in length ? length.minutes : PLAN_MINUTES,
    ...(params !== undefined && { params }),
  };
  const configOf = (settings: PlannedSettings): TransformerConfig => ({
    ...modelConfig(settings, { vocabSize, endOfTextId, endOfTurnId: endOfTextId }),
    eosTokenIds: [endOfTextId],
  });
  // Only what does not depend on the machine's speed: a folder belongs to what was asked for.
  const { seed } = planModel(dial, overrides);
  const folder = await TrainingFolder.open(
    options.folder,
    {
      kind: 'pretrain',
      files: await Promise.all(options.files.map(fileIdentity)),
      tokenizer: resolve(options.tokenizer),
      seed,
      ...flat(overrides),
      ...length,
      params: params ?? null,
      law: options.law ? digest(options.law.law) : null,
      validationShare,
      textColumn: textColumn ?? null,
    },
    options.fresh ?? false,
  );
  const stage = announceStages(STAGES, onEvent);
  const sets = await stage(
    'data',
    () =>
      prepareTextSets(folder.file('data'), options.files, {
        tokenizer,
        endOfTextId,
        validationShare,
        seed,
        reader: textColumn === undefined ? {} : { textColumn },
        onEvent,
        ...(signal && { signal }),
      }),
    ({ train }) => `${train.numTokens} tokens`,
  );

  const batchesOf = ({ batchSize, contextLength }: PlannedSettings) =>
    new WindowBatches(sets.train, {
      batchSize,
      sequenceLength: contextLength,
      seed,
      documentSegments: true,
    });
  const uniqueTokens = sets.train.numTokens;
  const law = options.law ?? textLaw(bytesPerToken(tokenizer, sets.train));
  const decided = await stage(
    'plan',
    () =>
      folder.decide(async () => {
        const { settings, machine, measured } = await planOnMachine({
          device,
          plan: (onMachine) => planModel(dial, overrides, { machine: onMachine, law, uniqueTokens }),
          config: configOf,
          batches: batchesOf,
          memoryBytes: availableMemoryBytes(),
          ...(signal && { signal }),
        });
        const numSteps =
          'steps' in length
            ? length.steps
            : Math.max(1, Math.floor((length.minutes * 60) / measured.secondsPerStep));
        const predictedLoss = predictPretraining(
          law,
          { ...settings, pretrainSteps: numSteps },
          configOf(settings),
          uniqueTokens,
        );
        return {
          settings,
          numSteps,
          peakGflops: machine.gflops,
          plannedSeconds: numSteps * measured.secondsPerStep,
          predictedLoss,
        };
      }),
    ({ settings, numSteps, predictedLoss }) =>
      `${numSteps} steps, ${planNote({ ...settings, pretrainSteps: numSteps }, configOf(settings), predictedLoss)}`,
  );
  const { settings: planned, numSteps, peakGflops } = decided;
  // JSON knows no Infinity, which stands for no clipping.
  const clipNorm = planned.clipNorm ?? Number.POSITIVE_INFINITY;
  const config = configOf(planned);
  const batches = batchesOf(planned);
  const validation =
    sets.validation &&
    windowsOrNone(
      sets.validation,
      { batchSize: planned.batchSize, sequenceLength: planned.contextLength, seed },
      onEvent,
    );

  const files = new Map([
    ['tokenizer.json', formatTokenizerJson(tokenizer)],
    ['tokenizer_config.json', formatTokenizerConfig(tokenizer, baseConfig)],
  ]);
  return stage('pretrain', async () => {
    const result = await trainStage({
      stage: 'pretrain',
      checkpoints: folder.file('checkpoints', 'pretrain'),
      fingerprint: folder.fingerprint,
      device,
      config,
      weights: () => initializeWeights(config, seed),
      tokenizer,
      files,
      batches,
      ...(validation && { validation }),
      numSteps,
      optimizer: planned.pretrainOptimizer,
      schedule: planned.pretrainSchedule,
      clipNorm,
      peakGflops,
      onEvent,
      ...(signal && { signal }),
      onResume: (step) => folder.cutMetrics(step),
      keepEvents: (events) => folder.appendMetrics(events),
    });
    const { plannedSeconds, predictedLoss } = decided;
    return { ...(await saveOutcome(folder, config, files, numSteps, result)), plannedSeconds, predictedLoss };
  });
}

/** Groups of settings as JSON text. */
function flat(settings: object): Record<string, string | number> {
  return Object.fromEntries(
    Object.entries(settings).map(([key, value]) => [
      key,
      typeof value === 'number' ? value : JSON.stringify(value),
    ]),
  );
}

/** Of the first tokens; enough to tell prose from tables. */
const SAMPLED_TOKENS = 20_000;

function bytesPerToken(tokenizer: Tokenizer, dataset: TokenDataset): number {
  const ids = dataset.readTokens(0, Math.min(dataset.numTokens, SAMPLED_TOKENS));
  return targetBytes(tokenizer, ids, new Float32Array(ids.length).fill(1)) / ids.length;
}

function endOfText(tokenizer: Tokenizer): number {
  const id = tokenizer.specialTokens.get(END_OF_TEXT);
  if (id !== undefined) return id;
  throw new ConfigError(
    `The tokenizer has no ${END_OF_TEXT} among its special tokens (${[...tokenizer.specialTokens.keys()].join(' ') || 'none'}). ` +
      'Train one with "plinth tokenizer train".',
  );
}

/** Too little text for one window is no reason to stop: training goes on without validation, and says so. */
function windowsOrNone(
  dataset: TokenDataset,
  shape: { batchSize: number; sequenceLength: number; seed: number },
  onEvent: EventSink,
): WindowBatches | undefined {
  if (dataset.numTokens > shape.sequenceLength) {
    return new WindowBatches(dataset, { ...shape, documentSegments: true });
  }
  onEvent({
    type: 'note',
    level: 'warning',
    message: `No validation: the documents kept aside hold only ${dataset.numTokens} tokens.`,
  });
  return undefined;
}
