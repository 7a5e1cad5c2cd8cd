/** Puts a run's results together as a `Report`. Counts come from the data, curves from metrics.jsonl. */
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { PlinthEvent, TrainStepEvent } from '../core/events.ts';
import { packageVersion } from '../core/package-root.node.ts';
import { WEIGHTS_NAME } from '../model/checkpoint-files.ts';
import { numParameters, type TransformerConfig } from '../model/config.ts';
import type { Device } from '../runtime/device.ts';
import type { Tokenizer } from '../tokenizer/index.ts';
import type { OptimizerSettings } from '../train/optimizer.ts';
import { accountFor, type StageUse, scoringWork, trainingWork, type Work } from './accounting.ts';
import { type FactCorpus, factStatistics } from './facts/index.ts';
import { describeMachine } from './machine.node.ts';
import { secondsPerPreferStep } from './plan.ts';
import type { Recipe, RecipeSource } from './recipe.ts';
import type { CoverageRow, LossCurve, Report, StageReport } from './report/report.ts';
import type { ResolvedRun, RunFolder } from './run-folder.node.ts';
import type { RunEvaluation } from './stages/evaluate-facts.ts';
import { type FactTokenSets, pretrainingTexts } from './stages/fact-data.node.ts';
import { rowsByShare } from './stages/mixed-batches.ts';
import type { PreferStageResult } from './stages/prefer-stage.node.ts';
import { PAIR_TEMPERATURE, type StoredPairs } from './stages/preference-pairs.node.ts';
import type { Prose } from './stages/prose-data.node.ts';

/** Points of a loss curve that are kept; more say no more in a chart. */
const MAX_POINTS = 400;

export interface ReportInput {
  readonly recipe: Recipe;
  readonly folder: RunFolder;
  readonly sources: readonly RecipeSource[];
  readonly corpus: FactCorpus;
  readonly prose: Prose | undefined;
  readonly tokenizer: Tokenizer;
  readonly tokenizerSeconds: number;
  readonly sets: FactTokenSets;
  readonly config: TransformerConfig;
  readonly device: Device;
  readonly resolved: ResolvedRun;
  readonly evaluation: RunEvaluation;
  /** Undefined in runs without preferences. */
  readonly preferred: (PreferStageResult & { readonly made: StoredPairs }) | undefined;
  readonly modelFolder: string;
}

export async function buildReport(input: ReportInput): Promise<Report> {
  const { recipe, folder, config, resolved, evaluation, sets } = input;
  const { settings } = resolved;
  const events = await folder.readMetrics();
  const curves = curvesOf(events);
  const numBytes = textBytes(input.corpus);
  const stages = stageReports(input, events, curves);
  const stepEvents = events.filter(
    (event): event is TrainStepEvent => event.type === 'train-step' && event.stage !== 'prefer',
  );
  const speed = medianOf(stepEvents.map(({ tokensPerSecond }) => tokensPerSecond));
  const gflops = medianOf(stepEvents.map((event) => event.gflops));
  return {
    name: recipe.name,
    description: recipe.description,
    plinthVersion: packageVersion(),
    startedAt: folder.startedAt,
    wallSeconds: folder.seconds,
    peakRssBytes: folder.peakRssBytes,
    machine: describeMachine(input.device, resolved.sgemmGflops),
    data: dataReport(input, numBytes),
    tokenizer: {
      vocabSize: input.tokenizer.vocabSize,
      // End-of-text tokens are not counted: they stand for no text.
      bytesPerToken: numBytes / (sets.pretrain.numTokens - sets.pretrain.numDocuments),
      trainSeconds: input.tokenizerSeconds,
    },
    model: {
      architecture: config.architecture,
      numParameters: numParameters(config),
      hiddenSize: config.hiddenSize,
      numLayers: config.numLayers,
      numHeads: config.numHeads,
      numKvHeads: config.numKvHeads,
      intermediateSize: config.intermediateSize,
      contextLength: config.maxPositionEmbeddings,
      fileBytes: (await stat(join(input.modelFolder, WEIGHTS_NAME))).size,
    },
    plan: {
      minutes: folder.request.minutes,
      plannedSeconds: resolved.plannedSeconds,
      plannedTokensPerSecond: (settings.batchSize * settings.contextLength) / resolved.secondsPerStep,
      stages,
    },
    train: {
      steps: stages.reduce((total, { steps }) => total + steps, 0),
      tokens: stages.reduce((total, { tokens }) => total + tokens, 0),
      tokensPerSecond: speed,
      gflops,
      shareOfPeak: gflops / resolved.sgemmGflops,
      // Of text; a loss of preferences is none of tokens.
      finalLoss: stages.findLast(({ stage }) => stage !== 'prefer')!.finalLoss,
    },
    curves,
    evaluation: {
      bitsPerByte: curves.flatMap((curve) => curve.validation).at(-1)?.bitsPerByte ?? Number.NaN,
      ...(evaluation.prose && { prose: evaluation.prose }),
      heldOutPhrasing: evaluation.heldOutPhrasing,
      unknown: evaluation.unknown,
    },
    ...preferenceReport(input),
    accounting: accountFor(stageUses(input, events)),
    samples: evaluation.samples,
    settings: { ...settings },
    commands: commandsOf(input),
  };
}

function stageReports(
  { folder, resolved, preferred }: ReportInput,
  events: readonly PlinthEvent[],
  curves: readonly LossCurve[],
): StageReport[] {
  const { settings, secondsPerStep, predictedLoss } = resolved;
  const tokensPerStep = settings.batchSize * settings.contextLength;
  const reportOf = (
    stage: string,
    planned: Pick<StageReport, 'steps' | 'tokens' | 'plannedSeconds' | 'learningRate'>,
  ): StageReport => {
    const curve = curves.find((one) => one.stage === stage);
    const validationLoss = curve?.validation.at(-1)?.loss;
    return {
      stage,
      ...planned,
      seconds: folder.stageSeconds[stage] ?? 0,
      finalLoss: curve?.points.at(-1)?.loss ?? Number.NaN,
      ...(validationLoss !== undefined && { validationLoss }),
      ...(stage === 'pretrain' && predictedLoss && { predictedLoss }),
    };
  };
  const onText = (stage: string, steps: number, { learningRate }: OptimizerSettings) =>
    reportOf(stage, {
      steps,
      tokens: steps * tokensPerStep,
      plannedSeconds: steps * secondsPerStep,
      learningRate,
    });
  return [
    onText('pretrain', settings.pretrainSteps, settings.pretrainOptimizer),
    onText('sft', settings.sftSteps, settings.sftOptimizer),
    ...(preferred
      ? [
          reportOf('prefer', {
            steps: settings.preferSteps,
            tokens: Math.round(trainingWork(events, 'prefer')?.tokens ?? 0),
            plannedSeconds: settings.preferSteps * secondsPerPreferStep(secondsPerStep),
            learningRate: settings.preferOptimizer.learningRate,
          }),
        ]
      : []),
  ];
}

/** Every stage so far; the report itself is not done yet. */
function stageUses(
  { folder, config, evaluation, preferred }: ReportInput,
  events: readonly PlinthEvent[],
): StageUse[] {
  const generation: Record<string, Work | undefined> = {
    prefer: preferred?.made.generated,
    evaluate: evaluation.generated,
  };
  return Object.entries(folder.stageSeconds)
    .filter(([stage]) => stage !== 'report')
    .map(([stage, seconds]) => {
      const training = trainingWork(events, stage);
      return {
        stage,
        seconds,
        ...(training && { training }),
        ...(generation[stage] && { generation: generation[stage] }),
        ...(stage === 'prefer' && preferred && { scoring: scoringWork(config, preferred.lengths) }),
      };
    });
}

function preferenceReport({ preferred, evaluation }: ReportInput): Pick<Report, 'preference'> {
  if (!preferred || !evaluation.changes) return {};
  const { numQuestions, numAnswers, numByFault } = preferred.made;
  return {
    preference: {
      numQuestions,
      numAnswers,
      temperature: PAIR_TEMPERATURE,
      numPairs: preferred.numPairs,
      pairsByFault: numByFault,
      changes: evaluation.changes,
    },
  };
}

function dataReport(input: ReportInput, numBytes: number): Report['data'] {
  const { corpus, sources, sets } = input;
  const statistics = factStatistics(corpus);
  const leftOut: Record<string, number> = {};
  for (const { reason } of corpus.leftOut) leftOut[reason] = (leftOut[reason] ?? 0) + 1;
  return {
    sources: sources.map(({ sheet, table, licence }) => ({
      name: sheet.name,
      licence,
      numRows: table.rows.length,
      numFacts: corpus.facts.filter((fact) => fact.sheet === sheet.name).length,
    })),
    numFacts: statistics.numFacts,
    numEntities: statistics.numEntities,
    numStatements: statistics.numStatements,
    numQuestions: statistics.numQuestions,
    numUnknownQuestions: statistics.numUnknownQuestions,
    numDocuments: sets.pretrain.numDocuments,
    numTokens: sets.pretrain.numTokens,
    numBytes,
    leftOut,
    evaluation: {
      numHeldOutPhrasing: statistics.numHeldOutPhrasing,
      numUnknown: statistics.numUnknownEvaluation,
    },
    ...proseReport(input),
    coverage: coverageRows(input, numBytes),
  };
}

function proseReport({ prose, sets, resolved }: ReportInput): Pick<Report['data'], 'prose'> {
  if (!prose) return {};
  const { batchSize, contextLength, pretrainSteps, proseShare } = resolved.settings;
  const hasRows = sets.prose !== undefined && batchSize > 1;
  const numRows = hasRows ? rowsByShare([1 - proseShare, proseShare], batchSize)[1]! : 0;
  const numTokens = sets.prose?.numTokens ?? 0;
  return {
    prose: {
      sources: prose.sources,
      numDocuments: sets.prose?.numDocuments ?? 0,
      numTokens,
      share: numRows / batchSize,
      epochs: numTokens > 0 ? (numRows * contextLength * pretrainSteps) / numTokens : 0,
    },
  };
}

/** Facts are written from sheets in English; prose is what its source says, checked by the language filter. */
function coverageRows({ prose, sets, tokenizer }: ReportInput, numFactBytes: number): CoverageRow[] {
  const facts = {
    language: 'en',
    domain: 'facts',
    numDocuments: sets.pretrain.numDocuments,
    numBytes: numFactBytes,
    numTokens: sets.pretrain.numTokens,
  };
  const rows = new Map<string, CoverageRow>();
  for (const { name, language, domain } of prose?.sources ?? []) {
    const texts = prose!.train.filter(({ source }) => source === name);
    if (texts.length === 0) continue;
    const key = `${language} ${domain}`;
    const row = rows.get(key);
    rows.set(key, {
      language,
      domain,
      numDocuments: (row?.numDocuments ?? 0) + texts.length,
      numBytes: texts.reduce((sum, { text }) => sum + Buffer.byteLength(text), row?.numBytes ?? 0),
      numTokens: texts.reduce(
        (sum, { text }) => sum + tokenizer.encode(text).length + 1,
        row?.numTokens ?? 0,
      ),
    });
  }
  return [facts, ...rows.values()];
}

function textBytes(corpus: FactCorpus): number {
  const encoder = new TextEncoder();
  return pretrainingTexts(corpus).reduce((total, { text }) => total + encoder.encode(text).length, 0);
}

function curvesOf(events: readonly PlinthEvent[]): LossCurve[] {
  const stages = [...new Set(events.flatMap((event) => (event.type === 'train-step' ? [event.stage] : [])))];
  return stages.map((stage) => {
    const steps = events.filter(
      (event): event is TrainStepEvent => event.type === 'train-step' && event.stage === stage,
    );
    return {
      stage,
      points: thinned(steps).map(({ step, loss, learningRate, gradientNorm, tokensPerSecond }) => ({
        step,
        loss,
        learningRate,
        gradientNorm,
        tokensPerSecond,
      })),
      validation: events.flatMap((event) =>
        event.type === 'validation' && event.stage === stage
          ? [{ step: event.step, loss: event.loss, bitsPerByte: event.bitsPerByte ?? Number.NaN }]
          : [],
      ),
    };
  });
}

/** Every k-th point and the last. */
function thinned<T>(points: readonly T[]): T[] {
  const stride = Math.max(1, Math.ceil(points.length / MAX_POINTS));
  return points.filter((_, i) => i % stride === 0 || i === points.length - 1);
}

function medianOf(values: readonly number[]): number {
  const sorted = values.filter(Number.isFinite).sort((a, b) => a - b);
  return sorted[sorted.length >> 1] ?? 0;
}

function commandsOf({ recipe, folder, resolved }: ReportInput): string[] {
  const { minutes } = folder.request;
  // What the plan took from the machine's speed; the rest follows from these.
  const measured = [
    'hiddenSize',
    'numLayers',
    'batchSize',
    'pretrainSteps',
    'sftSteps',
    'preferSteps',
  ] as const;
  const settings = measured.map((name) => `--set ${name}=${resolved.settings[name] ?? 0}`).join(' ');
  return [
    `npx plinth run ${recipe.name} --minutes ${minutes} --seed ${resolved.settings.seed} ${settings} --fresh`,
    `npx plinth chat --model ${join(folder.path, 'model')}`,
    `npx plinth generate --model ${join(folder.path, 'model')} --chat "..." --json`,
  ];
}
