/** The charts of `plinth scale optimal` and `plinth scale fit`, for the terminal and for pages alike. */
import { ConfigError } from '../../core/errors.ts';
import { formatCount } from '../../core/units.ts';
import type { XyChart, XySeries } from '../../recipe/report/xy-chart.ts';
import {
  isoFlopCurve,
  type LossLaw,
  lossOf,
  type Optimum,
  optimalFor,
  type ScalingPoint,
  type UncertainLaw,
} from '../../scaling/laws/index.ts';
import { scientific } from './figures.ts';

const SIZES = { label: 'parameters', kind: 'log' } as const;
const LOSSES = { label: 'loss, nats a token' } as const;

/** Loss of every size at the optimum's compute, with the best size marked and other laws for comparison. */
export function isoFlopChart(
  law: UncertainLaw,
  optimum: Optimum,
  others: readonly LossLaw[],
  marks: readonly { readonly name: string; readonly point: { params: number; loss: number } }[] = [],
): XyChart {
  const { flops } = optimum;
  const curve = isoFlopCurve(law, flops);
  const hasBand = curve[0]?.lossInterval !== undefined;
  return {
    title: `Loss by size at ${scientific(flops)} training FLOPs`,
    x: { ...SIZES, min: curve[0]!.params, max: curve.at(-1)!.params },
    y: LOSSES,
    series: [
      ...(hasBand
        ? [
            {
              name: `95 % of '${law.law.name}'`,
              kind: 'band' as const,
              points: curve.map(({ params, loss, lossInterval }) => ({
                x: params,
                y: loss,
                low: lossInterval![0],
                high: lossInterval![1],
              })),
            },
          ]
        : []),
      {
        name: `law '${law.law.name}'`,
        kind: 'line',
        points: curve.map(({ params, loss }) => ({ x: params, y: loss })),
        endLabel: law.law.name,
      },
      ...others.map(
        (other, i): XySeries => ({
          name: `law '${other.name}'`,
          kind: 'line',
          hue: i === 0 ? 'second' : 'quiet',
          dash: i === 0 ? 'dashed' : 'dotted',
          points: curve.map(({ params, tokens }) => ({ x: params, y: lossOf(other, { params, tokens }) })),
          endLabel: other.name,
        }),
      ),
      {
        name: 'best size',
        kind: 'mark',
        points: [{ x: optimum.params, y: optimum.loss, label: formatCount(optimum.params) }],
      },
      ...marks.map(
        ({ name, point }): XySeries => ({
          name,
          kind: 'dots',
          hue: 'good',
          points: [{ x: point.params, y: point.loss, label: formatCount(point.params) }],
        }),
      ),
    ],
    summary:
      `By the law '${law.law.name}' the loss is lowest, ${optimum.loss.toFixed(3)}, at ${formatCount(optimum.params)} parameters ` +
      `and ${formatCount(optimum.tokens)} tokens, and rises on both sides.`,
  };
}

const NUM_CURVES = 5;

/** The runs as dots, the fitted law at some of their computes, and the path of best sizes. */
export function fitChart(law: UncertainLaw, points: readonly ScalingPoint[]): XyChart {
  const logs = points.map(({ params, tokens }) => Math.log(6 * params * tokens)).sort((a, b) => a - b);
  const sizes = points.map(({ params }) => params);
  const [smallest, largest] = [Math.min(...sizes) / 1.5, Math.max(...sizes) * 1.5];
  const losses = points.map(({ loss }) => loss);
  const computes = Array.from({ length: NUM_CURVES }, (_, i) => {
    const share = i / (NUM_CURVES - 1);
    return Math.exp(logs[0]! + share * (logs.at(-1)! - logs[0]!));
  });
  const sizeRange = [smallest, largest] as const;
  const curves = computes.map((flops) =>
    isoFlopCurve(forBand(law, flops, computes), flops, { numPoints: 81, sizes: sizeRange }),
  );
  const band = curves.at(-1)!;
  const path = computes.flatMap((flops) => optimumOrNone(law, flops));
  return {
    title: 'Runs and the fitted law',
    x: { ...SIZES, min: smallest, max: largest },
    y: {
      ...LOSSES,
      min: Math.min(...losses) * 0.96,
      max: Math.min(Math.max(...losses), 2.5 * Math.min(...losses)) * 1.03,
    },
    series: [
      ...(band[0]?.lossInterval
        ? [
            {
              name: '95 % at most FLOPs',
              kind: 'band' as const,
              points: band.map(({ params, loss, lossInterval }) => ({
                x: params,
                y: loss,
                low: lossInterval![0],
                high: lossInterval![1],
              })),
            },
          ]
        : []),
      ...curves.map(
        (curve, k): XySeries => ({
          name: 'fit at equal FLOPs',
          kind: 'line',
          strength: 0.4 + (0.6 * k) / (NUM_CURVES - 1),
          points: curve.map(({ params, loss }) => ({ x: params, y: loss })),
          endLabel: `${scientific(computes[k]!)} FLOPs`,
        }),
      ),
      {
        name: 'best sizes',
        kind: 'line',
        hue: 'second',
        dash: 'dashed',
        points: path.map(({ params, loss }) => ({ x: params, y: loss })),
      },
      {
        name: 'runs',
        kind: 'dots',
        hue: 'good',
        strength: 0.75,
        points: points.map(({ params, loss }) => ({ x: params, y: loss })),
      },
    ],
    summary:
      `${points.length} runs from ${formatCount(Math.min(...sizes))} to ${formatCount(Math.max(...sizes))} parameters with losses from ` +
      `${Math.min(...losses).toFixed(3)} to ${Math.max(...losses).toFixed(3)}, and the fitted loss of every size at ${NUM_CURVES} amounts of compute.`,
  };
}

/** Only the curve with the most compute carries a band, so only it needs the resamples. */
function forBand(law: UncertainLaw, flops: number, computes: readonly number[]): UncertainLaw {
  return flops === computes.at(-1) ? law : { law: law.law, resamples: [] };
}

/** A fit in which size or tokens hardly matter has no best size to draw. */
export function optimumOrNone({ law }: UncertainLaw, flops: number): Optimum[] {
  try {
    return [optimalFor(law, { flops })];
  } catch (error) {
    if (error instanceof ConfigError) return [];
    throw error;
  }
}
