/** `plinth scale transfer`: rates and sizes from flags, texts from files, one line of JSON out. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { transferCommand } from '../../src/cli/commands/scale-transfer.ts';
import type { TransferReport } from '../../src/recipe/transfer/index.ts';

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'plinth-transfer-cli-'));
  const lines = Array.from({ length: 60 }, (_, i) =>
    JSON.stringify({ text: `The river ${i} runs to the sea. `.repeat(8) }),
  );
  await writeFile(join(root, 'texts.jsonl'), `${lines.join('\n')}\n`);
});
afterAll(() => rm(root, { recursive: true, force: true }));

async function transfer(...args: string[]): Promise<string> {
  const [out, err] = [process.stdout.write, process.stderr.write];
  let text = '';
  process.stdout.write = ((chunk: string) => {
    text += chunk;
    return true;
  }) as typeof out;
  process.stderr.write = (() => true) as typeof err;
  try {
    const command = transferCommand().exitOverride();
    await new Command('plinth').addCommand(command).parseAsync(['transfer', ...args], { from: 'user' });
  } finally {
    process.stdout.write = out;
    process.stderr.write = err;
  }
  return text;
}

const small = () => [
  '--data',
  join(root, 'texts.jsonl'),
  ...'--vocab-size 300 --widths 16,32 --depth 1 --steps 4 --batch-size 2 --length 16 --threads 1'.split(' '),
  '--out',
  join(root, 'out'),
];

test('one line of JSON with the curves of both parametrisations and the check over the depth', async () => {
  const text = await transfer(...small(), '--rates', '2^-9..2^-7', '--depths', '1,2', '--json');
  expect(text.trimEnd()).not.toContain('\n');
  const { report } = JSON.parse(text) as { report: TransferReport };
  expect(report.checks.map(({ axis, sizes }) => [axis, sizes])).toEqual([
    ['width', [16, 32]],
    ['depth', [1, 2]],
  ]);
  const { curves, numSteps } = report.transfer!;
  expect(numSteps).toBe(4);
  expect(curves.map(({ parametrisation, width }) => [parametrisation.kind, width])).toEqual([
    ['standard', 16],
    ['mup', 16],
    ['standard', 32],
    ['mup', 32],
  ]);
  expect(curves[0]!.points.map(({ learningRate }) => learningRate)).toContain(2 ** -8);
});

test('--coordinate-check trains no sweep and prints a table', async () => {
  const text = await transfer(
    ...small(),
    '--rates',
    '0.004,1e-3,2^-6',
    '--optimizer',
    'muon',
    '--coordinate-check',
  );
  expect(text).toMatch(/Coordinate check over the width \(16, 32\)/);
  expect(text).toMatch(/^standard +-?\d\.\d\d /m);
  expect(text).toMatch(/^muP, base width 32 +-?\d\.\d\d /m);
  expect(text).toContain('Rate 2^-7.97');
  expect(text).not.toContain('Best learning rate');
});

test.each([
  [['--rates', '2^-9'], /at least two rates/],
  [['--rates', '2^-90..2^-7'], /at most 40 powers/],
  [['--rates', '1e-3,fast'], /rates such as 2\^-8/],
  [['--widths', '64,64'], /twice/],
  [['--widths', '64,x'], /whole number/],
])('a bad value is a usage error: %o', async (args, message) => {
  await expect(transfer(...args)).rejects.toThrow(message);
});
