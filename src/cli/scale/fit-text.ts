/** What `plinth scale fit` prints: constants, how good they are, and what they predict. */
import type { AllocationFit, LossLawFit, LossPrediction, ScalingPoint } from '../../scaling/laws/index.ts';
import { columns } from '../terminal/columns.ts';
import { amount, between, compute, loss } from './optimal-text.ts';

export interface Prediction extends LossPrediction {
  readonly params: number;
  readonly tokens: number;
  readonly flops: number;
}

const digits = (value: number) =>
  value >= 1e5 || (value > 0 && value < 1e-3) ? value.toExponential(3) : String(Number(value.toPrecision(5)));

export function constantRows({ law, intervals }: LossLawFit): [string, string, string][] {
  const { E, A, B, alpha, beta } = law;
  const sum = alpha + beta;
  return [
    ['E', digits(E), between(intervals?.E, digits)],
    ['A', digits(A), between(intervals?.A, digits)],
    ['B', digits(B), between(intervals?.B, digits)],
    ['alpha', digits(alpha), between(intervals?.alpha, digits)],
    ['beta', digits(beta), between(intervals?.beta, digits)],
    ['a: best size ~ C^a', digits(beta / sum), between(intervals?.a, digits)],
    ['b: best tokens ~ C^b', digits(alpha / sum), between(intervals?.b, digits)],
  ];
}

export function predictionRows(predictions: readonly Prediction[]): string[][] {
  return predictions.map(({ flops, params, tokens, loss: value, interval }) => [
    compute(flops),
    amount(params),
    amount(tokens),
    loss(value),
    between(interval, loss),
  ]);
}

export function fitText(
  fit: LossLawFit,
  description: string,
  points: readonly ScalingPoint[],
  predictions: readonly Prediction[],
): string {
  const { objective, numStarts, numBasins, outliers, resamples, numPoints, delta } = fit;
  const spread = Math.sqrt(fit.residuals.reduce((sum, value) => sum + value * value, 0) / numPoints);
  const rows = constantRows(fit);
  const worst = outliers.slice(0, 5).map(({ index, residual }) => {
    const { params, tokens, loss: value } = points[index]!;
    return `  ${amount(params)} parameters, ${amount(tokens)} tokens: loss ${loss(value)}, ${(100 * residual).toFixed(1)} % off`;
  });
  return (
    `L(N, D) = E + A / N^alpha + B / D^beta, fitted to ${description}.\n\n` +
    `${columns([['', 'value', resamples.length > 0 ? '95 %' : ''], ...rows], 'lrl')}\n\n` +
    `Objective ${objective.toExponential(4)} (Huber, delta ${delta}, on log loss); typical miss ${(100 * spread).toFixed(2)} %; ` +
    `${numStarts} starts ended in ${numBasins} different law${numBasins === 1 ? '' : 's'} within 1 %; ${resamples.length} resamples.\n` +
    (outliers.length > 0
      ? `${outliers.length} runs lie more than 5 deviations off (kept; Huber bounds their pull):\n${worst.join('\n')}\n`
      : '') +
    fit.warnings.map((warning) => `Note: ${warning}\n`).join('') +
    (predictions.length === 0
      ? '\nThis law has no best size: by these runs only size or only tokens matter.\n'
      : `\nPredictions (95 %: uncertainty of the law and scatter of single runs):\n\n` +
        `${columns([['training FLOPs', 'parameters', 'tokens', 'loss', '95 %'], ...predictionRows(predictions)], 'rrrrl')}\n`)
  );
}

export function allocationText(fit: AllocationFit, description: string, atFlops: readonly number[]): string {
  const { a, b, intervals, profiles, leftOut } = fit;
  const three = (value: number) => value.toFixed(3);
  return (
    `Best size by compute, ${fit.method === 'isoflop' ? 'from parabolas at equal FLOPs (approach 2' : 'from the lower envelope of the runs (approach 1'} of Hoffmann et al. 2022), from ${description}.\n\n` +
    `${columns(
      [
        ['', 'value', intervals ? '95 %' : ''],
        ['a: best size ~ C^a', three(a), between(intervals?.a, three)],
        ['b: best tokens ~ C^b', three(b), between(intervals?.b, three)],
      ],
      'lrl',
    )}\n\n${columns(
      [
        ['FLOPs', 'best size', 'loss', 'runs'],
        ...profiles.map((one) => [
          compute(one.flops),
          amount(one.params),
          loss(one.loss),
          String(one.numPoints),
        ]),
      ],
      'rrrr',
    )}\n\n${leftOut.map(({ numPoints, flops, reason }) => `Left out: ${numPoints} runs about ${compute(flops)} FLOPs: ${reason}.\n`).join('')}` +
    `${leftOut.length > 0 ? '\n' : ''}${columns(
      [
        ['FLOPs', 'best size', 'tokens', '95 % of size'],
        ...atFlops.map((flops) => {
          const { params, tokens, interval } = fit.paramsAt(flops);
          return [compute(flops), amount(params), amount(tokens), between(interval, amount)];
        }),
      ],
      'rrrl',
    )}\n`
  );
}
