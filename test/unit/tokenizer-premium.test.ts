/** The arithmetic of a premium by hand-made counts, parallel text of one's own, and the page. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { premiumCommand } from '../../src/cli/commands/tokenizer-premium.ts';
import { premiumPage } from '../../src/cli/premium-page.ts';
import { declarationTexts, ownTexts } from '../../src/cli/premium-texts.ts';
import { KeyedRandom } from '../../src/core/random.ts';
import { saveTokenizer } from '../../src/tokenizer/index.node.ts';
import { trainBpe } from '../../src/tokenizer/index.ts';
import {
  byteCounter,
  characterCounter,
  type TokenCounter,
  tokenPremium,
} from '../../src/tokenizer/premium.ts';
import { openTokenCounter } from '../../src/tokenizer/premium-counters.node.ts';

const words: TokenCounter = {
  name: 'words',
  vocabSize: 7,
  numTokens: (text) => text.trim().split(/\s+/).length,
};

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'plinth-premium-'));
});
afterAll(() => rm(root, { recursive: true, force: true }));

describe('tokenPremium', () => {
  test('counts units that both languages have, and says what follows from the premium', () => {
    const texts = { en: ['a b', 'c d e', 'f', ''], xx: ['a a a a', ' ', 'b b b b b', 'more'] };
    const report = tokenPremium(texts, [words, byteCounter, characterCounter], {
      pricePerMillion: 2,
      tokensPerSecond: 50,
      contextTokens: 900,
    });
    // Units 0 and 2: 9 words against 3.
    expect(report.texts[1]).toEqual({
      language: 'xx',
      numUnits: 2,
      numMissingUnits: 1,
      bytes: 16,
      characters: 16,
      words: 9,
      referenceWords: 3,
    });
    const figures = report.tokenizers[0]!.languages[1]!;
    expect(figures).toMatchObject({
      tokens: 9,
      referenceTokens: 3,
      premium: 3,
      tokensPerByte: 9 / 16,
      tokensPerWord: 1,
      secondsPer1000ReferenceTokens: 60,
      contextReferenceTokens: 300,
      contextShare: 1 / 3,
    });
    expect(figures.costPer1000ReferenceTokens).toBeCloseTo(0.006, 12);
    expect(figures.costPer1000ReferenceWords).toBeCloseTo(0.006, 12);
    const reference = report.tokenizers[0]!.languages[0]!;
    expect(reference).toMatchObject({ tokens: 6, premium: 1, interval: [1, 1], contextShare: 1 });
  });

  test('bytes and characters are those of UTF-8 and code points', () => {
    const report = tokenPremium({ en: ['ab'], my: ['မြ😀'] }, [byteCounter, characterCounter]);
    expect(report.tokenizers.map(({ languages }) => languages[1]!.tokens)).toEqual([10, 3]);
    expect(report.tokenizers[0]!.languages[1]!.interval).toBeNull();
  });

  test('words are found in scripts without spaces', () => {
    const report = tokenPremium({ en: ['human rights'], th: ['สิทธิมนุษยชน คือ'] }, [characterCounter]);
    expect(report.texts[1]!.words).toBeGreaterThan(2);
  });

  test('the interval narrows with more units and is the same again', () => {
    const random = new KeyedRandom(7);
    const counts = (n: number) => Array.from({ length: n }, (_, i) => 'x '.repeat(2 + random.integer(i, 5)));
    // Ratios are drawn from {1, 1.5, 2, 2.5, 3}: the mean of n has standard deviation sqrt(1 / (2 n)).
    const relativeWidth = (n: number) => {
      const texts = { en: Array<string>(n).fill('a b'), xx: counts(n) };
      const [low, high] = tokenPremium(texts, [words]).tokenizers[0]!.languages[1]!.interval!;
      expect(tokenPremium(texts, [words]).tokenizers[0]!.languages[1]!.interval).toEqual([low, high]);
      expect(low).toBeLessThan(2);
      expect(high).toBeGreaterThan(2);
      return (high - low) / (2 * 1.96 * Math.sqrt(1 / (2 * n)));
    };
    // 1,500 units are resampled in blocks.
    for (const n of [100, 1500]) {
      expect(relativeWidth(n)).toBeGreaterThan(0.8);
      expect(relativeWidth(n)).toBeLessThan(1.2);
    }
  });

  test.each([
    [{ my: ['a'] }, [words], {}, /no text in the reference language 'en'/],
    [{ en: ['a'], my: [''] }, [words], {}, /'my' has no unit of text/],
    [{ en: ['a'] }, [], {}, /at least one/],
    [{ en: ['a'] }, [words, words], {}, /names of their own/],
    [{ en: ['a'] }, [words], { tokensPerSecond: 0 }, /tokensPerSecond must be above 0/],
    [{ en: ['a', 'b'] }, [words], { numResamples: 1.5 }, /numResamples/],
  ])('%o is refused', (texts, counters, options, message) => {
    expect(() => tokenPremium(texts as Record<string, string[]>, counters, options)).toThrow(message);
  });
});

describe('tokenizers by name', () => {
  test('a folder, its file, a baseline; special tokens in a text are text', async () => {
    const folder = join(root, 'mine');
    await saveTokenizer(folder, trainBpe(['low lower lowest'], { vocabSize: 270 }));
    const [ofFolder, ofFile] = [
      await openTokenCounter(folder),
      await openTokenCounter(join(folder, 'tokenizer.json')),
    ];
    expect([ofFolder.name, ofFile.name]).toEqual(['mine', 'mine']);
    expect(ofFile.numTokens('lower')).toBe(ofFolder.numTokens('lower'));
    expect((await openTokenCounter('bytes')).numTokens('é')).toBe(2);
    expect((await openTokenCounter('r50k_base')).numTokens('a<|endoftext|>b')).toBeGreaterThan(3);
    await expect(openTokenCounter('gpt-5')).rejects.toThrow(/no tokenizer: give a folder/);
  });
});

describe("text of the user's own", () => {
  test('a table with a column for each language; other columns are named', async () => {
    const path = join(root, 'own.csv');
    await writeFile(path, 'id,en,my,note\n1,"Good day, friend",မင်္ဂလာပါ,x\n2,Thank you,,y\n');
    const { texts, notes } = await ownTexts(path, undefined);
    expect(texts).toEqual({ en: ['Good day, friend', 'Thank you'], my: ['မင်္ဂလာပါ', ''] });
    expect(notes.join(' ')).toContain('id, note');
    await expect(ownTexts(path, ['en', 'de'])).rejects.toThrow(/has no 'de'/);
  });

  test('a JSON Lines file', async () => {
    const path = join(root, 'own.jsonl');
    await writeFile(path, '{"en":"one two","de":"eins zwei"}\n{"en":"three","de":"drei"}\n');
    expect((await ownTexts(path, undefined)).texts).toEqual({
      en: ['one two', 'three'],
      de: ['eins zwei', 'drei'],
    });
  });

  test('a folder with files aligned by line; other numbers of lines are refused', async () => {
    const folder = join(root, 'lines');
    await mkdir(folder);
    await writeFile(join(folder, 'en.txt'), 'one\ntwo\n');
    await writeFile(join(folder, 'de.txt'), 'eins\r\nzwei');
    expect((await ownTexts(folder, undefined)).texts).toEqual({ de: ['eins', 'zwei'], en: ['one', 'two'] });
    await writeFile(join(folder, 'fr.txt'), 'un\n');
    await expect(ownTexts(folder, undefined)).rejects.toThrow(/different numbers of lines.*fr 1/);
  });

  test('an unknown language of the declaration gets a proposal', async () => {
    await expect(declarationTexts(['jpn_osak'], 'en')).rejects.toThrow(/did you mean 'jpn_osaka'/);
  });
});

describe('the page', () => {
  test('names and notes are text, never markup, and it asks for nothing outside', () => {
    const report = tokenPremium({ en: ['a b'], xx: ['a a a'] }, [
      { ...words, name: '<script>alert(1)</script>' },
    ]);
    const page = premiumPage(report, {
      texts: {},
      names: { xx: '<img src=x>' },
      description: 'a & b',
      notes: ['<b>'],
    });
    expect(page).not.toMatch(/<script|<img|<b>|<link|src="|href="|url\(/);
    expect(page).toContain('&lt;img src');
    expect(page).toContain('aria-label="&lt;script&gt;alert(1)&lt;/script&gt;: 1.50');
  });
});

test('the command prints every number as one line of JSON', async () => {
  const path = join(root, 'cli.jsonl');
  await writeFile(path, '{"en":"one two","de":"eins zwei drei"}\n{"en":"three","de":"vier fünf"}\n');
  const html = join(root, 'page.html');
  const written = process.stdout.write;
  let text = '';
  process.stdout.write = ((chunk: string) => {
    text += chunk;
    return true;
  }) as typeof process.stdout.write;
  try {
    await new Command('plinth')
      .addCommand(premiumCommand())
      .parseAsync(['premium', '--text', path, '--tokenizer', 'bytes', '--html', html, '--json'], {
        from: 'user',
      });
  } finally {
    process.stdout.write = written;
  }
  const result = JSON.parse(text);
  expect(result.tokenizers[0]).toMatchObject({
    tokenizer: 'bytes',
    languages: [{ tokens: 12 }, { tokens: 24 }],
  });
  expect(result).toMatchObject({ reference: 'en', pricePerMillion: 0.5, text: path });
});
