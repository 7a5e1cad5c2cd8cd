/** A run against text, power and electricity: shares, verdicts, growth, and what `plinth scale limits` prints. */

import { tmpdir } from 'node:os';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { DATA_STOCKS, flopsForTokens, runLimits, yearReached } from '../../src/scaling/limits/index.ts';
import { plinthInProcess } from '../fixtures/cli/plinth-in-process.ts';

const cli = (...args: string[]) => plinthInProcess(tmpdir(), ['scale', 'limits', ...args]);
const rowOf = (run: Parameters<typeof runLimits>[0], id: string) =>
  runLimits(run).rows.find((row) => row.id === id)!;

describe('text', () => {
  test('300 T tokens with a 90 % interval of 100 to 1000 T (Villalobos et al. 2024)', () => {
    expect(DATA_STOCKS[0]!.tokens).toEqual({ low: 100e12, typical: 300e12, high: 1000e12 });
    expect(DATA_STOCKS[0]!.intervalPercent).toBe(90);
  });

  test('the verdict is sure only where the whole range agrees', () => {
    const verdict = (tokens: number) => rowOf({ flops: 1e27, tokens }, 'public-text').verdict;
    expect(verdict(100e12)).toBe('within');
    expect(verdict(101e12)).toBe('depends');
    expect(verdict(1000e12)).toBe('depends');
    expect(verdict(1001e12)).toBe('beyond');
  });

  test('repeating counts against raw stocks; the usable stock already has it', () => {
    const run = { flops: 1e27, tokens: 400e12, epochs: 4 };
    expect(rowOf(run, 'common-crawl').needed.typical).toBe(100e12);
    expect(rowOf(run, 'public-text').needed.typical).toBe(400e12);
  });

  test('without tokens there are no rows, and it is said', () => {
    const { rows, notes } = runLimits({ flops: 1e27 });
    expect(rows.some(({ kind }) => kind === 'data')).toBe(false);
    expect(notes.join()).toContain('rows for data are left out');
  });
});

describe('electricity', () => {
  // 1e26 FLOPs at 989e12 x 0.4 are 70.2 M hours; x 700 W x 1.5 x 1.1 are 81.1 GWh.
  const terms = { flops: 1e26, utilization: 0.4, hostFactor: 1.5, pue: 1.1 };

  test('energy is that of the cost, as a share of a year', () => {
    const row = rowOf(terms, 'us-data-centres');
    expect(row.needed.typical).toBeCloseTo(0.0811, 4);
    expect(row.share.typical).toBeCloseTo(0.0811 / 176, 6);
    expect(row.available.typical).toBe(176);
  });

  test('power is energy over the days: 100 days need 33.8 MW, half the days twice that', () => {
    expect(rowOf({ ...terms, days: 100 }, '100-mw').needed.typical / 1e6).toBeCloseTo(33.8, 1);
    expect(rowOf({ ...terms, days: 50 }, '100-mw').needed.typical / 1e6).toBeCloseTo(67.6, 1);
    expect(rowOf({ ...terms, days: 20 }, '100-mw').verdict).toBe('beyond');
  });

  test('a chip of unknown power gives no such rows, and it is said', () => {
    const { rows, notes } = runLimits({ flops: 1e26, accelerator: 'tpu-v5p' });
    expect(rows.map(({ kind }) => kind)).not.toContain('power');
    expect(notes.join()).toContain('is not known');
  });
});

describe('growth', () => {
  test('a factor of 4.5 a year: one year later 4.5 times as much', () => {
    const year = (limit: number) =>
      yearReached(limit, { fromFlops: 1e25, fromYear: 2023, growthPerYear: 4.5 }).typical;
    expect(year(1e25)).toBe(2023);
    expect(year(4.5e25)).toBeCloseTo(2024, 12);
    expect(year(1e25 / 4.5)).toBeCloseTo(2022, 12);
  });

  test('public text at 20 tokens a parameter is met within the 2026 to 2032 of Villalobos et al. 2024', () => {
    const { low, typical, high } = DATA_STOCKS[0]!.tokens;
    const flops = {
      low: flopsForTokens(low, 20),
      typical: flopsForTokens(typical, 20),
      high: flopsForTokens(high, 20),
    };
    // Their own pair: 4e14 tokens are about 5e28 FLOPs.
    expect(flopsForTokens(4e14, 20)).toBeCloseTo(4.8e28, -26);
    const year = yearReached(flops);
    expect(year.typical).toBeCloseTo(2028, 0);
    expect(year.low).toBeGreaterThan(2026);
    expect(year.high).toBeLessThan(2032);
  });

  test('earliest, typical and latest are in order, also for sizes below the start', () => {
    fc.assert(
      fc.property(
        fc.double({ min: 15, max: 35, noNaN: true }),
        fc.double({ min: 1, max: 100, noNaN: true }),
        (power, width) => {
          const typical = 10 ** power;
          const year = yearReached({ low: typical / width, typical, high: typical * width });
          expect(year.low).toBeLessThanOrEqual(year.typical + 1e-9);
          expect(year.typical).toBeLessThanOrEqual(year.high + 1e-9);
        },
      ),
    );
  });

  test('a growth of 1 or less never gets there', () => {
    expect(() => yearReached(1e29, { growthPerYear: 1 })).toThrow(
      /growth per year is 1; expected a number above 1/,
    );
  });
});

describe('plinth scale limits', () => {
  test('--flops takes the optimal tokens of the law and names it; every row has a source', async () => {
    const { code, stdout } = await cli('--flops', '1e27');
    expect(code).toBe(0);
    expect(stdout).toMatch(/50\.4 T tokens \(optimal by Besiroglu/);
    expect(stdout).toMatch(/public text, usable +300 T \(100 T - 1000 T\) +16\.8 % .*within +Villalobos/);
    const { run, growth } = JSON.parse((await cli('--flops', '1e27', '--json')).stdout);
    for (const { source } of run.rows) expect(source).not.toBe('');
    expect(growth.reached[0]).toMatchObject({ name: 'this run' });
  });

  test('--params and --tokens are taken as they are', async () => {
    const { work, run } = JSON.parse((await cli('--params', '1T', '--tokens', '20T', '--json')).stdout);
    expect(work).toMatchObject({ flops: 1.2e26, tokens: 20e12 });
    expect(run.tokens).toBe(20e12);
  });

  test('a run beyond everything says so', async () => {
    const { stdout } = await cli('--params', '1000T', '--tokens', '20000T');
    expect(stdout).toMatch(/whole web, raw .*BEYOND/);
    expect(stdout).toMatch(/chips by 2030 .*BEYOND/);
  });

  test('growth alone needs no run; --count is refused', async () => {
    const { stdout } = await cli('--growth', '3', '--tokens-per-parameter', '100');
    expect(stdout).toContain('grow 3 times a year (given)');
    const refused = await cli('--flops', '1e26', '--count', '5');
    expect(refused.code).toBe(2);
    expect(refused.stderr).toContain('--count changes no limit');
  });
});
