/** Evaluation items in training data: against a search through sets of n-grams, and what is done about them. */
import { mkdtemp, rm, truncate } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { ConfigError, DataError, FormatError, LimitError } from '../../src/core/errors.ts';
import {
  ContaminationIndex,
  Decontaminator,
  type DecontaminatorOptions,
  openContaminationIndex,
  saveContaminationIndex,
} from '../../src/data/dedup/index.node.ts';
import type { Document } from '../../src/data/document.ts';
import { speeches } from '../fixtures/data/speeches.ts';

const documentOf = (text: string): Document => ({ id: 'd', text, source: 's', meta: { kept: true } });
const items = (...texts: string[]) => texts.map((text, i) => ({ id: `item ${i}`, text }));
const counted = (count: number, prefix = 'w'): string =>
  Array.from({ length: count }, (_, i) => `${prefix}${String.fromCharCode(97 + i)}`).join(' ');

describe('an index of n-grams', () => {
  test('finds what a search through sets finds, for any texts', async () => {
    const word = fc.constantFrom(
      'a',
      'b',
      'B,',
      'c',
      'é',
      'e',
      '12',
      '7',
      '中',
      '文',
      'a-b',
      '—',
      '\ud800',
      '😀',
    );
    const text = fc.array(word, { maxLength: 30 }).map((words) => words.join(' '));
    const texts = fc.oneof(text, fc.string({ unit: 'binary', maxLength: 60 }));
    const wordsOf = (each: string): string[] =>
      each
        .toLowerCase()
        // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are no part of words.
        .replace(/[!-/:-@[-`{-~—\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f]/g, '')
        .normalize('NFD')
        .replace(/\p{Mn}/gu, '')
        .replace(/\p{Nd}+/gu, '0')
        .replace(/[中文]/g, ' $& ')
        // biome-ignore lint/suspicious/noControlCharactersInRegex: white space to Python.
        .split(/[\s\x1c-\x1f\x85]+/)
        .filter((each) => each !== '');
    const gramsOf = (words: readonly string[], length: number): string[] =>
      Array.from({ length: Math.max(0, words.length - length + 1) }, (_, i) =>
        words.slice(i, i + length).join(' '),
      );
    await fc.assert(
      fc.asyncProperty(
        fc.array(text, { minLength: 1, maxLength: 5 }),
        texts,
        fc.integer({ min: 1, max: 6 }),
        async (evaluation, training, n) => {
          const minWords = Math.min(2, n);
          const wanted = evaluation.map(wordsOf);
          if (wanted.every(({ length }) => length < minWords)) return;
          const index = await ContaminationIndex.build(items(...evaluation), { n, minWords });
          const words = wordsOf(training);
          const starts = new Map<number, string[]>();
          wanted.forEach((itemWords, i) => {
            if (itemWords.length < minWords) return;
            const length = Math.min(n, itemWords.length);
            const grams = new Set(gramsOf(itemWords, length));
            gramsOf(words, length).forEach((gram, at) => {
              if (grams.has(gram)) starts.set(at, [...(starts.get(at) ?? []), `item ${i}`]);
            });
          });
          const match = index.check({ text: training });
          if (starts.size === 0) {
            expect(match).toBeNull();
            expect(index.matches({ text: training })).toEqual([]);
            return;
          }
          const first = Math.min(...starts.keys());
          expect(match).not.toBeNull();
          expect(starts.get(first)).toContain(match!.item);
          expect(training.slice(match!.position, match!.end)).toBe(match!.ngram);
          expect(wordsOf(match!.ngram).join(' ')).toBe(
            words.slice(first, first + wordsOf(match!.ngram).length).join(' '),
          );
          // Together the matches cover the words of every n-gram found, and nothing else.
          const covered = index.matches({ text: training }).flatMap(({ ngram }) => wordsOf(ngram)).length;
          const expected = new Set<number>();
          wanted.forEach((itemWords) => {
            if (itemWords.length < minWords) return;
            const length = Math.min(n, itemWords.length);
            const grams = new Set(gramsOf(itemWords, length));
            gramsOf(words, length).forEach((gram, at) => {
              if (grams.has(gram)) for (let k = 0; k < length; k++) expected.add(at + k);
            });
          });
          expect(covered).toBe(expected.size);
        },
      ),
      { numRuns: 200 },
    );
  });

  test('by 12 words, whatever case, accents, punctuation and numbers', async () => {
    const question = 'In which year, 1867 or 1905, did the Café Procope in Paris first open its doors?';
    const index = await ContaminationIndex.build(items(question));
    const copy = '... IN WHICH YEAR -- 3 OR 44 -- DID THE "CAFE" PROCOPE IN\n\nPARIS, FIRST open';
    expect(index.check({ text: `Read this: ${copy} Yes.` })).toEqual({
      item: 'item 0',
      ngram: copy.slice(4, copy.indexOf(',')),
      position: 11 + 4,
      end: 11 + copy.indexOf(','),
    });
    expect(
      index.check({ text: 'In which year, 1867 or 1905, did the Café Procope in London first' }),
    ).toBeNull();
  });

  test('finds every passage planted in real text, and none where there is none', async () => {
    const [evaluation, ...training] = speeches(12);
    const words = evaluation!.split(/\s+/);
    const passages = Array.from({ length: 40 }, (_, i) => words.slice(30 * i, 30 * i + 25).join(' '));
    const index = await ContaminationIndex.build(items(...passages));
    expect(index.counts).toEqual({ items: 40, ngrams: 40 * 14, shortItems: 0, tooShortItems: 0 });
    for (const text of training) expect(index.check({ text })).toBeNull();
    passages.forEach((passage, i) => {
      const host = training[i % training.length]!;
      const cut = Math.floor((host.length * (i + 1)) / 42);
      const text = `${host.slice(0, cut)} ${passage} ${host.slice(cut)}`;
      expect(index.check({ text })?.item).toBe(`item ${i}`);
      expect(index.matches({ text })).toHaveLength(1);
      expect(index.matches({ text })[0]!.ngram).toContain(passage.slice(2, -2));
    });
  });

  test('looks for items of 8 to 11 words as a whole and counts shorter ones', async () => {
    const index = await ContaminationIndex.build(items(counted(9), counted(7), counted(12), 'no', ''));
    expect(index.counts).toEqual({ items: 5, ngrams: 2, shortItems: 1, tooShortItems: 3 });
    expect(index.check({ text: `x ${counted(9, 'W')} y` })?.ngram).toBe(counted(9, 'W'));
    expect(index.check({ text: `x ${counted(8)} y` })).toBeNull();
    const all = await ContaminationIndex.build(items(counted(9), counted(7), 'no'), { minWords: 1 });
    expect(all.counts).toMatchObject({ shortItems: 3, tooShortItems: 0 });
    expect(all.check({ text: 'Yes and no.' })?.item).toBe('item 2');
  });

  test('counts characters of scripts without spaces as words', async () => {
    const index = await ContaminationIndex.build(items('人人生而自由在尊严和权利上一律平等'));
    const match = index.check({ text: '他说：人人生而自由，在尊严和权利上。' });
    expect(match?.ngram).toBe('人人生而自由，在尊严和权利');
    expect(index.check({ text: '人人生而自由，在尊严' })).toBeNull();
  });

  test('does not take one n-gram for another among hundreds of thousands', async () => {
    const words = (from: number): string =>
      Array.from({ length: 300_000 }, (_, i) =>
        (from + i).toString(26).replace(/\d/g, (digit) => 'qrstuvwxyz'[Number(digit)]!),
      ).join(' ');
    const index = await ContaminationIndex.build(items(words(1e6)));
    expect(index.counts.ngrams).toBe(300_000 - 11);
    // By 32 bits alone 300,000^2 / 2^32 = 21 would match by chance.
    expect(index.matches({ text: words(2e6) })).toEqual([]);
  });

  test('is bounded, and refuses what cannot work', async () => {
    function* many() {
      for (let i = 0; i < 3000; i++)
        yield {
          id: `${i}`,
          text: `${counted(11)} q${i.toString(26).replace(/\d/g, 'x')}${'y'.repeat(i % 50)}`,
        };
    }
    await expect(ContaminationIndex.build(many(), { memoryBytes: 20_000 })).rejects.toThrow(LimitError);
    expect((await ContaminationIndex.build(many())).counts.items).toBe(3000);
    await expect(ContaminationIndex.build(items('too short'))).rejects.toThrow(DataError);
    await expect(ContaminationIndex.build([])).rejects.toThrow(/nothing to look for/);
    await expect(ContaminationIndex.build(items('a'), { n: 0 })).rejects.toThrow(ConfigError);
  });

  const folders: string[] = [];
  afterAll(() => Promise.all(folders.map((folder) => rm(folder, { recursive: true, force: true }))));

  test('is saved and opened again', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'plinth-decontaminate-'));
    folders.push(folder);
    const path = join(folder, 'evaluation.index');
    const index = await ContaminationIndex.build(items(counted(20), counted(9, 'z')), { n: 11 });
    await saveContaminationIndex(path, index);
    const opened = await openContaminationIndex(path);
    expect(opened.counts).toEqual(index.counts);
    for (const text of [`x ${counted(12)} x`, `x ${counted(9, 'z')}`, counted(10)]) {
      expect(opened.check({ text })).toEqual(index.check({ text }));
    }
    await truncate(path, 100);
    await expect(openContaminationIndex(path)).rejects.toThrow(FormatError);
  });
});

describe('a contaminated document', () => {
  const passage = counted(14);
  const long = (letter: string, length: number): string => `${letter} `.repeat(length / 2).trim();
  async function decontaminate(text: string, options: DecontaminatorOptions = {}) {
    const index = await ContaminationIndex.build(items(passage, counted(12, 'v')));
    const decontaminator = new Decontaminator(index, options);
    return { verdict: decontaminator.apply(documentOf(text)), decontaminator };
  }

  test('is dropped with the item and the passage told', async () => {
    const { verdict, decontaminator } = await decontaminate(`Intro. ${passage}.`);
    expect(verdict).toEqual({
      kept: false,
      rule: 'contaminated',
      detail: `has "${counted(12)}" of evaluation item 'item 0' at character 7`,
    });
    expect(decontaminator.counts).toEqual({
      documents: { in: 1, out: 0 },
      bytes: { in: 8 + passage.length, out: 0 },
      contaminated: { documents: 1, dropped: 1, shortened: 0, passages: 0, discardedPieces: 0 },
    });
    expect([...decontaminator.foundItems]).toEqual([['item 0', 1]]);
  });

  test('that is clean stays the same object', async () => {
    const document = documentOf(counted(11));
    const index = await ContaminationIndex.build(items(passage));
    const verdict = new Decontaminator(index).apply(document);
    expect(verdict).toEqual({ kept: true, documents: [document] });
    expect(verdict.kept && verdict.documents[0]).toBe(document);
  });

  test('loses the passage, 200 characters on each side and pieces below 200', async () => {
    const text = `${long('k', 600)} ${passage} ${long('l', 500)} ${counted(12, 'v')} ${long('m', 900)}`;
    const { verdict, decontaminator } = await decontaminate(text, { action: 'remove-passage' });
    expect(verdict.kept).toBe(true);
    if (!verdict.kept) return;
    // 599 - 199 characters before, 499 - 2 x 199 between (too few), 899 - 199 after.
    expect(
      verdict.documents.map(({ id, text: left, meta }) => [id, left.length, new Set(left).size, meta]),
    ).toEqual([
      ['d#1', 399, 2, { kept: true }],
      ['d#2', 699, 2, { kept: true }],
    ]);
    expect(decontaminator.counts.contaminated).toEqual({
      documents: 1,
      dropped: 0,
      shortened: 1,
      passages: 2,
      discardedPieces: 1,
    });
    expect(decontaminator.counts.documents).toEqual({ in: 1, out: 2 });
    expect(decontaminator.counts.bytes).toEqual({ in: text.length, out: 399 + 699 });
  });

  test('is dropped when it falls into more than ten pieces or little is left', async () => {
    const parts = Array.from({ length: 12 }, () => long('k', 700)).join(` ${passage} `);
    const many = await decontaminate(parts, { action: 'remove-passage' });
    expect(many.verdict).toMatchObject({ kept: false, detail: expect.stringContaining('12 pieces') });
    const little = await decontaminate(`${passage} ${long('k', 300)}`, { action: 'remove-passage' });
    expect(little.verdict).toMatchObject({ kept: false, detail: expect.stringContaining('little else') });
    expect(little.decontaminator.counts.contaminated.dropped).toBe(1);
  });

  test('has no trace of the items afterwards, for any text', async () => {
    const index = await ContaminationIndex.build(items(counted(5)), { n: 3, minWords: 3 });
    const part = fc.constantFrom(...counted(5).split(' '), 'other', '😀', 'Wa', 'wb,', '中');
    await fc.assert(
      fc.property(fc.array(part, { maxLength: 60 }), fc.integer({ min: 0, max: 12 }), (parts, window) => {
        const decontaminator = new Decontaminator(index, {
          action: 'remove-passage',
          windowCharacters: window,
          minPieceCharacters: 1,
          maxPieces: 1000,
        });
        const verdict = decontaminator.apply(documentOf(parts.join(' ')));
        for (const document of verdict.kept ? verdict.documents : []) {
          expect(index.check(document)).toBeNull();
          expect(document.text).toBe(document.text.toWellFormed());
        }
      }),
    );
  });
});
