/**
 * What a chart of x against y shows, apart from how: lines, bands of uncertainty and dots on two axes. Drawn as SVG
 * in pages (svg-xy-chart.ts) and in characters in terminals (cli/terminal/xy-chart.ts).
 */
import { type Axis, axisScale, fitsAxis } from './axis-scale.ts';
import type { Scale } from './svg-scale.ts';

export type Hue = 'accent' | 'second' | 'good' | 'quiet' | 'text';

export interface XyPoint {
  readonly x: number;
  readonly y: number;
  /** Ends of an interval at this x: the edges of a band, whiskers of a dot. */
  readonly low?: number;
  readonly high?: number;
  /** Written beside a dot. */
  readonly label?: string;
}

export interface XySeries {
  /** For the legend and the summary. Series of one name and look share a legend entry. */
  readonly name: string;
  /** A band fills from `low` to `high`; a mark is one large dot that the eye should find. */
  readonly kind: 'line' | 'band' | 'dots' | 'mark';
  readonly points: readonly XyPoint[];
  readonly hue?: Hue;
  readonly dash?: 'solid' | 'dashed' | 'dotted';
  /** 0 to 1: how strong the colour is, for a family of lines in order. Default 1. */
  readonly strength?: number;
  /** Written at the end of the line. */
  readonly endLabel?: string;
}

export interface XyChart {
  readonly title: string;
  readonly x: Axis;
  readonly y: Axis;
  readonly series: readonly XySeries[];
  /** One or two sentences for readers who do not see the picture. Default: names and ranges. */
  readonly summary?: string;
}

export interface PlacedChart {
  readonly x: Scale;
  readonly y: Scale;
  readonly series: readonly XySeries[];
  /** Points that an axis cannot show (not finite, or not above 0 on a logarithmic axis). */
  readonly numLeftOut: number;
}

/** Scales for all series, and the points that can be shown. */
export function placeChart(
  chart: XyChart,
  numTicks: { readonly x: number; readonly y: number },
): PlacedChart {
  let numLeftOut = 0;
  const series = chart.series.map((one) => {
    const points = one.points.filter(
      (point) =>
        fitsAxis(chart.x, point.x) &&
        (one.kind === 'band'
          ? fitsAxis(chart.y, point.low ?? Number.NaN) && fitsAxis(chart.y, point.high ?? Number.NaN)
          : fitsAxis(chart.y, point.y)),
    );
    numLeftOut += one.points.length - points.length;
    return { ...one, points };
  });
  const shown = series.flatMap(({ kind, points }) => points.map((point) => ({ kind, point })));
  const heights = shown.flatMap(({ kind, point: { y, low, high } }) =>
    kind === 'band' ? [low!, high!] : [y, low ?? y, high ?? y].filter((value) => fitsAxis(chart.y, value)),
  );
  return {
    x: axisScale(
      chart.x,
      shown.map(({ point }) => point.x),
      numTicks.x,
    ),
    y: axisScale(chart.y, heights, numTicks.y),
    series,
    numLeftOut,
  };
}

/** A sentence for each name, with the range of what is drawn. */
export function summaryOf(chart: XyChart, { x, y, series }: PlacedChart): string {
  if (chart.summary !== undefined) return `${chart.title}. ${chart.summary}`;
  const names = [...new Set(series.filter(({ points }) => points.length > 0).map(({ name }) => name))];
  return (
    `${chart.title}: ${chart.y.label} from ${y.label(y.low)} to ${y.label(y.high)} against ${chart.x.label} ` +
    `from ${x.label(x.low)} to ${x.label(x.high)}${names.length > 0 ? `, for ${names.join('; ')}` : ''}.`
  );
}

export function leftOutText(numLeftOut: number): string {
  return numLeftOut === 1
    ? '1 point has no place on these axes and is left out.'
    : `${numLeftOut} points have no place on these axes and are left out.`;
}
