/**
 * Gopher's rules on the texts of datatrove's own tests (huggingface/datatrove, tests/pipeline/test_filters.py, at
 * b34d9abca2ea033ea9f1e4ee7a54a76b96ddd88c), and on texts whose shares are counted by hand.
 */
import { describe, expect, test } from 'vitest';
import { Page } from '../../src/data/clean/page.ts';
import type { WordKind } from '../../src/data/clean/page-words.ts';
import { repeatedGramShare, topGramShare } from '../../src/data/clean/repeated-grams.ts';
import { repeatedLines, repeatedParagraphs } from '../../src/data/clean/repeated-spans.ts';
import { documentOf, dropRule } from '../fixtures/data/cleaning.ts';

const frodo =
  "I wish it need not have happened in my time,' said Frodo. 'So do I,' said Gandalf, 'and so do all who live to " +
  'see such times. But that is not for them to decide. All we have to decide is what to do with the time that is ' +
  "given us.'";

const noUrlOrLanguage = [
  { rule: 'fineweb-url', off: true },
  { rule: 'fineweb-language', off: true },
];

function pageOf(text: string): Page {
  const page = new Page();
  page.load(documentOf(text), text);
  return page;
}

describe('datatrove’s repetition texts', () => {
  const wizard = 'I am groot.\n\nYou are a wizard.\n\nI am your father.\n\n';
  const texts: [string, string, string][] = [
    ['dup_line_frac', 'I am your father.\n'.repeat(4), 'gopher-duplicate-lines'],
    ['dup_para_frac', 'I am your father.\n\n'.repeat(4), 'gopher-duplicate-paragraphs'],
    [
      'dup_para_char_frac',
      `${wizard}${`${'x'.repeat(30)}.\n\n`.repeat(2)}`,
      'gopher-duplicate-paragraph-characters',
    ],
    [
      'dup_line_char_frac',
      `I am groot.\nYou are a wizard.\nI am your father.\n${`${'x'.repeat(40)}.\n`.repeat(2)}`,
      'gopher-duplicate-line-characters',
    ],
    ['top_2_gram', 'I am Frank, I am Frank, I am Frank', 'gopher-top-2-gram'],
    ['top_3_gram', 'I am Frank, you are Jhon. I am Frank. I am Frank you are Jhon', 'gopher-top-3-gram'],
    ['duplicated_5_n_grams', `${'I am a solo traveller '.repeat(4)}${frodo}`, 'gopher-duplicate-5-grams'],
  ];

  test.each(texts)('fineweb says what datatrove says: %s', (_, text, rule) => {
    expect(dropRule(text, { name: 'fineweb-here', extends: ['fineweb'], rules: noUrlOrLanguage })).toBe(rule);
  });

  // By white space "Frank," and "Frank." differ, so no 3-gram of the sixth text repeats; the 2-gram holds 9 of 47
  // characters. The paper's count keeps it.
  test.each(texts.filter(([name]) => name !== 'top_3_gram'))(
    'gopher-repetition by the paper agrees: %s',
    (_, text, rule) => {
      expect(dropRule(text, 'gopher-repetition')).toBe(rule);
    },
  );

  test('by the paper the text with three different 3-grams stays', () => {
    const page = pageOf(texts[5]![1]);
    expect(topGramShare(page, 2, 'whitespace', 'paper')).toBeCloseTo(9 / 47, 12);
    expect(topGramShare(page, 3, 'whitespace', 'paper')).toBe(0);
    expect(dropRule(texts[5]![1], 'gopher-repetition')).toBe(null);
  });
});

describe('datatrove’s quality texts', () => {
  const sets = ['tokens', 'whitespace'].map((words) => ({
    name: words,
    extends: ['gopher'],
    rules: [
      { rule: 'gopher-word-count', minWords: 10, maxWords: 1000, words },
      { rule: 'gopher-mean-word-length', words },
      { rule: 'gopher-symbol-ratio', words },
      { rule: 'gopher-alphabetic-words', words },
      { rule: 'gopher-stop-words', words },
    ],
  }));

  test.each([
    ['gopher_short_doc', 'I am too small...', 'gopher-word-count'],
    ['gopher_below_avg_threshold', 'I am '.repeat(20), 'gopher-mean-word-length'],
    ['gopher_above_avg_threshold', 'interconnection '.repeat(20), 'gopher-mean-word-length'],
    ['gopher_too_many_hashes', '# comment '.repeat(20), 'gopher-symbol-ratio'],
    ['gopher_too_many_ellipsis', '... comment '.repeat(20), 'gopher-symbol-ratio'],
    [
      'gopher_below_alpha_threshold',
      'the ./!*?<><> apple <?////> orange  ++ interconnection !<>??? have'.repeat(20),
      'gopher-alphabetic-words',
    ],
    ['kept', frodo, null],
  ])('%s', (_, text, rule) => {
    for (const set of sets) expect([set.name, dropRule(text, set)]).toEqual([set.name, rule]);
  });

  test('a detail gives the value and the threshold', () => {
    const long = 'the interconnections of internationalization and commercialization '.repeat(10);
    expect(dropRule(long, 'gopher')).toBe('gopher-mean-word-length');
  });
});

describe('shares counted by hand', () => {
  // 12 words, 30 characters: the 5-gram "aa bb cc dd ee" (10 characters) twice, "xxx", "yyyyyyy".
  const text = 'aa bb cc dd ee xxx aa bb cc dd ee yyyyyyy';
  const shares = (n: number, kind: WordKind = 'whitespace') => {
    const page = pageOf(text);
    return (['paper', 'datatrove', 'dolma'] as const).map((variant) =>
      repeatedGramShare(page, n, kind, variant),
    );
  };

  test('duplicate 5-grams', () => {
    // 8 five-grams have 12, 11+... characters: the whole for dolma is the sum over all eight.
    const lengths = [2, 2, 2, 2, 2, 3, 2, 2, 2, 2, 2, 7];
    let whole = 0;
    for (let i = 0; i + 5 <= 12; i++) whole += lengths.slice(i, i + 5).reduce((a, b) => a + b);
    const [paper, datatrove, dolma] = shares(5);
    expect(paper).toBeCloseTo(10 / 30, 12);
    expect(datatrove).toBeCloseTo(10 / text.length, 12);
    expect(dolma).toBeCloseTo(20 / whole, 12);
    expect(shares(6)).toEqual([0, 0, 0]);
  });

  test('overlapping copies count each character once', () => {
    // Ten times "ab": every 5-gram after the first is a copy; they cover words 2 to 10.
    const page = pageOf('ab '.repeat(10).trim());
    expect(repeatedGramShare(page, 5, 'whitespace', 'paper')).toBeCloseTo(18 / 20, 12);
    // datatrove: one seen at 0, then jumps over 1-5; the next at 6 does not fit: 10 of 29 characters.
    expect(repeatedGramShare(page, 5, 'whitespace', 'datatrove')).toBeCloseTo(10 / 29, 12);
    expect(topGramShare(page, 2, 'whitespace', 'paper')).toBe(1);
    // datatrove: 9 occurrences of "ab ab", 5 characters each, of 29.
    expect(topGramShare(page, 2, 'whitespace', 'datatrove')).toBeCloseTo(45 / 29, 12);
  });

  test('the earliest of several top n-grams, and lengths in characters', () => {
    const page = pageOf('é😀 b c d e é😀 b c d e');
    // "é😀 b": 3 characters of 12, twice.
    expect(topGramShare(page, 2, 'whitespace', 'paper')).toBeCloseTo(6 / 12, 12);
    expect(page.numCharacters).toBe(21);
    expect(topGramShare(page, 2, 'whitespace', 'datatrove')).toBeCloseTo((2 * 4) / 21, 12);
  });

  test('lines and paragraphs', () => {
    const page = pageOf('one\ntwo\n\none\n\ntwo\n');
    // Paper: one, two, one, two. datatrove: and an empty piece at the end. dolma: every line, empty ones too.
    expect(repeatedLines(page, 'paper')).toEqual({ spans: 2 / 4, characters: 6 / 12 });
    expect(repeatedLines(page, 'datatrove')).toEqual({ spans: 2 / 5, characters: 6 / 18 });
    expect(repeatedLines(page, 'dolma')).toEqual({ spans: 1, characters: 1 });
    expect(repeatedParagraphs(pageOf('a b\n\nc\n\n\na b\n'), 'paper')).toEqual({
      spans: 1 / 3,
      characters: 3 / 7,
    });
  });
});

describe('words', () => {
  const cut = (text: string, kind: WordKind) => {
    const words = pageOf(text).words(kind);
    return { count: words.count, numCharacters: words.numCharacters, numWithLetter: words.numWithLetter };
  };

  test('by white space and as tokens', () => {
    const text = '"Well," he said... (don\'t go!) 3.5';
    expect(cut(text, 'whitespace')).toEqual({ count: 6, numCharacters: 29, numWithLetter: 5 });
    // " Well , " he said ... ( don't go ! ) 3.5
    expect(cut(text, 'tokens')).toEqual({ count: 13, numCharacters: 29, numWithLetter: 5 });
  });

  test('scripts without spaces are cut into words', () => {
    expect(pageOf('我是一个学生。').words('whitespace').count).toBeGreaterThan(3);
    expect(pageOf('ภาษาไทยเขียนติดกัน').words('tokens').count).toBeGreaterThan(2);
    expect(pageOf('မြန်မာဘာသာစကား').words('tokens').count).toBeGreaterThan(1);
    expect(pageOf('コーヒー').words('tokens').count).toBe(1);
    expect(pageOf('한국어는 띄어쓰기를 합니다').words('tokens').count).toBe(3);
  });

  test('a long Thai text is 3 to 10 characters a word, as any other', () => {
    const thai = 'มนุษย์ทั้งหลายเกิดมามีอิสระและเสมอภาคกันในเกียรติศักดิ์และสิทธิ'.repeat(40);
    const words = pageOf(thai).words('whitespace');
    const mean = words.numNonSymbolCharacters / words.numNonSymbol;
    expect(mean).toBeGreaterThan(3);
    expect(mean).toBeLessThan(10);
  });
});
