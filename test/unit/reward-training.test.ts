/** From preferences in a file to a reward model that ranks what it has not seen, and what is told of it. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { loadRewardModel } from '../../src/align/reward/reward-checkpoint.node.ts';
import { CancelledError, ConfigError, DataError } from '../../src/core/errors.ts';
import { KeyedRandom } from '../../src/core/random.ts';
import { evaluateRewards } from '../../src/recipe/post-training/reward-evaluation.ts';
import { scoreFiles } from '../../src/recipe/post-training/score-rewards.node.ts';
import { type TrainRewardOptions, trainReward } from '../../src/recipe/post-training/train-reward.node.ts';
import { cpuDevice } from '../../src/runtime/index.node.ts';
import { answered } from '../fixtures/align/answered.ts';
import { temporaryFolder } from '../fixtures/cli/plinth-process.ts';
import { writeTinyChatFolder } from '../fixtures/cli/tiny-chat-folder.ts';

const device = cpuDevice({ numThreads: 1 });
const temporary = temporaryFolder();
const at = (...parts: string[]) => join(temporary.path, ...parts);
afterAll(() => temporary.remove());

const random = new KeyedRandom(5);
let draws = 0;
const draw = (limit: number) => random.integer(draws++, limit);
const letters = () => Array.from({ length: 3 + draw(6) }, () => 'abcdefgh'[draw(8)]!).join('');
const numA = (text: string) => text.split('a').length - 1;

/** The rule: the answer with more letters "a" is the better one. */
const pairs = Array.from({ length: 1400 }, () => [letters(), letters()] as const)
  .filter(([a, b]) => numA(a) !== numA(b))
  .map(([a, b]) => {
    const [chosen, rejected] = numA(a) > numA(b) ? [a, b] : [b, a];
    return { prompt: letters(), chosen, rejected, lead: numA(chosen) - numA(rejected) > 1 ? 'far' : 'near' };
  });

const options = (changes: Partial<TrainRewardOptions> = {}): TrainRewardOptions => ({
  model: at('base'),
  files: [at('pairs.jsonl')],
  folder: at('reward'),
  device,
  length: 40,
  learningRate: 3e-3,
  ...changes,
});

beforeAll(async () => {
  await writeTinyChatFolder(at('base'));
  writeFileSync(at('pairs.jsonl'), pairs.map((pair) => `${JSON.stringify(pair)}\n`).join(''));
});

describe('training', () => {
  test('ranks at least 90 % of held-out pairs by a known rule, and tells how sure that is', async () => {
    const { evaluation, modelFolder } = await trainReward(options({ groupBy: 'lead', epochs: 2 }));
    expect(evaluation!.numPairs).toBeGreaterThan(60);
    expect(evaluation!.accuracy).toBeGreaterThanOrEqual(0.9);
    const [low, high] = evaluation!.interval;
    expect(low).toBeLessThan(evaluation!.accuracy);
    expect(high).toBeGreaterThanOrEqual(evaluation!.accuracy);
    expect(evaluation!.brier).toBeLessThan(0.1);
    expect(evaluation!.groups.map(({ group }) => group).sort()).toEqual(['far', 'near']);
    expect(evaluation!.groups.reduce((sum, { numPairs }) => sum + numPairs, 0)).toBe(evaluation!.numPairs);
    expect(JSON.parse(readFileSync(at('reward', 'evaluation.json'), 'utf8'))).toEqual(evaluation);

    const model = await loadRewardModel(modelFolder, { device });
    const texts = ['bcd', 'bad', 'baad', 'aaaa'];
    const rewards = await model.score(texts.map((text) => answered(text)));
    expect(rewards).toEqual([...rewards].sort((a, b) => a - b));
    await model.dispose();

    // The same rule on lines that it never saw, from a file.
    writeFileSync(
      at('new.jsonl'),
      [
        { prompt: 'q', chosen: 'caab', rejected: 'bcde' },
        { prompt: 'q', completions: ['aaab', 'abcd', 'bcde'] },
        { prompt: 'q', completion: 'aab' },
        {
          messages: [
            { role: 'user', content: 'q' },
            { role: 'assistant', content: 'bbb' },
          ],
        },
        { prompt: 'q' },
      ]
        .map((line) => `${JSON.stringify(line)}\n`)
        .join(''),
    );
    const scored = await scoreFiles({
      model: modelFolder,
      files: [at('new.jsonl')],
      device,
      onEvent: () => {},
    });
    expect(scored.lines).toHaveLength(4);
    expect(scored.numSkipped).toBe(1);
    expect(scored.firstSkipped).toContain('line 5');
    expect(scored.evaluation).toMatchObject({ numComparisons: 2, numPairs: 4, numRight: 4, accuracy: 1 });
    expect((scored.lines[0] as { rewards: number[] }).rewards).toHaveLength(2);
    expect((scored.lines[2] as { reward: number }).reward).toBeGreaterThan(
      (scored.lines[3] as { reward: number }).reward,
    );
  });

  test('a training that was stopped goes on to the same model, bit for bit', async () => {
    const short = { files: [at('pairs.jsonl')], steps: 6, batchSize: 8 };
    const whole = await trainReward(options({ ...short, folder: at('whole') }));
    const stop = new AbortController();
    const stopped = trainReward(
      options({
        ...short,
        folder: at('stopped'),
        signal: stop.signal,
        onEvent: (event) => {
          if (event.type === 'train-step' && event.step === 3) stop.abort();
        },
      }),
    );
    await expect(stopped).rejects.toThrow(CancelledError);
    const resumed = await trainReward(options({ ...short, folder: at('stopped') }));
    const bytes = (folder: string) => readFileSync(join(folder, 'model.safetensors'));
    expect(bytes(resumed.modelFolder).equals(bytes(whole.modelFolder))).toBe(true);
    expect(resumed.evaluation).toEqual(whole.evaluation);
    await expect(trainReward(options({ ...short, folder: at('stopped'), centre: 0.5 }))).rejects.toThrow(
      ConfigError,
    );
  });

  test('an adapter and a head are trained alone, and the saved model has the adapter in it', async () => {
    const lowRank = { rank: 4, alpha: 8, targets: 'all-linear' as const, merge: false };
    const { modelFolder, evaluation } = await trainReward(
      options({ folder: at('adapter'), lowRank, epochs: 2 }),
    );
    expect(evaluation!.accuracy).toBeGreaterThan(0.85);
    const model = await loadRewardModel(modelFolder, { device });
    const [few, many] = await model.score([answered('bcde'), answered('aaaa')]);
    expect(many).toBeGreaterThan(few!);
    await model.dispose();
  });

  test('data without comparisons is refused with the first reason', async () => {
    writeFileSync(at('labels.jsonl'), '{"prompt":"q","completion":"a","label":true}\n');
    const labels = options({ folder: at('labels'), files: [at('labels.jsonl')] });
    await expect(trainReward(labels)).rejects.toThrow(DataError);
    await expect(trainReward({ ...labels, fresh: true })).rejects.toThrow(/single answer with a label/);
    await expect(trainReward(options({ folder: at('long'), length: 9999 }))).rejects.toThrow(
      /context is 160/,
    );
  });
});

describe('the evaluation', () => {
  test('of known rewards', () => {
    const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));
    const result = evaluateRewards([
      { rewards: [2, 0], ranks: [1, 2], group: 'x' },
      { rewards: [0, 1], ranks: [1, 2], group: 'x' },
      { rewards: [1, 1], ranks: [2, 1], group: 'y' },
      { rewards: [5, 3, 3], ranks: [1, 2, 2], group: 'y' },
    ]);
    const leads = [2, -1, 0, 2, 2];
    const mean = (value: (lead: number) => number) => leads.reduce((sum, lead) => sum + value(lead), 0) / 5;
    expect(result).toMatchObject({ numComparisons: 4, numPairs: 5, numRight: 3, accuracy: 0.6 });
    expect(result.margin).toBeCloseTo(1, 12);
    expect(result.loss).toBeCloseTo(
      mean((lead) => -Math.log(sigmoid(lead))),
      12,
    );
    expect(result.brier).toBeCloseTo(
      mean((lead) => sigmoid(-lead) ** 2),
      12,
    );
    // Wilson's interval for 3 of 5: (p + z²/2n ± z sqrt(p(1-p)/n + z²/4n²)) / (1 + z²/n), worked out by hand.
    expect(result.interval[0]).toBeCloseTo(0.23072, 4);
    expect(result.interval[1]).toBeCloseTo(0.88238, 4);
    expect(result.groups.map(({ group, numPairs, numRight }) => [group, numPairs, numRight])).toEqual([
      ['x', 2, 1],
      ['y', 3, 2],
    ]);
  });

  test('a model whose probabilities come true has no calibration error, one that is too sure has', () => {
    // Three of four pairs go as stated at log 3, whose sigma is 3/4.
    const stated = (lead: number) =>
      evaluateRewards(
        Array.from({ length: 40 }, (_, i) => ({
          rewards: i % 4 === 0 ? [0, lead] : [lead, 0],
          ranks: [1, 2],
          group: 'all',
        })),
      );
    expect(stated(Math.log(3)).calibrationError).toBeCloseTo(0, 12);
    expect(stated(Math.log(9)).calibrationError).toBeCloseTo(0.9 - 0.75, 12);
    expect(stated(0.5).groups).toEqual([]);
  });
});
