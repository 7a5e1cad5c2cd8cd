/** Deduplication and decontamination from files to folders: counts, files, workers, stops, and the command line. */
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { decontaminateCommand } from '../../src/cli/commands/data-decontaminate.ts';
import { dedupCommand, dedupMethodOf } from '../../src/cli/commands/data-dedup.ts';
import { CancelledError, ConfigError, DataError } from '../../src/core/errors.ts';
import { decontaminateDocuments, deduplicateDocuments } from '../../src/data/dedup/index.node.ts';
import { ContaminationIndex } from '../../src/data/dedup/index.ts';
import { shardFilesOf } from '../../src/data/jobs/index.node.ts';
import { openReader } from '../../src/data/readers/index.node.ts';
import { openInputs } from '../../src/data/readers/open-inputs.node.ts';
import { speeches } from '../fixtures/data/speeches.ts';

const folders: string[] = [];
async function newFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'plinth-dedup-jobs-'));
  folders.push(folder);
  return folder;
}
afterAll(() => Promise.all(folders.map((folder) => rm(folder, { recursive: true, force: true }))));

const jsonl = (records: readonly unknown[]): string =>
  `${records.map((record) => JSON.stringify(record)).join('\n')}\n`;

async function textsIn(folder: string, kind: 'documents' | 'dropped'): Promise<Record<string, unknown>[]> {
  const documents: Record<string, unknown>[] = [];
  for (const file of await shardFilesOf(folder, kind)) {
    for await (const { id, text, meta } of openReader(file).read()) documents.push({ id, text, ...meta });
  }
  return documents;
}

/** Passages of speeches in two files; every third is copied with a word changed, every fourth as it is. */
const passages = speeches(4).flatMap((text) => text.match(/[\s\S]{1,1500}/g) ?? []);
const nearCopies = passages
  .filter((_, i) => i % 3 === 0)
  .map((text) => text.replace(/ (the|of|and) /, ' xyz '));
const copies = passages.filter((_, i) => i % 4 === 0);

async function corpusFolder(): Promise<string> {
  const folder = await newFolder();
  const record = (text: string, i: number) => ({ id: `p${i}`, text });
  await writeFile(join(folder, 'a.jsonl'), jsonl(passages.map(record)));
  await writeFile(join(folder, 'b.jsonl'), `${jsonl([...nearCopies, ...copies].map(record))}not json\n`);
  return folder;
}

describe('deduplication as a job', () => {
  test('keeps one of each cluster, says why others go, and counts', async () => {
    const inputs = await openInputs([await corpusFolder()]);
    const folder = join(await newFolder(), 'out');
    const report = await deduplicateDocuments({ inputs, folder, method: { kind: 'minhash' }, numWorkers: 0 });
    const numIn = passages.length + nearCopies.length + copies.length;
    const numDropped = nearCopies.length + copies.length;
    expect(report).toMatchObject({
      documents: { in: numIn, out: passages.length },
      bytes: { out: passages.reduce((sum, text) => sum + Buffer.byteLength(text), 0) },
      duplicates: { documents: numDropped, shortened: 0, units: 0, unitsIn: numIn, leaderless: 0 },
      dropped: { duplicate: numDropped },
      read: { numRead: numIn, numSkipped: 1 },
    });
    expect((await textsIn(folder, 'documents')).map(({ text }) => text)).toEqual(passages);
    const dropped = await textsIn(folder, 'dropped');
    expect(dropped).toHaveLength(numDropped);
    expect(dropped[1]).toMatchObject({
      text: nearCopies[1],
      droppedBy: 'duplicate',
      droppedBecause: 'near duplicate of document 3',
    });
    expect(JSON.parse(await readFile(join(folder, 'report.json'), 'utf8'))).toEqual(report);
    // The signatures have served their purpose.
    expect(await readdir(join(folder, 'signatures', 'shards'))).toEqual([]);
    const again = await deduplicateDocuments({ inputs, folder, method: { kind: 'minhash' }, numWorkers: 0 });
    expect({ ...again, seconds: 0, bytesPerSecond: 0 }).toEqual({ ...report, seconds: 0, bytesPerSecond: 0 });
  });

  test('gives the same files whatever the workers, the shards and the stops', async () => {
    const inputs = await openInputs([await corpusFolder()]);
    const method = { kind: 'exact', unit: 'line' } as const;
    const whole = join(await newFolder(), 'whole');
    const report = await deduplicateDocuments({ inputs, folder: whole, method, numWorkers: 0 });
    expect(report.duplicates.units).toBeGreaterThanOrEqual(copies.length);
    const expected = await textsIn(whole, 'documents');

    const parallel = join(await newFolder(), 'parallel');
    const shardCharacters = 10_000;
    await deduplicateDocuments({ inputs, folder: parallel, method, numWorkers: 2, shardCharacters });
    expect((await readdir(join(parallel, 'documents'))).length).toBeGreaterThan(3);
    expect(await textsIn(parallel, 'documents')).toEqual(expected);

    const stopped = join(await newFolder(), 'stopped');
    let numStops = 0;
    for (let attempt = 0; attempt < 100; attempt++) {
      const controller = new AbortController();
      let numEvents = 0;
      try {
        await deduplicateDocuments({
          inputs,
          folder: stopped,
          method,
          numWorkers: 0,
          shardCharacters,
          signal: controller.signal,
          onEvent: () => {
            if (++numEvents === 2) controller.abort();
          },
        });
        break;
      } catch (error) {
        expect(error).toBeInstanceOf(CancelledError);
        numStops++;
      }
    }
    expect(numStops).toBeGreaterThan(3);
    expect(await textsIn(stopped, 'documents')).toEqual(expected);
  });

  test('refuses a folder of another job before it reads anything', async () => {
    const inputs = await openInputs([await corpusFolder()]);
    const folder = await newFolder();
    await writeFile(join(folder, 'job.json'), JSON.stringify({ plinth: 'data-job', kind: 'clean' }));
    await expect(deduplicateDocuments({ inputs, folder, method: { kind: 'minhash' } })).rejects.toThrow(
      /'clean' job/,
    );
    expect(existsSync(join(folder, 'signatures'))).toBe(false);
    const out = join(await newFolder(), 'out');
    await deduplicateDocuments({ inputs, folder: out, method: { kind: 'exact', unit: 'line' } });
    const other = { inputs, folder: out, method: { kind: 'exact', unit: 'document' } } as const;
    await expect(deduplicateDocuments(other)).rejects.toThrow(ConfigError);
    const { duplicates } = await deduplicateDocuments({ ...other, fresh: true });
    expect(duplicates.documents).toBe(copies.length);
  });

  test('takes the text out of pages', async () => {
    const folder = await newFolder();
    const page = (title: string, text: string): string =>
      `<html><head><title>${title}</title></head><body><nav><a href="/${title}">${title}</a></nav><article>${text}</article></body></html>`;
    const text = passages
      .slice(0, 2)
      .map((each) => `<p>${each.replace(/[<>&]/g, ' ')}</p>`)
      .join('');
    await writeFile(join(folder, '1.html'), page('one', text));
    await writeFile(join(folder, '2.html'), page('two', text));
    await writeFile(join(folder, '3.html'), page('three', ''));
    const inputs = await openInputs([folder], { html: 'raw' });
    const out = join(await newFolder(), 'out');
    const report = await deduplicateDocuments({ inputs, folder: out, method: { kind: 'minhash' } });
    expect(report.documents).toEqual({ in: 3, out: 1 });
    expect(report.dropped).toEqual({ duplicate: 1, 'no-main-text': 1 });
    expect((await textsIn(out, 'documents'))[0]!.text).not.toContain('<p>');
  });
});

describe('decontamination as a job', () => {
  const question = passages[5]!.split(/\s+/).slice(20, 50).join(' ');
  const answer = passages[9]!.split(/\s+/).slice(40, 49).join(' ');

  async function evaluationFile(): Promise<string> {
    const path = join(await newFolder(), 'evaluation.jsonl');
    await writeFile(
      path,
      jsonl([
        { question, answer: 'Yes.' },
        { question: 'What is it?', answer },
      ]),
    );
    return path;
  }

  test('drops documents that hold an item, in any of its fields', async () => {
    const corpus = await corpusFolder();
    await rm(join(corpus, 'b.jsonl'));
    const inputs = await openInputs([corpus]);
    const path = await evaluationFile();
    const evaluation = await Promise.all(
      ['question', 'answer'].map((textColumn) => openInputs([path], { textColumn })),
    );
    const folder = join(await newFolder(), 'out');
    const report = await decontaminateDocuments({
      inputs,
      evaluation,
      folder,
      numWorkers: 2,
      shardCharacters: 10_000,
    });
    expect(report).toMatchObject({
      documents: { in: passages.length, out: passages.length - 2 },
      contaminated: { documents: 2, dropped: 2, shortened: 0 },
      evaluation: { items: 4, shortItems: 1, tooShortItems: 2, skipped: 0, found: 2 },
      dropped: { contaminated: 2 },
    });
    const left = (await textsIn(folder, 'documents')).map(({ text }) => text);
    expect(left).toEqual(passages.filter((_, i) => i !== 5 && i !== 9));
    const [first] = await textsIn(folder, 'dropped');
    expect(first).toMatchObject({ text: passages[5], droppedBy: 'contaminated' });
    expect(first!.droppedBecause).toContain('evaluation.jsonl: line-1');
    const index = await ContaminationIndex.build([{ id: 'q', text: question }]);
    for (const text of left) expect(index.check({ text: String(text) })).toBeNull();
    // Another evaluation is another job.
    const others = { inputs, evaluation: [evaluation[0]!], folder };
    await expect(decontaminateDocuments(others)).rejects.toThrow(ConfigError);
  });

  test('says when there is nothing to look for, and warns of records without the field', async () => {
    const inputs = await openInputs([await corpusFolder()]);
    const path = await evaluationFile();
    const folder = join(await newFolder(), 'out');
    const evaluation = [await openInputs([path])];
    await expect(decontaminateDocuments({ inputs, evaluation, folder })).rejects.toThrow(DataError);
    const mixed = join(await newFolder(), 'mixed.jsonl');
    await writeFile(mixed, jsonl([{ text: question }, { question }]));
    const messages: string[] = [];
    const report = await decontaminateDocuments({
      inputs,
      evaluation: [await openInputs([mixed])],
      folder,
      onEvent: (event) => event.type === 'note' && messages.push(event.message),
    });
    expect(report.evaluation).toMatchObject({ items: 1, skipped: 1 });
    expect(messages.join()).toMatch(/1 records of the evaluation data could not be read.*no field/);
  });
});

describe('the command line', () => {
  async function printed(work: () => Promise<unknown>): Promise<string> {
    const { write } = process.stdout;
    let text = '';
    process.stdout.write = ((part: string) => {
      text += part;
      return true;
    }) as typeof write;
    try {
      await work();
    } finally {
      process.stdout.write = write;
    }
    return text;
  }

  test('deduplicates and prints one line of JSON or a text', async () => {
    const corpus = await corpusFolder();
    const out = join(await newFolder(), 'out');
    const args = [corpus, '--out', out, '--unit', 'document'];
    const line = await printed(() => dedupCommand().parseAsync([...args, '--json'], { from: 'user' }));
    expect(JSON.parse(line)).toMatchObject({
      out,
      method: { kind: 'exact', unit: 'document', normalize: 'none' },
      documents: { out: passages.length + nearCopies.length },
      duplicates: { documents: copies.length, clusters: copies.length },
    });
    expect(line.endsWith('}\n')).toBe(true);
    const text = await printed(() => dedupCommand().parseAsync(args, { from: 'user' }));
    expect(text).toContain(`${copies.length} duplicates in ${copies.length} groups.`);
    expect(text).toContain('1 records could not be read.');
  });

  test('decontaminates', async () => {
    const corpus = await corpusFolder();
    const out = join(await newFolder(), 'out');
    const folder = await newFolder();
    await mkdir(folder, { recursive: true });
    const path = join(folder, 'test.jsonl');
    await writeFile(path, jsonl([{ q: passages[7]!.slice(100, 400) }]));
    const args = [corpus, '--against', path, '--against-column', 'q', '--out', out];
    const line = await printed(() =>
      decontaminateCommand().parseAsync([...args, '--json'], { from: 'user' }),
    );
    const copiesOfIt = [...nearCopies, ...copies].filter((text) =>
      text.includes(passages[7]!.slice(150, 350)),
    );
    expect(JSON.parse(line)).toMatchObject({
      contaminated: { dropped: 1 + copiesOfIt.length },
      evaluation: { items: 1, found: 1 },
    });
    const text = await printed(() => decontaminateCommand().parseAsync(args, { from: 'user' }));
    expect(text).toContain('1 evaluation items, 1 found in the documents.');
  });

  test('refuses flags that do not go together', () => {
    expect(() => dedupMethodOf({ unit: 'line', preset: 'nemo' })).toThrow(
      /--preset goes with --method minhash/,
    );
    expect(() => dedupMethodOf({ method: 'minhash', unit: 'line' })).toThrow(/--unit/);
    expect(() => dedupMethodOf({ method: 'exact', minSimilarity: 0.5 })).toThrow(/--min-similarity/);
    expect(dedupMethodOf({ unit: 'line' })).toEqual({ kind: 'exact', unit: 'line' });
    expect(dedupMethodOf({ preset: 'nemo', keep: 'longest' })).toEqual({
      kind: 'minhash',
      preset: 'nemo',
      keep: 'longest',
    });
  });
});
