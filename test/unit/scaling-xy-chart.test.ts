/** Charts of x against y: what is drawn where, in characters and as SVG. */
import { describe, expect, it } from 'vitest';
import { textWidth } from '../../src/cli/terminal/text-width.ts';
import { terminalXyChart } from '../../src/cli/terminal/xy-chart.ts';
import { axisScale, countLabel } from '../../src/recipe/report/axis-scale.ts';
import { svgXyChart } from '../../src/recipe/report/svg-xy-chart.ts';
import type { XyChart } from '../../src/recipe/report/xy-chart.ts';

const chart: XyChart = {
  title: 'Loss by size',
  x: { label: 'parameters', kind: 'log' },
  y: { label: 'loss' },
  series: [
    {
      name: 'range',
      kind: 'band',
      points: [1e6, 1e7, 1e8].map((x) => ({ x, y: 2, low: 1.5, high: 2.5 })),
    },
    { name: 'law', kind: 'line', points: [1e6, 1e7, 1e8].map((x, i) => ({ x, y: 3 - i })), endLabel: 'own' },
    {
      name: 'runs',
      kind: 'dots',
      hue: 'good',
      points: [
        { x: 1e7, y: 2.9, low: 2.8, high: 3 },
        { x: -1, y: 2 },
      ],
    },
    { name: 'best', kind: 'mark', points: [{ x: 1e8, y: 1, label: '<100 M>' }] },
  ],
};

describe('axes', () => {
  it('put decades of a logarithmic axis at equal distances', () => {
    const scale = axisScale({ label: '', kind: 'log', min: 1e6, max: 1e10 }, [], 10);
    expect(scale.ticks).toEqual([1e6, 1e7, 1e8, 1e9, 1e10]);
    expect(scale.at(1e8)).toBeCloseTo(0.5, 12);
  });

  it('have several ticks and room for all values, over any range', () => {
    for (const kind of ['log', 'linear'] as const) {
      for (const [min, max] of [
        [1, 1.3],
        [2, 9],
        [3, 400],
        [1e-6, 1],
        [1e18, 1e26],
        [5, 5],
      ] as const) {
        const scale = axisScale({ label: '', kind }, [min, max], 6);
        expect(scale.at(min)).toBeGreaterThanOrEqual(0);
        expect(scale.at(max)).toBeLessThanOrEqual(1);
        expect(scale.ticks.length, `${kind} ${min} ${max}`).toBeGreaterThanOrEqual(min === max ? 0 : 2);
        expect(scale.ticks.length).toBeLessThanOrEqual(12);
        for (const tick of scale.ticks) {
          expect(scale.at(tick)).toBeGreaterThanOrEqual(-1e-6);
          expect(scale.at(tick)).toBeLessThanOrEqual(1 + 1e-6);
        }
      }
    }
  });

  it('label large and small values shortly', () => {
    expect([70e9, 1e6, 1.5e9, 1e21, 3e18, 1e-5, 0.25, 0].map(countLabel)).toEqual([
      '70 G',
      '1 M',
      '1.5 G',
      '10²¹',
      '3·10¹⁸',
      '10⁻⁵',
      '0.25',
      '0',
    ]);
  });
});

describe('in a terminal', () => {
  it('a falling line starts at the top left and ends at the bottom right', () => {
    const lines = terminalXyChart(chart, { columns: 60, rows: 12 });
    const plot = lines.slice(2, 14);
    const isBraille = (character: string) => character >= '\u2801' && character <= '\u28ff';
    const places = plot.flatMap((line, row) =>
      [...line].flatMap((c, column) => (isBraille(c) ? [{ row, column }] : [])),
    );
    expect(places.length).toBeGreaterThan(20);
    const left = places.reduce((a, b) => (b.column < a.column ? b : a));
    const right = places.reduce((a, b) => (b.column > a.column ? b : a));
    expect(left.row).toBeLessThanOrEqual(1);
    expect(right.row).toBeGreaterThanOrEqual(9);
    expect(plot.join('')).toContain('◆');
    expect(plot.filter((line) => line.includes('●'))).toHaveLength(1);
    expect(plot.some((line) => line.includes('░'))).toBe(true);
  });

  it('fits its width, names every series and counts what it leaves out', () => {
    const lines = terminalXyChart(chart, { columns: 60, rows: 12 });
    for (const line of lines) expect(textWidth(line)).toBeLessThanOrEqual(60);
    const text = lines.join('\n');
    for (const name of ['range', 'law', 'runs', 'best', '1 point has no place']) expect(text).toContain(name);
  });

  it('cuts lines at the ends of an axis and draws nothing outside', () => {
    const cut = { ...chart, y: { label: 'loss', min: 1.9, max: 2.1 }, series: [chart.series[1]!] };
    const plot = terminalXyChart(cut, { columns: 60, rows: 10 }).slice(2, 12).join('');
    const drawn = [...plot].filter((c) => c >= '\u2801' && c <= '\u28ff').length;
    expect(drawn).toBeGreaterThan(3);
    expect(drawn).toBeLessThan(20);
  });

  it('says that there is nothing to draw', () => {
    expect(terminalXyChart({ ...chart, series: [] })).toEqual(['Loss by size: nothing to draw.']);
  });
});

describe('as SVG', () => {
  const svg = svgXyChart(chart).text;

  it('has a summary, marks in their places and no markup from data', () => {
    expect(svg).toMatch(/role="img" aria-label="Loss by size: loss from/);
    expect(svg).toContain('&lt;100 M&gt;');
    expect(svg).not.toContain('<100');
    expect(svg).not.toMatch(/<script|href=|NaN|undefined/);
    const mark = /<circle cx="([\d.]+)%" cy="([\d.]+)" r="6"/.exec(svg)!;
    expect(Number(mark[1])).toBeGreaterThan(95);
    expect(svg).toContain('1 point has no place');
  });

  it('keeps the whole chart when labels stand at the ends of lines that leave the plot', () => {
    const cut = svgXyChart({ ...chart, y: { label: 'loss', min: 1.9, max: 2.1 } }).text;
    for (const [, y] of cut.matchAll(/<text[^>]* y="(-?[\d.]+)"/g)) expect(Number(y)).toBeGreaterThan(0);
  });

  it('says that there is nothing to draw', () => {
    expect(svgXyChart({ ...chart, series: [] }).text).toContain('nothing to draw');
  });
});
