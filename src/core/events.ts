/**
 * What long work says while it runs. Emitters know nothing of who listens: the CLI draws these, a server
 * streams them, `metrics.jsonl` keeps them. Every rate carries its unit in its name.
 */

/** A stage of a pipeline begins or ends. */
export interface StageEvent {
  type: 'stage';
  stage: string;
  state: 'start' | 'done' | 'skipped';
  /** 1-based position of the stage and number of stages. */
  index: number;
  numStages: number;
  seconds?: number;
  detail?: string;
}

/** Counted work inside a stage. */
export interface ProgressEvent {
  type: 'progress';
  stage: string;
  done: number;
  total: number;
  unit: string;
  ratePerSecond: number;
  secondsLeft: number;
}

/** One optimizer step. `shareOfPeak` is achieved GFLOP/s over the machine's measured SGEMM rate. */
export interface TrainStepEvent {
  type: 'train-step';
  stage: string;
  step: number;
  numSteps: number;
  loss: number;
  learningRate: number;
  gradientNorm: number;
  /** What the objective tells beside its loss, such as accuracy, margin, reward, KL, entropy. */
  metrics?: Readonly<Record<string, number>>;
  tokens: number;
  tokensPerSecond: number;
  gflops: number;
  shareOfPeak: number;
  secondsLeft: number;
}

export interface ValidationEvent {
  type: 'validation';
  stage: string;
  step: number;
  /** The objective's loss per item; of a language model the negative log-likelihood per token, in nats. */
  loss: number;
  /** Of a language model. */
  bitsPerByte?: number;
  metrics?: Readonly<Record<string, number>>;
}

export interface CheckpointEvent {
  type: 'checkpoint';
  stage: string;
  step: number;
  path: string;
}

export interface SampleEvent {
  type: 'sample';
  stage: string;
  step: number;
  prompt: string;
  completion: string;
}

export interface NoteEvent {
  type: 'note';
  level: 'info' | 'warning';
  message: string;
}

export type PlinthEvent =
  | StageEvent
  | ProgressEvent
  | TrainStepEvent
  | ValidationEvent
  | CheckpointEvent
  | SampleEvent
  | NoteEvent;

export type EventSink = (event: PlinthEvent) => void;

export const ignoreEvents: EventSink = () => {};
