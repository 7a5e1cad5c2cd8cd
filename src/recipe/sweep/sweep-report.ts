/** What a sweep has to say: plain data, written as `report.json` and drawn as `report.html`. Losses in nats a token. */
import type { Interval, LossLaw } from '../../scaling/index.ts';
import type { Schedule } from '../../train/schedule.ts';
import type { Report } from '../report/report.ts';
import { exactMatch, expectedMatch, independentMatch } from './emergence.ts';
import type { BestSize, HeldBackPrediction } from './extrapolate.ts';
import type { MeasuredSize } from './plan-sweep.ts';
import type { SweepPoint } from './sweep.ts';

export interface SweepReport {
  readonly kind: 'sweep';
  readonly plinthVersion: string;
  readonly startedAt: string;
  readonly wallSeconds: number;
  readonly peakRssBytes: number;
  readonly machine: Report['machine'];
  readonly data: {
    readonly files: readonly string[];
    readonly vocabSize: number;
    readonly numTrainTokens: number;
    readonly numHeldOutTokens: number;
    /** Of the held-out loss, as a share of it: the largest of all points. */
    readonly relativeError: number;
  };
  readonly budget: { readonly minutes: number; readonly plannedSeconds: number };
  readonly settings: {
    readonly seed: number;
    readonly batchSize: number;
    readonly contextLength: number;
    readonly schedule: Schedule;
    readonly optimizer: string;
    readonly parametrisation: string;
  };
  /** Which weights N counts. */
  readonly parameters: string;
  readonly sizes: readonly MeasuredSize[];
  readonly points: readonly SweepPoint[];
  /** Fitted without the largest size. */
  readonly heldOutLaw: LawReport;
  /** Fitted to all points; the one in law.json. */
  readonly law: LawReport;
  /** How far the law was off when the second largest size was predicted from those below; widens the intervals. */
  readonly backtestMiss: number | undefined;
  readonly heldBack: readonly HeldBackPrediction[];
  readonly tokensPerParameter: { readonly value: number; readonly interval: Interval | undefined };
  /** For the sweep's own minutes and for more. */
  readonly bestSizes: readonly BestSize[];
  readonly emergence: readonly EmergenceSeries[];
  readonly notes: readonly string[];
}

export interface LawReport extends LossLaw {
  readonly numPoints: number;
  /** Largest distance of a point from the law, as a share of its loss. */
  readonly worstResidual: number;
  readonly warnings: readonly string[];
}

/** Exact match of spans of one length on the ladder, smallest compute first. */
export interface EmergenceSeries {
  readonly length: number;
  readonly points: readonly {
    readonly size: number;
    readonly params: number;
    readonly flops: number;
    readonly crossEntropy: number;
    readonly exactMatch: number;
    /** exp(-k CE). */
    readonly expected: number;
    /** (accuracy of single tokens)^k. */
    readonly independent: number;
    readonly spans: number;
  }[];
}

/** Each size at its last token count. */
export function lastPoints(points: readonly SweepPoint[]): SweepPoint[] {
  const bySize = new Map<number, SweepPoint>();
  for (const point of points) {
    const best = bySize.get(point.size);
    if (!best || point.steps > best.steps) bySize.set(point.size, point);
  }
  return [...bySize.values()].sort((a, b) => a.size - b.size);
}

export function emergenceOf(points: readonly SweepPoint[]): EmergenceSeries[] {
  const ordered = points.toSorted((a, b) => a.flops - b.flops);
  const lengths = ordered[0]?.spans.map(({ length }) => length) ?? [];
  return lengths.map((length, i) => ({
    length,
    points: ordered
      .filter(({ spans }) => (spans[i]?.spans ?? 0) > 0)
      .map(({ size, params, flops, loss, spans }) => ({
        size,
        params,
        flops,
        crossEntropy: loss,
        exactMatch: exactMatch(spans[i]!),
        expected: expectedMatch(length, loss),
        independent: independentMatch(length, exactMatch(spans[0]!)),
        spans: spans[i]!.spans,
      })),
  }));
}
