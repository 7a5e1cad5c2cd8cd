/**
 * What a running job looks like, as a value: a pure reducer over events. It holds the latest of everything and a
 * loss curve of bounded length, so a run of any length costs the same memory. Knows nothing of terminals.
 */
import type { PlinthEvent, ProgressEvent, TrainStepEvent, ValidationEvent } from '../../core/events.ts';

export interface StageView {
  readonly name: string;
  readonly state: 'running' | 'done' | 'skipped';
  readonly seconds?: number;
  readonly detail?: string;
}

/** Means of `stepsPerPoint` consecutive values, the last point over `numInLast` of them. */
export interface History {
  readonly points: readonly number[];
  readonly stepsPerPoint: number;
  readonly numInLast: number;
  readonly firstStep: number;
}

export interface JobView {
  /** Stages in the order they began. */
  readonly stages: readonly StageView[];
  readonly numStages: number;
  readonly startedAtMs: number;
  readonly stageStartedAtMs: number;
  /** Of the running stage. */
  readonly counted?: ProgressEvent;
  readonly step?: TrainStepEvent;
  readonly validation?: ValidationEvent;
  readonly losses: History;
  /** Of what the objective tells beside its loss, by name. */
  readonly metrics: Readonly<Record<string, History>>;
  readonly sample?: { readonly prompt: string; readonly completion: string };
  readonly numWarnings: number;
}

const MAX_POINTS = 512;
const NOTHING: History = { points: [], stepsPerPoint: 1, numInLast: 0, firstStep: 0 };

export function emptyView(nowMs: number): JobView {
  return {
    stages: [],
    numStages: 0,
    startedAtMs: nowMs,
    stageStartedAtMs: nowMs,
    losses: NOTHING,
    metrics: {},
    numWarnings: 0,
  };
}

export function reduceView(view: JobView, event: PlinthEvent, nowMs: number): JobView {
  switch (event.type) {
    case 'stage': {
      const stage: StageView = {
        name: event.stage,
        state: event.state === 'start' ? 'running' : event.state,
        ...(event.seconds !== undefined && { seconds: event.seconds }),
        ...(event.detail !== undefined && { detail: event.detail }),
      };
      const at = view.stages.findIndex(({ name }) => name === event.stage);
      const stages = at < 0 ? [...view.stages, stage] : view.stages.with(at, stage);
      const next = {
        ...view,
        stages,
        numStages: Math.max(event.numStages, stages.length),
        counted: undefined,
      };
      if (event.state !== 'start') return next;
      return {
        ...next,
        stageStartedAtMs: nowMs,
        step: undefined,
        validation: undefined,
        losses: NOTHING,
        metrics: {},
      };
    }
    case 'progress':
      return { ...view, counted: event };
    case 'train-step':
      return {
        ...view,
        step: event,
        losses: withValue(view.losses, event.step, event.loss),
        metrics: withMetrics(view.metrics, event),
      };
    case 'validation':
      return { ...view, validation: event };
    case 'sample':
      return { ...view, sample: { prompt: event.prompt, completion: event.completion } };
    case 'note':
      return event.level === 'warning' ? { ...view, numWarnings: view.numWarnings + 1 } : view;
    case 'checkpoint':
      return view;
  }
}

function withMetrics(
  histories: JobView['metrics'],
  { step, metrics = {} }: TrainStepEvent,
): JobView['metrics'] {
  const next = { ...histories };
  for (const [name, value] of Object.entries(metrics)) {
    next[name] = withValue(next[name] ?? NOTHING, step, value);
  }
  return next;
}

/** When the points run out, pairs become one point of twice the steps. */
function withValue(history: History, step: number, value: number): History {
  if (!Number.isFinite(value)) return history;
  const { points, stepsPerPoint, numInLast } = history;
  const firstStep = points.length === 0 ? step : history.firstStep;
  if (points.length > 0 && numInLast < stepsPerPoint) {
    const mean = (points.at(-1)! * numInLast + value) / (numInLast + 1);
    return { points: points.with(-1, mean), stepsPerPoint, numInLast: numInLast + 1, firstStep };
  }
  if (points.length < MAX_POINTS)
    return { points: [...points, value], stepsPerPoint, numInLast: 1, firstStep };
  const merged = Array.from(
    { length: points.length / 2 },
    (_, i) => (points[2 * i]! + points[2 * i + 1]!) / 2,
  );
  return { points: [...merged, value], stepsPerPoint: 2 * stepsPerPoint, numInLast: 1, firstStep };
}
