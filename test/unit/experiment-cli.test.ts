/** `plinth run` of an experiment, in a process of its own as users start it. */
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runExperimentCommand } from '../../src/cli/commands/run-experiment.ts';
import { plinth, temporaryFolder } from '../fixtures/cli/plinth-process.ts';
import { tinyExperiment } from '../fixtures/training/tiny-experiment.ts';

const folder = temporaryFolder();
afterAll(() => folder.remove());
const run = (...args: string[]) => plinth(folder.path, args);

const EXPERIMENT = `
import { defineExperiment } from 'plinth/recipe';
const texts = (words: string, name: string) => Array.from({ length: 12 }, (_, i) => ({
  id: name + i, source: name, meta: {}, text: Array.from({ length: 30 }, (_, w) => words.split(' ')[(i * 7 + w * w) % 5]).join(' ') + ' ' + name + i,
}));
const low = texts('mora venu lasi tole runa', 'low');
const high = texts('krag zwift brinx dwolk skrant', 'high');
const part = (name: string, documents: typeof low, share: number) => ({ name, documents, share });
export default defineExperiment({
  name: 'tongues', question: 'Is a language known that was never read?', description: '', minutes: 1, numSeeds: 1,
  settings: { vocabSize: 300, hiddenSize: 32, numLayers: 1, numHeads: 1, contextLength: 16, batchSize: 2, pretrainSteps: 3 },
  data: () => ({
    sources: [{ name: 'invented', licence: 'CC0-1.0' }], baseline: 'both',
    arms: [
      { name: 'both', description: '', parts: [part('low', low, 0.5), part('high', high, 0.5)] },
      { name: 'low only', description: '', parts: [part('low', low, 1)] },
    ],
    evaluations: [{ name: 'high', description: '', documents: texts('zwift krag dwolk brinx skrant', 'test') }],
  }),
});
`;

beforeAll(() => {
  writeFileSync(join(folder.path, 'tongues.ts'), EXPERIMENT);
  writeFileSync(
    join(folder.path, 'broken.ts'),
    "export default { name: 'b', question: '', description: '', minutes: 1, numSeeds: 1, data: () => { throw new Error('texts gone'); } };",
  );
});

describe('plinth run with an experiment', () => {
  test('prints the report as JSON, then the matrix of the finished experiment', async () => {
    const args = ['run', './tongues.ts', '--threads', '1'];
    const first = await run(...args, '--json');
    expect(first.code, first.stderr + first.stdout).toBe(0);
    const {
      folder: path,
      trained,
      report,
    } = JSON.parse(first.stdout) as {
      folder: string;
      trained: boolean;
      report: { matrix: { arm: string; evaluation: string; value: number }[] };
    };
    expect(trained).toBe(true);
    expect(report.matrix.map(({ arm, evaluation }) => [arm, evaluation])).toEqual([
      ['both', 'high'],
      ['low only', 'high'],
    ]);
    expect(path).toBe(join(folder.path, 'runs', 'tongues'));
    expect(existsSync(join(path, 'report.html'))).toBe(true);
    const again = await run(...args);
    expect(again.stderr).toContain('finished before; --fresh runs it again');
    expect(again.stdout).toContain('both (baseline)');
    expect(again.stdout).toContain(report.matrix[1]!.value.toFixed(3));
  });

  test.each([
    [{ flops: 1e12 }, /--flops is for recipes; "tongues" is an experiment/],
    [{ profile: true }, /--profile is for recipes; "tongues" is an experiment/],
    [{ set: ['sftSteps=3'] }, /"sftSteps" has no effect in an experiment/],
    [{ seeds: 99 }, /seeds must be a whole number from 1 to 20, got 99/],
  ])('refuses %j and makes no folder', async (flags, message) => {
    const out = join(folder.path, 'refused');
    const command = runExperimentCommand(tinyExperiment, { ...flags, out, device: 'cpu', chat: false });
    await expect(command).rejects.toThrow(message);
    expect(existsSync(out)).toBe(false);
  });

  test('what its texts throw is reported as its own fault, with the line', async () => {
    const { code, stderr } = await run('run', './broken.ts');
    expect(code).toBe(1);
    expect(stderr).toMatch(/The experiment's texts could not be read .*broken\.ts, line 1.*texts gone/s);
  });

  test('--seeds is refused for a recipe', async () => {
    const { code, stderr } = await run('run', 'atlas', '--seeds', '2');
    expect(code).toBe(1);
    expect(stderr).toMatch(/--seeds is for experiments; "atlas" is a recipe/);
  });
});
