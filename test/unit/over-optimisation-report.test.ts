/** The report of over-optimisation: where it says that the gold reward turned, the page, and what is measured for it. */
import { readFileSync } from 'node:fs';
import { afterAll, describe, expect, test } from 'vitest';
import { bestOf } from '../../src/align/best-of/best-of.ts';
import { bestOfKlBound } from '../../src/align/best-of/best-of-bounds.ts';
import { type CurvePoint, gainAt } from '../../src/align/best-of/over-optimisation.ts';
import type { RewardFunction } from '../../src/align/reward-function.ts';
import { createLanguageModel } from '../../src/decode/index.ts';
import {
  measureBestOf,
  measureCheckpoints,
  writeOverOptimisation,
} from '../../src/recipe/post-training/measure-over-optimisation.node.ts';
import {
  overOptimisationCurve,
  renderOverOptimisation,
  turnSentence,
} from '../../src/recipe/post-training/over-optimisation-report.ts';
import { cpuDevice } from '../../src/runtime/index.node.ts';
import { chatMl } from '../../src/tokenizer/index.ts';
import { temporaryFolder } from '../fixtures/cli/plinth-process.ts';
import { tinyTokenizer } from '../fixtures/cli/tiny-chat-folder.ts';
import { tinyModel } from '../fixtures/models/random-model.ts';

const temporary = temporaryFolder();
afterAll(() => temporary.remove());

/** Gold by a law, proxy that only rises; the gold reward of the initial model is 1. */
function pointsOf(method: 'best-of-n' | 'rl', beta: number, goldError = 0.01): CurvePoint[] {
  return [0, 0.2, 0.6, 1.2, 1.8, 2.5, 3.2, 3.9, 4.5].map((kl, i) => ({
    kl,
    gold: 1 + gainAt({ method, alpha: 1, beta }, Math.sqrt(kl)),
    proxy: 1 + Math.sqrt(kl),
    goldError,
    proxyError: 0.01,
    label: String(2 ** i),
  }));
}

const report = (curves: Parameters<typeof turnSentence>[0][]) => ({
  plinthVersion: '0',
  title: 'Over <optimised>',
  gold: 'a program',
  proxy: 'a model',
  curves,
  settings: [['Prompts', '3']] as const,
});

describe('the report', () => {
  test('finds the turn in the points and in the law, and says whether the fall is more than chance', () => {
    const turned = overOptimisationCurve('best-of-n', pointsOf('best-of-n', 0.4));
    // d (1 - 0.4 d) is highest at d = 1.25.
    expect(turned.gold!.turn!.kl).toBeCloseTo(1.5625, 6);
    expect(turned.peak.kl).toBe(1.8);
    expect(turned.hasFallen).toBe(true);
    expect(turnSentence(turned)).toMatch(/highest at 16 \(KL 1.800\).*falls after it.*turns at KL 1.563\.$/);
    const unsure = overOptimisationCurve('best-of-n', pointsOf('best-of-n', 0.4, 0.5));
    expect(unsure.hasFallen).toBe(false);

    const rl = overOptimisationCurve('rl', pointsOf('rl', 0.8));
    expect(rl.gold!.turn!.kl).toBeCloseTo(Math.exp(1 / 0.8 - 1) ** 2, 6);
    const rising = overOptimisationCurve('best-of-n', pointsOf('best-of-n', 0.1));
    expect(rising.hasFallen).toBe(false);
    expect(turnSentence(rising)).toMatch(/beyond what was measured/);
    const [first] = pointsOf('rl', 1);
    expect(overOptimisationCurve('rl', [first!])).toMatchObject({ peak: first, hasFallen: false });
    expect(overOptimisationCurve('rl', [first!]).gold).toBeUndefined();
  });

  test('is one page without requests that shows points, laws and the turn, and the same as JSON', async () => {
    const curves = [
      overOptimisationCurve('best-of-n', pointsOf('best-of-n', 0.4)),
      overOptimisationCurve('rl', pointsOf('rl', 0.8)),
    ];
    const html = renderOverOptimisation(report(curves));
    expect(html.match(/<svg class="chart"/g)).toHaveLength(2);
    expect(html).toContain('Over &lt;optimised&gt;');
    expect(html).not.toMatch(/<script|src=|href="http|NaN|undefined/);
    for (const text of ['gold: law', 'proxy: law', 'turn', '1.563', 'best of n', 'reinforcement']) {
      expect(html).toContain(text);
    }
    await writeOverOptimisation(temporary.path, report(curves));
    const stored = JSON.parse(readFileSync(`${temporary.path}/over-optimisation.json`, 'utf8'));
    expect(stored.curves[0].gold.turn.kl).toBeCloseTo(1.5625, 6);
    expect(readFileSync(`${temporary.path}/over-optimisation.html`, 'utf8')).toBe(html);
  });
});

describe('measuring', () => {
  const device = cpuDevice({ numThreads: 1 });
  const prompts = ['one', 'two', 'three'].map((content) => ({
    messages: [{ role: 'user' as const, content }],
    record: {},
  }));
  const evenTokens = (sign: number): RewardFunction => ({
    name: 'even',
    score: (answers) =>
      answers.map(({ completion }) => sign * completion.tokens.filter((token) => token % 2 === 0).length),
  });
  const open = async (seed: number) => {
    const { config, weights } = tinyModel({ vocabSize: tinyTokenizer.vocabSize }, seed);
    const model = await createLanguageModel({
      device,
      config,
      weights,
      tokenizer: tinyTokenizer,
      chatFormat: chatMl,
    });
    return { config, weights, model };
  };
  const options = { prompts, proxy: evenTokens(1), gold: evenTokens(-1), generation: { maxTokens: 5 } };

  test('best of n: from one pool, with a KL that never passes the bound', async () => {
    const { model } = await open(1);
    const points = await measureBestOf(model, { ...options, numSamples: 8 });
    expect(points.map(({ n }) => n)).toEqual([1, 2, 4, 8]);
    for (const { n, kl, klBound, proxy, gold } of points) {
      expect(klBound).toBe(bestOfKlBound(n));
      expect(kl).toBeLessThanOrEqual(klBound + 1e-9);
      expect(gold).toBeCloseTo(-proxy, 12);
    }
    const pools = await bestOf(model, prompts, { n: 8, reward: options.proxy, generation: { maxTokens: 5 } });
    const best = pools.reduce((sum, { best: { reward } }) => sum + reward, 0) / 3;
    expect(points.at(-1)!.proxy).toBeCloseTo(best, 12);
    expect(points.map(({ proxy }) => proxy)).toEqual(points.map(({ proxy }) => proxy).sort((a, b) => a - b));
    await model.dispose();
  });

  test('checkpoints: the initial model is at KL 0, another one is further by its own log-ratios', async () => {
    const [first, second] = [await open(1), await open(2)];
    const points = await measureCheckpoints(
      [
        { label: 'step 0', ...first },
        { label: 'step 1', ...second },
      ],
      {
        ...options,
        numSamples: 4,
        device,
        config: first.config,
        initial: first.weights,
        length: 40,
      },
    );
    expect(points.map(({ label }) => label)).toEqual(['step 0', 'step 1']);
    expect(points[0]!.kl).toBe(0);
    expect(points[1]!.kl).toBeGreaterThan(1);
    await first.model.dispose();
    await second.model.dispose();
  });
});
