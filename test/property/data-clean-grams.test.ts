/** The incremental n-gram counts against a plain Map of joined words, and word cutting against Python-like splits. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Page } from '../../src/data/clean/page.ts';
import { repeatedGramShare, topGramShare } from '../../src/data/clean/repeated-grams.ts';
import { documentOf } from '../fixtures/data/cleaning.ts';

function pageOf(text: string): Page {
  const page = new Page();
  page.load(documentOf(text), text);
  return page;
}

/** Texts that repeat themselves: few words, and copies of stretches. */
const repetitive = fc
  .tuple(
    fc.array(fc.constantFrom('a', 'bb', 'c', 'the', 'é', '😀x', 'word'), { minLength: 0, maxLength: 40 }),
    fc.array(fc.tuple(fc.nat(60), fc.nat(30)), { maxLength: 4 }),
    fc.array(fc.string({ minLength: 1, maxLength: 6 }), { maxLength: 10 }),
  )
  .map(([words, copies, noise]) => {
    const all = [...words, ...noise.map((word) => word.replace(/\s/g, '_'))];
    for (const [from, length] of copies) all.push(...all.slice(from, from + length));
    return all.join(' ');
  });

const lengthOf = (word: string) => [...word].length;

function reference(text: string, n: number) {
  const words = text.split(' ').filter((word) => word !== '');
  const keys = Array.from({ length: Math.max(words.length - n + 1, 0) }, (_, i) =>
    JSON.stringify(words.slice(i, i + n)),
  );
  const counts = new Map<string, number>();
  for (const key of keys) counts.set(key, (counts.get(key) ?? 0) + 1);
  const characters = (from: number, to: number) =>
    words.slice(from, to).reduce((sum, word) => sum + lengthOf(word), 0);
  const all = characters(0, words.length);
  const covers = (isCovered: (key: string, index: number) => boolean) => {
    const covered = new Set<number>();
    keys.forEach((key, i) => {
      if (isCovered(key, i)) for (let k = 0; k < n; k++) covered.add(i + k);
    });
    return [...covered].reduce((sum, i) => sum + lengthOf(words[i]!), 0);
  };
  let top: string | undefined;
  for (const key of keys) if (top === undefined || counts.get(key)! > counts.get(top)!) top = key;
  const topAt = top === undefined ? 0 : keys.indexOf(top);
  const topCount = top === undefined ? 0 : counts.get(top)!;
  const seen = new Set<string>();
  let skipped = 0;
  for (let i = 0; i < keys.length; ) {
    if (seen.has(keys[i]!)) {
      skipped += characters(i, i + n);
      i += n;
    } else {
      seen.add(keys[i]!);
      i++;
    }
  }
  let overlapPart = 0;
  let overlapWhole = 0;
  keys.forEach((key, i) => {
    overlapWhole += characters(i, i + n);
    if (counts.get(key)! > 1) overlapPart += characters(i, i + n);
  });
  const numCharacters = lengthOf(text);
  const none = keys.length === 0;
  return {
    top: {
      paper: none || topCount < 2 ? 0 : covers((key) => key === top) / all,
      datatrove: none ? 0 : (topCount * (characters(topAt, topAt + n) + n - 1)) / numCharacters,
      dolma: none ? 0 : (topCount * characters(topAt, topAt + n)) / all,
    },
    repeated: {
      paper: none ? 0 : covers((key, i) => keys.indexOf(key) < i) / all,
      datatrove: none ? 0 : skipped / numCharacters,
      dolma: none ? 0 : overlapPart / overlapWhole,
    },
  };
}

describe('n-gram shares', () => {
  test('equal those of a Map of strings, for every n and way of counting', () => {
    const shared = new Page();
    fc.assert(
      fc.property(repetitive, (text) => {
        // The same page object again and again: nothing may be left over from the text before.
        shared.load(documentOf(text), text);
        for (let n = 2; n <= 10; n++) {
          const expected = reference(text, n);
          for (const variant of ['paper', 'datatrove', 'dolma'] as const) {
            const got = [
              topGramShare(shared, n, 'whitespace', variant),
              repeatedGramShare(shared, n, 'whitespace', variant),
            ];
            expect(got[0]).toBeCloseTo(expected.top[variant], 10);
            expect(got[1]).toBeCloseTo(expected.repeated[variant], 10);
          }
        }
      }),
      { numRuns: 150 },
    );
  });
});

/** Python's str.split and str.splitlines, written with sets. */
const pythonSpaces = new Set(
  [9, 10, 11, 12, 13, 28, 29, 30, 31, 32, 0x85, 0xa0, 0x1680, 0x2028, 0x2029, 0x202f, 0x205f, 0x3000].concat(
    Array.from({ length: 11 }, (_, i) => 0x2000 + i),
  ),
);
const pythonBreaks = new Set([10, 11, 12, 13, 28, 29, 30, 0x85, 0x2028, 0x2029]);

const odd = fc.string({
  unit: fc.constantFrom(
    ...['a', 'B', '1', '.', '"', ' ', '\n', '\r', '\t', '\v', '\f', '\u001c', '\u001e', '\u001f', '\u0085'],
    ...['\u00a0', '\u2028', '\u3000', 'é', '😀', '\ud83d', '\ude00', '\0', '’', '𝟘', '𐐀'],
  ),
  maxLength: 60,
});

describe('a page', () => {
  test('lines, words, characters and bytes are Python’s', () => {
    const shared = new Page();
    fc.assert(
      fc.property(odd, (text) => {
        shared.load(documentOf(text), text);
        const lines: string[] = [];
        const words: string[] = [];
        let line = '';
        let word = '';
        for (let i = 0; i < text.length; i++) {
          const code = text.charCodeAt(i);
          if (pythonBreaks.has(code)) {
            if (code === 13 && text.charCodeAt(i + 1) === 10) i++;
            lines.push(line);
            line = '';
          } else {
            line += text[i];
          }
          if (pythonSpaces.has(code)) {
            if (word !== '') words.push(word);
            word = '';
          } else {
            word += text[i];
          }
        }
        if (line !== '') lines.push(line);
        if (word !== '') words.push(word);
        expect(shared.splitLines()).toEqual(lines);
        expect(shared.numLines).toBe(lines.length);
        expect(shared.numCharacters).toBe(lengthOf(text));
        expect(shared.numBytes).toBe(new TextEncoder().encode(text).length);
        const cut = shared.words('whitespace');
        expect(cut.count).toBe(words.length);
        expect(cut.numCharacters).toBe(words.reduce((sum, one) => sum + lengthOf(one), 0));
        expect(cut.numWithLetter).toBe(words.filter((one) => /\p{L}/u.test(one)).length);
        expect(cut.numNonSymbol).toBe(words.filter((one) => /[^\p{P}\p{S}\p{Cc}]/u.test(one)).length);
        for (const one of words) {
          expect(cut.occurrences(one)).toBe(words.filter((other) => other === one).length);
        }
        const tokens = pageOf(text).words('tokens');
        expect(tokens.numCharacters).toBe(cut.numCharacters);
        expect(tokens.count).toBeGreaterThanOrEqual(cut.count);
      }),
      { numRuns: 400 },
    );
  });
});

describe('a page whose text changes', () => {
  test('is the same as one that begins with that text', () => {
    const changed = new Page();
    fc.assert(
      fc.property(odd, fc.nat(60), (text, at) => {
        changed.load(documentOf(text), text);
        // Some features are computed before the change, as rules do.
        changed.words('whitespace').grams.level(2);
        changed.words('tokens');
        expect(changed.lower).toBe(text.toLowerCase());
        const next = at % 2 === 0 ? text.trimEnd() : text.slice(0, at);
        changed.change(next);
        const fresh = pageOf(next);
        const state = (page: Page) => ({
          text: page.text,
          length: page.length,
          codes: [...page.codes.subarray(0, page.length)],
          numBytes: page.numBytes,
          numCharacters: page.numCharacters,
          numLines: page.numLines,
          lines: page.splitLines(),
          lineEnds: [...page.lineEnds.subarray(0, page.numNewlines + 1)],
          lower: page.lower,
          words: (['whitespace', 'tokens'] as const).map((kind) => {
            const words = page.words(kind);
            return [...words.ids.subarray(0, words.count)];
          }),
        });
        expect(state(changed)).toEqual(state(fresh));
      }),
      { numRuns: 300 },
    );
  });
});
