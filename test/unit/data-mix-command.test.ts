/** `plinth data mix`: flags to plan, groups, stages, and what is refused. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { mixCommand } from '../../src/cli/commands/data-mix.ts';
import type { MixtureRecord } from '../../src/data/mix/index.ts';
import { saveTokenizer } from '../../src/tokenizer/index.node.ts';
import { trainBpe } from '../../src/tokenizer/index.ts';

let root: string;
let web: string;
let books: string;
const english = 'The committee published its report about the water of the northern rivers in spring.';
const burmese = 'လူတိုင်းသည် တူညီလွတ်လပ်သော ဂုဏ်သိက္ခာဖြင့် မွေးဖွားလာသူများ ဖြစ်သည်။';

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'plinth-mix-cli-'));
  web = join(root, 'web.jsonl');
  books = join(root, 'books.jsonl');
  const lines = (texts: string[]) =>
    texts
      .map((text, i) => `${JSON.stringify({ text, quality: (i * 7) % 10, domain: i % 2 ? 'a' : 'b' })}\n`)
      .join('');
  await writeFile(
    web,
    lines(Array.from({ length: 90 }, (_, i) => `${i % 9 === 0 ? burmese : english} ${i}`)),
  );
  await writeFile(books, lines(Array.from({ length: 10 }, (_, i) => `${english} Book ${i}.`)));
});
afterAll(() => rm(root, { recursive: true, force: true }));

async function mix(...args: string[]): Promise<MixtureRecord & { worked: boolean; out: string }> {
  const written = process.stdout.write;
  const { write } = process.stderr;
  let text = '';
  process.stdout.write = ((chunk: string) => {
    text += chunk;
    return true;
  }) as typeof process.stdout.write;
  process.stderr.write = (() => true) as typeof process.stderr.write;
  try {
    const command = mixCommand().exitOverride();
    await new Command('plinth').addCommand(command).parseAsync(['mix', ...args, '--json'], { from: 'user' });
  } finally {
    process.stdout.write = written;
    process.stderr.write = write;
  }
  return JSON.parse(text);
}

describe('plinth data mix', () => {
  test('weights of named sources, in documents, with a cap', async () => {
    const out = join(root, 'weights');
    const args = [
      '--source',
      `web=${web}:1`,
      '--source',
      `books=${books}:3`,
      '--unit',
      'documents',
      '--out',
      out,
    ];
    const result = await mix(...args, '--budget', '80', '--max-epochs', '4');
    expect(result.asked.shares).toEqual({ books: 0.75, web: 0.25 });
    // Books stop at 40 of 60; web takes the other 40.
    expect(result.achieved.shares).toEqual({ books: 0.5, web: 0.5 });
    expect(JSON.parse(await readFile(join(out, 'mix.json'), 'utf8')).achieved.documents).toBe(80);
    const again = await mix(...args, '--budget', '80', '--max-epochs', '4');
    expect(again.worked).toBe(false);
    await expect(mix(...args, '--budget', '81')).rejects.toThrow(/--fresh/);
  });

  test('languages are identified where no field names them', async () => {
    const out = join(root, 'languages');
    const result = await mix(
      web,
      books,
      '--by',
      'language',
      '--alpha',
      '0',
      '--unit',
      'documents',
      '--out',
      out,
    );
    expect(result.sources.map(({ name, available }) => [name, available.documents])).toEqual([
      ['en', 90],
      ['my', 10],
    ]);
    expect(result.achieved.shares).toEqual({ en: 0.5, my: 0.5 });
  });

  test('tokens of a tokenizer, domains, a curriculum in stages', async () => {
    const folder = join(root, 'tokenizer');
    await saveTokenizer(folder, trainBpe([english, english], { vocabSize: 300 }));
    const stages = join(root, 'stages.json');
    await writeFile(
      stages,
      JSON.stringify([
        { name: 'main', share: 0.8, weights: { a: 1, b: 1 } },
        { name: 'anneal', share: 0.2, weights: { a: 0, b: 1 }, order: 'easy-to-hard:-quality' },
      ]),
    );
    const out = join(root, 'stages');
    const unit = ['--unit', 'tokens', '--tokenizer', folder, '--budget', '2000'];
    const result = await mix(web, '--by', 'domain', ...unit, '--stages', stages, '--out', out);
    expect(result.order).toBe('staged');
    expect(result.stages.map(({ name, askedShares }) => [name, askedShares])).toEqual([
      ['main', { a: 0.5, b: 0.5 }],
      ['anneal', { a: 0, b: 1 }],
    ]);
    expect(Math.abs(result.achieved.tokens! - 2000)).toBeLessThan(200);
    const lines = (await readFile(join(out, 'documents', 'shard-00000.jsonl'), 'utf8')).trim().split('\n');
    const last = lines.slice(-result.stages[1]!.documents).map((line) => JSON.parse(line).meta);
    expect(last.every(({ domain }) => domain === 'b')).toBe(true);
    const qualities = last.map(({ quality }) => quality);
    expect(qualities).toEqual([...qualities].sort((a, b) => b - a));
  });

  test.each([
    [[], /Nothing to mix/],
    [['--source', 'web'], /not NAME=PATH/],
    [['--source', 'a=x.jsonl:1', '--source', 'b=y.jsonl'], /'b' has no weight/],
    [['x.jsonl', '--by', 'author'], /--by is 'author'/],
    [['x.jsonl', '--unit', 'tokens'], /needs --tokenizer/],
    [['x.jsonl', '--order', 'hard'], /easy-to-hard:KEY/],
    [['a/x.jsonl', 'b/x.jsonl'], /Two sources are named 'x.jsonl'/],
  ])('%o is refused', async (args, message) => {
    await expect(mix(...args, '--out', join(root, 'refused'))).rejects.toThrow(message);
  });
});
