/**
 * A stage's losses over its steps: the mean of neighbouring steps as a line, their range as a band behind it,
 * validation as dots, and the learning rate small below on the same axis. The picture has no fixed width:
 * curves live in a nested viewport that stretches, labels in an outer one that does not, so text keeps its
 * size from phone to paper.
 */
import { rate, whole } from './figures.ts';
import { type Markup, markup } from './markup.ts';
import type { LossCurve } from './report.ts';
import { exactScale, roundScale, type Scale } from './svg-scale.ts';

interface Bin {
  step: number;
  mean: number;
  low: number;
  high: number;
  learningRate: number;
}

const MAX_BINS = 240;
const UNITS = 1000;
const LOSS_HEIGHT = 220;
const RATE_HEIGHT = 44;
const GAP = 26;
const BOTTOM = 22;
const TOP = 8;

export function lossChart(curve: LossCurve): Markup {
  const points = curve.points.filter(({ loss, step }) => Number.isFinite(loss) && Number.isFinite(step));
  const validation = curve.validation.filter(({ loss }) => Number.isFinite(loss));
  if (points.length < 2) return markup`<p class="note">Too few steps for a curve.</p>`;
  const bins = binsOf(points);
  const x = exactScale(points[0]!.step, points.at(-1)!.step, 4);
  const losses = [...bins.flatMap(({ low, high }) => [low, high]), ...validation.map(({ loss }) => loss)];
  const y = roundScale(Math.min(...losses), Math.max(...losses), 5);
  const rateTop = TOP + LOSS_HEIGHT + GAP;
  const rates = bins.map(({ learningRate }) => learningRate).filter(Number.isFinite);
  const hasRates = rates.length > 1;
  const highestRate = Math.max(...rates, Number.MIN_VALUE);
  const height = hasRates ? rateTop + RATE_HEIGHT + BOTTOM : TOP + LOSS_HEIGHT + BOTTOM;

  const up = (scale: Scale, value: number) => UNITS * (1 - scale.at(value));
  const across = (step: number) => UNITS * x.at(step);
  const line = (values: readonly (readonly [number, number])[]) =>
    values.map(([px, py], i) => `${i === 0 ? 'M' : 'L'}${px.toFixed(1)} ${py.toFixed(1)}`).join('');
  const train = line(bins.map((bin) => [across(bin.step), up(y, bin.mean)]));
  const band = `${line([
    ...bins.map((bin) => [across(bin.step), up(y, bin.high)] as const),
    ...bins.toReversed().map((bin) => [across(bin.step), up(y, bin.low)] as const),
  ])}Z`;
  const checked = line(validation.map(({ step, loss }) => [across(step), up(y, loss)]));
  const rateLine = line(
    bins
      .filter(({ learningRate }) => Number.isFinite(learningRate))
      .map((bin) => [across(bin.step), UNITS * (1 - bin.learningRate / highestRate)]),
  );

  const yTicks = y.ticks.map((tick) => {
    const top = TOP + LOSS_HEIGHT * (1 - y.at(tick));
    return markup`<line class="grid" x1="0" x2="100%" y1="${top}" y2="${top}"/><text class="tick end" x="-8" y="${top + 4}">${y.label(tick)}</text>`;
  });
  const xTicks = x.ticks.map((tick, i) => {
    const anchor = x.at(tick) < 0.05 ? 'start' : x.at(tick) > 0.93 ? 'end' : 'middle';
    const label = i === 0 ? `step ${x.label(tick)}` : x.label(tick);
    return markup`<text class="tick ${anchor}" x="${percentOf(x.at(tick))}" y="${height - BOTTOM + 17}">${label}</text>`;
  });
  const dots = validation.map(
    ({ step, loss }) =>
      markup`<circle class="validation-dot" cx="${percentOf(x.at(step))}" cy="${(TOP + LOSS_HEIGHT * (1 - y.at(loss))).toFixed(1)}" r="3"/>`,
  );
  const rateFoot = rateTop + RATE_HEIGHT;
  const rateChart = markup`<text class="tick end" x="-8" y="${rateTop + 8}">${rate(highestRate)}</text>
<text class="tick end" x="-8" y="${rateFoot + 3}">0</text>
<text class="tick start" x="0" y="${rateTop - 8}">learning rate</text>
<line class="grid" x1="0" x2="100%" y1="${rateFoot}" y2="${rateFoot}"/>
${plot(rateTop, RATE_HEIGHT, markup`<path class="rate" d="${rateLine}"/>`)}`;
  return markup`<svg class="chart" role="img" aria-label="${summaryOf(curve, validation.at(-1)?.loss)}" height="${height}">
${yTicks}${xTicks}
${plot(TOP, LOSS_HEIGHT, markup`<path class="band" d="${band}"/><path class="train" d="${train}"/><path class="validation" d="${checked}"/>`)}
${dots}
${hasRates ? rateChart : undefined}
</svg>`;
}

/** A viewport of 1000 by 1000 units that stretches over the plot's width. */
function plot(top: number, height: number, content: Markup): Markup {
  return markup`<svg y="${top}" width="100%" height="${height}" viewBox="0 0 ${UNITS} ${UNITS}" preserveAspectRatio="none" overflow="visible">${content}</svg>`;
}

const percentOf = (share: number) => `${(share * 100).toFixed(2)}%`;

function binsOf(points: LossCurve['points']): Bin[] {
  const numBins = Math.min(MAX_BINS, points.length);
  return Array.from({ length: numBins }, (_, i) => {
    const from = Math.floor((i * points.length) / numBins);
    const to = Math.floor(((i + 1) * points.length) / numBins);
    const part = points.slice(from, to);
    const losses = part.map(({ loss }) => loss);
    return {
      step: part.reduce((sum, { step }) => sum + step, 0) / part.length,
      mean: losses.reduce((sum, loss) => sum + loss, 0) / losses.length,
      low: Math.min(...losses),
      high: Math.max(...losses),
      learningRate: part.at(-1)!.learningRate,
    };
  });
}

function summaryOf({ stage, points }: LossCurve, validation: number | undefined): string {
  const first = points[0]!;
  const last = points.at(-1)!;
  const checked = validation === undefined ? '' : ` Validation loss at the end: ${validation.toFixed(3)}.`;
  return (
    `Loss of ${stage}: from ${first.loss.toFixed(2)} at step ${whole(first.step)} ` +
    `to ${last.loss.toFixed(2)} at step ${whole(last.step)}.${checked}`
  );
}
