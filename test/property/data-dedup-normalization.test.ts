/** Folding by table, against the reference normalizations written as whole-string operations. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Folding, TextFolder } from '../../src/data/dedup/index.ts';

const ccNet = '，。、„”“«»１」「《》´∶：？！（）；–—．～’…━〈〉【】％►';
const ascii = '!"#$%&\'()*+,-./:;<=>?@[\\]^_`{|}~';
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are removed.
const control = /[\x00-\x1f\x7f-\x9f]/g;
// biome-ignore lint/suspicious/noControlCharactersInRegex: Python's white space.
const space = /[\s\x1c-\x1f\x85]+/g;
const without = (text: string, set: string): string => [...text].filter((c) => !set.includes(c)).join('');
const lower = (text: string): string => text.toLowerCase().replaceAll('ς', 'σ');

const reference: Record<Folding, (text: string) => string> = {
  datatrove(text) {
    const plain = without(lower(text).replace(space, ' '), ccNet + ascii).replace(control, '');
    return plain
      .normalize('NFD')
      .replace(/\p{Mn}/gu, '')
      .replace(/\p{Nd}+/gu, '0');
  },
  'text-dedup': (text) => lower(text).replace(/[^\p{L}\p{N}_]/gu, ' '),
  'cc-net': (text) => without(lower(text).replace(/\p{Nd}/gu, '0'), ccNet).replace(control, ''),
  c4: lower,
  none: (text) => text.replace(space, ' '),
};

const pieces = fc.constantFrom(
  ...[
    'a',
    'Z',
    ' ',
    '\n',
    '\t',
    '7',
    '42',
    '-',
    '—',
    '…',
    '１',
    '٣',
    'é',
    'e\u0301',
    'İ',
    'Σ',
    'ς',
    '한',
    'ΐ',
  ],
  ...['中', '文', 'か', 'ไ', '\u00a0', '\u0085', '\u200b', '\u0000', '😀', '𝟜', '𝒜', '\ud800', '\udc00', '𐐀'],
);
const texts = fc.oneof(
  fc.array(pieces, { maxLength: 40 }).map((parts) => parts.join('')),
  fc.string({ unit: 'binary', maxLength: 60 }),
  fc.string({ unit: 'grapheme', maxLength: 60 }),
);
const collapsed = (text: string): string => text.replace(/ +/g, ' ');

describe.each(Object.keys(reference) as Folding[])('the %s normalization', (folding) => {
  const folder = new TextFolder(folding);
  const keepsSpaces = folding === 'cc-net' || folding === 'c4';

  test('is that of the reference for any text', () => {
    fc.assert(
      fc.property(texts, (text) => {
        const expected = reference[folding](text);
        const got = folder.fold(text).toString();
        expect(keepsSpaces ? got : collapsed(got)).toBe(keepsSpaces ? expected : collapsed(expected));
      }),
      { numRuns: 1000 },
    );
  });

  test('says for each character where it comes from', () => {
    fc.assert(
      fc.property(texts, (text) => {
        const positions: number[] = [];
        const length = folder.fold(text, 0, text.length, positions).length;
        expect(positions.slice(0, length)).toHaveLength(length);
        for (let i = 1; i < length; i++) expect(positions[i]).toBeGreaterThanOrEqual(positions[i - 1]!);
        // Folding from a character's place on gives the rest again, where no run of spaces or digits was cut.
        const at = positions[Math.floor(length / 2)];
        if (at === undefined) return;
        const rest = new TextFolder(folding).fold(text, at).toString();
        expect(folder.fold(text).toString().endsWith(rest)).toBe(true);
      }),
    );
  });
});

test('words of datatrove lose case, accents, punctuation and digits', () => {
  const folder = new TextFolder('datatrove');
  expect(folder.fold("It's  the Café,\n1,000.50 km—away!").toString()).toBe('its the cafe 0 kmaway');
});
