/** The arithmetic of cost against published runs and the worked GPT-3 example. Sources stand beside the numbers. */
import { describe, expect, test } from 'vitest';
import {
  ACCELERATORS,
  findAccelerator,
  gpt3Example,
  hfu,
  mfu,
  peakOf,
  publishedComparisons,
  trainingCost,
} from '../../src/scaling/cost/index.ts';

const cents = (value: number) => value.toFixed(2);

describe('GPT-3 on 256 H100 at $2 an hour', () => {
  const { usual, densePeak, explanation } = gpt3Example();

  test('as usually worked out: to the cent, rounded and unrounded days', () => {
    // 3.14e23 / (256 x 5.2e18) = 235.877; 2 x 256 x 24 x 236 / 0.7
    expect(usual.daysAtPeak).toBeCloseTo(235.877, 3);
    expect(usual.roundedDays).toBe(236);
    expect(cents(usual.dollars)).toBe('4142811.43');
    expect(cents(usual.dollarsUnrounded)).toBe('4140659.34');
    expect(usual.lastDay).toBe(338);
    expect(usual.peakFlops / 1e12).toBeCloseTo(60.2, 1);
  });

  test('with the dense BF16 peak: 20.5 days and $251,978', () => {
    expect(densePeak.peakFlops).toBe(989e12);
    expect(densePeak.days).toBeCloseTo(20.5, 1);
    expect(densePeak.dollars.toFixed(0)).toBe('251978');
  });

  test('the two prices differ by the ratio of the peaks', () => {
    const ratio = densePeak.peakFlops / usual.peakFlops;
    expect(usual.dollarsUnrounded / densePeak.dollars).toBeCloseTo(ratio, 9);
    // The rounding that the explanation puts into dollars.
    expect(explanation.join(' ')).toContain(
      `$${(usual.dollars - usual.dollarsUnrounded).toFixed(2).replace('2152', '2,152')}`,
    );
  });
});

describe('published runs', () => {
  const byName = new Map(publishedComparisons().map((comparison) => [comparison.run.name, comparison]));
  const of = (name: string) => byName.get(name)!;

  test('GPT-3: 1287 MWh and 552 t (Patterson et al. 2021), to 0.3 %', () => {
    const { recomputed } = of('GPT-3');
    expect(Math.abs(recomputed.energyKWh! / 1_287_000 - 1)).toBeLessThan(0.003);
    expect(Math.abs(recomputed.carbonKg! / 552_100 - 1)).toBeLessThan(0.003);
    // 24.6 TFLOP/s measured on a V100 of 125.
    expect(Math.abs(of('GPT-3').impliedUtilization / (24.6 / 125) - 1)).toBeLessThan(0.005);
  });

  test('BLOOM: 433,196 kWh and 24.69 t (Luccioni et al. 2022), to the printed digits', () => {
    const { recomputed } = of('BLOOM');
    expect(recomputed.energyKWh!.toFixed(0)).toBe('433196');
    expect((recomputed.carbonKg! / 1000).toFixed(2)).toBe('24.69');
  });

  test('Llama 2 70B: 1,720,320 A100 hours give 291.42 t (Touvron et al. 2023), to the printed digits', () => {
    const { recomputed, impliedUtilization } = of('Llama 2 70B');
    expect((recomputed.carbonKg! / 1000).toFixed(2)).toBe('291.42');
    expect(impliedUtilization).toBeCloseTo(0.43, 2);
  });

  test('Llama 3.1 405B: 30.84M H100 hours lie in the estimate, below the 38 to 43 % of its best phases', () => {
    const { estimate, impliedUtilization } = of('Llama 3.1 405B');
    expect(estimate.acceleratorHours.low).toBeLessThan(30.84e6);
    expect(estimate.acceleratorHours.high).toBeGreaterThan(30.84e6);
    expect(impliedUtilization).toBeGreaterThan(0.33);
    expect(impliedUtilization).toBeLessThan(0.38);
  });

  test('DeepSeek-V3: 2.788M H800 hours at $2 cost $5.576M (DeepSeek-AI 2024), to the cent', () => {
    const { recomputed, estimate } = of('DeepSeek-V3');
    expect(cents(recomputed.dollars!)).toBe('5576000.00');
    expect(estimate.acceleratorHours.high).toBeGreaterThan(2.788e6);
  });

  test('every run of 2022 and later on A100 or later lies within the default range of hours', () => {
    for (const { run, estimate } of [...byName.values()].filter(({ run }) => run.name !== 'GPT-3')) {
      expect(run.acceleratorHours, run.name).toBeGreaterThan(estimate.acceleratorHours.low);
      expect(run.acceleratorHours, run.name).toBeLessThan(estimate.acceleratorHours.high);
    }
  });

  test('PaLM: 238.3 k tokens/s on 6144 TPU v4 are an MFU of 46.2 % (Chowdhery et al. 2022, appendix B)', () => {
    // 540.35e9 parameters, 118 layers, 48 heads of 256, sequences of 2048.
    const flopsPerToken = 6 * 540.35e9 + 12 * 118 * 48 * 256 * 2048;
    const { flopsPerSecond } = peakOf(findAccelerator('tpu-v4'));
    const speed = {
      flopsPerToken,
      tokensPerSecond: 238.3e3,
      peakFlops: flopsPerSecond,
      numAccelerators: 6144,
    };
    expect((100 * mfu(speed)).toFixed(1)).toBe('46.2');
    // 45.7 % without attention.
    expect((100 * mfu({ ...speed, flopsPerToken: 6 * 540.35e9 })).toFixed(1)).toBe('45.7');
    // The published 57.8 % mean that three quarters of the forward pass are computed again.
    expect(100 * hfu(speed, 0.75)).toBeCloseTo(57.8, 1);
  });
});

describe('the table of accelerators', () => {
  // Makers' data sheets: dense BF16 TFLOP/s, GB, TB/s, W.
  const sheets: [string, number, number, number, number | null][] = [
    ['a100-80gb', 312, 80, 2.039, 400],
    ['h100-pcie', 756, 80, 2.0, 350],
    ['h100-sxm', 989, 80, 3.35, 700],
    ['h200', 989, 141, 4.8, 700],
    ['b200', 2250, 180, 8.0, 1000],
    ['tpu-v5e', 197, 16, 0.819, null],
    ['tpu-v5p', 459, 95, 2.765, null],
    ['tpu-v6e', 918, 32, 1.64, null],
    ['tpu-v7', 2307, 192, 7.37, 980],
  ];
  test.each(sheets)('%s', (id, teraflops, memoryGB, bandwidthTBs, watts) => {
    const accelerator = findAccelerator(id);
    expect(accelerator.peakFlops.bf16).toBe(teraflops * 1e12);
    expect(accelerator.memoryBytes).toBe(memoryGB * 1e9);
    expect(accelerator.bandwidthBytesPerSecond! / 1e12).toBeCloseTo(bandwidthTBs, 9);
    expect(accelerator.powerWatts).toBe(watts);
  });

  test('a format half as wide is about twice as fast, never four times: no sparse peaks among the dense', () => {
    for (const { id, peakFlops } of ACCELERATORS) {
      const { bf16, fp8, fp4, tf32 } = peakFlops;
      if (bf16 && fp8) expect(fp8 / bf16, id).toBeLessThan(2.03);
      if (fp8 && fp4 && id !== 'b300' && id !== 'rtx-5090') expect(fp4 / fp8, id).toBeLessThan(2.02);
      if (bf16 && tf32) expect(bf16 / tf32, id).toBeGreaterThan(1.95);
    }
  });

  test('every row can be priced, has a date and a source, and a unique id', () => {
    expect(new Set(ACCELERATORS.map(({ id }) => id)).size).toBe(ACCELERATORS.length);
    for (const accelerator of ACCELERATORS) {
      expect(accelerator.released).toMatch(/^20[12]\d-[01]\d-[0-3]\d$/);
      expect(accelerator.source).not.toBe('');
      const { acceleratorHours, dollars, energyKWh } = trainingCost({ flops: 1e20, accelerator });
      expect(acceleratorHours.typical).toBeGreaterThan(0);
      expect(dollars === null).toBe(accelerator.price === null);
      expect(energyKWh === null).toBe(accelerator.powerWatts === null);
      if (accelerator.price) {
        expect(accelerator.price.low).toBeLessThanOrEqual(accelerator.price.typical);
        expect(accelerator.price.typical).toBeLessThanOrEqual(accelerator.price.high);
        expect(accelerator.price.from <= accelerator.price.to).toBe(true);
      }
    }
  });
});
