/**
 * Over-optimisation (Gao, Schulman and Hilton 2022): a proxy reward that is pushed on makes the gold reward, which it
 * stands for, rise and then fall. Curves of both against the distance from the initial model, d = sqrt(KL), the laws
 * that the paper fits to them, and where they turn. Pure functions.
 */
import { ConfigError } from '../../core/errors.ts';
import { bestOfKlBound, bestOfKlEstimate } from './best-of-bounds.ts';

/** `best-of-n`: R = d (alpha - beta d); `rl`: R = d (alpha - beta log d). R is what is gained over the initial model. */
export type OptimisationMethod = 'best-of-n' | 'rl';

export interface CurvePoint {
  /** From the initial model, in nats. */
  readonly kl: number;
  readonly proxy: number;
  readonly gold: number;
  /** Standard errors of the two means over prompts; 0 where there is one prompt. */
  readonly proxyError: number;
  readonly goldError: number;
  /** Best of so many, or a step of a training: '16', 'step 400'. */
  readonly label: string;
}

export interface PooledAnswer {
  readonly proxy: number;
  readonly gold: number;
  /** Of the whole answer, in nats; NaN where it is not known. */
  readonly logprob: number;
}

export interface BestOfPoint extends CurvePoint {
  readonly n: number;
  /** log n - (n - 1) / n. `kl` is an estimate below it where log-probabilities are known, else the bound itself. */
  readonly klBound: number;
}

/**
 * Mean proxy and gold reward of the best of n by the proxy, for n = 1, 2, 4 ... up to the pool's size, from one pool of
 * answers for each prompt. Of N answers the one at place i from the worst is the best of n of them with the probability
 * C(i - 1, n - 1) / C(N, n), which uses all subsets at once (Nakano et al. 2021, appendix I). Answers of equal proxy
 * share theirs.
 */
export function bestOfCurve(pools: readonly (readonly PooledAnswer[])[]): BestOfPoint[] {
  const size = pools.reduce((least, pool) => Math.min(least, pool.length), Number.POSITIVE_INFINITY);
  if (!(size >= 1 && Number.isFinite(size))) {
    throw new ConfigError('A best-of-n curve needs pools of at least one answer each.');
  }
  const points: BestOfPoint[] = [];
  for (let n = 1; n <= size; n *= 2) {
    const bests = pools.map((pool) => bestInPool(pool, n));
    const klBound = bestOfKlBound(n);
    const kl = meanAndError(bests.map((best) => best.kl)).mean;
    const proxy = meanAndError(bests.map((best) => best.proxy));
    const gold = meanAndError(bests.map((best) => best.gold));
    points.push({
      n,
      kl: Number.isFinite(kl) ? kl : klBound,
      klBound,
      proxy: proxy.mean,
      gold: gold.mean,
      proxyError: proxy.error,
      goldError: gold.error,
      label: String(n),
    });
  }
  return points;
}

/** Expected proxy, gold and KL of the best of n in a pool. */
function bestInPool(pool: readonly PooledAnswer[], n: number): { proxy: number; gold: number; kl: number } {
  const sorted = [...pool].sort((a, b) => a.proxy - b.proxy);
  const total = { proxy: 0, gold: 0, kl: 0 };
  // The probability that all n are among the first i places: C(i, n) / C(N, n).
  let before = 0;
  for (let first = 0; first < sorted.length; ) {
    let end = first;
    while (end < sorted.length && sorted[end]!.proxy === sorted[first]!.proxy) end++;
    const upTo = shareOfSubsets(end, sorted.length, n);
    const each = (upTo - before) / (end - first);
    for (const { proxy, gold, logprob } of sorted.slice(first, end)) {
      total.proxy += each * proxy;
      total.gold += each * gold;
      total.kl += each > 0 ? each * bestOfKlEstimate(logprob, n) : 0;
    }
    before = upTo;
    first = end;
  }
  return total;
}

function shareOfSubsets(of: number, all: number, n: number): number {
  if (of < n) return 0;
  let share = 1;
  for (let k = 0; k < n; k++) share *= (of - k) / (all - k);
  return share;
}

/** Mean and its standard error, 0 for a single value. */
export function meanAndError(values: readonly number[]): { mean: number; error: number } {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  if (values.length < 2) return { mean, error: 0 };
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return { mean, error: Math.sqrt(squares / (values.length - 1) / values.length) };
}

export interface OverOptimisationFit {
  readonly method: OptimisationMethod;
  readonly alpha: number;
  readonly beta: number;
  /** Share of the variance of what is gained that the law explains. */
  readonly rSquared: number;
  /** Where the law's reward is highest; absent where it rises without end (beta not above 0). */
  readonly turn?: {
    readonly distance: number;
    readonly kl: number;
    /** Gained over the initial model there. */
    readonly gain: number;
    /** Was it measured up to there? Beyond the last point it is an extrapolation. */
    readonly isMeasured: boolean;
  };
}

/** What the law of a method says is gained at a distance d from the initial model. */
export function gainAt(
  { method, alpha, beta }: Pick<OverOptimisationFit, 'method' | 'alpha' | 'beta'>,
  d: number,
): number {
  if (d === 0) return 0;
  return d * (alpha - beta * (method === 'best-of-n' ? d : Math.log(d)));
}

/**
 * Least squares of a method's law on what each point gains; the law is linear in alpha and beta.
 * @param points of one reward: KL and what is gained over the initial model. Those at KL 0 say nothing.
 * @throws ConfigError for fewer than two points at different distances.
 */
export function fitOverOptimisation(
  method: OptimisationMethod,
  points: readonly { readonly kl: number; readonly gain: number }[],
): OverOptimisationFit {
  const usable = points.filter(({ kl, gain }) => kl > 0 && Number.isFinite(kl) && Number.isFinite(gain));
  const rows = usable.map(({ kl, gain }) => {
    const d = Math.sqrt(kl);
    return { d, x: d, y: -d * (method === 'best-of-n' ? d : Math.log(d)), gain };
  });
  const sum = (value: (row: (typeof rows)[number]) => number) =>
    rows.reduce((total, row) => total + value(row), 0);
  const [xx, xy, yy] = [sum(({ x }) => x * x), sum(({ x, y }) => x * y), sum(({ y }) => y * y)];
  const determinant = xx * yy - xy * xy;
  if (rows.length < 2 || !(determinant > 1e-12 * xx * yy)) {
    throw new ConfigError(
      `A law of over-optimisation needs points at two different distances at least; got ${rows.length} with a KL above 0.`,
    );
  }
  const [xr, yr] = [sum(({ x, gain }) => x * gain), sum(({ y, gain }) => y * gain)];
  const alpha = (yy * xr - xy * yr) / determinant;
  const beta = (xx * yr - xy * xr) / determinant;
  const law = { method, alpha, beta };
  const mean = sum(({ gain }) => gain) / rows.length;
  const residual = sum(({ d, gain }) => (gain - gainAt(law, d)) ** 2);
  const rSquared = 1 - residual / sum(({ gain }) => (gain - mean) ** 2);
  // Zeros of the slopes alpha - 2 beta d and alpha - beta (log d + 1).
  const distance = method === 'best-of-n' ? alpha / (2 * beta) : Math.exp(alpha / beta - 1);
  const isTurn = beta > 0 && distance > 0 && Number.isFinite(distance);
  const furthest = rows.reduce((most, { d }) => Math.max(most, d), 0);
  return {
    ...law,
    rSquared,
    ...(isTurn && {
      turn: { distance, kl: distance ** 2, gain: gainAt(law, distance), isMeasured: distance <= furthest },
    }),
  };
}
