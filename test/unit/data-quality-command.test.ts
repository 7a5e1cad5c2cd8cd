/** `plinth data quality`: train, train-perplexity and score, as a shell would call them. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { qualityCommand } from '../../src/cli/commands/data-quality.ts';
import { PlinthError } from '../../src/core/errors.ts';
import { junkFrom, passages, speeches } from '../fixtures/data/prose-and-junk.ts';

let folder: string;
const path = (name: string): string => join(folder, name);
const lines = (records: unknown[]): string =>
  `${records.map((record) => JSON.stringify(record)).join('\n')}\n`;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'plinth-quality-command-'));
  const real = passages(speeches(), 300);
  const junk = junkFrom(real, 1);
  writeFileSync(path('good.jsonl'), lines(real.map((text) => ({ text }))));
  writeFileSync(path('bad.jsonl'), `${lines(junk.map(({ text }) => ({ text })))}not json\n`);
  const kinds = junk.map(({ kind, text }) => ({ body: text, kind: kind === 'menu' ? null : kind }));
  writeFileSync(path('kinds.jsonl'), lines(kinds));
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function run(...args: string[]): Promise<string> {
  let stdout = '';
  const out = vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    stdout += String(text);
    return true;
  });
  const error = vi.spyOn(process.stderr, 'write').mockImplementation(() => true);
  try {
    await qualityCommand().exitOverride().parseAsync(args, { from: 'user' });
    return stdout;
  } finally {
    out.mockRestore();
    error.mockRestore();
  }
}

describe('a classifier', () => {
  test('is trained from good and bad files and scores others', async () => {
    const model = path('quality.bin');
    const trained = JSON.parse(
      await run('train', '--good', path('good.jsonl'), '--bad', path('bad.jsonl'), '--out', model, '--json'),
    );
    expect(trained).toMatchObject({ out: model, numHeldOut: 120 });
    expect(trained.labels.map(({ label }: { label: string }) => label)).toEqual(['good', 'bad']);
    expect(trained.accuracy).toBeGreaterThan(0.85);

    const good = JSON.parse(await run('score', path('good.jsonl'), '--model', model, '--json'));
    const bad = JSON.parse(
      await run('score', path('bad.jsonl'), '--model', model, '--scores', path('scores.jsonl'), '--json'),
    );
    expect(good).toMatchObject({ numDocuments: 300, numSkipped: 0, scoreOf: 'good' });
    expect(good.meanScore).toBeGreaterThan(0.9);
    expect(bad).toMatchObject({ numDocuments: 300, numSkipped: 1 });
    expect(bad.meanScore).toBeLessThan(0.2);
    expect(bad.numByTenth.reduce((a: number, b: number) => a + b)).toBe(300);
    const scores = readFileSync(path('scores.jsonl'), 'utf8').trim().split('\n');
    expect(scores).toHaveLength(300);
    expect(Object.keys(JSON.parse(scores[0]!))).toEqual(['id', 'source', 'label', 'score']);
    expect(await run('score', path('bad.jsonl'), '--model', model)).toMatch(
      /300 documents, 1 skipped\.\nMean score \(good\)/,
    );
  });

  test('is trained from a label column; records without a label are left out', async () => {
    const out = path('kinds.bin');
    const args = [
      'train',
      '--labels',
      path('kinds.jsonl'),
      '--label-column',
      'kind',
      '--text-column',
      'body',
      '--out',
      out,
    ];
    const report = JSON.parse(await run(...args, '--json'));
    expect(report.labels.map(({ label }: { label: string }) => label)).toEqual([
      'keywords',
      'shuffled',
      'repeated',
    ]);
    expect(report.numTrained + report.numHeldOut + report.numDuplicates + report.numConflicting).toBe(225);
    expect(await run(...args)).toMatch(
      /held-out texts right \(95 % interval .*Trained on \d+ texts; written to/s,
    );
  });

  test('needs either a pair or labels', async () => {
    const out = path('nothing.bin');
    for (const args of [
      [],
      ['--good', path('good.jsonl')],
      ['--good', path('good.jsonl'), '--bad', path('bad.jsonl'), '--labels', path('kinds.jsonl')],
      ['--good', path('good.jsonl'), '--bad', path('bad.jsonl'), '--label-column', 'kind'],
    ]) {
      await expect(run('train', '--out', out, ...args)).rejects.toThrow(PlinthError);
    }
    expect(existsSync(out)).toBe(false);
  });
});

test('a perplexity model is trained on good texts and gives thresholds by language', async () => {
  const model = path('perplexity.bin');
  const args = ['train-perplexity', path('good.jsonl'), '--symbols', '1024', '--order', '3', '--out', model];
  const trained = JSON.parse(await run(...args, '--json'));
  expect(trained).toMatchObject({ numTexts: 285, numHeldOut: 15, numPruned: 0 });
  expect(trained.bitsPerByte).toBeGreaterThan(1);
  expect(trained.bitsPerByte).toBeLessThan(3);
  const { languages } = JSON.parse(await run('score', path('good.jsonl'), '--model', model, '--json'));
  expect(languages[0]).toMatchObject({ language: 'en' });
  expect(languages[0].headBelow).toBeLessThan(languages[0].tailFrom);
  expect(await run('score', path('good.jsonl'), '--model', model)).toMatch(
    /language +documents +bits a byte/,
  );
});

test('a file that is no model is refused by name', async () => {
  await expect(run('score', path('good.jsonl'), '--model', path('kinds.jsonl'))).rejects.toThrow(
    /kinds\.jsonl: Not a model file of Plinth/,
  );
});
