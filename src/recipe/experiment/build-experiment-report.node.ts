/** Puts an experiment's results together as an `ExperimentReport`. */
import { packageVersion } from '../../core/package-root.node.ts';
import { numParameters, type TransformerConfig } from '../../model/config.ts';
import type { Device } from '../../runtime/device.ts';
import type { Tokenizer } from '../../tokenizer/index.ts';
import { describeMachine } from '../machine.node.ts';
import { bytesOf } from '../stages/curate-documents.node.ts';
import type { Arm, Experiment, ExperimentData } from './experiment.ts';
import type { ExperimentFolder, ResolvedExperiment } from './experiment-folder.node.ts';
import {
  type ArmReport,
  comparisonsOf,
  type ExperimentReport,
  type Measurements,
  matrixOf,
} from './experiment-report.ts';
import { armRows, distinctParts, type PartTokens } from './experiment-tokens.node.ts';
import type { ModelResult } from './train-model.node.ts';

export interface ExperimentReportInput {
  readonly experiment: Experiment;
  readonly data: ExperimentData;
  readonly folder: ExperimentFolder;
  readonly resolved: ResolvedExperiment;
  readonly tokenizer: Tokenizer;
  readonly tokens: PartTokens;
  readonly config: TransformerConfig;
  readonly device: Device;
  readonly results: readonly ModelResult[];
  readonly measurements: Measurements;
}

export function buildExperimentReport(input: ExperimentReportInput): ExperimentReport {
  const { experiment, data, folder, resolved, config, measurements } = input;
  const { request } = folder;
  const { settings, numSteps, flopsPerStep } = resolved;
  const arms = data.arms.map(({ name }) => name);
  const evaluations = data.evaluations.map(({ name }) => name);
  return {
    kind: 'experiment',
    name: experiment.name,
    description: experiment.description,
    question: experiment.question,
    plinthVersion: packageVersion(),
    startedAt: folder.clock.startedAt,
    wallSeconds: folder.clock.seconds,
    peakRssBytes: folder.clock.peakRssBytes,
    machine: describeMachine(input.device, resolved.sgemmGflops),
    sources: data.sources,
    notes: data.notes ?? [],
    cleaning: data.cleaning ?? [],
    tokenizer: {
      vocabSize: input.tokenizer.vocabSize,
      numBytes: distinctParts(data.arms).reduce((sum, { documents }) => sum + bytesOf(documents), 0),
    },
    model: {
      numParameters: numParameters(config),
      hiddenSize: config.hiddenSize,
      numLayers: config.numLayers,
      contextLength: config.maxPositionEmbeddings,
    },
    budget: {
      minutes: request.minutes,
      plannedSeconds: resolved.plannedSeconds,
      numSeeds: request.numSeeds,
      steps: numSteps,
      tokens: numSteps * settings.batchSize * settings.contextLength,
      flops: numSteps * flopsPerStep,
    },
    baseline: data.baseline,
    arms: data.arms.map((arm) => armReport(arm, input)),
    evaluations: data.evaluations.map(({ name, description, documents }) => ({
      name,
      description,
      numDocuments: documents.length,
      numBytes: bytesOf(documents),
    })),
    matrix: matrixOf(arms, evaluations, measurements),
    comparisons: comparisonsOf(arms, evaluations, data.baseline, measurements),
    settings: { ...settings, steps: numSteps },
    commands: [
      `npx plinth run ${experiment.name} --minutes ${request.minutes} --seed ${request.seed} --seeds ${request.numSeeds} --set pretrainSteps=${numSteps} --fresh`,
    ],
  };
}

function armReport(arm: Arm, { tokens, resolved, results }: ExperimentReportInput): ArmReport {
  const { batchSize, contextLength } = resolved.settings;
  const rows = armRows(arm, batchSize);
  const parts = arm.parts.map(({ name, documents }, i) => {
    const { numDocuments, numTokens } = tokens.get(documents)!;
    return {
      name,
      numDocuments,
      numBytes: bytesOf(documents),
      numTokens,
      share: rows[i]! / batchSize,
      epochs: (rows[i]! * contextLength * resolved.numSteps) / numTokens,
    };
  });
  const sum = (key: 'numDocuments' | 'numBytes' | 'numTokens') =>
    parts.reduce((total, part) => total + part[key], 0);
  return {
    name: arm.name,
    description: arm.description,
    numDocuments: sum('numDocuments'),
    numBytes: sum('numBytes'),
    numTokens: sum('numTokens'),
    parts,
    models: results
      .filter((result) => result.arm === arm.name)
      .map(({ seed, finalLoss, losses }) => ({ seed, finalLoss, losses })),
  };
}
