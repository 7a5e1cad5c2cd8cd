/** Puts a run's results together as a `Report`. Counts come from the data, curves from metrics.jsonl. */
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { PlinthEvent, TrainStepEvent } from '../core/events.ts';
import { packageVersion } from '../core/package-root.node.ts';
import { WEIGHTS_NAME } from '../model/checkpoint-files.ts';
import { numParameters, type TransformerConfig } from '../model/config.ts';
import type { Device } from '../runtime/device.ts';
import type { Tokenizer } from '../tokenizer/index.ts';
import { type FactCorpus, factStatistics } from './facts/index.ts';
import { describeMachine } from './machine.node.ts';
import type { Recipe, RecipeSource } from './recipe.ts';
import type { CoverageRow, LossCurve, Report, StageReport } from './report/report.ts';
import type { ResolvedRun, RunFolder } from './run-folder.node.ts';
import type { RunEvaluation } from './stages/evaluate-facts.ts';
import { type FactTokenSets, pretrainingTexts } from './stages/fact-data.node.ts';
import { rowsByShare } from './stages/mixed-batches.ts';
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
  readonly modelFolder: string;
}

export async function buildReport(input: ReportInput): Promise<Report> {
  const { recipe, folder, config, resolved, evaluation, sets } = input;
  const { settings } = resolved;
  const events = await folder.readMetrics();
  const curves = curvesOf(events);
  const numBytes = textBytes(input.corpus);
  const stages: StageReport[] = (['pretrain', 'sft'] as const).map((stage) => {
    const steps = stage === 'pretrain' ? settings.pretrainSteps : settings.sftSteps;
    const optimizer = stage === 'pretrain' ? settings.pretrainOptimizer : settings.sftOptimizer;
    const curve = curves.find((one) => one.stage === stage);
    const validationLoss = curve?.validation.at(-1)?.loss;
    return {
      stage,
      steps,
      tokens: steps * settings.batchSize * settings.contextLength,
      plannedSeconds: steps * resolved.secondsPerStep,
      seconds: folder.stageSeconds[stage] ?? 0,
      finalLoss: curve?.points.at(-1)?.loss ?? Number.NaN,
      learningRate: optimizer.learningRate,
      ...(validationLoss !== undefined && { validationLoss }),
      ...(stage === 'pretrain' && resolved.predictedLoss && { predictedLoss: resolved.predictedLoss }),
    };
  });
  const stepEvents = events.filter((event): event is TrainStepEvent => event.type === 'train-step');
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
      steps: settings.pretrainSteps + settings.sftSteps,
      tokens: stages.reduce((total, { tokens }) => total + tokens, 0),
      tokensPerSecond: speed,
      gflops,
      shareOfPeak: gflops / resolved.sgemmGflops,
      finalLoss: stages.at(-1)!.finalLoss,
    },
    curves,
    evaluation: {
      bitsPerByte: curves.flatMap((curve) => curve.validation).at(-1)?.bitsPerByte ?? Number.NaN,
      ...(evaluation.prose && { prose: evaluation.prose }),
      heldOutPhrasing: evaluation.heldOutPhrasing,
      unknown: evaluation.unknown,
    },
    samples: evaluation.samples,
    settings: { ...settings },
    commands: commandsOf(input),
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
  const measured = ['hiddenSize', 'numLayers', 'batchSize', 'pretrainSteps', 'sftSteps'] as const;
  const settings = measured.map((name) => `--set ${name}=${resolved.settings[name]}`).join(' ');
  return [
    `npx plinth run ${recipe.name} --minutes ${minutes} --seed ${resolved.settings.seed} ${settings} --fresh`,
    `npx plinth chat --model ${join(folder.path, 'model')}`,
    `npx plinth generate --model ${join(folder.path, 'model')} --chat "..." --json`,
  ];
}
