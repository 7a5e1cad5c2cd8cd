/**
 * Laws that say how to split compute into size and tokens, N_opt ~ C^a, without a loss for every size: Kaplan et al.
 * 2020 and approaches 1 and 2 of Hoffmann et al. 2022. Tokens are C / (6 N). The papers print the exponents with
 * intervals; how sure a size is at the middle of their budgets they do not say, so the intervals here are of the
 * exponent alone, turned around that middle, and are too narrow near it.
 */
import { ConfigError } from '../../core/errors.ts';
import { nearestNames } from '../../core/nearest-name.ts';
import { requirePositive, TRAINING_FLOPS_PER_PARAMETER_AND_TOKEN } from './loss-law.ts';
import type { Interval } from './percentile-interval.ts';

export interface AllocationLaw {
  readonly name: string;
  readonly source: string;
  /** What its parameters, tokens and compute are. */
  readonly units: string;
  /** a of N ~ C^a. */
  readonly exponent: number;
  /** As printed; undefined where the paper prints none. */
  readonly exponentInterval?: Interval;
  /** Share that the printed interval covers. */
  readonly coverage?: number;
  /** Best sizes that the paper prints; between them the law follows them, beyond them the exponent. */
  readonly sizes: readonly (readonly [flops: number, params: number])[];
}

/** Middle (geometric) of the compute budgets of Hoffmann et al. 2022: 6e18 to 3e21 FLOPs (section 3.2). */
const HOFFMANN_MIDDLE_FLOPS = Math.sqrt(6e18 * 3e21);
const HOFFMANN_SIZES = [400e6, 1e9, 10e9, 67e9, 175e9, 280e9, 520e9, 1e12, 10e12];

/** A petaflop/s for a day, the unit of compute of Kaplan et al. */
export const FLOPS_PER_PETAFLOP_DAY = 8.64e19;

export const ALLOCATION_LAWS = {
  'chinchilla-1': {
    name: 'chinchilla-1',
    source: 'Hoffmann et al. 2022, approach 1 (minimum over training curves): tables 2 and 3',
    units: 'all parameters',
    exponent: 0.5,
    exponentInterval: [0.488, 0.502],
    coverage: 0.8,
    sizes: zip([1.92e19, 1.21e20, 1.23e22, 5.76e23, 3.85e24, 9.9e24, 3.43e25, 1.27e26, 1.3e28]),
  },
  'chinchilla-2': {
    name: 'chinchilla-2',
    source: 'Hoffmann et al. 2022, approach 2 (IsoFLOP profiles): tables 2 and A3',
    units: 'all parameters',
    exponent: 0.49,
    exponentInterval: [0.462, 0.534],
    coverage: 0.8,
    sizes: zip([1.84e19, 1.2e20, 1.32e22, 6.88e23, 4.54e24, 1.18e25, 4.19e25, 1.59e26, 1.75e28]),
  },
  kaplan: {
    name: 'kaplan',
    source: 'Kaplan et al. 2020 (arXiv:2001.08361), table 6: N = 1.3e9 (C / PF-day)^0.73',
    units: 'parameters and compute without embeddings; batches well below the critical size',
    exponent: 0.73,
    sizes: [[FLOPS_PER_PETAFLOP_DAY, 1.3e9]],
  },
} as const satisfies Record<string, AllocationLaw>;

export type AllocationBudget =
  | { readonly flops: number }
  | { readonly params: number }
  | { readonly tokens: number };

export interface Allocation {
  readonly params: number;
  readonly tokens: number;
  readonly flops: number;
  readonly tokensPerParameter: number;
  /** From the interval of the exponent alone; undefined where the paper prints none. */
  readonly intervals?: { readonly params: Interval; readonly tokens: Interval; readonly flops: Interval };
}

/** Throws ConfigError for a name that is not in ALLOCATION_LAWS. */
export function allocationLaw(name: string): AllocationLaw {
  if (Object.hasOwn(ALLOCATION_LAWS, name)) return ALLOCATION_LAWS[name as keyof typeof ALLOCATION_LAWS];
  throw new ConfigError(
    `There is no allocation law '${name}'. Known: ${nearestNames(name, Object.keys(ALLOCATION_LAWS))}.`,
  );
}

/** Size and tokens for a budget. Throws ConfigError unless the budget is one number above 0. */
export function allocate(law: AllocationLaw, budget: AllocationBudget): Allocation {
  const [[name, value] = ['', Number.NaN], ...more] = Object.entries(budget);
  if (more.length > 0) throw new ConfigError('Give one of flops, params and tokens.');
  requirePositive(name, value);
  const nodes = law.sizes.map(([flops, params]) => ({ flops: Math.log(flops), params: Math.log(params) }));
  const found = solve(nodes, law.exponent, budget);
  if (law.exponentInterval === undefined) return found;
  // The same nodes, turned around the middle of the paper's budgets by the difference of exponents.
  const middle = Math.log(HOFFMANN_MIDDLE_FLOPS);
  const turned = law.exponentInterval.map((exponent) =>
    solve(
      nodes.map(({ flops, params }) => ({
        flops,
        params: params + (exponent - law.exponent) * (flops - middle),
      })),
      exponent,
      budget,
    ),
  );
  const of = (key: 'params' | 'tokens' | 'flops'): Interval => {
    const values = [found, ...turned].map((one) => one[key]);
    return [Math.min(...values), Math.max(...values)];
  };
  return { ...found, intervals: { params: of('params'), tokens: of('tokens'), flops: of('flops') } };
}

interface Node {
  readonly flops: number;
  readonly params: number;
}

function solve(nodes: readonly Node[], exponent: number, budget: AllocationBudget): Allocation {
  const six = Math.log(TRAINING_FLOPS_PER_PARAMETER_AND_TOKEN);
  const logFlops =
    'flops' in budget
      ? Math.log(budget.flops)
      : 'params' in budget
        ? follow(
            nodes.map(({ flops, params }) => [params, flops]),
            1 / exponent,
            Math.log(budget.params),
          )
        : follow(
            nodes.map(({ flops, params }) => [flops - params - six, flops]),
            1 / (1 - exponent),
            Math.log(budget.tokens),
          );
  const params =
    'params' in budget
      ? budget.params
      : Math.exp(
          follow(
            nodes.map(({ flops, params: size }) => [flops, size]),
            exponent,
            logFlops,
          ),
        );
  const flops = 'flops' in budget ? budget.flops : Math.exp(logFlops);
  const tokens =
    'tokens' in budget ? budget.tokens : flops / (TRAINING_FLOPS_PER_PARAMETER_AND_TOKEN * params);
  return { params, tokens, flops, tokensPerParameter: tokens / params };
}

/** A line through points, straight on with `slope` beyond the first and last. */
function follow(points: readonly (readonly [x: number, y: number])[], slope: number, x: number): number {
  const first = points[0]!;
  const last = points.at(-1)!;
  if (x <= first[0]) return first[1] + slope * (x - first[0]);
  if (x >= last[0]) return last[1] + slope * (x - last[0]);
  const next = points.findIndex((point) => point[0] >= x);
  const [x0, y0] = points[next - 1]!;
  const [x1, y1] = points[next]!;
  return y0 + ((y1 - y0) * (x - x0)) / (x1 - x0);
}

function zip(flops: readonly number[]): (readonly [number, number])[] {
  return flops.map((value, i) => [value, HOFFMANN_SIZES[i]!] as const);
}
