/**
 * Pre-training on text files: read, encode, keep some documents aside for validation, train, save. Resumes by
 * itself. The tokenizer is given; everything else follows from the shape, the steps (or minutes) and the seed.
 */
import { resolve } from 'node:path';
import { ConfigError } from '../core/errors.ts';
import { type EventSink, ignoreEvents } from '../core/events.ts';
import { type TokenDataset, WindowBatches } from '../data/index.node.ts';
import { numParameters } from '../model/config.ts';
import { initializeWeights } from '../model/initialize.ts';
import type { Device } from '../runtime/device.ts';
import { measureSgemm } from '../runtime/index.ts';
import { loadTokenizer } from '../tokenizer/index.node.ts';
import { formatTokenizerConfig, formatTokenizerJson, type Tokenizer } from '../tokenizer/index.ts';
import { modelConfig, planModel } from './plan.ts';
import type { RecipeSettings } from './recipe.ts';
import { announceStages } from './stages/announce.ts';
import { END_OF_TEXT } from './stages/fact-data.node.ts';
import { measureStep } from './stages/measure-step.ts';
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
  /** Number of parameters to aim at, 1,000,000 when left out. */
  readonly params?: number;
  readonly settings?: Partial<RecipeSettings>;
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
  const planned = planModel(
    { minutes: PLAN_MINUTES, params: options.params ?? DEFAULT_PARAMETERS },
    options.settings,
  );
  const config = {
    ...modelConfig(planned, { vocabSize: tokenizer.vocabSize, endOfTextId, endOfTurnId: endOfTextId }),
    eosTokenIds: [endOfTextId],
  };
  const folder = await TrainingFolder.open(
    options.folder,
    {
      kind: 'pretrain',
      files: await Promise.all(options.files.map(fileIdentity)),
      tokenizer: resolve(options.tokenizer),
      ...flat(planned),
      ...length,
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
        seed: planned.seed,
        reader: textColumn === undefined ? {} : { textColumn },
        onEvent,
        ...(signal && { signal }),
      }),
    ({ train }) => `${train.numTokens} tokens`,
  );

  const shape = { batchSize: planned.batchSize, sequenceLength: planned.contextLength, seed: planned.seed };
  const batches = new WindowBatches(sets.train, { ...shape, documentSegments: true });
  const validation = sets.validation && windowsOrNone(sets.validation, shape, onEvent);
  const { peakGflops, numSteps } = await stage(
    'plan',
    async () => ({
      peakGflops: await measureSgemm(device),
      numSteps: await folder.numSteps(async () => {
        if ('steps' in length) return length.steps;
        const { secondsPerStep } = await measureStep(
          device,
          config,
          batches,
          planned.pretrainOptimizer,
          signal,
        );
        return Math.max(1, Math.floor((length.minutes * 60) / secondsPerStep));
      }),
    }),
    (plan) => `${numParameters(config)} parameters, ${plan.numSteps} steps`,
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
      weights: () => initializeWeights(config, planned.seed),
      tokenizer,
      files,
      batches,
      ...(validation && { validation }),
      numSteps,
      optimizer: planned.pretrainOptimizer,
      schedule: planned.pretrainSchedule,
      clipNorm: planned.clipNorm,
      peakGflops,
      onEvent,
      ...(signal && { signal }),
      onResume: (step) => folder.cutMetrics(step),
      keepEvents: (events) => folder.appendMetrics(events),
    });
    return saveOutcome(folder, config, files, numSteps, result);
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
