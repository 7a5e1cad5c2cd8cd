/**
 * What an experiment has to say: plain data, written as `report.json` and drawn as `report.html`. Bits per byte are
 * means over seeds; intervals are 95 %, over documents; a difference below 0 means fewer bits than the baseline.
 */
import {
  bitsPerByteOf,
  type DocumentMeasurement,
  type Estimate,
  estimateBitsPerByte,
  estimateDifference,
} from '../../evaluate/index.ts';
import type { Report } from '../report/report.ts';
import type { CleaningStep, ExperimentData } from './experiment.ts';

export interface ExperimentReport {
  readonly kind: 'experiment';
  readonly name: string;
  readonly description: string;
  readonly question: string;
  readonly plinthVersion: string;
  readonly startedAt: string;
  readonly wallSeconds: number;
  readonly peakRssBytes: number;
  readonly machine: Report['machine'];
  readonly sources: ExperimentData['sources'];
  readonly notes: readonly string[];
  readonly cleaning: readonly CleaningStep[];
  readonly tokenizer: { readonly vocabSize: number; readonly numBytes: number };
  readonly model: {
    readonly numParameters: number;
    readonly hiddenSize: number;
    readonly numLayers: number;
    readonly contextLength: number;
  };
  readonly budget: {
    readonly minutes: number;
    readonly plannedSeconds: number;
    readonly numSeeds: number;
    /** Of each model. */
    readonly steps: number;
    readonly tokens: number;
    readonly flops: number;
  };
  readonly baseline: string;
  readonly arms: readonly ArmReport[];
  readonly evaluations: readonly EvaluationReport[];
  /** Row by row: arms, and in each the evaluations. */
  readonly matrix: readonly MatrixCell[];
  /** Every arm but the baseline, on every evaluation. */
  readonly comparisons: readonly Comparison[];
  readonly settings: Readonly<Record<string, unknown>>;
  readonly commands: readonly string[];
}

export interface ArmReport {
  readonly name: string;
  readonly description: string;
  readonly numDocuments: number;
  readonly numBytes: number;
  readonly numTokens: number;
  readonly parts: readonly {
    readonly name: string;
    readonly numDocuments: number;
    readonly numBytes: number;
    readonly numTokens: number;
    /** Share of the rows of every batch. */
    readonly share: number;
    /** Times that training went through it. */
    readonly epochs: number;
  }[];
  readonly models: readonly {
    readonly seed: number;
    readonly finalLoss: number;
    readonly losses: readonly { readonly step: number; readonly loss: number }[];
  }[];
}

export interface EvaluationReport {
  readonly name: string;
  readonly description: string;
  readonly numDocuments: number;
  readonly numBytes: number;
}

export interface MatrixCell extends Estimate {
  readonly arm: string;
  readonly evaluation: string;
  readonly bySeed: readonly number[];
}

export interface Comparison extends Estimate {
  readonly arm: string;
  readonly evaluation: string;
  /** Differences seed by seed. */
  readonly bySeed: readonly number[];
}

/** Measurements of an arm on an evaluation, one for each seed. */
export type Measurements = (arm: string, evaluation: string) => readonly DocumentMeasurement[];

export function matrixOf(
  arms: readonly string[],
  evaluations: readonly string[],
  measurements: Measurements,
): MatrixCell[] {
  return arms.flatMap((arm) =>
    evaluations.map((evaluation) => {
      const models = measurements(arm, evaluation);
      return { arm, evaluation, ...estimateBitsPerByte(models), bySeed: models.map(bitsPerByteOf) };
    }),
  );
}

export function comparisonsOf(
  arms: readonly string[],
  evaluations: readonly string[],
  baseline: string,
  measurements: Measurements,
): Comparison[] {
  return arms
    .filter((arm) => arm !== baseline)
    .flatMap((arm) =>
      evaluations.map((evaluation) => {
        const models = measurements(arm, evaluation);
        const others = measurements(baseline, evaluation);
        return {
          arm,
          evaluation,
          ...estimateDifference(models, others),
          bySeed: models.map((model, i) => bitsPerByteOf(model) - bitsPerByteOf(others[i]!)),
        };
      }),
    );
}
