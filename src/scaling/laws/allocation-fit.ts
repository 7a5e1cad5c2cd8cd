/**
 * How best size grows with compute, N ~ C^a, from runs alone, without a form for the loss: approach 1 of Hoffmann et
 * al. 2022 (the lower envelope of all losses, section 3.1) and approach 2 (a parabola of loss over log N in every
 * group of equal compute, section 3.2). Tokens are C / (6 N), so b = 1 - a. Points may be ends of runs, or for
 * approach 1 also steps along them.
 */
import { DataError } from '../../core/errors.ts';
import { KeyedRandom } from '../../core/random.ts';
import { checkPoints, numDistinct } from './check-points.ts';
import { type ScalingPoint, TRAINING_FLOPS_PER_PARAMETER_AND_TOKEN } from './loss-law.ts';
import { type Interval, percentileInterval } from './percentile-interval.ts';

export interface AllocationFitOptions {
  readonly seed?: number;
  /** Bootstrap resamples; default 1000. */
  readonly numResamples?: number;
  /** Approach 2: runs of one group lie within this ratio of compute, largest over smallest; default 1.25. */
  readonly sameCompute?: number;
  /** Approach 1: bins of log compute; default 40, at most one for two points. */
  readonly numBins?: number;
}

/** The best size at one compute. */
export interface ComputeProfile {
  readonly flops: number;
  readonly params: number;
  readonly loss: number;
  readonly numPoints: number;
}

export interface AllocationFit {
  readonly method: 'envelope' | 'isoflop';
  /** N = params at 1e21 FLOPs times (C / 1e21)^a. */
  readonly a: number;
  readonly b: number;
  readonly intervals: { readonly a: Interval; readonly b: Interval } | undefined;
  readonly profiles: readonly ComputeProfile[];
  /** Groups that give no best size, and why. */
  readonly leftOut: readonly {
    readonly flops: number;
    readonly numPoints: number;
    readonly reason: string;
  }[];
  /** Size and tokens at a compute, with the middle 95 % over resamples. */
  paramsAt(flops: number): {
    readonly params: number;
    readonly tokens: number;
    readonly interval: Interval | undefined;
  };
}

/** A parabola needs three sizes and one more point to show its scatter. */
const MIN_GROUP_POINTS = 4;
const MIN_GROUP_SIZES = 3;

interface Sample {
  readonly logC: number;
  readonly logN: number;
  readonly loss: number;
}

interface Line {
  readonly slope: number;
  /** log N at the middle of log C. */
  readonly level: number;
  readonly middle: number;
}

/** Approach 2. Throws DataError when fewer than two groups of equal compute show a best size. */
export function fitIsoFlop(
  points: readonly ScalingPoint[],
  options: AllocationFitOptions = {},
): AllocationFit {
  const { seed = 0, numResamples = 1000, sameCompute = 1.25 } = options;
  const { groups, leftOut } = groupsOf(samplesOf(points), Math.log(sameCompute));
  const kept: { group: readonly Sample[]; profile: ComputeProfile }[] = [];
  for (const group of groups) {
    const profile = parabolaOf(group);
    if (typeof profile === 'string') leftOut.push({ ...sizeOf(group), reason: profile });
    else kept.push({ group, profile });
  }
  const profiles = kept.map(({ profile }) => profile).sort((a, b) => a.flops - b.flops);
  if (profiles.length < 2) {
    const reasons = leftOut.map(({ flops, reason }) => `${flops.toExponential(2)} FLOPs: ${reason}`);
    throw new DataError(
      `IsoFLOP fits need two groups of runs with equal compute (within a factor ${sameCompute}), each with ${MIN_GROUP_POINTS} runs on both ` +
        `sides of the best size; got ${profiles.length}.${reasons.length > 0 ? ` ${reasons.slice(0, 3).join('; ')}.` : ''} ` +
        'Train several sizes at the same FLOPs, or fit the whole law (fitLossLaw), which needs no groups.',
    );
  }
  const random = new KeyedRandom(seed).fork('isoflop');
  let draw = 0;
  const lines = resampled(numResamples, () => {
    const drawn = kept.flatMap(({ group }) => {
      const again = group.map(() => group[random.integer(draw++, group.length)]!);
      const profile = parabolaOf(again);
      return typeof profile === 'string' ? [] : [profile];
    });
    return lineOf(drawn);
  });
  return fitOf('isoflop', profiles, leftOut, lines);
}

/** Approach 1. Throws DataError when fewer than three computes carry a run that no cheaper run beats. */
export function fitEnvelope(
  points: readonly ScalingPoint[],
  options: AllocationFitOptions = {},
): AllocationFit {
  const { seed = 0, numResamples = 1000 } = options;
  const samples = samplesOf(points);
  const numBins = Math.max(3, Math.min(options.numBins ?? 40, Math.floor(samples.length / 2)));
  const logSizes = samples.map(({ logN }) => logN);
  const ends: Interval = [Math.min(...logSizes), Math.max(...logSizes)];
  const frontier = envelopeOf(samples, numBins);
  const profiles = frontier.filter((one) => !isAtEnd(one, ends));
  const leftOut = frontier
    .filter((one) => isAtEnd(one, ends))
    .map(({ flops }) => ({
      flops,
      numPoints: 1,
      reason: 'the best size may lie outside the sizes that were trained',
    }));
  if (profiles.length < 3) {
    throw new DataError(
      `The lower envelope of ${points.length} points has ${profiles.length} runs between the smallest and the largest size; 3 are needed. ` +
        'Add runs (or steps along runs) of other sizes.',
    );
  }
  const random = new KeyedRandom(seed).fork('envelope');
  let draw = 0;
  const lines = resampled(numResamples, () =>
    lineOf(
      envelopeOf(
        samples.map(() => samples[random.integer(draw++, samples.length)]!),
        numBins,
      ).filter((one) => !isAtEnd(one, ends)),
    ),
  );
  return fitOf('envelope', profiles, leftOut, lines);
}

/** A smallest or largest size that wins says only that the best one is not inside. */
function isAtEnd({ params }: ComputeProfile, [low, high]: Interval): boolean {
  return Math.log(params) < low + 0.01 || Math.log(params) > high - 0.01;
}

function samplesOf(points: readonly ScalingPoint[]): Sample[] {
  checkPoints(points, {});
  return points.map(({ params, tokens, loss }) => ({
    logC: Math.log(TRAINING_FLOPS_PER_PARAMETER_AND_TOKEN * params * tokens),
    logN: Math.log(params),
    loss,
  }));
}

function fitOf(
  method: AllocationFit['method'],
  profiles: readonly ComputeProfile[],
  leftOut: AllocationFit['leftOut'],
  lines: readonly Line[],
): AllocationFit {
  const line = lineOf(profiles);
  if (line === undefined) {
    throw new DataError('All best sizes are at one compute; a growth with compute needs two.');
  }
  const slopes = lines.map(({ slope }) => slope);
  return {
    method,
    a: line.slope,
    b: 1 - line.slope,
    intervals:
      lines.length > 0
        ? { a: percentileInterval(slopes), b: percentileInterval(slopes.map((slope) => 1 - slope)) }
        : undefined,
    profiles,
    leftOut,
    paramsAt(flops) {
      const params = sizeAt(line, flops);
      return {
        params,
        tokens: flops / (TRAINING_FLOPS_PER_PARAMETER_AND_TOKEN * params),
        interval:
          lines.length > 0 ? percentileInterval(lines.map((other) => sizeAt(other, flops))) : undefined,
      };
    },
  };
}

const sizeAt = ({ slope, level, middle }: Line, flops: number) =>
  Math.exp(level + slope * (Math.log(flops) - middle));

/** Draws whose points do not give a line (all at one compute) are left out. */
function resampled(num: number, draw: () => Line | undefined): Line[] {
  return Array.from({ length: num }, draw).filter((line) => line !== undefined);
}

/** Groups of runs within a window of log C, the fullest window first. */
function groupsOf(
  samples: readonly Sample[],
  window: number,
): { groups: Sample[][]; leftOut: { flops: number; numPoints: number; reason: string }[] } {
  let rest = [...samples].sort((a, b) => a.logC - b.logC);
  const groups: Sample[][] = [];
  for (;;) {
    let start = 0;
    let most = 0;
    for (let from = 0, to = 0; from < rest.length; from++) {
      while (to < rest.length && rest[to]!.logC <= rest[from]!.logC + window) to++;
      if (to - from > most) [start, most] = [from, to - from];
    }
    if (most < MIN_GROUP_POINTS) break;
    groups.push(rest.slice(start, start + most));
    rest = rest.filter((_, i) => i < start || i >= start + most);
  }
  const leftOut =
    rest.length > 0
      ? [{ ...sizeOf(rest), reason: `fewer than ${MIN_GROUP_POINTS} runs of equal compute` }]
      : [];
  return { groups, leftOut };
}

function sizeOf(group: readonly Sample[]): { flops: number; numPoints: number } {
  return {
    flops: Math.exp(group.reduce((sum, { logC }) => sum + logC, 0) / group.length),
    numPoints: group.length,
  };
}

/** Least squares of loss over log N; the lowest point when the parabola opens upwards inside the sizes seen. */
function parabolaOf(group: readonly Sample[]): ComputeProfile | string {
  if (numDistinct(group.map(({ logN }) => Math.exp(logN))) < MIN_GROUP_SIZES) {
    return `fewer than ${MIN_GROUP_SIZES} different sizes`;
  }
  const n = group.length;
  const centre = group.reduce((sum, { logN }) => sum + logN, 0) / n;
  let [s2, s3, s4, y0, y1, y2] = [0, 0, 0, 0, 0, 0];
  for (const { logN, loss } of group) {
    const x = logN - centre;
    s2 += x * x;
    s3 += x ** 3;
    s4 += x ** 4;
    y0 += loss;
    y1 += x * loss;
    y2 += x * x * loss;
  }
  // Normal equations with the first moment zero: rows [n 0 s2 | y0], [0 s2 s3 | y1], [s2 s3 s4 | y2].
  const determinant = n * (s2 * s4 - s3 * s3) - s2 ** 3;
  if (!(determinant > 1e-12 * n * s2 * s4)) return 'sizes too close for a parabola';
  const curvature = (n * (s2 * y2 - s3 * y1) - s2 * s2 * y0) / determinant;
  const slope = (y1 - curvature * s3) / s2;
  const base = (y0 - curvature * s2) / n;
  if (!(curvature > 0)) return 'the losses show no lowest size';
  const lowest = -slope / (2 * curvature);
  const sizes = group.map(({ logN }) => logN - centre);
  if (lowest < Math.min(...sizes) || lowest > Math.max(...sizes)) {
    return 'the best size lies outside the sizes that were trained';
  }
  return {
    ...sizeOf(group),
    params: Math.exp(centre + lowest),
    loss: base + slope * lowest + curvature * lowest ** 2,
  };
}

/** In every bin of log C the lowest loss, if no cheaper one is as low. */
function envelopeOf(samples: readonly Sample[], numBins: number): ComputeProfile[] {
  const logs = samples.map(({ logC }) => logC);
  const low = Math.min(...logs);
  const width = (Math.max(...logs) - low) / numBins || 1;
  const best: (Sample | undefined)[] = new Array(numBins).fill(undefined);
  for (const sample of samples) {
    const bin = Math.min(numBins - 1, Math.floor((sample.logC - low) / width));
    if (sample.loss < (best[bin]?.loss ?? Number.POSITIVE_INFINITY)) best[bin] = sample;
  }
  let lowest = Number.POSITIVE_INFINITY;
  return best.flatMap((sample) => {
    if (sample === undefined || sample.loss >= lowest) return [];
    lowest = sample.loss;
    return [{ flops: Math.exp(sample.logC), params: Math.exp(sample.logN), loss: sample.loss, numPoints: 1 }];
  });
}

function lineOf(profiles: readonly ComputeProfile[]): Line | undefined {
  const n = profiles.length;
  const x = profiles.map(({ flops }) => Math.log(flops));
  const y = profiles.map(({ params }) => Math.log(params));
  const middle = x.reduce((sum, value) => sum + value, 0) / n;
  const level = y.reduce((sum, value) => sum + value, 0) / n;
  const xx = x.reduce((sum, value) => sum + (value - middle) ** 2, 0);
  if (n < 2 || !(xx > 1e-9)) return undefined;
  const xy = x.reduce((sum, value, i) => sum + (value - middle) * (y[i]! - level), 0);
  return { slope: xy / xx, level, middle };
}
