/** A transfer experiment that was stopped goes on with what it has, and ends with the same report. */
import { appendFile, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CancelledError, ConfigError, FormatError } from '../../src/core/errors.ts';
import { KeyedRandom } from '../../src/core/random.ts';
import { type RunTransferOptions, runTransfer } from '../../src/recipe/transfer/index.node.ts';
import type { TransferReport } from '../../src/recipe/transfer/index.ts';
import { transferSummary } from '../../src/recipe/transfer/text-transfer.ts';
import { cpuDevice } from '../../src/runtime/index.node.ts';

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'plinth-transfer-'));
});
afterAll(() => rm(root, { recursive: true, force: true }));

const random = new KeyedRandom(4).fork('texts');
const words = ['north', 'river', 'old', 'stone', 'bridge', 'runs', 'past', 'the', 'quiet', 'mill'];
const texts = Array.from({ length: 120 }, (_, i) => ({
  text: Array.from({ length: 40 }, (_, k) => random.pick(40 * i + k, words)).join(' '),
}));

const run = (folder: string, options: Partial<RunTransferOptions> = {}) =>
  runTransfer({
    texts: () => texts,
    description: 'words',
    folder: join(root, folder),
    device: cpuDevice({ numThreads: 1 }),
    vocabSize: 290,
    widths: [16, 32],
    depth: 1,
    rates: [2 ** -8, 2 ** -6, 2 ** -4],
    numSteps: 6,
    batchSize: 2,
    contextLength: 16,
    headDim: 8,
    checkSteps: 1,
    command: 'test',
    ...options,
  });

const withoutTimes = (report: TransferReport) => ({
  ...report,
  transfer: { ...report.transfer!, seconds: 0 },
});
const lines = async (folder: string) =>
  (await readFile(join(root, folder, 'runs.jsonl'), 'utf8')).trimEnd().split('\n');

describe('a transfer experiment', () => {
  let reference: TransferReport;
  beforeAll(async () => {
    reference = (await run('reference')).report;
  });

  test('trains a model once, though two parametrisations share it at the base width', async () => {
    const { curves, numRuns } = reference.transfer!;
    const base = curves.filter(({ width }) => width === 32);
    const small = curves.filter(({ width }) => width === 16);
    expect(base.map(({ parametrisation }) => parametrisation.kind)).toEqual(['standard', 'mup']);
    expect(base[0]!.points).toEqual(base[1]!.points);
    const tried = curves.flatMap(({ width, points }) => (width === 32 ? [] : points)).length;
    // One model more where the smallest one's best rate is beyond the largest one's sweep.
    const beyond = reference.transfer!.verdicts.filter(({ parametrisation }) => {
      const { best } = small.find((curve) => curve.parametrisation === parametrisation)!;
      const rates = base[0]!.points.map(({ learningRate }) => learningRate);
      return best!.learningRate < rates[0]! || best!.learningRate > rates.at(-1)!;
    }).length;
    expect(numRuns).toBe(tried + base[0]!.points.length + beyond);
    expect(reference.transfer!.verdicts.every(({ lossOfTransfer }) => lossOfTransfer >= 0)).toBe(true);
    // And a line for the check.
    expect((await lines('reference')).length).toBe(numRuns + 1);
    expect(small[0]!.points).not.toEqual(small[1]!.points);
  });

  test('encloses its lowest loss, beyond the rates that were asked for', async () => {
    const { report } = await run('reference', { rates: [2 ** -20, 2 ** -18] });
    for (const { points, best } of report.transfer!.curves) {
      expect(Math.max(...points.map(({ learningRate }) => learningRate))).toBeGreaterThan(2 ** -18);
      // Four factors of four are not enough from there, which is said.
      expect(best!.isBracketed).toBe(false);
    }
    expect(report.transfer!.verdicts.map(({ transfers }) => transfers)).toEqual([undefined, undefined]);
    expect(transferSummary(report)).toContain('not known');
  });

  test('stopped anywhere, goes on and ends with the same report', async () => {
    let numStops = 0;
    for (;;) {
      const controller = new AbortController();
      let models = 0;
      const onEvent: NonNullable<RunTransferOptions['onEvent']> = (event) => {
        if (event.type === 'progress' && event.stage === 'learning rates' && ++models > 4) controller.abort();
      };
      const ended = run('stopped', { onEvent, signal: controller.signal });
      const error = await ended.then(
        () => undefined,
        (thrown: unknown) => thrown,
      );
      if (!error) {
        expect(withoutTimes((await ended).report)).toEqual(withoutTimes(reference));
        break;
      }
      expect(error).toBeInstanceOf(CancelledError);
      numStops++;
      expect(numStops).toBeLessThan(20);
      // What a kill in the middle of a line leaves.
      await appendFile(join(root, 'stopped', 'runs.jsonl'), '{"key":"abc","val');
    }
    expect(numStops).toBeGreaterThan(1);
    expect((await lines('stopped')).length).toBe(reference.transfer!.numRuns + 1);
    expect(JSON.parse(await readFile(join(root, 'stopped', 'report.json'), 'utf8')).kind).toBe('transfer');
    const page = await readFile(join(root, 'stopped', 'report.html'), 'utf8');
    expect(page).toContain('Does the learning rate transfer?');
    expect(page).not.toContain('NaN');
  });

  test('a damaged line is named', async () => {
    await run('damaged', { onlyCheck: true });
    await appendFile(join(root, 'damaged', 'runs.jsonl'), 'broken\n{"key":"a","value":1}\n');
    await expect(run('damaged')).rejects.toThrow(FormatError);
    await expect(run('damaged')).rejects.toThrow(/runs\.jsonl, line 2/);
  });

  test.each([
    [{ widths: [16] }, /at least two widths/],
    [{ widths: [16, 20] }, /Width 20 must be a multiple of the head size 8; try/],
    [{ rates: [2 ** -8] }, /rates must be at least two/],
    [{ optimizer: { beta1: 2 } }, /optimizer\.beta1/],
    [{ baseWidth: 0 }, /baseWidth/],
  ])('impossible settings are refused by name: %o', async (options, message) => {
    await expect(run('refused', options)).rejects.toThrow(ConfigError);
    await expect(run('refused', options)).rejects.toThrow(message);
  });
});
