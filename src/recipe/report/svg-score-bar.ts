/** A share as a bar from 0 to 100 % with its 95 % interval as a whisker. As wide as its place. */
import { interval, percent } from './figures.ts';
import { type Markup, markup } from './markup.ts';
import type { Score } from './report.ts';

const HEIGHT = 14;

const at = (share: number) =>
  `${(Math.min(1, Math.max(0, Number.isFinite(share) ? share : 0)) * 100).toFixed(2)}%`;

export function scoreBar({ value, interval: range }: Score, name: string): Markup {
  const [low, high] = range;
  const width = Math.max(0, Math.min(1, high) - Math.max(0, low)) || 0;
  const text = `${name}: ${percent(value)}, 95 % interval ${interval(range)}`;
  return markup`<svg class="bar" role="img" aria-label="${text}" width="100%" height="${HEIGHT}"><rect class="bar-space" width="100%" height="${HEIGHT}"/><rect class="bar-share" width="${at(value)}" height="${HEIGHT}"/><rect class="bar-interval" x="${at(low)}" y="6" width="${(width * 100).toFixed(2)}%" height="2"/><line class="bar-end" x1="${at(low)}" x2="${at(low)}" y1="3" y2="11"/><line class="bar-end" x1="${at(high)}" x2="${at(high)}" y1="3" y2="11"/></svg>`;
}
