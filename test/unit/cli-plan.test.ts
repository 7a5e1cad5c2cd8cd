import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { fitLossLaw, lawFileOf, lossOf } from '../../src/scaling/laws/index.ts';
import { plinthInProcess } from '../fixtures/cli/plinth-in-process.ts';
import { temporaryFolder } from '../fixtures/cli/plinth-process.ts';

const folder = temporaryFolder();
afterAll(() => folder.remove());
const run = (...args: string[]) => plinthInProcess(folder.path, args);
const planned = async (...args: string[]) => {
  const { code, stdout, stderr } = await run('plan', ...args, '--memory', '8G', '--json');
  expect(stderr).toBe('');
  expect(code).toBe(0);
  return JSON.parse(stdout);
};

describe('plinth plan', () => {
  test('the minutes of a machine become a size whose time fits them', async () => {
    const plan = await planned('--minutes', '30', '--gflops', '100');
    expect(plan.seconds).toBeLessThanOrEqual(30 * 60);
    expect(plan.seconds).toBeGreaterThan(25 * 60);
    expect(plan.finetuningSteps).toBe(0);
    expect(plan.chosen.tokens).toBe(
      plan.chosen.numSteps * plan.settings.batchSize * plan.settings.contextLength,
    );
    const best = Math.min(...plan.sizes.map(({ loss }: { loss: { loss: number } }) => loss.loss));
    const own = plan.sizes.find(({ params }: { params: number }) => params === plan.chosen.params);
    expect(own.loss.loss).toBe(best);
  });

  test("a recipe's plan has finetuning and the recipe's law", async () => {
    const plan = await planned('atlas', '--gflops', '100');
    expect(plan.law.law.name).toBe('atlas');
    expect(plan.finetuningSteps).toBeGreaterThan(plan.chosen.numSteps);
    expect(plan.seconds).toBeLessThanOrEqual(9 * 60);
    const [low, high] = plan.chosen.loss.interval;
    expect(low).toBeLessThan(plan.chosen.loss.loss);
    expect(high).toBeGreaterThan(plan.chosen.loss.loss);
  });

  test('settings by hand are kept, and a size by count is met', async () => {
    const plan = await planned(
      '--params',
      '3M',
      '--gflops',
      '100',
      '--set',
      'vocabSize=512',
      '--set',
      'batchSize=8',
    );
    expect(plan.settings).toMatchObject({ vocabSize: 512, batchSize: 8 });
    expect(Math.abs(Math.log(plan.chosen.params / 3e6))).toBeLessThan(Math.log(1.4));
  });

  test("a law of one's own decides what to expect, and a loss is planned for", async () => {
    const law = { E: 2, A: 400, alpha: 0.4, B: 900, beta: 0.4 };
    const points = [1e5, 3e5, 1e6, 3e6].flatMap((params) =>
      [1e6, 3e6, 1e7].map((tokens) => ({ params, tokens, loss: lossOf(law, { params, tokens }) })),
    );
    const fit = fitLossLaw(points, { numResamples: 20, name: 'mine' });
    writeFileSync(join(folder.path, 'law.json'), JSON.stringify(lawFileOf(fit, points)));
    const plan = await planned(
      '--loss',
      '5',
      '--law',
      './law.json',
      '--gflops',
      '100',
      '--served-tokens',
      '10B',
    );
    expect(plan.law.law.name).toBe('mine');
    expect(lossOf(law, plan.chosen)).toBeLessThanOrEqual(5.01);
    expect(plan.tradeOff.choices.length).toBeGreaterThan(1);
    expect(plan.tradeOff.best.plan.params).toBeLessThan(plan.chosen.params);
  });

  test('text that is counted limits what repeats are worth', async () => {
    writeFileSync(join(folder.path, 'small.txt'), 'All rivers run into the sea. '.repeat(3000));
    const small = await planned('--minutes', '30', '--gflops', '100', '--data', 'small.txt');
    const plenty = await planned('--minutes', '30', '--gflops', '100', '--data-tokens', '1G');
    expect(small.chosen.epochs).toBeGreaterThan(50);
    expect(plenty.chosen.epochs).toBeLessThan(1);
    expect(small.chosen.loss.loss).toBeGreaterThan(plenty.chosen.loss.loss);
  });

  test('for people it says what is fixed and why, and writes a page', async () => {
    const { code, stdout } = await run('plan', '--minutes', '60', '--gflops', '150', '--html', 'plan.html');
    expect(code).toBe(0);
    for (const text of [
      'Plan for 1 h 0 min on this machine',
      '150 GFLOP/s of matrix products, as given',
      'Expected loss',
      'By the law     "unknown text"',
      'The page is plan.html',
    ])
      expect(stdout).toContain(text);
    const page = readFileSync(join(folder.path, 'plan.html'), 'utf8');
    expect(page).toContain('<title>Plan for 1 h 0 min on this machine</title>');
    expect(page).toContain('<svg');
  });

  test.each([
    [['--minutes', '5', '--loss', '3'], 2, /Give one of --minutes and --loss, not both/],
    [['--loss', '0.1', '--gflops', '100'], 1, /No size reaches a loss of 0.1 by the law "unknown text"/],
    [
      ['--loss', '2', '--gflops', '100', '--set', 'hiddenSize=32'],
      1,
      /size asked for never reaches a loss of 2/,
    ],
    [['quality-quantity', '--gflops', '100'], 1, /is an experiment; it plans its own arms/],
    [['--law', './none.json', '--gflops', '100'], 1, /Could not read the law file .\/none.json/],
    [['--law', 'epoc', '--gflops', '100'], 1, /no scaling law 'epoc'. Did you mean 'epoch'/],
    [['--minutes', '1e9', '--gflops', '100'], 1, /minutes must be above 0 and at most 10080/],
    [['--minutes', '5', '--gflops', '100', '--set', 'vocabulary=3'], 2, /no such setting/],
  ])('%j is refused', async (args, code, message) => {
    const result = await run('plan', ...args);
    expect(result.stderr).toMatch(message);
    expect(result.code).toBe(code);
  });
});
