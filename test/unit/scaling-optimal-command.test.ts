/** `plinth scale optimal` and `plinth scale fit` as a person or a program uses them. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { fitCommand } from '../../src/cli/commands/scale-fit.ts';
import { optimalCommand } from '../../src/cli/commands/scale-optimal.ts';

const POINTS = fileURLToPath(new URL('../fixtures/scaling/chinchilla-points.csv', import.meta.url));

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'plinth-optimal-'));
});
afterAll(() => rm(folder, { recursive: true }));
afterEach(() => vi.restoreAllMocks());

async function printed(command: 'optimal' | 'fit', ...words: string[]): Promise<string> {
  let text = '';
  vi.spyOn(process.stdout, 'write').mockImplementation((chunk) => {
    text += String(chunk);
    return true;
  });
  await (command === 'optimal' ? optimalCommand() : fitCommand())
    .exitOverride()
    .parseAsync(words, { from: 'user' });
  vi.restoreAllMocks();
  return text;
}

describe('scale optimal', () => {
  it('prints one line of JSON with the optimum, its intervals and every law', async () => {
    const text = await printed(
      'optimal',
      '--flops',
      '5.76e23',
      '--inference-tokens',
      '1T',
      '--unique-tokens',
      '100B',
      '--json',
    );
    expect(text.trimEnd().split('\n')).toHaveLength(1);
    const json = JSON.parse(text);
    expect(json.law).toBe('epoch');
    expect(json.flops).toBe(5.76e23);
    expect(json.tokensPerParameter).toBeCloseTo(18.4, 1);
    expect(json.intervals.params[0]).toBeLessThan(json.params);
    expect(json.laws).toHaveLength(7);
    expect(json.serving.best.params).toBeLessThan(json.params);
    expect(json.data.optimum.epochs).toBeGreaterThan(4);
  });

  it('shows the figures of all laws, why they differ, and a chart', async () => {
    const text = await printed('optimal', '--flops', '5.76e23');
    expect(text).toMatch(/epoch +72\.2 G +1\.33 T +18\.4/);
    expect(text).toMatch(/hoffmann-unrounded +40\.4 G +2\.38 T +58\.9/);
    expect(text).toContain('moves tokens per parameter at 5.76e23 FLOPs from 59 to 93');
    expect(text).toContain('◆');
  });

  it('turns dollars into FLOPs on an accelerator', async () => {
    const words = [
      '--dollars',
      '1M',
      '--accelerator',
      'h100-sxm',
      '--utilization',
      '0.4',
      '--price',
      '2',
      '--json',
    ];
    const json = JSON.parse(await printed('optimal', ...words));
    expect(Math.abs(json.flops / (5e5 * 3600 * 0.4 * 989e12) - 1)).toBeLessThan(0.01);
    expect(json.dollars.dollars).toBe(1e6);
  });

  it('refuses no budget, two budgets, options without their partner, unknown laws and losses out of reach', async () => {
    await expect(printed('optimal')).rejects.toThrow(/Give one of --flops/);
    await expect(printed('optimal', '--flops', '1e20', '--params', '7B')).rejects.toThrow(
      /got --flops and --params/,
    );
    await expect(printed('optimal', '--flops', '1e20', '--price', '2')).rejects.toThrow(
      /--price goes with --dollars/,
    );
    await expect(printed('optimal', '--flops', '1e20', '--law', 'epoh')).rejects.toThrow(
      /Did you mean 'epoch'/,
    );
    await expect(printed('optimal', '--loss', '1.5')).rejects.toThrow(/never reaches a loss of 1.5/);
    await expect(printed('optimal', '--flops', '1e20', '--law', './none.json')).rejects.toThrow(
      /Could not read the law file/,
    );
  });
});

describe('scale fit', () => {
  it('writes a law that scale optimal reads, and pages of both', async () => {
    const law = join(folder, 'law.json');
    const page = join(folder, 'law.html');
    const words = [
      '--drop-highest',
      '5',
      '--resamples',
      '60',
      '--out',
      law,
      '--html',
      page,
      '--predict',
      '70B:1.4T',
    ];
    const json = JSON.parse(await printed('fit', POINTS, ...words, '--json'));
    expect(json.numPoints).toBe(240);
    expect(json.objective).toBeLessThan(1.0229e-3);
    expect(json.predictions.at(-1)).toMatchObject({ params: 70e9, tokens: 1.4e12 });
    const html = await readFile(page, 'utf8');
    expect(html).toContain('Scaling law of your runs');
    expect(html).not.toMatch(/NaN|undefined|<script/);
    const other = join(folder, 'optimal.html');
    const best = JSON.parse(
      await printed('optimal', '--flops', '1e22', '--law', law, '--html', other, '--json'),
    );
    expect(best.law).toBe('own');
    expect(best.intervals.params[1]).toBeGreaterThan(best.params);
    expect(await readFile(other, 'utf8')).toContain('Best model for 1e22 training FLOPs');
  });

  it('finds the growth of the best size without a law', async () => {
    const json = JSON.parse(
      await printed('fit', POINTS, '--method', 'isoflop', '--resamples', '50', '--json'),
    );
    expect(json.a).toBeGreaterThan(0.44);
    expect(json.a).toBeLessThan(0.54);
    await expect(printed('fit', POINTS, '--method', 'envelope', '--out', 'x.json')).rejects.toThrow(
      /--out goes with/,
    );
  });

  it('keeps constants that are fixed and refuses what it cannot read', async () => {
    const words = ['--fix', 'alpha=0.35,beta=0.37', '--resamples', '0', '--json'];
    const json = JSON.parse(await printed('fit', POINTS, ...words));
    expect(json.law).toMatchObject({ alpha: 0.35, beta: 0.37 });
    expect(json.intervals).toBeUndefined();
    await expect(printed('fit', POINTS, '--predict', '70B')).rejects.toThrow(/expected size and tokens/);
    await expect(printed('fit', POINTS, '--drop-highest', '245')).rejects.toThrow(/leaves none/);
  });
});
