/**
 * C4's own test pages and counters: tensorflow/datasets, tensorflow_datasets/text/c4_utils_test.py at commit
 * a6bf2283851a9d53a975545f36c4fdbcb84d76ca. "line-passed" there is the number of lines that came through all rules
 * for lines. The first page passes because its second line alone holds three sentences, each ended by a full stop,
 * while "Dr." in the first ends none.
 */
import { describe, expect, test } from 'vitest';
import { countSentences } from '../../src/data/clean/sentence-count.ts';
import { cleanText, dropRule, identifyEnglish } from '../fixtures/data/cleaning.ts';

const page = `This line has enough words and ends in punctuation, Dr. Roberts!
Economic History | All Institutions | Open Access Articles | Digital Commons Network
"Open Access. Powered by Scholars. Published by Universities."
Digital Commons Network™/ Social and Behavioral Sciences...
Too few words.
You need to enable javascript in your browser in order to see this page.
You have JavaScript disabled and that means you can't see this page.
Adam Roberts has a cookie policy: always eat them.
Colin has a privacy policy: don't share people's secrets.
You'd better follow our terms of use!
`;

/** Lines that passed all of C4's rules for lines, in kept and dropped documents. */
function linesPassed(text: string): number {
  const { cleaner } = cleanText(text, ['c4']);
  const policy = cleaner.counts.rules.find(({ rule }) => rule === 'c4-policy')!;
  return policy.linesIn - policy.linesDropped;
}

describe('C4 on the pages of c4_utils_test', () => {
  test('test_clean_page: 2 lines pass, 1 too short, 2 without an end mark, 2 javascript, 3 policy', () => {
    const { result, summary } = cleanText(page, ['c4']);
    expect(result.kept).toBe(true);
    expect(result.document.text).toBe(
      'This line has enough words and ends in punctuation, Dr. Roberts!\n' +
        '"Open Access. Powered by Scholars. Published by Universities."',
    );
    expect(summary.documents).toEqual({ in: 1, out: 1 });
    expect(summary.dropped).toEqual({});
    expect(summary.lines).toEqual({
      in: 10,
      out: 2,
      dropped: { 'c4-no-endmark': 2, 'c4-short-line': 1, 'c4-javascript': 2, 'c4-policy': 3 },
    });
    const bytes = new TextEncoder();
    expect(summary.bytes.in).toBe(bytes.encode(page).length);
    expect(summary.bytes.out).toBe(bytes.encode(result.document.text).length);
  });

  test('a language identifier that says English changes none of the counters', () => {
    const { summary } = cleanText(page, ['c4'], { identifyLanguage: identifyEnglish });
    expect(summary.lines.dropped).toEqual({
      'c4-no-endmark': 2,
      'c4-short-line': 1,
      'c4-javascript': 2,
      'c4-policy': 3,
    });
    expect(summary.documents.out).toBe(1);
  });

  test('its sentences: one, and three', () => {
    const lines = page.split('\n');
    expect(countSentences(lines[0]!)).toBe(1);
    expect(countSentences(lines[2]!)).toBe(3);
  });

  test('test_clean_page_toofewsentences: 2 lines pass, the page does not', () => {
    const text =
      'This first line has one sentence.\n' +
      "This line looks like it has three sentences...but it's actually just 1.";
    const { result, summary } = cleanText(text, ['c4']);
    expect(result).toMatchObject({ kept: false, rule: 'c4-sentence-count', detail: '2 sentences < 3' });
    expect(summary.dropped).toEqual({ 'c4-sentence-count': 1 });
    expect(linesPassed(text)).toBe(2);
    expect(summary.lines).toEqual({ in: 2, out: 0, dropped: { 'c4-sentence-count': 2 } });
  });

  test('test_clean_page_squigglybracket: 3 lines pass before the bracket drops the page', () => {
    const text =
      'This page starts out with some text.\nEverything looks good at first, since these are sentences.\n' +
      "But then, all of a sudden, there's a bunch of code like the next block.\nfn foo(a) { bar = a + 10; }.";
    expect(cleanText(text, ['c4']).summary.dropped).toEqual({ 'c4-curly-bracket': 1 });
    expect(linesPassed(text)).toBe(3);
  });

  test('test_clean_page_loremipsum: no line passes', () => {
    const text =
      'Lorem ipsum dolor sit amet, consectetur adipiscing elit, sed do eiusmod tempor incididunt ut labore.\n' +
      'Ut enim ad minim veniam, quis nostrud exercitation ullamco laboris nisi ut aliquip ex ea commodo.\n' +
      'Duis aute irure dolor in reprehenderit in voluptate velit esse cillum dolore eu fugiat nulla pariatur.';
    expect(cleanText(text, ['c4']).summary.dropped).toEqual({ 'c4-lorem-ipsum': 1 });
    expect(linesPassed(text)).toBe(0);
  });

  test('test_clean_page_citations: marks are deleted, then the end mark counts', () => {
    const text =
      "This page has some text.\nSome lines don't end with punctuation\n" +
      'And some of these lines end with citations.[3]\n' +
      'Or have requested citations[citation needed]. Or the option to edit.[edit]\n';
    const { result, summary } = cleanText(text, ['c4']);
    expect(result.document.text).toBe(
      'This page has some text.\nAnd some of these lines end with citations.\n' +
        'Or have requested citations. Or the option to edit.',
    );
    expect(summary.lines).toEqual({ in: 4, out: 3, dropped: { 'c4-no-endmark': 1 } });
  });

  test('test_clean_page_policy: 3 lines pass, 3 are policy', () => {
    const text =
      "This page has with some text. So, that's good!\nBut at the end it has some polciy lines.\n" +
      'This line mentions the Terms of Use.\nThis line should be okay.\n' +
      "The privacy policy is mentioned in this line.\nLet's talk about the Cookie Policy now.\n";
    const { result, summary } = cleanText(text, ['c4']);
    expect(result.document.text).toBe(
      "This page has with some text. So, that's good!\nBut at the end it has some polciy lines.\n" +
        'This line should be okay.',
    );
    expect(summary.lines).toEqual({ in: 6, out: 3, dropped: { 'c4-policy': 3 } });
  });

  test('test_remove_duplicate_text: duplicates within a page go, whatever their case', () => {
    const text =
      'This is a duplicated line.\nThis is a unique line.\nThis one comes first and so it stays.\n' +
      'This is duplicate within the page so the others are removed.\n' +
      'Here is a sentence between the duplicates.\n' +
      'This is duplicate within the page so the others are removed.\n' +
      'this is Duplicate WITHIN the page so the others are removed. ';
    const { result, summary } = cleanText(text, ['c4']);
    expect(result.document.text).toBe(text.split('\n').slice(0, 5).join('\n'));
    expect(summary.lines.dropped).toEqual({ 'c4-local-duplicate-line': 2 });
  });

  test('test_remove_duplicate_text: 3 sentences are left in one page, 2 in another', () => {
    const kept =
      'This is a 3rd unique line.\nThis one comes third and so it is removed. But the page stays ' +
      'because there are still 3 sentences remaining.';
    const dropped =
      'This is a 4th unique line.\nThis one comes third and so it is removed, and the page is too ' +
      "since there aren't enough sentences left.";
    expect(dropRule(kept, 'c4')).toBe(null);
    expect(dropRule(dropped, 'c4')).toBe('c4-sentence-count');
  });

  test('test_badwords_filter: whole words in the language of the list', () => {
    const padding =
      'This page starts out with some text.\nEverything looks good at first, since these are sentences.\n' +
      "But then, all of a sudden, there's a badword... or not?\n";
    const verdict = (sentence: string, language: string) =>
      dropRule(
        padding + sentence,
        { name: 'words', rules: [{ rule: 'c4-bad-words', language: 'auto' }] },
        {},
        { language, languageScore: 1 },
      ) === null;
    expect(verdict('I asked my friend for assistance polishing my cutlass.', 'en')).toBe(true);
    expect(verdict('He took the saddle and put it on his ass in preparation for travel.', 'en')).toBe(false);
    expect(verdict('Ass is one of several species of small, horse-like animals.', 'en-latin')).toBe(false);
    expect(verdict('Donkey is one synonym for the word "ass".', 'en')).toBe(false);
    expect(verdict('Ass is not a badword in Spanish.', 'es')).toBe(true);
    expect(verdict('Culo is though.', 'es')).toBe(false);
    expect(verdict("Ass and culo aren't badwords in Esperanto.", 'eo')).toBe(true);
    expect(verdict('Nor is there a list for Welsh: ass.', 'cy')).toBe(true);
  });

  test('test_paragraph_filter: lines of 20 characters, 2 or 3 of them', () => {
    const text = 'This line is long enough to be a paragraph.\nThis one is not.\nThis one is. I promise!\n';
    const rule = (minLines: number) => ({
      name: 'lines',
      rules: [{ rule: 'mc4-long-lines', minLines, minCharacters: 20 }],
    });
    // c4_utils says False for 2 as well: it looks at the three longest lines whatever the number asked for.
    expect(dropRule(text, rule(2))).toBe(null);
    expect(dropRule(text, rule(3))).toBe('mc4-long-lines');
    expect(dropRule(`${text}If we add this paragraph, the page should pass.`, rule(3))).toBe(null);
  });
});

describe('C4 thresholds', () => {
  const sentences = 'One sentence stands here. Another one stands there. A third one follows them.';

  test.each([
    ['a word of 1000 characters stays', `${sentences}\nA word ${'x'.repeat(1000)} is very long.`, 2],
    ['a word of 1001 characters goes', `${sentences}\nA word ${'x'.repeat(1001)} is very long.`, 1],
    ['1000 characters of two units each stay', `${sentences}\nA word ${'😀'.repeat(1000)} is very long.`, 2],
  ])('%s', (_, text, numLines) => {
    const { result } = cleanText(text, ['c4']);
    expect(result.document.text.split('\n')).toHaveLength(numLines);
  });

  test('190,000 characters pass, one more does not', () => {
    const long = `${sentences} ${'word '.repeat(40_000)}`;
    expect(dropRule(`${long.slice(0, 189_999)}.`, 'c4')).toBe(null);
    expect(dropRule(`${long.slice(0, 190_000)}.`, 'c4')).toBe('c4-page-length');
  });

  test('datatrove’s reading is a matter of settings', () => {
    const text = "Three words here'\nIt stays now. It does. One more.";
    const datatrove = {
      name: 'datatrove',
      extends: ['c4'],
      rules: [
        { rule: 'c4-no-endmark', endMarks: ['.', '?', '!', '"', "'"] },
        { rule: 'c4-short-line', minWords: 3 },
      ],
    };
    expect(cleanText(text, [datatrove]).result.document.text).toBe(text);
    expect(cleanText(text, ['c4']).result.document.text).toBe('It stays now. It does. One more.');
  });
});
