/** Damage in compressed files: what stands before and behind it is read, and each damage is told with its place. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';
import { afterAll, describe, expect, it } from 'vitest';
import { FormatError } from '../../src/core/errors.ts';
import { openReader } from '../../src/data/readers/open-reader.node.ts';
import { archives } from '../fixtures/data/reader-records.ts';

const folder = mkdtempSync(join(tmpdir(), 'plinth-compressed-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** Texts, and the skips of one reading. */
async function readAll(name: string, bytes: Uint8Array) {
  const path = join(folder, name);
  writeFileSync(path, bytes);
  const reader = openReader(path);
  const texts: string[] = [];
  for await (const document of reader.read()) texts.push(document.text);
  return { texts, report: reader.report };
}

/** Text that does not compress to nothing, the same in every run. */
function noise(length: number, seed: number): string {
  let state = seed;
  let text = '';
  while (text.length < length) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    text += state.toString(36);
  }
  return text.slice(0, length);
}

const lines = (from: number, to: number, length = 200): string =>
  Array.from({ length: to - from }, (_, i) => `{"text":"${from + i} ${noise(length, from + i)}"}\n`).join('');
const numbers = (texts: readonly string[]): number[] => texts.map((text) => Number.parseInt(text, 10));
const range = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, i) => from + i);

describe('gzip members', () => {
  const members = [gzipSync(lines(0, 10)), gzipSync(lines(10, 20)), gzipSync(lines(20, 30))];

  it('cut or broken in the middle cost their own records from there on', async () => {
    const cut = Buffer.concat([members[0]!, members[1]!.subarray(0, members[1]!.length >> 1), members[2]!]);
    const { texts, report } = await readAll('cut.jsonl.gz', cut);
    const ids = numbers(texts);
    expect(ids.filter((id) => id < 10 || id >= 20)).toEqual([...range(0, 10), ...range(20, 30)]);
    // About half of the second member's ten records stand before the cut.
    expect(ids.length).toBeGreaterThanOrEqual(23);
    expect(report.numSkipped).toBe(1);
    expect(report.skipped[0]!.position).toContain(`(byte ${members[0]!.length} of the compressed file)`);
  });

  it('with a header overwritten are left out whole', async () => {
    const broken = Buffer.concat(members);
    broken.fill(0x55, members[0]!.length, members[0]!.length + 4);
    const { texts, report } = await readAll('header.jsonl.gz', broken);
    expect(numbers(texts)).toEqual([...range(0, 10), ...range(20, 30)]);
    expect(report.numSkipped).toBe(1);
  });

  it('are counted one by one', async () => {
    const broken = Buffer.concat([...members, ...members]);
    const total = members.reduce((sum, member) => sum + member.length, 0);
    for (const start of [0, total]) broken.fill(0, start + 10, start + 30);
    const { texts, report } = await readAll('two.jsonl.gz', broken);
    expect(numbers(texts)).toEqual([...range(10, 30), ...range(10, 30)]);
    expect(report.skipped.map(({ position }) => Number(/byte (\d+)/.exec(position)![1]))).toEqual([0, total]);
  });

  it('with a wrong checksum are told, and their lines kept', async () => {
    const broken = Buffer.concat(members);
    const trailer = members[0]!.length + members[1]!.length - 8;
    broken[trailer] = broken[trailer]! ^ 1;
    const { texts, report } = await readAll('checksum.jsonl.gz', broken);
    expect(numbers(texts)).toEqual(range(0, 30));
    expect(report.skipped.map(({ reason }) => reason)).toEqual(['damaged gzip member: wrong checksum']);
  });

  it('may carry names and comments, and zeros at the end', async () => {
    const plain = members[0]!;
    const flags = Buffer.from(plain.subarray(0, 10));
    flags[3] = 4 | 8 | 16;
    const extra = Buffer.from('\x03\x00abcname.jsonl\0a comment\0', 'latin1');
    const named = Buffer.concat([flags, extra, plain.subarray(10), members[1]!, Buffer.alloc(512)]);
    const { texts, report } = await readAll('named.jsonl.gz', named);
    expect(numbers(texts)).toEqual(range(0, 20));
    expect(report.numSkipped).toBe(0);
  });

  it('larger than the window are streamed, their checksum compared, and the next member found', async () => {
    const large = gzipSync(lines(0, 6000, 400));
    expect(large.length).toBeGreaterThan(1024 * 1024);
    const whole = await readAll('large.jsonl.gz', Buffer.concat([large, members[0]!]));
    expect(numbers(whole.texts)).toEqual([...range(0, 6000), ...range(0, 10)]);
    expect(whole.report.numSkipped).toBe(0);
    const cut = await readAll(
      'large-cut.jsonl.gz',
      Buffer.concat([large.subarray(0, -100_000), members[0]!]),
    );
    const ids = numbers(cut.texts);
    expect(ids.slice(-10)).toEqual(range(0, 10));
    expect(ids.length).toBeGreaterThan(4500);
    // The stream notices late, so that a line of what it made of the next header may be one more.
    expect(cut.report.skipped.filter(({ reason }) => reason.includes('gzip'))).toHaveLength(1);
    expect(cut.report.numSkipped).toBeLessThanOrEqual(2);
    const wrong = Buffer.from(large);
    wrong[large.length - 5] = wrong[large.length - 5]! ^ 0x10;
    const told = await readAll('large-wrong.jsonl.gz', Buffer.concat([wrong, members[0]!]));
    expect(told.texts).toHaveLength(6010);
    expect(told.report.skipped.map(({ reason }) => reason)).toEqual(['damaged gzip member: wrong checksum']);
  });

  it('that unpack to far more than they are stay within memory', async () => {
    const bomb = gzipSync(Buffer.alloc(300_000_000, 32));
    const before = process.memoryUsage().arrayBuffers;
    const { report } = await readAll('bomb.txt.gz', Buffer.concat([bomb, gzipSync('\nend\n')]));
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(200_000_000);
    expect(report.skipped[0]!.reason).toContain('longer than');
    expect(report.numRead).toBe(1);
  });
});

describe('Zstandard, xz, bzip2 and Brotli', () => {
  const bytesOf = (name: string): Buffer => Buffer.from(archives[name]!() as Uint8Array);

  it.each(['all.jsonl.zst', 'all.jsonl.xz', 'all.jsonl.bz2'])(
    '%s: streams put together are one file',
    async (name) => {
      const { texts, report } = await readAll(`twice-${name}`, Buffer.concat([bytesOf(name), bytesOf(name)]));
      expect(texts).toHaveLength(10);
      expect(report.numSkipped).toBe(0);
    },
  );

  it.each(['all.jsonl.zst', 'all.jsonl.xz'])(
    '%s: a damaged stream is told, the next is read',
    async (name) => {
      const broken = bytesOf(name);
      broken[broken.length >> 1] = broken[broken.length >> 1]! ^ 0x55;
      const { texts, report } = await readAll(
        `broken-${name}`,
        Buffer.concat([bytesOf(name), broken, bytesOf(name)]),
      );
      expect(texts.length).toBeGreaterThanOrEqual(10);
      expect(texts.slice(0, 5)).toEqual(texts.slice(-5));
      expect(report.skipped.some(({ position }) => position.includes(`byte ${broken.length} of the`))).toBe(
        true,
      );
    },
  );

  it('a wrong Zstandard checksum is told', async () => {
    const broken = bytesOf('all.jsonl.zst');
    broken[broken.length - 1] = broken[broken.length - 1]! ^ 1;
    const { texts, report } = await readAll('checksum.jsonl.zst', broken);
    expect(texts).toHaveLength(5);
    expect(report.skipped.map(({ reason }) => reason)).toEqual(['damaged Zstandard frame: wrong checksum']);
  });

  it('a Zstandard frame may not ask for gigabytes, nor need a dictionary', async () => {
    const huge = Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xa0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    const { texts, report } = await readAll(
      'huge.jsonl.zst',
      Buffer.concat([bytesOf('all.jsonl.zst'), huge]),
    );
    expect(texts).toHaveLength(5);
    expect(report.skipped[0]!.reason).toContain('the most is 134217728');
    huge[4] = 1;
    const dictionary = await readAll('dict.jsonl.zst', Buffer.concat([bytesOf('all.jsonl.zst'), huge]));
    expect(dictionary.report.skipped[0]!.reason).toContain('needs a dictionary');
  });

  it('a Huffman table that would never end is damage after the time limit', async () => {
    // A weight table with one symbol: its states take no bits, and fzstd's loop over them does not move.
    const { DecompressionWorker } = await import('../../src/data/readers/decompression-worker.node.ts');
    const worker = new DecompressionWorker('zst', 1500);
    const literals = [0x32, 0xc0, 0x01, 0x04, 0xf0, 0x03, 0x00, 0x80, 0x01, 0x01, 0x00];
    try {
      const frame = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x58, (literals.length << 3) | 5, 0, 0, ...literals];
      const output: Uint8Array[] = [];
      await expect(
        (async () => {
          for await (const bytes of worker.push(new Uint8Array(frame), true)) output.push(bytes);
        })(),
      ).rejects.toThrow('no answer for 1500 ms');
    } finally {
      await worker.close();
    }
  });

  it('cut bzip2 and Brotli keep what came before', async () => {
    const half = (bytes: Buffer): Buffer => bytes.subarray(0, Math.floor(bytes.length * 0.7));
    const brotli = brotliCompressSync(lines(0, 2000), { params: { [constants.BROTLI_PARAM_QUALITY]: 3 } });
    const { texts, report } = await readAll('cut.jsonl.br', half(brotli));
    expect(numbers(texts)).toEqual(range(0, texts.length));
    expect(texts.length).toBeGreaterThan(500);
    expect(report.numSkipped).toBe(1);
    const first = bytesOf('all.jsonl.bz2');
    const bzip2 = await readAll('cut.jsonl.bz2', Buffer.concat([first, half(first)]));
    expect(bzip2.texts.length).toBeGreaterThanOrEqual(4);
    expect(bzip2.report.numSkipped).toBe(1);
  });

  it('bytes behind the end of Brotli data are told', async () => {
    const { texts, report } = await readAll(
      'behind.jsonl.br',
      Buffer.concat([bytesOf('all.jsonl.br'), Buffer.from('more')]),
    );
    // The last line has no end, so it is lost with the gap behind it.
    expect(texts.length).toBeGreaterThanOrEqual(4);
    expect(report.skipped[0]!.reason).toBe('bytes behind the end of the Brotli data');
  });

  it.each(['gz', 'zst', 'xz', 'bz2', 'br'])('plain text called .%s is a clear error', async (extension) => {
    const attempt = readAll(`plain.jsonl.${extension}`, Buffer.from(lines(0, 20)));
    await expect(attempt).rejects.toBeInstanceOf(FormatError);
    await expect(attempt).rejects.toThrow('could not be unpacked');
  });

  it('two xz files are read in turn without waiting for each other', async () => {
    const paths = ['a.jsonl.xz', 'b.jsonl.xz'].map((name) => join(folder, name));
    for (const path of paths) writeFileSync(path, bytesOf('all.jsonl.xz'));
    const iterators = paths.map((path) => openReader(path).read()[Symbol.asyncIterator]());
    const texts: string[] = [];
    for (let i = 0; i < 5; i++) {
      for (const iterator of iterators) {
        const next = await iterator.next();
        if (!next.done) texts.push(next.value.text);
      }
    }
    expect(texts).toHaveLength(10);
    for (const iterator of iterators) await iterator.return?.();
  });
});
