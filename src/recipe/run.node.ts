/**
 * Runs a recipe from facts to report. Reads top to bottom as the stages go; each stage either finds its
 * result in the run's folder or makes it, so a stopped run goes on where it stopped.
 */
import { access, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileAtomic } from '../core/atomic-file.node.ts';
import { digest } from '../core/digest.node.ts';
import { CancelledError, FormatError, PlinthError } from '../core/errors.ts';
import { type EventSink, ignoreEvents } from '../core/events.ts';
import { type BatchSource, ConversationBatches, WindowBatches } from '../data/index.node.ts';
import { createLanguageModel } from '../decode/onnx-language-model.ts';
import { saveCheckpoint } from '../model/checkpoint.node.ts';
import { initializeWeights, type Weights } from '../model/initialize.ts';
import { nodeDeviceByName } from '../runtime/index.node.ts';
import { factsLaw } from '../scaling/plan/index.ts';
import { chatMl } from '../tokenizer/index.ts';
import { buildReport } from './build-report.node.ts';
import { answerForms } from './facts/answer-form.ts';
import { factStatistics, writeFacts } from './facts/index.ts';
import { ANSWERS_PER_PREFER_STEP, modelConfig, planModel, planSteps, settleFinetuning } from './plan.ts';
import { planNote, predictPretraining } from './predicted-loss.ts';
import type { Recipe, RecipeOverrides, RecipeSettings } from './recipe.ts';
import { renderReport } from './report/html.ts';
import type { Report } from './report/report.ts';
import { RunFolder, type RunRequest } from './run-folder.node.ts';
import { announceStages } from './stages/announce.ts';
import { evaluateRun, numEvaluationAnswers } from './stages/evaluate-run.ts';
import {
  END_OF_TEXT,
  END_OF_TURN,
  type FactTokenSets,
  prepareTokenizer,
  prepareTokenSets,
} from './stages/fact-data.node.ts';
import { measureProse } from './stages/measure-prose.ts';
import { MixedBatches, rowsByShare } from './stages/mixed-batches.ts';
import { planOnMachine } from './stages/plan-on-machine.ts';
import { preferStage } from './stages/prefer-stage.node.ts';
import { preferencePairs } from './stages/preference-pairs.node.ts';
import { prepareProse, proseDigest, readProse } from './stages/prose-data.node.ts';
import { type TrainStageOptions, trainStage } from './stages/train-stage.node.ts';

export interface RunOptions {
  /** The run's folder; `defaultRunFolder(recipe, options)` when left out. */
  readonly folder?: string;
  readonly minutes?: number;
  readonly params?: number;
  readonly flops?: number;
  readonly seed?: number;
  readonly device?: 'cpu' | 'webgpu' | 'cuda';
  readonly numThreads?: number;
  readonly overrides?: RecipeOverrides;
  /** Measure time by operator. */
  readonly profile?: boolean;
  /** Seconds between checkpoints: what a kill can cost at most. 30 when left out. */
  readonly checkpointSeconds?: number;
  /** Throw away what the folder holds of an earlier run. */
  readonly fresh?: boolean;
  readonly onEvent?: EventSink;
  readonly signal?: AbortSignal;
}

export interface RunResult {
  readonly folder: string;
  /** The model: a Hugging Face folder. */
  readonly modelFolder: string;
  readonly report: Report;
  /** False when the folder held the finished run and nothing was done. */
  readonly trained: boolean;
}

const STAGES = [
  'facts',
  'prose',
  'tokenizer',
  'plan',
  'pretrain',
  'sft',
  'prefer',
  'evaluate',
  'report',
] as const;
type Stage = (typeof STAGES)[number];

/** `runs/atlas`, or `runs/atlas-2min` when another time is asked for, so that a taste never replaces a run. */
export function defaultRunFolder(
  recipe: Recipe,
  options: Pick<RunOptions, 'minutes' | 'params' | 'flops' | 'seed'> = {},
): string {
  const parts = [recipe.name];
  if (options.minutes !== undefined && options.minutes !== recipe.minutes)
    parts.push(`${options.minutes}min`);
  if (options.params !== undefined) parts.push(`${options.params}params`);
  if (options.flops !== undefined) parts.push(`${options.flops}flops`);
  if (options.seed !== undefined) parts.push(`seed${options.seed}`);
  return join('runs', parts.join('-'));
}

/**
 * Runs or resumes. Throws CancelledError after saving when the signal fires; ConfigError when the folder
 * belongs to a run with other settings; NotFiniteError and disk errors with the last good checkpoint kept.
 */
export async function runRecipe(recipe: Recipe, options: RunOptions = {}): Promise<RunResult> {
  const onEvent = options.onEvent ?? ignoreEvents;
  const { signal } = options;
  const dial = {
    minutes: options.minutes ?? recipe.minutes,
    ...(options.params !== undefined && { params: options.params }),
    ...(options.flops !== undefined && { flops: options.flops }),
  };
  const overrides: RecipeOverrides = {
    ...recipe.settings,
    ...options.overrides,
    ...(options.seed !== undefined && { seed: options.seed }),
  };
  // What data need (seed, vocabulary, shares) does not depend on the machine; sizes are planned once it is measured.
  const plannedNow = planModel(dial, overrides);
  const sources = await recipe.sources();
  const proseSources = plannedNow.proseShare > 0 ? (recipe.prose ?? []) : [];
  const readTexts = await readProse(proseSources);
  const request: RunRequest = {
    recipe: recipe.name,
    ...dial,
    device: options.device ?? 'cpu',
    overrides,
    dataDigest: digest([
      ...sources.map(({ sheet, table }) => ({ sheet, table })),
      ...(readTexts.length > 0 ? [proseDigest(readTexts)] : []),
    ]),
  };
  const folder = await RunFolder.open(
    options.folder ?? defaultRunFolder(recipe, options),
    request,
    options.fresh ?? false,
  );
  const modelFolder = folder.file('model');
  const finished = await readReport(folder.file('report.json'));
  if (finished) return { folder: folder.path, modelFolder, report: finished, trained: false };
  // What was fixed when the run began holds, whatever this version would plan.
  const planned = folder.resolved?.settings ?? plannedNow;
  // A run that began before there was such a stage goes on without it.
  const hasPreferences = folder.resolved
    ? (folder.resolved.settings.preferSteps ?? 0) > 0
    : overrides.preferSteps !== 0;
  const isLeftOut: Partial<Record<Stage, boolean>> = {
    prose: readTexts.length === 0,
    prefer: !hasPreferences,
  };
  const announced = announceStages(
    STAGES.filter((stage) => !isLeftOut[stage]),
    onEvent,
  );
  return { ...(await runStages()), folder: folder.path, modelFolder, trained: true };

  /** One stage with its events and its share of the clock. */
  async function stage<T>(name: Stage, work: () => Promise<T> | T): Promise<T> {
    if (signal?.aborted) throw new CancelledError('Stopped. The same command goes on from here.');
    folder.beginStage(name);
    try {
      const result = await announced(name, work);
      folder.beginStage(undefined);
      await folder.saveProgress();
      return result;
    } catch (error) {
      folder.beginStage(undefined);
      // Only clocks are lost if this fails too; what went wrong first is what must be told.
      await folder.saveProgress().catch(() => {});
      if (signal?.aborted && !(error instanceof PlinthError)) throw new CancelledError();
      throw error;
    }
  }

  async function runStages(): Promise<{ report: Report }> {
    const corpus = await stage('facts', () => {
      const written = writeFacts(sources, { seed: planned.seed, unknownShare: planned.unknownShare });
      const { numFacts, numStatements, numQuestions } = factStatistics(written);
      onEvent({
        type: 'note',
        level: 'info',
        message: `${numFacts} facts: ${numStatements} statements, ${numQuestions} questions.`,
      });
      return written;
    });

    const prose =
      readTexts.length > 0
        ? await stage('prose', () => prepareProse(readTexts, { seed: planned.seed, onEvent }))
        : undefined;

    const { tokenizer, trainSeconds, sets } = await stage('tokenizer', async () => {
      const prepared = await prepareTokenizer(
        folder.file('tokenizer'),
        corpus,
        { texts: prose?.train ?? [], share: planned.proseShare },
        planned.vocabSize,
        onEvent,
      );
      const { seed } = planned;
      return {
        ...prepared,
        sets: await prepareTokenSets(folder.file('data'), corpus, prose, prepared.tokenizer, seed, signal),
      };
    });

    const device = await nodeDeviceByName(
      request.device,
      options.numThreads ? { numThreads: options.numThreads } : {},
    );
    const tokenIds = {
      vocabSize: tokenizer.vocabSize,
      endOfTextId: tokenizer.specialTokens.get(END_OF_TEXT)!,
      endOfTurnId: tokenizer.specialTokens.get(END_OF_TURN)!,
    };
    const numEvaluationQuestions = numEvaluationAnswers(corpus, hasPreferences);
    const { settings, sgemmGflops, secondsPerStep } = await stage('plan', async () => {
      if (folder.resolved) return folder.resolved;
      const uniqueTokens = sets.pretrain.numTokens;
      const law = recipe.law ?? factsLaw(uniqueTokens);
      const {
        settings: sized,
        machine,
        measured,
      } = await planOnMachine({
        device,
        plan: (machine) => planModel(dial, overrides, { machine, law, uniqueTokens }),
        config: (sizes) => modelConfig(sizes, tokenIds),
        batches: (sizes) => pretrainBatches(sets, sizes.proseShare, batchShape(sizes)),
        ...(signal && { signal }),
      });
      const steps = planSteps(
        dial,
        { ...measured, numEvaluationQuestions, secondsSoFar: folder.seconds },
        overrides,
      );
      const { plannedSeconds: seconds, ...numSteps } = steps;
      const all = { ...sized, ...numSteps };
      const predictedLoss = predictPretraining(law, all, modelConfig(all, tokenIds), uniqueTokens);
      await folder.resolve({
        settings: all,
        sgemmGflops: machine.gflops,
        secondsPerStep: measured.secondsPerStep,
        plannedSeconds: seconds,
        predictedLoss,
      });
      onEvent({
        type: 'note',
        level: 'info',
        message: planNote(all, modelConfig(all, tokenIds), predictedLoss),
      });
      return folder.resolved!;
    });
    const config = modelConfig(settings, tokenIds);
    const windows = pretrainBatches(sets, settings.proseShare, batchShape(settings));
    const chats = new ConversationBatches(sets.sft, { ...batchShape(settings), padId: config.padTokenId! });

    const tokenizerFiles = await readFiles(folder.file('tokenizer'), [
      'tokenizer.json',
      'tokenizer_config.json',
    ]);
    const common = {
      device,
      config,
      tokenizer,
      files: tokenizerFiles,
      clipNorm: settings.clipNorm,
      peakGflops: sgemmGflops,
      onEvent,
      keepEvents: async (events) => {
        await folder.appendMetrics(events);
        await folder.saveProgress();
      },
      ...(options.checkpointSeconds !== undefined && { checkpointSeconds: options.checkpointSeconds }),
      ...(options.profile && { profile: true }),
      ...(signal && { signal }),
    } satisfies Partial<TrainStageOptions>;

    const pretrained = await stage('pretrain', () =>
      trainStage({
        ...common,
        stage: 'pretrain',
        checkpoints: folder.file('checkpoints', 'pretrain'),
        // The number of finetuning steps is settled later and must not undo what was trained before.
        fingerprint: digest({ request, settings: { ...settings, sftSteps: undefined }, stage: 'pretrain' }),
        weights: () => initializeWeights(config, settings.seed),
        batches: windows,
        validation: new WindowBatches(sets.validation, { ...batchShape(settings), documentSegments: true }),
        numSteps: settings.pretrainSteps,
        optimizer: settings.pretrainOptimizer,
        schedule: settings.pretrainSchedule,
        onResume: (step) => folder.cutMetrics('pretrain', step),
      }),
    );

    // A machine that has slowed down gets fewer finetuning steps instead of a late report.
    if (!folder.resolved!.settled) {
      const { steps, seconds } = pretrained;
      const sftSteps = settleFinetuning(dial, {
        plannedSteps: settings.sftSteps,
        secondsPerStep: steps > 0 ? seconds / steps : secondsPerStep,
        secondsSoFar: folder.seconds,
        numEvaluationQuestions,
        preferSteps: hasPreferences ? settings.preferSteps : 0,
      });
      const isFree = overrides.sftSteps === undefined && dial.flops === undefined;
      await folder.resolve({
        ...folder.resolved!,
        settings: isFree ? { ...settings, sftSteps } : settings,
        settled: true,
      });
    }
    const resolved = folder.resolved!;

    const finetuned = await stage('sft', () =>
      trainStage({
        ...common,
        stage: 'sft',
        checkpoints: folder.file('checkpoints', 'sft'),
        fingerprint: digest({ request, settings: resolved.settings, stage: 'sft' }),
        weights: () => pretrained.weights,
        batches: chats,
        numSteps: resolved.settings.sftSteps,
        optimizer: settings.sftOptimizer,
        schedule: settings.sftSchedule,
        onResume: (step) => folder.cutMetrics('sft', step),
      }),
    );

    const forms = answerForms(corpus);
    const open = (weights: Weights) =>
      createLanguageModel({ config, weights, tokenizer, chatFormat: chatMl, device });
    const preferred = hasPreferences
      ? await stage('prefer', async () => {
          const fingerprint = digest({ request, settings: resolved.settings, stage: 'prefer' });
          const made = await preferencePairs({
            path: folder.file('data', 'preferences.json'),
            fingerprint,
            config,
            corpus,
            forms,
            numAnswers: settings.preferSteps * ANSWERS_PER_PREFER_STEP,
            seed: settings.seed,
            model: () => open(finetuned.weights),
            onEvent,
            ...(signal && { signal }),
          });
          const { clipNorm, profile, ...training } = { profile: false, ...common };
          const trained = await preferStage({
            ...training,
            stage: 'prefer',
            checkpoints: folder.file('checkpoints', 'prefer'),
            fingerprint,
            weights: finetuned.weights,
            chatFormat: chatMl,
            pairs: made.pairs,
            batchSize: settings.batchSize,
            seed: settings.seed,
            numSteps: settings.preferSteps,
            settings: { optimizer: settings.preferOptimizer, clipNorm, accumulate: 1, profile },
            onResume: (step) => folder.cutMetrics('prefer', step),
          });
          return trained && { ...trained, made };
        })
      : undefined;
    const weights = preferred?.weights ?? finetuned.weights;

    const evaluation = await stage('evaluate', async () => {
      await saveModel(modelFolder, weights);
      const answers = await evaluateRun({
        config,
        corpus,
        forms,
        weights,
        before: preferred && finetuned.weights,
        open,
        seed: settings.seed,
        onEvent,
        ...(signal && { signal }),
      });
      if (!prose || prose.heldOut.length === 0) return answers;
      const bits = await measureProse(device, config, tokenizer, prose.heldOut, {
        pretrained: pretrained.weights,
        finetuned: weights,
      });
      return { ...answers, prose: bits };
    });

    return stage('report', async () => {
      const report = await buildReport({
        recipe,
        folder,
        sources,
        corpus,
        prose,
        tokenizer,
        tokenizerSeconds: trainSeconds,
        sets,
        config,
        device,
        resolved,
        evaluation,
        preferred,
        modelFolder,
      });
      await writeFileAtomic(folder.file('report.html'), renderReport(report));
      // Last of all: a report.json says that the run is complete.
      await writeFileAtomic(folder.file('report.json'), `${JSON.stringify(report, null, 2)}\n`);
      return { report };
    });

    async function saveModel(path: string, weights: Weights): Promise<void> {
      await saveCheckpoint(path, {
        config,
        weights,
        files: tokenizerFiles,
        generation: { temperature: 0 },
        overwrite: true,
      });
    }
  }
}

const batchShape = ({
  batchSize,
  contextLength,
  seed,
}: Pick<RecipeSettings, 'batchSize' | 'contextLength' | 'seed'>) => ({
  batchSize,
  sequenceLength: contextLength,
  seed,
});

/** Windows of the facts, with rows of prose among them where there is any. */
function pretrainBatches(
  sets: FactTokenSets,
  proseShare: number,
  { batchSize, ...shape }: { batchSize: number; sequenceLength: number; seed: number },
): BatchSource {
  const options = { ...shape, documentSegments: true };
  if (!sets.prose || batchSize < 2) return new WindowBatches(sets.pretrain, { ...options, batchSize });
  const [factRows, proseRows] = rowsByShare([1 - proseShare, proseShare], batchSize) as [number, number];
  const parts = [
    { dataset: sets.pretrain, numRows: factRows },
    { dataset: sets.prose, numRows: proseRows },
  ];
  return new MixedBatches(parts, options);
}

async function readReport(path: string): Promise<Report | undefined> {
  try {
    await access(path);
  } catch {
    return undefined;
  }
  try {
    return JSON.parse(await readFile(path, 'utf8')) as Report;
  } catch (error) {
    throw new FormatError(
      `${path} is not JSON. Delete it to make the report again, or add --fresh to start over.`,
      { cause: error },
    );
  }
}

async function readFiles(folder: string, names: readonly string[]): Promise<Map<string, Uint8Array>> {
  const files = new Map<string, Uint8Array>();
  for (const name of names) files.set(name, await readFile(join(folder, name)));
  return files;
}
