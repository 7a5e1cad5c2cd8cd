/** Language identification: when there is no answer, what the script decides, lines, documents, damaged files. */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { udhrParagraphs } from '../../bench/udhr-paragraphs.ts';
import { FormatError, PlinthError } from '../../src/core/errors.ts';
import {
  LanguageIdentifier,
  languageName,
  loadLanguageIdentifier,
} from '../../src/data/language/index.node.ts';

const ENGLISH = 'All human beings are born free and equal in dignity and rights, and should act as brothers.';
const FRENCH =
  'Tous les êtres humains naissent libres et égaux en dignité et en droits, et doivent agir en frères.';
const BURMESE = 'လူတိုင်းသည် တူညီ လွတ်လပ်သော ဂုဏ်သိက္ခာဖြင့် လည်းကောင်း၊';

let identifier: LanguageIdentifier;
let model: Uint8Array;

beforeAll(async () => {
  identifier = await loadLanguageIdentifier();
  const main = createRequire(import.meta.url).resolve('fasttext.wasm.js');
  model = readFileSync(join(dirname(main), '../models/language-identification/assets/lid.176.ftz'));
});

test('knows 176 languages and names them in English', () => {
  expect(identifier.languages).toHaveLength(176);
  expect(identifier.languages).toContain('my');
  expect(languageName('my')).toBe('Burmese');
  expect(languageName('als')).toBe('Alemannic');
  expect(languageName('no such code')).toBe('no such code');
  expect(identifier.languages.filter((code) => languageName(code) === code)).toEqual([]);
});

describe('unknown', () => {
  test.each(['', ' \n\t', '12345', '+-*/ ... !?', '🙂 👍🏽', '①②③', '\u0301\u0302'])(
    '%j has no letters',
    (text) => {
      expect(identifier.identify(text)).toEqual({ language: 'unknown', score: 0 });
    },
  );

  test('a script that no language of the model is written in', () => {
    for (const text of ['ᏣᎳᎩ ᎦᏬᏂᎯᏍᏗ', 'ⴰⵎⴰⵣⵉⵖ ⵜⴰⵎⴰⵣⵉⵖⵜ', 'ᐃᓄᒃᑎᑐᑦ', 'ߒߞߏ']) {
      expect(identifier.identify(text)).toEqual({ language: 'unknown', score: 0 });
    }
  });

  test('a score below minScore, with the score that was not enough', () => {
    const { score } = identifier.identify('xq zvkw', { minScore: 0 });
    expect(identifier.identify('xq zvkw', { minScore: 0.99 })).toEqual({ language: 'unknown', score });
    expect(() => identifier.identify('x', { minScore: 2 })).toThrow(
      /minScore is 2; expected a number from 0 to 1/,
    );
  });
});

describe('the script', () => {
  test.each([
    ['ka', 'გამარჯობა'],
    ['hy', 'բարեւ'],
    ['km', 'សួស្តី'],
    ['lo', 'ສະບາຍດີ'],
    ['th', 'ดี'],
    ['my', 'ဟုတ်ကဲ့'],
    ['bo', 'བཀྲ་ཤིས་'],
    ['am', 'ሰላም'],
    ['el', 'ναι'],
    ['ko', '안녕'],
    ['ja', 'ありがとう'],
    ['zh', '谢谢你们'],
    ['he', 'שלום חברים'],
  ])('%s comes out for %s', (language, text) => {
    expect(identifier.identify(text).language).toBe(language);
  });

  test('a language alone in its script is right in every paragraph of its declaration', () => {
    const alone = new Set('hy th lo km my si ta te ml gu pa am el ko dv ja'.split(' '));
    const paragraphs = udhrParagraphs(new Set(identifier.languages)).filter((p) =>
      alone.has(p.language ?? ''),
    );
    expect(new Set(paragraphs.map(({ language }) => language)).size).toBe(alone.size);
    const wrong = paragraphs.filter((p) => identifier.identify(p.text).language !== p.language);
    expect(wrong).toEqual([]);
  });

  test('does not decide when it has less than 80 % of the letters', () => {
    const text = `${ENGLISH} ${ENGLISH} Σ α β`;
    expect(identifier.identify(text)).toEqual(identifier.top(text, 1)[0]);
  });

  test('never takes an answer away from fastText that the script allows', () => {
    for (const { text, language } of udhrParagraphs(new Set(identifier.languages))) {
      if (language === undefined || text.length % 20 !== 0) continue;
      const [raw] = identifier.top(text, 1);
      const { language: ours } = identifier.identify(text, { minScore: 0 });
      if (raw!.language === language) expect(ours, text).toBe(language);
    }
  });
});

describe('lines', () => {
  test('come with their number and place; empty ones are passed over, short ones unknown', () => {
    const text = `${ENGLISH}\r\n\n  \nYes, ok.\n${BURMESE}\nကလေး\n${FRENCH}`;
    const lines = identifier.identifyLines(text);
    expect(lines.map(({ line, language }) => [line, language])).toEqual([
      [1, 'en'],
      [4, 'unknown'],
      [5, 'my'],
      [6, 'my'],
      [7, 'fr'],
    ]);
    const slices = lines.map(({ start, end }) => text.slice(start, end));
    expect(slices).toEqual([ENGLISH, 'Yes, ok.', BURMESE, 'ကလေး', FRENCH]);
  });

  test('a document of one language', () => {
    const found = identifier.identifyDocument(`${ENGLISH}\n\nShort.\n${ENGLISH}\n`);
    expect(found.language).toBe('en');
    expect(found.score).toBeGreaterThan(0.9);
    expect(found.shares).toEqual([{ language: 'en', share: 1 }]);
    expect(found.unknownShare).toBeCloseTo(6 / (2 * ENGLISH.length + 6), 10);
  });

  test('a document of two languages is mixed until one has the wanted share of the bytes', () => {
    const text = `${ENGLISH}\n${FRENCH}\n${ENGLISH}`;
    const found = identifier.identifyDocument(text);
    expect(found.language).toBe('mixed');
    expect(found.shares.map(({ language }) => language)).toEqual(['en', 'fr']);
    const frenchBytes = new TextEncoder().encode(FRENCH).length;
    expect(found.shares[1]!.share).toBeCloseTo(frenchBytes / (frenchBytes + 2 * ENGLISH.length), 10);
    expect(found.score).toBe(found.shares[0]!.share);
    expect(identifier.identifyDocument(text, { minShare: 0.6 }).language).toBe('en');
    expect(identifier.identifyDocument(`${`${ENGLISH}\n`.repeat(6)}${FRENCH}`).language).toBe('en');
  });

  test('a document whose lines are all short is judged as a whole; one without letters is unknown', () => {
    const words = ENGLISH.split(' ').join('\n');
    expect(identifier.identifyDocument(words)).toMatchObject({ language: 'en', shares: [], unknownShare: 1 });
    expect(identifier.identifyDocument('1\n2\n')).toMatchObject({
      language: 'unknown',
      score: 0,
      shares: [],
    });
    expect(identifier.identifyDocument('')).toMatchObject({
      language: 'unknown',
      lines: [],
      unknownShare: 0,
    });
  });

  test('neighbours of a language do not make its declaration mixed', () => {
    const declarations = new Map<string, string>();
    for (const { code, text } of udhrParagraphs(new Set(identifier.languages))) {
      declarations.set(code, `${declarations.get(code) ?? ''}${text}\n`);
    }
    for (const [code, language] of Object.entries({
      nob: 'no',
      dan: 'da',
      ces: 'cs',
      slk: 'sk',
      ukr: 'uk',
      por_PT: 'pt',
    })) {
      expect(identifier.identifyDocument(declarations.get(code)!).language).toBe(language);
    }
  });
});

test('any text has an answer, and it does not depend on what was asked before', async () => {
  const other = await loadLanguageIdentifier();
  // More different words than the word cache holds, so that it is emptied in between.
  other.identify(Array.from({ length: 70_000 }, (_, i) => `w${i.toString(36)}`).join(' '));
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 200 }), fc.nat(60_000), (text, unit) => {
      const odd = `${text}${String.fromCharCode(unit)} ${text.slice(0, 5)}`;
      const guess = identifier.identify(odd);
      expect(guess.score).toBeGreaterThanOrEqual(0);
      expect(guess.score).toBeLessThanOrEqual(1);
      expect(other.identify(odd)).toEqual(guess);
      expect(identifier.identify(odd)).toEqual(guess);
      identifier.identifyDocument(odd);
    }),
    { numRuns: 200 },
  );
});

describe('a damaged model file', () => {
  test('cut short anywhere is a FormatError', () => {
    for (let i = 0; i < 50; i++) {
      const cut = Math.floor((model.length - 1) * (i / 49) ** 3);
      expect(() => LanguageIdentifier.fromBytes(model.subarray(0, cut))).toThrow(FormatError);
    }
  });

  test('with wrong numbers in its head is refused or read, never a crash', () => {
    for (let at = 0; at < 100; at++) {
      const bytes = model.slice();
      bytes[at]! ^= 0x81;
      try {
        LanguageIdentifier.fromBytes(bytes).identify(ENGLISH);
      } catch (error) {
        expect(error).toBeInstanceOf(PlinthError);
      }
    }
  });

  test('of another kind says what was expected', () => {
    expect(() => LanguageIdentifier.fromBytes(new TextEncoder().encode('{"model": {}}'))).toThrow(
      /Not a fastText model: .* Give the file lid\.176\.ftz/,
    );
  });
});
