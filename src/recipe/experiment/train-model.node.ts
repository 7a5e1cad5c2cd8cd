/**
 * One model of an experiment: an arm with one seed. Trains it (or goes on from its newest checkpoint), measures it
 * on every evaluation and writes `result.json`; a model that has one is not trained again. Checkpoints are deleted
 * once the model is saved.
 */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileAtomic } from '../../core/atomic-file.node.ts';
import { FormatError } from '../../core/errors.ts';
import type { EventSink, TrainStepEvent } from '../../core/events.ts';
import { readJsonFile } from '../../core/json-file.node.ts';
import type { BatchSource } from '../../data/index.ts';
import type { DocumentBits } from '../../evaluate/index.ts';
import { type SaveCheckpointInput, saveCheckpoint } from '../../model/checkpoint.node.ts';
import type { TransformerConfig } from '../../model/config.ts';
import { initializeWeights } from '../../model/initialize.ts';
import type { Device } from '../../runtime/device.ts';
import type { Tokenizer } from '../../tokenizer/index.ts';
import { MetricsLog } from '../metrics-log.node.ts';
import type { DocumentLoss } from '../stages/document-loss.ts';
import { trainStage } from '../stages/train-stage.node.ts';
import type { EvaluationSet } from './experiment.ts';
import type { ResolvedExperiment } from './experiment-folder.node.ts';

export interface ModelResult {
  readonly arm: string;
  readonly seed: number;
  readonly steps: number;
  /** Nats per token, mean over the last tenth of the steps. */
  readonly finalLoss: number;
  readonly losses: readonly { readonly step: number; readonly loss: number }[];
  /** By evaluation, one [bits, bytes] a document in the evaluation's order. */
  readonly documents: Readonly<Record<string, readonly (readonly [bits: number, bytes: number])[]>>;
}

export interface TrainModelOptions {
  /** `arms/NAME/seed-1`; must exist. */
  readonly folder: string;
  readonly stage: string;
  readonly arm: string;
  readonly seed: number;
  readonly fingerprint: string;
  readonly device: Device;
  readonly config: TransformerConfig;
  readonly tokenizer: Tokenizer;
  readonly files: NonNullable<SaveCheckpointInput['files']>;
  readonly resolved: ResolvedExperiment;
  readonly batches: () => BatchSource;
  readonly evaluations: readonly EvaluationSet[];
  readonly documentLoss: DocumentLoss;
  readonly checkpointSeconds?: number;
  readonly onEvent: EventSink;
  /** Called with every checkpoint, to save clocks. */
  readonly onCheckpoint: () => Promise<void>;
  readonly signal?: AbortSignal;
}

/** Points of a loss curve that are kept. */
const MAX_POINTS = 200;

export async function trainModel(options: TrainModelOptions): Promise<ModelResult> {
  const { folder, stage, config, resolved, onEvent, signal } = options;
  const resultPath = join(folder, 'result.json');
  const finished = await readResult(resultPath);
  if (finished) return finished;
  const { settings, numSteps } = resolved;
  const metrics = new MetricsLog(join(folder, 'metrics.jsonl'));
  const trained = await trainStage({
    stage,
    checkpoints: join(folder, 'checkpoints'),
    fingerprint: options.fingerprint,
    device: options.device,
    config,
    weights: () => initializeWeights(config, options.seed),
    tokenizer: options.tokenizer,
    files: options.files,
    batches: options.batches(),
    numSteps,
    optimizer: settings.pretrainOptimizer,
    schedule: settings.pretrainSchedule,
    clipNorm: settings.clipNorm,
    peakGflops: resolved.sgemmGflops,
    ...(options.checkpointSeconds !== undefined && { checkpointSeconds: options.checkpointSeconds }),
    onEvent,
    ...(signal && { signal }),
    onResume: (step) => metrics.cut((event) => !('step' in event) || event.step <= step),
    keepEvents: async (events) => {
      await metrics.append(events);
      await options.onCheckpoint();
    },
  });
  const documents: Record<string, [number, number][]> = {};
  for (const { name, documents: texts } of options.evaluations) {
    const measured: DocumentBits[] = await options.documentLoss.measure(
      trained.weights,
      options.tokenizer,
      texts.map(({ text }) => text),
      signal ? { signal } : {},
    );
    documents[name] = measured.map(({ bits, bytes }) => [bits, bytes]);
  }
  await saveCheckpoint(join(folder, 'model'), {
    config,
    weights: trained.weights,
    files: options.files,
    overwrite: true,
  });
  const steps = (await metrics.read()).filter(
    (event): event is TrainStepEvent => event.type === 'train-step',
  );
  const stride = Math.max(1, Math.ceil(steps.length / MAX_POINTS));
  const last = steps.slice(-Math.max(1, Math.ceil(numSteps / 10)));
  const result: ModelResult = {
    arm: options.arm,
    seed: options.seed,
    steps: numSteps,
    finalLoss: last.reduce((sum, { loss }) => sum + loss, 0) / last.length,
    losses: steps
      .filter((_, i) => i % stride === 0 || i === steps.length - 1)
      .map(({ step, loss }) => ({ step, loss })),
    documents,
  };
  // With this file the model is finished.
  await writeFileAtomic(resultPath, `${JSON.stringify(result)}\n`);
  await rm(join(folder, 'checkpoints'), { recursive: true, force: true });
  return result;
}

async function readResult(path: string): Promise<ModelResult | undefined> {
  const advice = 'Delete it to train this model again.';
  const result = (await readJsonFile(path, advice)) as ModelResult | null | undefined;
  if (result === undefined) return undefined;
  if (typeof result?.documents === 'object' && result.documents !== null && Array.isArray(result.losses))
    return result;
  throw new FormatError(`${path} is damaged: it holds no measurements. ${advice}`);
}
