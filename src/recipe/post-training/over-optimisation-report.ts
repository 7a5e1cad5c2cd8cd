/**
 * What pushing on a proxy reward did to the gold reward, as data and as one page: the points, the laws fitted to them,
 * and where the gold reward turns.
 */
import {
  type CurvePoint,
  fitOverOptimisation,
  gainAt,
  type OptimisationMethod,
  type OverOptimisationFit,
} from '../../align/best-of/over-optimisation.ts';
import * as figures from '../report/figures.ts';
import { renderPage, tile } from '../report/html-page.ts';
import { pairs, section, table } from '../report/html-table.ts';
import { type Markup, markup } from '../report/markup.ts';
import { svgXyChart } from '../report/svg-xy-chart.ts';
import type { XySeries } from '../report/xy-chart.ts';

export interface OverOptimisationCurve {
  readonly method: OptimisationMethod;
  /** By distance; the first is the initial model, at KL 0. */
  readonly points: readonly CurvePoint[];
  /** The law of the method on what the gold and the proxy reward gain; absent with fewer than two distances. */
  readonly gold?: OverOptimisationFit;
  readonly proxy?: OverOptimisationFit;
  /** The point of the highest gold reward. */
  readonly peak: CurvePoint;
  /** Is the gold reward of the furthest point below the peak's by more than two standard errors of the difference? */
  readonly hasFallen: boolean;
}

export interface OverOptimisationReport {
  readonly plinthVersion: string;
  readonly title: string;
  readonly gold: string;
  readonly proxy: string;
  readonly curves: readonly OverOptimisationCurve[];
  /** Names and values: model, prompts, samples. */
  readonly settings: readonly (readonly [name: string, value: string])[];
}

/** Standard errors by which the end must lie below the peak to count as fallen. */
const FALL_ERRORS = 2;
/** Points of a law's drawn line. */
const LINE_POINTS = 80;
const METHOD_NAMES: Readonly<Record<OptimisationMethod, string>> = {
  'best-of-n': 'best of n',
  rl: 'reinforcement',
};
const LAWS: Readonly<Record<OptimisationMethod, string>> = {
  'best-of-n': 'd (α − β d)',
  rl: 'd (α − β log d)',
};

/** @param points the initial model's first, at KL 0; at least one. */
export function overOptimisationCurve(
  method: OptimisationMethod,
  points: readonly CurvePoint[],
): OverOptimisationCurve {
  const [initial] = points;
  const peak = points.reduce((most, point) => (point.gold > most.gold ? point : most));
  const last = points.reduce((most, point) => (point.kl >= most.kl ? point : most));
  const error = Math.hypot(peak.goldError, last.goldError);
  const distances = new Set(points.filter(({ kl }) => kl > 0).map(({ kl }) => kl));
  const lawOf = (of: 'gold' | 'proxy') =>
    fitOverOptimisation(
      method,
      points.map((point) => ({ kl: point.kl, gain: point[of] - initial![of] })),
    );
  return {
    method,
    points,
    ...(distances.size >= 2 && { gold: lawOf('gold'), proxy: lawOf('proxy') }),
    peak,
    hasFallen: last !== peak && peak.gold - last.gold > FALL_ERRORS * error,
  };
}

export function renderOverOptimisation(report: OverOptimisationReport): string {
  const { curves, title, gold, proxy } = report;
  return renderPage({
    title,
    content: markup`<header><h1>${title}</h1>
<p>A model chosen or trained by a proxy reward (${proxy}) is measured by the gold reward that the proxy stands for (${gold}). The further it moves from the initial model, the more of what it gains is the proxy's error: the gold reward rises, turns and falls (Gao, Schulman and Hilton 2022).</p>
<ul class="tiles">${curves.map(curveTile)}</ul></header>
${curves.map(curveSection)}
${section('settings', 'Settings', pairs(report.settings))}`,
    footer: markup`Plinth ${report.plinthVersion}`,
  });
}

function curveTile({ method, peak, hasFallen }: OverOptimisationCurve): Markup {
  return tile(
    `${figures.precise(peak.kl)} nats`,
    `highest gold reward, ${METHOD_NAMES[method]}`,
    hasFallen ? 'after it the gold reward falls' : 'no fall beyond two standard errors',
  );
}

/** What the page and the terminal say of where a curve turns. */
export function turnSentence({ method, peak, gold, hasFallen }: OverOptimisationCurve): string {
  const measured =
    `With ${METHOD_NAMES[method]} the gold reward is highest at ${peak.label} (KL ${figures.precise(peak.kl)}): ` +
    `${figures.precise(peak.gold)}${hasFallen ? ', and falls after it' : ''}.`;
  if (!gold) return measured;
  if (!gold.turn) return `${measured} The fitted law rises without end.`;
  const { kl, isMeasured } = gold.turn;
  return `${measured} The fitted law turns at KL ${figures.precise(kl)}${isMeasured ? '' : ', beyond what was measured'}.`;
}

function curveSection(curve: OverOptimisationCurve): Markup {
  const { method, points, gold, proxy } = curve;
  return section(
    method,
    METHOD_NAMES[method].replace(/^./, (letter) => letter.toUpperCase()),
    markup`<p>${turnSentence(curve)}</p>`,
    svgXyChart({
      title: `Rewards against the distance from the initial model, ${METHOD_NAMES[method]}`,
      x: { label: 'd = √KL, √nats', min: 0 },
      y: { label: 'reward' },
      series: [...rewardSeries(curve, 'proxy'), ...rewardSeries(curve, 'gold'), ...turnSeries(curve)],
      summary: turnSentence(curve),
    }),
    table({
      caption: `Points, ${METHOD_NAMES[method]}`,
      columns: [
        { title: method === 'rl' ? 'Step' : 'n' },
        { title: 'KL, nats', kind: 'figure' },
        { title: 'Proxy reward', kind: 'figure' },
        { title: 'Gold reward', kind: 'figure' },
      ],
      rows: points.map(({ label, kl, proxy: proxyReward, gold: goldReward, proxyError, goldError }) => [
        label,
        figures.precise(kl),
        `${figures.precise(proxyReward)} ± ${figures.precise(proxyError)}`,
        `${figures.precise(goldReward)} ± ${figures.precise(goldError)}`,
      ]),
    }),
    gold &&
      proxy &&
      table({
        caption: `R(d) = ${LAWS[method]}, of what is gained over the initial model`,
        columns: [
          { title: 'Reward' },
          { title: 'α', kind: 'figure' },
          { title: 'β', kind: 'figure' },
          { title: 'R²', kind: 'figure' },
          { title: 'Turn, KL', kind: 'figure' },
        ],
        rows: [['gold', gold] as const, ['proxy', proxy] as const].map(
          ([name, { alpha, beta, rSquared, turn }]) => [
            name,
            figures.precise(alpha),
            figures.precise(beta),
            figures.precise(rSquared),
            turn ? `${figures.precise(turn.kl)}${turn.isMeasured ? '' : ' (not measured)'}` : 'none',
          ],
        ),
      }),
  );
}

const HUES = { gold: 'accent', proxy: 'second' } as const;

function rewardSeries(curve: OverOptimisationCurve, of: 'gold' | 'proxy'): XySeries[] {
  const { points } = curve;
  const fit = curve[of];
  const furthest = Math.sqrt(points.reduce((most, { kl }) => Math.max(most, kl), 0));
  const start = points[0]![of];
  return [
    ...(fit
      ? [
          {
            name: `${of}: law`,
            kind: 'line' as const,
            hue: HUES[of],
            dash: 'dashed' as const,
            points: Array.from({ length: LINE_POINTS + 1 }, (_, i) => {
              const d = (furthest * i) / LINE_POINTS;
              return { x: d, y: start + gainAt(fit, d) };
            }),
          },
        ]
      : []),
    {
      name: `${of}, ± 2 standard errors`,
      kind: 'dots',
      hue: HUES[of],
      points: points.map((point) => {
        const y = point[of];
        const error = 2 * (of === 'gold' ? point.goldError : point.proxyError);
        return { x: Math.sqrt(point.kl), y, ...(error > 0 && { low: y - error, high: y + error }) };
      }),
    },
  ];
}

function turnSeries({ peak }: OverOptimisationCurve): XySeries[] {
  const points = [{ x: Math.sqrt(peak.kl), y: peak.gold, label: peak.label }];
  return [{ name: 'turn', kind: 'mark', hue: 'good', points }];
}
