/** Names, errors and ranges of cost, and what `plinth scale cost` prints. */
import { tmpdir } from 'node:os';
import { describe, expect, test } from 'vitest';
import {
  carbonIntensity,
  findAccelerator,
  flopsForDollars,
  machine,
  mfu,
  peakOf,
  REGIONS,
  servingCost,
  trainingCost,
} from '../../src/scaling/cost/index.ts';
import { plinthInProcess } from '../fixtures/cli/plinth-in-process.ts';

const cli = (...args: string[]) => plinthInProcess(tmpdir(), ['scale', 'cost', ...args]);

describe('findAccelerator', () => {
  test.each([
    ['H100', 'h100-sxm'],
    ['h100-sxm', 'h100-sxm'],
    ['NVIDIA H100 SXM', 'h100-sxm'],
    ['nvidia h100 pcie', 'h100-pcie'],
    ['A100', 'a100-80gb'],
    ['4090', 'rtx-4090'],
    ['GeForce RTX 4090', 'rtx-4090'],
    ['TPU v5e', 'tpu-v5e'],
    ['Instinct MI300X', 'mi300x'],
    ['trillium', 'tpu-v6e'],
  ])('%s is %s', (name, id) => {
    expect(findAccelerator(name).id).toBe(id);
  });

  test('a mistyped name is answered with the nearest', () => {
    expect(() => findAccelerator('h100-smx')).toThrow(
      /"h100-smx" is not in the table.*did you mean h100-sxm/,
    );
    expect(() => findAccelerator('constructor')).toThrow(/not in the table/);
  });
});

describe('formats', () => {
  test('a chip without BF16 trains in FP16, and the result says so', () => {
    expect(peakOf(findAccelerator('v100'))).toEqual({ format: 'fp16', flopsPerSecond: 125e12 });
    expect(trainingCost({ flops: 1e20, accelerator: 'v100' }).notes.join()).toContain('no BF16 peak');
  });

  test('a format without public figure is refused with those there are', () => {
    expect(() => trainingCost({ flops: 1e20, accelerator: 'a100', format: 'fp8' })).toThrow(
      /A100 SXM 80GB has no public dense peak for fp8; it has fp32, tf32, fp16, bf16/,
    );
  });
});

describe('values out of range', () => {
  test.each([
    [
      { utilization: 1.2 },
      /utilization \(MFU\) is 1.2; expected a number above 0 and at most 1.*40 % is 0.4/,
    ],
    [{ utilization: 0 }, /utilization \(MFU\) is 0/],
    [{ utilization: Number.NaN }, /is NaN/],
    [{ utilization: { low: 0.5, typical: 0.4, high: 0.6 } }, /expected low <= typical <= high/],
    [{ pricePerHour: -1 }, /price is -1; expected a number at least 0/],
    [{ pue: 0.9 }, /PUE is 0.9; expected a number at least 1/],
    [{ hostFactor: 0.5 }, /host factor is 0.5/],
    [{ peakFlops: 0 }, /peak in FLOP\/s is 0/],
    [{ numAccelerators: 1.5 }, /number of accelerators is 1.5; expected a whole number/],
    [{ flops: -1 }, /FLOPs of the run is -1/],
    [{ flops: Number.POSITIVE_INFINITY }, /is Infinity/],
    [{ region: 'franse' }, /did you mean "france"/],
    [{ accelerator: 'cpu' }, /needs its rate in FLOP\/s/],
  ])('%o', (terms, message) => {
    expect(() => trainingCost({ flops: 1e20, ...terms })).toThrow(message);
  });

  test('a speed of 0 tokens is refused', () => {
    expect(() => mfu({ flopsPerToken: 1e9, tokensPerSecond: 0, peakFlops: 1e12 })).toThrow(
      /tokens per second is 0/,
    );
  });
});

describe('what is not known stays unknown', () => {
  test('no power: no energy and no carbon; no price: no dollars; both are said', () => {
    const cost = trainingCost({ flops: 1e22, accelerator: 'tpu-v5p' });
    expect(cost).toMatchObject({ dollars: null, energyKWh: null, carbonKg: null, siteWatts: null });
    expect(cost.notes.join()).toMatch(/No rental price.*power of Google TPU v5p is not known/);
    expect(() => flopsForDollars({ dollars: 1e6, accelerator: 'tpu-v5p' })).toThrow(/needs a price above 0/);
  });

  test("a peak alone does not bring another chip's price and power along", () => {
    const cost = trainingCost({ flops: 1e20, peakFlops: 1e13 });
    expect(cost).toMatchObject({ accelerator: 'the given accelerator', dollars: null, energyKWh: null });
  });

  test("a machine of one's own has no servers and no site around it unless they are given", () => {
    const own = machine({ flopsPerSecond: 1e11, powerWatts: 65 });
    expect(trainingCost({ flops: 1e15, accelerator: own }).siteWatts).toEqual({
      low: 65,
      typical: 65,
      high: 65,
    });
  });
});

describe('carbonIntensity', () => {
  test('of an unknown place goes from the cleanest to the dirtiest large grid; of a known one +-15 %', () => {
    expect(carbonIntensity()).toMatchObject({ low: 56, typical: 481, high: 713 });
    const germany = carbonIntensity('Germany');
    expect(germany.typical).toBe(381);
    expect(germany.high / germany.typical).toBeCloseTo(1.15, 12);
    for (const region of REGIONS) expect(carbonIntensity(region).source).toMatch(/Ember.*2023/);
  });
});

describe('servingCost', () => {
  const llama8 = {
    weightBytes: 16e9,
    forwardFlopsPerToken: 16e9,
    cacheBytesPerToken: 131_072,
    contextTokens: 4096,
  };

  test('one sequence on an H100 is bound by reading 16 GB: 3.35 TB/s give 203 tokens/s at most', () => {
    const cost = servingCost({
      ...llama8,
      batch: 1,
      contextTokens: 0,
      accelerator: 'h100',
      bandwidthUtilization: 1,
    });
    expect(cost.boundBy).toBe('bandwidth');
    expect(cost.tokensPerSecond.typical).toBeCloseTo(3.35e12 / 16e9, 6);
  });

  test('what does not fit is refused with the largest batch or the accelerators that hold it', () => {
    expect(() => servingCost({ ...llama8, batch: 500, accelerator: 'h100', numAccelerators: 1 })).toThrow(
      /need 284.4 GB; 1 x NVIDIA H100 SXM have 80.0 GB. The largest batch of this length is 119/,
    );
    expect(() =>
      servingCost({ ...llama8, weightBytes: 200e9, batch: 1, accelerator: 'h100', numAccelerators: 2 }),
    ).toThrow(/At least 3 accelerators hold them/);
    expect(servingCost({ ...llama8, weightBytes: 200e9, batch: 1 }).numAccelerators).toBe(3);
  });

  test('an accelerator without known bandwidth is refused', () => {
    expect(() =>
      servingCost({ ...llama8, batch: 1, accelerator: machine({ flopsPerSecond: 1e12 }) }),
    ).toThrow(/memory or the bandwidth of this machine is not known/);
  });
});

describe('plinth scale cost', () => {
  test('--flops gives a table with assumptions, dates and sources; --json the same numbers', async () => {
    const args = [
      '--flops',
      '3.14e23',
      '--accelerator',
      'h100-sxm',
      '--count',
      '256',
      '--utilization',
      '0.4',
    ];
    const { code, stdout } = await cli(...args);
    expect(code).toBe(0);
    expect(stdout).toMatch(/time +35\.9 days/);
    expect(stdout).toMatch(
      /price of an hour +\$3\.62 +\$2\.45 - \$12\.29 +Epoch AI, hardware prices .*2025-03-17/,
    );
    const json = JSON.parse((await cli(...args, '--json')).stdout);
    expect(json.days.typical).toBeCloseTo(35.886, 3);
    expect(json).toMatchObject({ work: { flops: 3.14e23 }, numAccelerators: 256, format: 'bf16' });
  });

  test('--params takes billions and gives 6 N D', async () => {
    const json = JSON.parse((await cli('--params', '175B', '--tokens', '300B', '--json')).stdout);
    expect(json.work).toMatchObject({ flops: 6 * 175e9 * 300e9, params: 175e9, tokens: 300e9 });
  });

  test('--preset counts exactly, attention included, and names 6 N beside it', async () => {
    const json = JSON.parse((await cli('--preset', 'gpt-3', '--tokens', '300B', '--json')).stdout);
    // 6 N D is 3.143e23 for the 174,604,259,328 parameters; attention over 2048 tokens adds 2.8 %.
    expect(json.work.flops / (6 * 174_604_259_328 * 300e9)).toBeCloseTo(1.027, 2);
    expect(json.work.params).toBe(174_604_259_328);
    expect(json.work.rule).toContain('6 x parameters is 1.05e12');
  });

  test('--preset --serve takes the cache of the architecture: Llama 3 8B, 131,072 bytes a token', async () => {
    const serving = async (...args: string[]) =>
      JSON.parse((await cli('--serve', '--batch', '8', '--context', '8192', ...args, '--json')).stdout)
        .serving;
    const preset = await serving('--preset', 'llama-3-8b');
    expect(preset.neededBytes).toBe(2 * 8_030_261_248 + 8 * 8192 * 131_072);
    const byHand = await serving('--params', '8030261248', '--cache-bytes', '131072');
    expect(byHand.tokensPerSecond.typical).toBeCloseTo(preset.tokensPerSecond.typical, 6);
  });

  test('--example gpt-3 shows both readings to the cent and says why they differ', async () => {
    const { stdout } = await cli('--example', 'gpt-3');
    for (const text of [
      '$4,142,811.43',
      '$4,140,659.34',
      '$251,978.11',
      '20.5',
      '338',
      '60.2 TFLOP/s',
      'FP32',
    ]) {
      expect(stdout).toContain(text);
    }
  });

  test('--list has a line per accelerator with dates; --published compares', async () => {
    const { stdout } = await cli('--list');
    expect(stdout).toMatch(/h100-sxm +NVIDIA H100 SXM +2022-09-20 .*2025-03-17/);
    expect(stdout).toContain('epoch.ai/data');
    expect((await cli('--published')).stdout).toMatch(/DeepSeek-V3 .*\$5,576,000 \/ \$5,576,000/);
  });

  test('inverse questions: days, dollars, measured speed, serving', async () => {
    const json = JSON.parse(
      (await cli('--flops', '5.88e21', '--days', '14', '--utilization', '0.4', '--json')).stdout,
    );
    expect(json.forDays.numAccelerators.typical).toBe(13);
    expect((await cli('--dollars', '100k')).stdout).toMatch(/\$100,000 buys .* FLOPs on NVIDIA H100 SXM/);
    expect(
      (await cli('--params', '124M', '--tokens-per-second', '180k', '--accelerator', 'a100')).stdout,
    ).toContain('Utilization (MFU): 42.9 %');
    const serve = await cli(
      '--params',
      '8B',
      '--serve',
      '--batch',
      '32',
      '--context',
      '4096',
      '--cache-bytes',
      '131072',
    );
    expect(serve.stdout).toContain('Serving 32 sequences of 4,096 tokens on 1 x NVIDIA H100 SXM');
  });

  test.each([
    [['--flops', '1e20', '--params', '1B'], 2, '--flops already says the compute'],
    [['--tokens', '1B'], 2, '--tokens needs a size'],
    [[], 2, 'Say what to price'],
    [['--list', '--published'], 2, 'Give one of --list and --published'],
    [['--flops', '1e20', '--utilization', '1.5'], 2, 'above 0 and up to 1'],
    [['--flops', '1e20', '--accelerator', 'h1000'], 1, 'is not in the table'],
    [['--flops', '1e20', '--pue', '0.5'], 1, 'PUE is 0.5'],
    [['--params', '1B', '--serve'], 2, '--cache-bytes'],
    [
      ['--flops', '1e20', '--batch', '4', '--weight-bits', '8'],
      2,
      '--batch, --weight-bits goes with --serve',
    ],
    [['--list', '--count', '8'], 2, '--list stands alone; leave out --count'],
    [['--dollars', '1M', '--days', '3'], 2, '--days asks how many accelerators'],
    [['--dollars', '100', '--accelerator', 'b200'], 1, 'give one (pricePerHour, --price)'],
  ])('%j ends with %i', async (args, code, message) => {
    const ended = await cli(...args);
    expect(ended.code).toBe(code);
    expect(ended.stderr).toContain(message);
  });
});
