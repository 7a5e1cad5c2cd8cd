/** A mixture on disk: shares, files, groups, whole or nothing after a failure or a kill. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Document } from '../../src/data/document.ts';
import { readerOf } from '../../src/data/document.ts';
import {
  describeMixture,
  type MixInput,
  type MixtureRecord,
  mixDocuments,
  planMixture,
} from '../../src/data/mix/index.node.ts';
import { JsonlReader } from '../../src/data/readers/jsonl-reader.node.ts';

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'plinth-mix-'));
});
afterAll(() => rm(root, { recursive: true, force: true }));

function documents(
  prefix: string,
  count: number,
  meta: (i: number) => Document['meta'] = () => ({}),
): Document[] {
  return Array.from({ length: count }, (_, i) => ({
    id: `${prefix}-${i}`,
    text: `${prefix} ${i} ${'ю'.repeat((i * 7) % 50)}`,
    source: `${prefix}.txt`,
    meta: meta(i),
  }));
}

const input = (name: string, list: Document[]): MixInput => ({ name, readers: [readerOf(list, name)] });

interface Line extends Document {
  meta: Document['meta'] & { mixSource: string; mixEpoch?: number };
}

async function linesOf(folder: string): Promise<Line[]> {
  const names = (await readdir(join(folder, 'documents'))).sort();
  const texts = await Promise.all(names.map((name) => readFile(join(folder, 'documents', name), 'utf8')));
  return texts.flatMap((text) => text.trimEnd().split('\n')).map((line) => JSON.parse(line) as Line);
}

describe('shares of large sources', () => {
  const sizes = (count: number, seed: number) =>
    Array.from({ length: count }, (_, i) => 200 + ((i * 7919 * seed) % 4001));
  const sources = [
    { name: 'a', sizeBytes: sizes(20_000, 1) },
    { name: 'b', sizeBytes: sizes(5_000, 3) },
    { name: 'c', sizeBytes: sizes(1_000, 7) },
  ];
  const weights = { a: 0.2, b: 0.5, c: 0.3 };

  test('are as asked within 1 %, of the whole and of every twentieth of it', () => {
    const plan = planMixture(sources, { weights, budget: 20e6 });
    const { achieved, asked } = describeMixture(plan);
    for (const name of ['a', 'b', 'c']) {
      expect(Math.abs(achieved.shares[name]! / asked.shares[name]! - 1)).toBeLessThan(0.001);
    }
    const stretches = Array.from({ length: 20 }, () => [0, 0, 0]);
    let before = 0;
    for (const { source, document } of plan.items()) {
      const size = sources[source]!.sizeBytes[document]!;
      stretches[Math.min(19, Math.floor((20 * before) / plan.size))]![source]! += size;
      before += size;
    }
    for (const stretch of stretches) {
      const total = stretch[0]! + stretch[1]! + stretch[2]!;
      for (const [i, asked] of [0.2, 0.5, 0.3].entries()) {
        expect(Math.abs(stretch[i]! / total - asked)).toBeLessThan(0.01);
      }
    }
  });

  test('a cap is met exactly, and the record says what was asked and what came of it', () => {
    const plan = planMixture(sources, { weights, budget: 20e6, maxEpochs: 2 });
    const record = describeMixture(plan);
    const c = record.sources[2]!;
    expect(c).toMatchObject({
      documents: 2000,
      distinctDocuments: 1000,
      epochs: 2,
      maxEpochs: 2,
      atCap: true,
    });
    expect(c.bytes).toBe(2 * c.available.bytes);
    expect(record.asked.shares.c).toBeCloseTo(0.3, 12);
    expect(record.achieved.shares.c).toBeCloseTo((2 * c.available.bytes) / 20e6, 3);
    expect(record.achieved.shares.b! / record.achieved.shares.a!).toBeCloseTo(2.5, 2);
    expect(record.notes.join(' ')).toMatch(/Shares asked and achieved differ: .*c 30\.0 % -> /);
  });

  test('a budget that the caps cannot fill is noted, not padded', () => {
    const plan = planMixture(sources, { weights, budget: 1e9, maxEpochs: 1 });
    expect(plan.numDocuments).toBe(26_000);
    expect(plan.notes.join(' ')).toMatch(/could be filled: every source with a share has reached its cap/);
  });
});

describe('options at odds with the sources are refused', () => {
  const two = [
    { name: 'a', sizeBytes: [1] },
    { name: 'b', sizeBytes: [1] },
  ];
  test.each([
    [{ weights: { a: 1 } }, /Missing: b/],
    [{ weights: { a: 1, b: 1, d: 2 } }, /Unknown: d/],
    [{ weights: { a: 0, b: 0 } }, /All weights are 0/],
    [{ weights: { a: -1, b: 2 } }, /weight of 'a'/],
    [{ alpha: 0.3, temperature: 2 }, /give one of them/],
    [{ temperature: 0 }, /temperature must be above 0/],
    [{ alpha: -1 }, /alpha must be/],
    [{ maxEpochs: 0 }, /maxEpochs must be above 0/],
    [{ budget: Number.NaN }, /budget must be a number/],
    [{ unit: 'tokens' as const }, /no token counts/],
    [{ order: { kind: 'easy-to-hard' as const, by: 'quality' } }, /'quality' of each document/],
    [{ stages: [{ name: 'x', share: 0.5 }] }, /sum to 1/],
  ])('%o', (options, message) => {
    expect(() => planMixture(two, options)).toThrow(message);
  });
});

describe('the folder', () => {
  test('holds the documents in the order of the plan, repeats marked, and counts that add up', async () => {
    const folder = join(root, 'whole');
    const inputs = [input('web', documents('web', 300)), input('books', documents('books', 20))];
    const result = await mixDocuments(inputs, {
      folder,
      files: [],
      mixture: { weights: { web: 1, books: 1 }, maxEpochs: 3, unit: 'documents', budget: 100 },
      shardBytes: 2000,
    });
    expect((await readdir(folder)).sort()).toEqual(['documents', 'job.json', 'mix.json']);
    for (const name of await readdir(join(folder, 'documents'))) {
      expect((await stat(join(folder, 'documents', name))).size).toBeLessThanOrEqual(2000);
    }
    const lines = await linesOf(folder);
    expect(lines).toHaveLength(100);
    expect(result.mixture.achieved.documents).toBe(100);
    const books = lines.filter(({ meta }) => meta.mixSource === 'books');
    expect(books).toHaveLength(50);
    const times = new Map<string, number>();
    for (const { id, text, source, meta } of books) {
      times.set(id, (times.get(id) ?? 0) + 1);
      expect(meta.mixEpoch ?? 1).toBe(times.get(id));
      const original = documents('books', 20).find((document) => document.id === id)!;
      expect({ text, source }).toEqual({ text: original.text, source: original.source });
    }
    expect([...times.values()].sort()).toEqual([...Array(10).fill(2), ...Array(10).fill(3)]);
    const record = JSON.parse(await readFile(join(folder, 'mix.json'), 'utf8')) as MixtureRecord;
    expect(record).toEqual(JSON.parse(JSON.stringify(result.mixture)));
    expect(record.achieved.bytes).toBe(lines.reduce((sum, { text }) => sum + Buffer.byteLength(text), 0));
    expect(JSON.parse(await readFile(join(folder, 'job.json'), 'utf8'))).toMatchObject({
      plinth: 'data-job',
      kind: 'mix',
      done: true,
    });
  });

  test('groups by language inside each named source; the weight holds for the source', async () => {
    const folder = join(root, 'languages');
    const language = (i: number): Document['meta'] =>
      i % 10 === 9 ? {} : { language: i % 10 < 8 ? 'en' : 'my' };
    const inputs = [input('web', documents('web', 400, language)), input('books', documents('books', 100))];
    const { mixture, counts } = await mixDocuments(inputs, {
      folder,
      files: [],
      by: 'language',
      identifyLanguage: ({ text }) => (text.startsWith('books') ? 'de' : null),
      mixture: { weights: { web: 3, books: 1 }, alpha: 0, unit: 'documents', budget: 120 },
    });
    expect(mixture.achieved.shares).toEqual({
      'books/de': 0.25,
      'web/en': 0.25,
      'web/my': 0.25,
      'web/unknown': 0.25,
    });
    expect(counts).toMatchObject({ numIdentified: 100, numUnknown: 40 });
    const german = (await linesOf(folder)).find(({ meta }) => meta.mixSource === 'books/de');
    expect(german?.meta.language).toBe('de');
  });

  test('easy to hard by a field, documents without it last and counted', async () => {
    const folder = join(root, 'curriculum');
    const list = documents('web', 50, (i): Document['meta'] =>
      i % 5 === 0 ? {} : { perplexity: (i * 37) % 101 },
    );
    const { counts } = await mixDocuments([input('web', list)], {
      folder,
      files: [],
      difficultyKey: 'perplexity',
      mixture: { order: { kind: 'easy-to-hard', by: 'perplexity', descending: true } },
    });
    expect(counts.numWithoutDifficulty).toBe(10);
    const values = (await linesOf(folder)).map(({ meta }) => meta.perplexity);
    expect(values.slice(40)).toEqual(Array(10).fill(undefined));
    const found = values.slice(0, 40) as number[];
    expect(found).toEqual([...found].sort((a, b) => b - a));
  });

  test('is left alone by the same request, refused to another, replaced with fresh', async () => {
    const folder = join(root, 'again');
    const inputs = () => [input('web', documents('web', 40))];
    const first = await mixDocuments(inputs(), { folder, files: [], mixture: { seed: 1 } });
    const again = await mixDocuments(inputs(), { folder, files: [], mixture: { seed: 1 } });
    expect(again.worked).toBe(false);
    expect(again.mixture).toEqual(JSON.parse(JSON.stringify(first.mixture)));
    const other = { folder, files: [], mixture: { seed: 2 } };
    await expect(mixDocuments(inputs(), other)).rejects.toThrow(/--fresh/);
    const before = await linesOf(folder);
    await mixDocuments(inputs(), { ...other, fresh: true });
    const after = await linesOf(folder);
    expect(after.map(({ id }) => id).sort()).toEqual(before.map(({ id }) => id).sort());
    expect(after).not.toEqual(before);
  });

  test('refuses a folder with files of others, and one that holds an input', async () => {
    const folder = join(root, 'foreign');
    await mkdir(folder);
    await writeFile(join(folder, 'notes.txt'), 'mine');
    const inputs = [input('web', documents('web', 4))];
    await expect(mixDocuments(inputs, { folder, files: [], mixture: {} })).rejects.toThrow(/not a mixture/);
    const files = [{ path: join(root, 'new', 'web.jsonl'), sizeBytes: 1, modified: '' }];
    await expect(mixDocuments(inputs, { folder: join(root, 'new'), files, mixture: {} })).rejects.toThrow(
      /would replace/,
    );
    expect(await readFile(join(folder, 'notes.txt'), 'utf8')).toBe('mine');
  });

  test('a failing reader and a stop leave nothing behind', async () => {
    const place = join(root, 'clean-place');
    await mkdir(place);
    const failing = {
      report: readerOf([]).report,
      async *read() {
        yield* documents('web', 10);
        throw new Error('the reader broke');
      },
    };
    const folder = join(place, 'out');
    const broken = mixDocuments([{ name: 'web', readers: [failing] }], { folder, files: [], mixture: {} });
    await expect(broken).rejects.toThrow('the reader broke');
    const controller = new AbortController();
    const stopping = {
      report: readerOf([]).report,
      async *read() {
        yield* documents('web', 10);
        controller.abort();
        yield* documents('more', 10);
      },
    };
    const stopped = mixDocuments([{ name: 'web', readers: [stopping] }], {
      folder,
      files: [],
      mixture: {},
      signal: controller.signal,
    });
    await expect(stopped).rejects.toMatchObject({ code: 'cancelled' });
    expect(await readdir(place)).toEqual([]);
  });

  test('a killed writer leaves no folder, and the next run clears up and gives the same bytes', async () => {
    const place = join(root, 'killed');
    await mkdir(place);
    const path = join(root, 'killed-input.jsonl');
    await writeFile(
      path,
      documents('web', 3000)
        .map((document) => `${JSON.stringify(document)}\n`)
        .join(''),
    );
    const child = new URL('../fixtures/data/mix-child.ts', import.meta.url).pathname;
    const folder = join(place, 'out');
    const expected = join(root, 'killed-expected');
    const options = { files: [], mixture: { seed: 3, maxEpochs: 2, budget: 3e5 } };
    const inputs = () => [{ name: 'web', readers: [new JsonlReader(path)] }];
    await mixDocuments(inputs(), { ...options, folder: expected });
    for (const at of ['read', 'write']) {
      const process_ = spawn(process.execPath, ['--import', 'tsx', child, path, folder, at], {
        stdio: 'ignore',
      });
      const [, signal] = await once(process_, 'exit');
      expect(signal).toBe('SIGKILL');
      const left = await readdir(place);
      expect(left.length).toBeGreaterThan(0);
      expect(left.every((name) => name.startsWith('.out.plinth-tmp-'))).toBe(true);
    }
    await mixDocuments(inputs(), { ...options, folder });
    expect(await readdir(place)).toEqual(['out']);
    const names = await readdir(join(expected, 'documents'));
    expect(await readdir(join(folder, 'documents'))).toEqual(names);
    for (const name of [...names.map((name) => `documents/${name}`), 'mix.json']) {
      expect((await readFile(join(folder, name))).equals(await readFile(join(expected, name)))).toBe(true);
    }
  });
});
