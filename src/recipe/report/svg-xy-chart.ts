/**
 * A chart of x against y as SVG, for pages in the report's style: lines, bands and dots on linear or logarithmic
 * axes, a legend, labels beside dots and at the ends of lines, and a summary in words. As in svg-loss-chart.ts the
 * picture stretches to its column while text and dots keep their size. No script, and no style outside the element
 * but the page's.
 */
import { type Markup, markup } from './markup.ts';
import type { Scale } from './svg-scale.ts';
import {
  type Hue,
  leftOutText,
  placeChart,
  summaryOf,
  type XyChart,
  type XyPoint,
  type XySeries,
} from './xy-chart.ts';

const UNITS = 1000;
const TOP = 26;
const BOTTOM = 44;
const LABEL_HEIGHT = 14;
const DASHES = { solid: undefined, dashed: '7 4', dotted: '1.5 4' } as const;

export interface SvgChartOptions {
  /** Of the plot without labels, in pixels; default 280. */
  readonly height?: number;
}

/** A `<figure>` with title, legend and picture. */
export function svgXyChart(chart: XyChart, { height = 280 }: SvgChartOptions = {}): Markup {
  const placed = placeChart(chart, { x: 6, y: 5 });
  const { x, y, series, numLeftOut } = placed;
  const numShown = series.reduce((sum, { points }) => sum + points.length, 0);
  if (numShown === 0) return markup`<p class="note">${chart.title}: nothing to draw.</p>`;
  const across = (value: number) => percentOf(x.at(value));
  const down = (value: number) => TOP + height * (1 - y.at(value));
  const inside = ({ x: px, y: py }: XyPoint) => within(x.at(px)) && within(y.at(py));

  const yTicks = y.ticks.map((tick) => {
    const top = down(tick).toFixed(1);
    return markup`<line class="grid" x1="0" x2="100%" y1="${top}" y2="${top}"/><text class="tick end" x="-8" y="${(down(tick) + 4).toFixed(1)}">${y.label(tick)}</text>`;
  });
  const foot = TOP + height;
  const xTicks = x.ticks.map((tick) => {
    const share = x.at(tick);
    const anchor = share < 0.03 ? 'start' : share > 0.97 ? 'end' : 'middle';
    return markup`<line class="grid" x1="${across(tick)}" x2="${across(tick)}" y1="${foot}" y2="${foot + 4}"/><text class="tick ${anchor}" x="${across(tick)}" y="${foot + 18}">${x.label(tick)}</text>`;
  });
  const dots = series
    .filter(({ kind }) => kind === 'dots' || kind === 'mark')
    .flatMap((one) =>
      one.points.filter(inside).map((point) => dot(one, point, x.at(point.x), across(point.x), down)),
    );
  const paths = [...series]
    .sort((a, b) => Number(b.kind === 'band') - Number(a.kind === 'band'))
    .map((one) => path(one, x, y));
  const label = summaryOf(chart, placed);
  return markup`<figure><figcaption><strong>${chart.title}</strong>${legend(series)}</figcaption>
<svg class="chart" role="img" aria-label="${label}" height="${foot + BOTTOM}">
${yTicks}${xTicks}<line class="grid" x1="0" x2="100%" y1="${foot}" y2="${foot}"/>
<text class="tick start" x="0" y="12">${chart.y.label}</text><text class="tick end" x="100%" y="${foot + 36}">${chart.x.label}</text>
<svg y="${TOP}" width="100%" height="${height}" viewBox="0 0 ${UNITS} ${UNITS}" preserveAspectRatio="none" overflow="hidden">${paths}</svg>
${dots}${endLabels(series, x, y, down)}
</svg>${numLeftOut > 0 ? markup`<p class="note">${leftOutText(numLeftOut)}</p>` : undefined}</figure>`;
}

const percentOf = (share: number) => `${(share * 100).toFixed(2)}%`;
const within = (share: number) => share > -0.001 && share < 1.001;
const colourOf = (hue: Hue = 'accent') => `var(--${hue})`;

function path(
  { kind, points, hue, dash = 'solid', strength = 1 }: XySeries,
  x: Scale,
  y: Scale,
): Markup | undefined {
  if (points.length === 0) return undefined;
  const place = (px: number, py: number, i: number) =>
    `${i === 0 ? 'M' : 'L'}${(UNITS * x.at(px)).toFixed(1)} ${(UNITS * (1 - y.at(py))).toFixed(1)}`;
  if (kind === 'line') {
    const d = points.map((point, i) => place(point.x, point.y, i)).join('');
    const dashes = DASHES[dash] ? `;stroke-dasharray:${DASHES[dash]}` : '';
    return markup`<path d="${d}" style="stroke:${colourOf(hue)};stroke-width:1.75;stroke-opacity:${strength}${dashes}"/>`;
  }
  if (kind !== 'band') return undefined;
  const edges = [
    ...points.map((point) => [point.x, point.high!] as const),
    ...points.toReversed().map((point) => [point.x, point.low!] as const),
  ];
  const d = `${edges.map(([px, py], i) => place(px, py, i)).join('')}Z`;
  return markup`<path d="${d}" style="fill:${colourOf(hue)};opacity:${(0.18 * strength).toFixed(3)}"/>`;
}

function dot(
  { kind, hue, strength = 1 }: XySeries,
  { y, low, high, label }: XyPoint,
  share: number,
  left: string,
  down: (value: number) => number,
): Markup {
  const colour = colourOf(hue);
  const top = down(y).toFixed(1);
  const whisker =
    low !== undefined && high !== undefined && Number.isFinite(down(low)) && Number.isFinite(down(high))
      ? markup`<line x1="${left}" x2="${left}" y1="${down(low).toFixed(1)}" y2="${down(high).toFixed(1)}" style="stroke:${colour};stroke-width:1.5"/>`
      : undefined;
  const shape =
    kind === 'mark'
      ? markup`<circle cx="${left}" cy="${top}" r="6" style="fill:${colour};stroke:var(--ground);stroke-width:2"/>`
      : markup`<circle cx="${left}" cy="${top}" r="3" style="fill:${colour};fill-opacity:${strength}"/>`;
  const atRight = share > 0.8;
  const text =
    label === undefined
      ? undefined
      : markup`<text class="tick ${atRight ? 'end' : 'start'}" x="${left}" dx="${atRight ? -9 : 9}" y="${(down(y) - 7).toFixed(1)}" style="fill:var(--text)">${label}</text>`;
  return markup`${whisker}${shape}${text}`;
}

/** Labels at the right ends of lines, pushed apart where they would overlap. */
function endLabels(
  series: readonly XySeries[],
  x: Scale,
  y: Scale,
  down: (value: number) => number,
): Markup[] {
  const labels = series.flatMap(({ kind, points, endLabel, hue }) => {
    const last = points
      .filter((point) => within(x.at(point.x)) && within(y.at(point.y)))
      .reduce<XyPoint | undefined>((most, point) => (most && most.x > point.x ? most : point), undefined);
    return kind === 'line' && endLabel !== undefined && last
      ? [{ text: endLabel, hue, share: x.at(last.x), top: down(last.y) - 5 }]
      : [];
  });
  labels.sort((a, b) => a.top - b.top);
  let above = Number.NEGATIVE_INFINITY;
  return labels.map(({ text, hue, share, top }) => {
    above = Math.max(top, above + LABEL_HEIGHT);
    const anchor = share > 0.75 ? 'end' : 'start';
    return markup`<text class="tick ${anchor}" x="${percentOf(share)}" dx="${anchor === 'end' ? -4 : 4}" y="${above.toFixed(1)}" style="fill:${colourOf(hue)}">${text}</text>`;
  });
}

function legend(series: readonly XySeries[]): Markup[] {
  const seen = new Set<string>();
  return series.flatMap(({ name, kind, hue, dash = 'solid' }) => {
    const key = `${name} ${kind === 'band'}`;
    if (seen.has(key)) return [];
    seen.add(key);
    return [
      markup`<span style="margin-right:.9rem;color:var(--quiet);font-size:.85rem;white-space:nowrap">${swatch(kind, colourOf(hue), dash)} ${name}</span> `,
    ];
  });
}

function swatch(kind: XySeries['kind'], colour: string, dash: keyof typeof DASHES): Markup {
  const dashes = DASHES[dash] ? `;stroke-dasharray:${DASHES[dash]}` : '';
  const shape = {
    line: markup`<line x1="0" x2="18" y1="5" y2="5" style="stroke:${colour};stroke-width:2${dashes}"/>`,
    band: markup`<rect width="18" height="10" style="fill:${colour};opacity:.25"/>`,
    dots: markup`<circle cx="9" cy="5" r="3" style="fill:${colour}"/>`,
    mark: markup`<circle cx="9" cy="5" r="5" style="fill:${colour}"/>`,
  }[kind];
  return markup`<svg width="18" height="10" aria-hidden="true" style="display:inline-block;vertical-align:-.05em">${shape}</svg>`;
}
