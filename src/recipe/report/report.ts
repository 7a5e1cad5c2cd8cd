/**
 * What a run has to say for itself: plain data, written as `report.json` and drawn as `report.html`.
 * Shares are between 0 and 1, intervals are 95 % [low, high], losses are nats per token.
 */

import type { Accounting } from '../accounting.ts';
import type { ProseSourceReport } from '../prose.ts';

export type Interval = readonly [low: number, high: number];

/** A share of right answers with its interval. */
export interface Score {
  readonly value: number;
  readonly interval: Interval;
  readonly numCorrect: number;
  readonly numQuestions: number;
}

/** Bits per byte with the interval over documents. */
export interface BitsPerByte {
  readonly value: number;
  readonly interval: Interval;
}

export interface CoverageRow {
  readonly language: string;
  readonly domain: string;
  readonly numDocuments: number;
  readonly numBytes: number;
  readonly numTokens: number;
}

export interface StageReport {
  readonly stage: string;
  readonly steps: number;
  readonly tokens: number;
  readonly plannedSeconds: number;
  readonly seconds: number;
  readonly finalLoss: number;
  readonly learningRate: number;
  /** On the validation texts after the last step; absent for stages without validation. */
  readonly validationLoss?: number;
  /** What the plan said of `validationLoss`, and by which law. */
  readonly predictedLoss?: { readonly loss: number; readonly interval?: Interval; readonly law: string };
}

export interface LossPoint {
  readonly step: number;
  readonly loss: number;
  readonly learningRate: number;
  readonly gradientNorm: number;
  readonly tokensPerSecond: number;
}

export interface LossCurve {
  readonly stage: string;
  readonly points: readonly LossPoint[];
  readonly validation: readonly { step: number; loss: number; bitsPerByte: number }[];
}

export const BEHAVIOURS = [
  'right',
  'refusedInvented',
  'refusedKnown',
  'wrongForm',
  'wrongFormGreedy',
  'calibrationError',
  'distinct',
  'entropy',
] as const;
export type BehaviourName = (typeof BEHAVIOURS)[number];

export interface EstimateWithInterval {
  readonly value: number;
  readonly interval: Interval;
}

/** One thing that the model does, before the preference stage and after it, on the same questions. */
export interface BehaviourChange {
  readonly name: BehaviourName;
  readonly before: EstimateWithInterval;
  readonly after: EstimateWithInterval;
  /** After minus before, drawn in pairs; absent where nothing is paired. */
  readonly change?: EstimateWithInterval;
  /** Questions, or answers where several were drawn. */
  readonly numAnswers: number;
}

export interface PreferenceReport {
  /** Answers of the finetuned model that pairs were made from. */
  readonly numQuestions: number;
  readonly numAnswers: number;
  readonly temperature: number;
  readonly numPairs: number;
  /** Pairs by what was wrong with the rejected answer. */
  readonly pairsByFault: Readonly<Record<string, number>>;
  readonly changes: readonly BehaviourChange[];
}

export interface AnswerSample {
  readonly kind: 'held-out phrasing' | 'invented name' | 'free';
  readonly question: string;
  readonly expected: string;
  readonly answer: string;
  readonly correct: boolean;
}

export interface Report {
  readonly name: string;
  readonly description: string;
  readonly plinthVersion: string;
  readonly startedAt: string;
  /** Wall-clock time of all sessions of the run together. */
  readonly wallSeconds: number;
  readonly peakRssBytes: number;
  readonly machine: {
    readonly cpu: string;
    readonly numCores: number;
    readonly memoryBytes: number;
    readonly platform: string;
    readonly node: string;
    readonly runtime: string;
    readonly device: string;
    readonly numThreads: number;
    readonly sgemmGflops: number;
  };
  readonly data: {
    readonly sources: readonly { name: string; licence: string; numRows: number; numFacts: number }[];
    readonly numFacts: number;
    readonly numEntities: number;
    readonly numStatements: number;
    readonly numQuestions: number;
    readonly numUnknownQuestions: number;
    readonly numDocuments: number;
    readonly numTokens: number;
    readonly numBytes: number;
    /** Facts left out, counted by reason. */
    readonly leftOut: Readonly<Record<string, number>>;
    readonly evaluation: { readonly numHeldOutPhrasing: number; readonly numUnknown: number };
    /** Texts beside the facts. Absent in runs without prose. */
    readonly prose?: {
      readonly sources: readonly ProseSourceReport[];
      readonly numDocuments: number;
      readonly numTokens: number;
      /** Share of the pre-training rows that were prose. */
      readonly share: number;
      /** Times that pre-training went through the prose. */
      readonly epochs: number;
    };
    /** What the training texts are, by language and domain. */
    readonly coverage?: readonly CoverageRow[];
  };
  readonly tokenizer: {
    readonly vocabSize: number;
    readonly bytesPerToken: number;
    readonly trainSeconds: number;
  };
  readonly model: {
    readonly architecture: string;
    readonly numParameters: number;
    readonly hiddenSize: number;
    readonly numLayers: number;
    readonly numHeads: number;
    readonly numKvHeads: number;
    readonly intermediateSize: number;
    readonly contextLength: number;
    readonly fileBytes: number;
  };
  readonly plan: {
    readonly minutes: number;
    readonly plannedSeconds: number;
    readonly plannedTokensPerSecond: number;
    readonly stages: readonly StageReport[];
  };
  readonly train: {
    readonly steps: number;
    readonly tokens: number;
    readonly tokensPerSecond: number;
    readonly gflops: number;
    readonly shareOfPeak: number;
    readonly finalLoss: number;
  };
  readonly curves: readonly LossCurve[];
  readonly evaluation: {
    /** On held-out texts after pre-training, before finetuning on chats. */
    readonly bitsPerByte: number;
    /** On prose kept aside. Absent in runs without prose. */
    readonly prose?: {
      readonly numDocuments: number;
      readonly numBytes: number;
      readonly pretrained: BitsPerByte;
      readonly finetuned: BitsPerByte;
    };
    readonly heldOutPhrasing: {
      readonly exactMatch: number;
      readonly score: Score;
      readonly byAttribute: readonly { attribute: string; score: Score }[];
    };
    readonly unknown: {
      /** Share of questions about invented names answered with the sheet's "I don't know". */
      readonly abstention: number;
      readonly abstentionScore: Score;
      /** Share of questions about known facts refused. */
      readonly falseAbstention: number;
      readonly falseAbstentionScore: Score;
    };
  };
  /** Absent in runs without a preference stage. */
  readonly preference?: PreferenceReport;
  /** What each stage took. Absent in reports of older versions. */
  readonly accounting?: Accounting;
  readonly samples: readonly AnswerSample[];
  /** All settings of the run, resolved. */
  readonly settings: Readonly<Record<string, unknown>>;
  /** Commands that make this run again, and use it. */
  readonly commands: readonly string[];
}
