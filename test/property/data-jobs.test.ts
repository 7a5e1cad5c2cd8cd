/** Jobs over shards: the same result whatever the workers, and nothing lost by a stop, a failure or a kill. */
import { spawn } from 'node:child_process';
import {
  appendFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, test } from 'vitest';
import type { PlinthEvent } from '../../src/core/events.ts';
import { openReader } from '../../src/data/index.node.ts';
import { type JobOptions, runJob } from '../../src/data/jobs/index.node.ts';
import { type Count, countTask } from '../fixtures/data/count-task.ts';

const root = mkdtempSync(join(tmpdir(), 'plinth-jobs-'));
afterAll(() => rmSync(root, { recursive: true }));

/** Three files of JSON lines; the second has two damaged lines, the last one ends in one. */
const paths = [40, 25, 60].map((numLines, f) => {
  const path = join(root, `input-${f}.jsonl`);
  const lines = Array.from({ length: numLines }, (_, i) =>
    (f === 1 && (i === 3 || i === 20)) || (f === 2 && i === numLines - 1)
      ? '{"text": damaged'
      : JSON.stringify({ text: `${f}-${i} ${'word '.repeat(20 + ((i * 37) % 90))}` }),
  );
  writeFileSync(path, `${lines.join('\n')}\n`);
  return path;
});
const files = paths.map((path) => ({ path, sizeBytes: statSync(path).size }));
let numFolders = 0;

function jobOf(settings: object = {}, more: Partial<JobOptions> = {}): JobOptions & { output: string } {
  const folder = more.folder ?? join(root, `job-${numFolders++}`);
  const output = join(folder, 'texts');
  return {
    kind: 'count',
    folder,
    owned: ['texts'],
    inputs: { files, reader: ({ path }) => openReader(path) },
    task: { module: countTask, settings: { folder: output, ...settings } },
    shardCharacters: 2000,
    numWorkers: 0,
    ...more,
    output,
  };
}

/** Without the temporary files that a kill leaves. */
const visibleFiles = (folder: string): string[] =>
  readdirSync(folder).filter((name) => !name.startsWith('.'));

/** Files of a folder as one text. */
const textsOf = (folder: string): string =>
  visibleFiles(folder)
    .sort()
    .map((name) => readFileSync(join(folder, name), 'utf8'))
    .join('');

const reference = await runJob<Count>(jobOf());
const expected = textsOf(join(root, 'job-0', 'texts'));

describe('a job over shards', () => {
  test('meets every document once, in order, and counts what could not be read', () => {
    expect(reference.numDocuments).toBe(122);
    expect(
      expected
        .split('\n')
        .slice(0, -1)
        .map((line) => Number(line.split(' ')[0])),
    ).toEqual(Array.from({ length: 122 }, (_, i) => i));
    expect(reference.read).toMatchObject({ numRead: 122, numSkipped: 3 });
    expect(reference.read.skipped.map(({ position }) => position)).toEqual([
      expect.stringContaining('line 4 '),
      expect.stringContaining('line 21 '),
      expect.stringContaining('line 60 '),
    ]);
    expect(reference.results.length).toBeGreaterThan(10);
  });

  test('gives the same with worker threads', async () => {
    const job = jobOf({}, { numWorkers: 3 });
    const { results, read } = await runJob<Count>(job);
    expect(results).toEqual(reference.results);
    expect(read).toEqual(reference.read);
    expect(textsOf(job.output)).toBe(expected);
  });

  test.each([0, 2])('goes on after a failing shard, %i workers', async (numWorkers) => {
    const job = jobOf({ failAt: 4 }, { numWorkers });
    await expect(runJob(job)).rejects.toMatchObject({ code: 'data', message: 'shard 4 was told to fail' });
    const journal = readFileSync(join(job.folder, 'journal.jsonl'), 'utf8').split('\n').slice(0, -1);
    expect(journal.length).toBeGreaterThanOrEqual(numWorkers === 0 ? 4 : 3);
    await expect(
      runJob({ ...job, task: { module: countTask, settings: { folder: job.output } } }),
    ).rejects.toMatchObject({ code: 'config', message: expect.stringContaining('--fresh') });
  });

  test('stops on a signal and goes on where it stopped', async () => {
    const controller = new AbortController();
    const job = jobOf({ delayMs: 5 });
    const seen: PlinthEvent[] = [];
    await expect(
      runJob({
        ...job,
        signal: controller.signal,
        onEvent: (event) => {
          seen.push(event);
          if (seen.length === 5) controller.abort();
        },
      }),
    ).rejects.toMatchObject({ code: 'cancelled' });
    const before = statSync(join(job.output, 'shard-00000.txt')).mtimeMs;
    const { results, read } = await runJob<Count>(job);
    expect(results).toEqual(reference.results);
    expect(read).toEqual(reference.read);
    expect(textsOf(job.output)).toBe(expected);
    expect(statSync(join(job.output, 'shard-00000.txt')).mtimeMs).toBe(before);
  });

  test('a finished job is not done again, and --fresh does it again', async () => {
    const job = jobOf();
    expect((await runJob(job)).worked).toBe(true);
    expect(await runJob(job)).toMatchObject({ worked: false, results: reference.results });
    expect((await runJob({ ...job, fresh: true, owned: [] })).worked).toBe(true);
  });

  test('a torn last line of the journal costs one shard', async () => {
    const job = jobOf();
    await runJob(job);
    const journal = join(job.folder, 'journal.jsonl');
    const lines = readFileSync(journal, 'utf8').split('\n');
    writeFileSync(journal, `${lines.slice(0, 6).join('\n')}\n`);
    appendFileSync(journal, lines[6]!.slice(0, 30));
    const jobFile = join(job.folder, 'job.json');
    writeFileSync(jobFile, readFileSync(jobFile, 'utf8').replace('"done": true', '"done": false'));
    expect((await runJob<Count>(job)).results).toEqual(reference.results);
    expect(textsOf(job.output)).toBe(expected);
  });

  test('a folder that is not a job is left alone', async () => {
    const folder = join(root, 'other');
    mkdirSync(folder);
    writeFileSync(join(folder, 'job.json'), '{"name":"mine"}');
    await expect(runJob(jobOf({}, { folder }))).rejects.toMatchObject({ code: 'format' });
    expect(readFileSync(join(folder, 'job.json'), 'utf8')).toBe('{"name":"mine"}');
  });

  test('a file that cannot be read is counted and the others are read; when none can, its error is told', async () => {
    const broken = join(root, 'broken.parquet');
    writeFileSync(broken, 'this is no parquet file');
    const brokenFile = { path: broken, sizeBytes: statSync(broken).size };
    const reader = ({ path }: { path: string }) => openReader(path);
    const { read, results } = await runJob<Count>(
      jobOf({}, { inputs: { files: [files[0]!, brokenFile, ...files.slice(1)], reader } }),
    );
    expect(results).toEqual(reference.results);
    expect(read).toMatchObject({ numRead: 122, numSkipped: 4 });
    expect(read.skipped[0]).toMatchObject({ source: broken, position: 'the file' });
    await expect(runJob(jobOf({}, { inputs: { files: [brokenFile], reader } }))).rejects.toMatchObject({
      code: 'format',
    });
  });

  test('what no job wrote is never removed', async () => {
    const folder = join(root, 'mine');
    mkdirSync(join(folder, 'texts'), { recursive: true });
    writeFileSync(join(folder, 'texts', 'novel.txt'), 'my only copy');
    for (const fresh of [false, true]) {
      await expect(runJob(jobOf({}, { folder, fresh }))).rejects.toMatchObject({ code: 'config' });
    }
    expect(readFileSync(join(folder, 'texts', 'novel.txt'), 'utf8')).toBe('my only copy');
  });

  test('kill -9 at any moment loses no finished shard', async () => {
    const folder = join(root, 'killed');
    const output = join(folder, 'texts');
    const script = fileURLToPath(new URL('../fixtures/data/count-job-child.ts', import.meta.url));
    for (const numShards of [2, 9]) {
      const child = spawn(process.execPath, ['--import', 'tsx', script, folder, output, ...paths]);
      let seen = 0;
      const done = new Promise((resolve) => child.on('exit', resolve));
      child.stdout.on('data', (chunk: Buffer) => {
        seen += chunk.toString().split('\n').length - 1;
        if (seen >= numShards) child.kill('SIGKILL');
      });
      await done;
      expect(seen).toBeGreaterThanOrEqual(numShards);
    }
    const finished = readFileSync(join(folder, 'journal.jsonl'), 'utf8').split('\n').length - 1;
    expect(finished).toBeGreaterThanOrEqual(9);
    const times = new Map(visibleFiles(output).map((name) => [name, statSync(join(output, name)).mtimeMs]));
    const job = jobOf({ delayMs: 40 }, { folder, numWorkers: 2 });
    const { results } = await runJob<Count>(job);
    expect(results).toEqual(reference.results);
    expect(textsOf(output)).toBe(expected);
    const kept = [...times].filter(([name, time]) => statSync(join(output, name)).mtimeMs === time);
    expect(kept.length).toBeGreaterThanOrEqual(finished - 1);
  });
});
