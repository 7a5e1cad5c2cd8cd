/** Files, folders, patterns and lists of paths as inputs: what is found, in which order, and what is left out why. */
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DataError, FormatError, LimitError } from '../../src/core/errors.ts';
import { expandBraces, globFiles, segmentPattern } from '../../src/data/readers/glob.node.ts';
import { type InputFiles, openInputs } from '../../src/data/readers/open-inputs.node.ts';
import { wetRecord } from '../fixtures/data/reader-records.ts';

const root = mkdtempSync(join(tmpdir(), 'plinth-inputs-'));
afterAll(() => rmSync(root, { recursive: true }));
const at = (...names: string[]): string => join(root, ...names);
const put = (name: string, content: string | Uint8Array): void => {
  mkdirSync(join(at(name), '..'), { recursive: true });
  writeFileSync(at(name), content);
};
const names = (inputs: InputFiles): string[] => inputs.files.map(({ path }) => relative(root, path));

async function textsOf(inputs: InputFiles): Promise<string[]> {
  const texts: string[] = [];
  for await (const { text } of inputs.read().read()) texts.push(text);
  return texts;
}

beforeAll(() => {
  put('tree/b.txt', 'b');
  put('tree/a.jsonl', '{"text":"a1"}\nbroken\n{"text":"a2"}\n');
  put('tree/c.docx', 'no');
  put('tree/empty.txt', '');
  put('tree/sub/d.md', '# D');
  put('tree/sub/Z.TXT', 'z');
  put('tree/.hidden/e.txt', 'hidden');
  put('tree/.f.txt', 'hidden');
  put('tree/node_modules/g.txt', 'package');
  symlinkSync(at('tree'), at('tree/sub/loop'));
  symlinkSync(at('tree/b.txt'), at('tree/sub/link.txt'));
  symlinkSync(at('nowhere'), at('tree/sub/broken.txt'));
  put('job/job.json', '{"plinth":"data-job","task":"clean"}');
  put('job/documents/00000.jsonl', '{"id":"x","text":"kept","source":"s","meta":{"language":"en"}}\n');
  put('job/documents/00001.jsonl.gz', gzipSync('{"id":"y","text":"kept too","source":"s","meta":{}}\n'));
  put('job/dropped/00000.jsonl', '{"id":"z","text":"dropped"}\n');
  put('job/report.jsonl', '{"text":"counts"}\n');
});

describe('openInputs', () => {
  it('reads folders in order, linked files once, and says what it left out', async () => {
    const inputs = await openInputs([at('tree')]);
    expect(names(inputs)).toEqual(['tree/a.jsonl', 'tree/b.txt', 'tree/sub/Z.TXT', 'tree/sub/d.md']);
    expect(inputs.files[0]).toEqual({ path: at('tree/a.jsonl'), sizeBytes: 35, format: 'jsonl' });
    expect(
      inputs.skippedFiles.map(({ path, reason }) => [relative(root, path), reason.split(':')[0]]),
    ).toEqual([
      ['tree/c.docx', 'Known extensions'],
      ['tree/empty.txt', 'it is empty'],
      ['tree/sub/broken.txt', 'it cannot be opened'],
      ['tree/sub/link.txt', `it is the same file as ${at('tree/b.txt')}`],
    ]);
    const reader = inputs.read();
    const texts: string[] = [];
    for await (const { text } of reader.read()) texts.push(text);
    expect(texts).toEqual(['a1', 'a2', 'b', 'z', 'D']);
    expect(reader.report).toMatchObject({ numRead: 5, numSkipped: 5 });
    expect(reader.report.skipped.at(-1)!.position).toBe(`${at('tree/a.jsonl')}, line 2 (byte 14)`);
  });

  it('keeps the order of the names given, and reads a file once', async () => {
    const inputs = await openInputs([at('tree/sub'), at('tree/a.jsonl'), at('tree')]);
    expect(names(inputs).slice(0, 4)).toEqual([
      'tree/sub/Z.TXT',
      'tree/sub/d.md',
      'tree/sub/link.txt',
      'tree/sub/loop/a.jsonl',
    ]);
    const twice = await openInputs([at('tree/b.txt'), at('tree/*.txt'), `${at('tree')}/../tree/b.txt`]);
    expect(names(twice)).toEqual(['tree/b.txt']);
  });

  it('takes only the documents of a data job, wherever it lies', async () => {
    expect(names(await openInputs([at('job')]))).toEqual([
      'job/documents/00000.jsonl',
      'job/documents/00001.jsonl.gz',
    ]);
    const inputs = await openInputs([root]);
    expect(names(inputs).filter((name) => name.startsWith('job'))).toHaveLength(2);
    expect(await textsOf(await openInputs([at('job')]))).toEqual(['kept', 'kept too']);
  });

  it('knows what to say when there is nothing', async () => {
    mkdirSync(at('bare'), { recursive: true });
    await expect(openInputs([])).rejects.toThrow('No input');
    await expect(openInputs([at('absent.txt')])).rejects.toThrow('There is no file or folder');
    await expect(openInputs([at('bare')])).rejects.toThrow('There are no files in it');
    await expect(openInputs([at('*.nothing')])).rejects.toThrow('No file matches');
    await expect(openInputs([at('tree/c.docx')])).rejects.toThrow('Known extensions: txt');
    await expect(openInputs([at('absent.txt')])).rejects.toBeInstanceOf(DataError);
  });

  it('goes on after a file that is not what its name says, and throws when all are', async () => {
    put('mixed/a.parquet', 'no parquet');
    put('mixed/b.txt', 'fine');
    const reader = (await openInputs([at('mixed')])).read();
    const texts: string[] = [];
    for await (const { text } of reader.read()) texts.push(text);
    expect(texts).toEqual(['fine']);
    expect(reader.report.skipped[0]).toMatchObject({ position: at('mixed/a.parquet') });
    const broken = (await openInputs([at('mixed/a.parquet')])).read();
    await expect(broken.read()[Symbol.asyncIterator]().next()).rejects.toBeInstanceOf(FormatError);
  });

  it('finds the files of a list of paths below the root, beside the list, or by name', async () => {
    const segment = 'crawl-data/CC-MAIN-2024-10/segments/1/wet';
    put(`crawl/${segment}/one.warc.wet.gz`, gzipSync(wetRecord('1', 'one')));
    put('lists/two.warc.wet.gz', gzipSync(wetRecord('2', 'two')));
    const list = ['one', 'two', 'gone'].map((name) => `${segment}/${name}.warc.wet.gz`).join('\n');
    put('lists/wet.paths.gz', gzipSync(`${list}\n`));
    const inputs = await openInputs([at('lists/wet.paths.gz')], { root: at('crawl') });
    expect(names(inputs)).toEqual([`crawl/${segment}/one.warc.wet.gz`, 'lists/two.warc.wet.gz']);
    expect(inputs.skippedFiles.map(({ path }) => path)).toEqual([`${segment}/gone.warc.wet.gz`]);
    const reader = inputs.read();
    const texts: string[] = [];
    for await (const { text } of reader.read()) texts.push(text);
    expect(texts).toEqual(['one', 'two']);
    expect(reader.report.skipped[0]!.position).toBe(`${segment}/gone.warc.wet.gz`);
    put('beside/wet.paths', 'sub/x.wet\n');
    put('beside/sub/x.wet', wetRecord('3', 'three'));
    expect(await textsOf(await openInputs([at('beside/wet.paths')]))).toEqual(['three']);
  });
});

describe('patterns', () => {
  const found = async (pattern: string): Promise<string[]> =>
    (await globFiles(at(pattern))).map((path) => relative(root, path));

  it('match as in a shell', async () => {
    expect(await found('tree/*.txt')).toEqual(['tree/b.txt', 'tree/empty.txt']);
    expect(await found('tree/?.{txt,jsonl}')).toEqual(['tree/a.jsonl', 'tree/b.txt']);
    expect(await found('tree/[!a-b]*')).toEqual(['tree/c.docx', 'tree/empty.txt']);
    expect(await found('tree/**/*.md')).toEqual(['tree/sub/d.md']);
    expect(await found('tr*/s?b/*.md')).toEqual(['tree/sub/d.md']);
    expect(await found('**/00000.jsonl')).toEqual(['job/documents/00000.jsonl', 'job/dropped/00000.jsonl']);
    expect(await found('tree/.*.txt')).toEqual(['tree/.f.txt']);
    expect(await found('tree/**')).not.toContain('tree/.hidden/e.txt');
    expect(await found('tree/{a,{b,x}}.*')).toEqual(['tree/a.jsonl', 'tree/b.txt']);
  });

  it('take other characters as they are', () => {
    expect(segmentPattern('a.b+(1)').test('a.b+(1)')).toBe(true);
    expect(segmentPattern('a.b').test('axb')).toBe(false);
    expect(segmentPattern('[.]x').test('.x')).toBe(true);
    expect(segmentPattern('[a').test('[a')).toBe(true);
  });

  it('with too many or open alternatives are refused, and stars do not take for ever', () => {
    expect(() => expandBraces('{a,b}'.repeat(12))).toThrow(LimitError);
    expect(() => expandBraces('a{b,c')).toThrow(DataError);
    expect(segmentPattern('*'.repeat(1000)).test('x'.repeat(1000))).toBe(true);
  });

  it('name a file that is there as it is written', async () => {
    put('odd/a[1].txt', 'odd');
    expect(names(await openInputs([at('odd/a[1].txt')]))).toEqual(['odd/a[1].txt']);
  });
});
