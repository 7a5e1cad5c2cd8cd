/** Rules at their thresholds: FineWeb, CCNet, NeMo, addresses, languages, lists. */
import { describe, expect, test } from 'vitest';
import { ConfigError } from '../../src/core/errors.ts';
import { Cleaner, ruleSetOf } from '../../src/data/clean/index.ts';
import { cleanText, documentOf, dropRule, identifyEnglish } from '../fixtures/data/cleaning.ts';

const one = (rule: string, settings: Record<string, unknown> = {}) => ({
  name: 'one',
  rules: [{ rule, ...settings } as { rule: string }],
});

function detailOf(text: string, set: ReturnType<typeof one>, meta = {}, services = {}): string | null {
  const { result } = cleanText(text, [set], services, meta);
  return result.kept ? null : result.detail;
}

describe('FineWeb’s own rules', () => {
  const lines = (withMark: number, without: number) =>
    [
      ...Array.from({ length: withMark }, (_, i) => `Line ${i} ends well.`),
      ...Array.from({ length: without }, (_, i) => `Line ${i} does not`),
    ].join('\n');

  test('0.12 of the lines with an end mark is still dropped', () => {
    expect(detailOf(lines(12, 88), one('fineweb-line-punctuation'))).toBe(
      'lines with an end mark 0.12 <= 0.12',
    );
    expect(detailOf(lines(13, 87), one('fineweb-line-punctuation'))).toBe(null);
    expect(detailOf("He said 'so'", one('fineweb-line-punctuation'))).toBe(null);
  });

  test('0.67 of the lines with at most 30 characters are dropped', () => {
    const text = (short: number, long: number) =>
      [
        ...Array.from({ length: short }, () => 'x'.repeat(30)),
        ...Array.from({ length: long }, () => 'é'.repeat(31)),
      ].join('\n');
    expect(detailOf(text(67, 33), one('fineweb-short-lines'))).toBe('short lines 0.67 >= 0.67');
    expect(detailOf(text(66, 34), one('fineweb-short-lines'))).toBe(null);
  });

  test('0.01 of the characters in copies of a line are dropped; the paper’s 0.1 is a setting', () => {
    const text = `${'a'.repeat(980)}\n${'b'.repeat(10)}\n${'b'.repeat(10)}`;
    expect(detailOf(text, one('fineweb-duplicate-line-characters'))).toBe(
      'characters in duplicate lines 0.01 >= 0.01',
    );
    expect(detailOf(text, one('fineweb-duplicate-line-characters', { maxFraction: 0.1 }))).toBe(null);
    expect(
      detailOf(
        `${'a'.repeat(981)}\n${'b'.repeat(10)}\n${'b'.repeat(10)}`,
        one('fineweb-duplicate-line-characters'),
      ),
    ).toBe(null);
  });

  test('more than 0.3 line ends a word are dropped', () => {
    expect(detailOf('a b c\nd e f\ng h i\nj', one('fineweb-newlines-per-word'))).toBe(null);
    expect(detailOf('a b c\nd e f\ng h\n', one('fineweb-newlines-per-word'))).toBe(
      'line ends per word 0.375 > 0.3',
    );
  });

  test('the order of fineweb is FineWeb’s', () => {
    const order = ruleSetOf('fineweb').rules.map(({ name }) => name.split('-')[0]);
    expect(order.filter((family, i) => family !== order[i - 1])).toEqual([
      'fineweb',
      'gopher',
      'c4',
      'fineweb',
    ]);
    const names = ruleSetOf('fineweb').rules.map(({ name }) => name);
    expect(names.slice(0, 3)).toEqual(['fineweb-url', 'fineweb-language', 'gopher-duplicate-paragraphs']);
    expect(names).not.toContain('c4-no-endmark');
    expect(names.indexOf('gopher-duplicate-10-grams')).toBeLessThan(names.indexOf('gopher-word-count'));
  });
});

describe('addresses', () => {
  // huggingface/datatrove, tests/pipeline/test_filters.py, test_url.
  const domains = ['blocked.com', 'danger.org', 'badsubdomain.nice.com'];
  test.each([
    ['https://blocked.com/some-sub-url?with=stuff', true],
    ['https://hey.danger.org/some-sub-url?with=stuff', true],
    ['http://hey.danger.org/some-sub-url?with=stuff', true],
    ['http://www.danger.org/some-sub-url?with=stuff', true],
    ['https://nice.com/some-sub-url?with=stuff', false],
    ['https://badsubdomain.nice.com/some-sub-url?with=stuff', true],
    ['https://sdsd.badsubdomain.nice.com/some-sub-url?with=stuff', false],
    ['https://blocke.dcom/some-sub-url?with=stuff', false],
    ['https://user@blocked.com:8080/x', true],
    ['not an address', false],
  ])('%s by its domain: %s', (url, isDropped) => {
    for (const rule of ['fineweb-url', 'list-domains']) {
      expect(dropRule('text', one(rule, { domains }), {}, { url }) !== null).toBe(isDropped);
    }
  });

  test('a registered domain below co.uk has three labels', () => {
    const set = one('list-domains', { domains: ['co.uk', 'bad.co.uk'] });
    expect(dropRule('text', set, {}, { url: 'https://www.bad.co.uk/' })).toBe('list-domains');
    expect(dropRule('text', set, {}, { url: 'https://www.good.co.uk/' })).toBe(null);
  });

  test('words, soft words and parts of words', () => {
    const detail = (url: string) => detailOf('text', one('fineweb-url'), { url });
    expect(detail('https://x.com/free-porn/1')).toBe('"porn" in the address');
    expect(detail('https://x.com/sex-education')).toBe(null);
    expect(detail('https://x.com/sex/cams')).toBe('soft words in the address 2 >= 2');
    expect(detail('https://www.my-porn-hub.com/')).toBe('"porn" in the address');
    expect(detail('https://mypornhub.com/')).toBe('"pornhub" in the address');
    expect(
      detailOf('text', one('list-urls', { urls: ['http://a.com/b/'] }), { url: 'https://www.a.com/b' }),
    ).toBe('listed address');
  });
});

describe('languages', () => {
  test('a set that needs an identifier says so', () => {
    for (const name of ['fineweb', 'cc-net']) {
      expect(() => new Cleaner([ruleSetOf(name)])).toThrow(ConfigError);
      expect(() => new Cleaner([ruleSetOf(name)])).toThrow(/needs to know languages.*"off": true/);
    }
  });

  test('c4 leaves its language rule out without one, and says so', () => {
    const { summary } = cleanText('x', ['c4']);
    expect(summary.leftOut).toEqual([
      { rule: 'c4-language', set: 'c4', reason: 'no identifyLanguage was given' },
    ]);
    expect(summary.rules.some(({ rule }) => rule === 'c4-language')).toBe(false);
    expect(cleanText('x', ['c4'], { identifyLanguage: identifyEnglish }).summary.leftOut).toEqual([]);
  });

  test('language and score; null turns C4’s rule off; meta comes before the identifier', () => {
    const text = 'Ceci est une phrase. En voici une autre. Et encore une ici.';
    const identifyLanguage = () => ({ language: 'fr', score: 0.99 });
    expect(detailOf(text, one('c4-language'), {}, { identifyLanguage })).toBe('language fr, not en');
    expect(detailOf(text, one('c4-language', { language: null }), {}, { identifyLanguage })).toBe(null);
    expect(detailOf(text, one('c4-language', { language: 'en, fr' }), {}, { identifyLanguage })).toBe(null);
    const weak = { identifyLanguage: () => ({ language: 'en', score: 0.64 }) };
    expect(detailOf(text, one('fineweb-language'), {}, weak)).toBe('language score 0.64 < 0.65');
    expect(detailOf(text, one('fineweb-language'), { language: 'en', languageScore: 0.65 }, weak)).toBe(null);
  });

  test('cc-net: 300 characters, any language from 0.5', () => {
    const cleaner = (text: string, score: number) =>
      cleanText(text, ['cc-net'], { identifyLanguage: () => ({ language: 'my', score }) }).result;
    expect(cleaner('é'.repeat(300), 0.5).kept).toBe(true);
    expect(cleaner('é'.repeat(299), 0.5)).toMatchObject({
      rule: 'cc-net-length',
      detail: '299 characters < 300',
    });
    expect(cleaner('é'.repeat(300), 0.49)).toMatchObject({ rule: 'cc-net-language' });
  });
});

describe('NeMo’s heuristics', () => {
  const prose = 'This is plain text that we have with the rest of it, to be read. ';

  test.each([
    ['nemo-non-alphanumeric', `${'a'.repeat(75)}${'-'.repeat(25)}`, `${'a'.repeat(74)}${'-'.repeat(26)}`],
    ['nemo-numbers', `${'a'.repeat(85)}${'1'.repeat(15)}`, `${'a'.repeat(84)}${'1'.repeat(16)}`],
    ['nemo-numbers', `${'a'.repeat(85)}${'٣'.repeat(15)}`, `${'a'.repeat(84)}${'٣'.repeat(16)}`],
    ['nemo-white-space', `${'a'.repeat(75)}${' '.repeat(25)}`, `${'a'.repeat(74)}${' '.repeat(26)}`],
    ['nemo-parentheses', `${'a'.repeat(90)}${'['.repeat(10)}`, `${'a'.repeat(89)}${'⟨'.repeat(11)}`],
    ['nemo-urls', `http://a.b${' '.repeat(40)}`, `https://a.b${' '.repeat(40)}`],
    ['nemo-symbol-words', `${'a '.repeat(9)}#`, `${'a '.repeat(8)}…`],
    ['nemo-boilerplate', `Privacy policy\n\n${'a\n\n'.repeat(2)}b`, 'Privacy policy\n\nuse cookies\n\nb'],
    ['nemo-repeated-lines', 'a\nb\nc\nd\ne\nf\ng\ng\ng\ng', 'a\nb\nc\nd\ne\nf\nf\nf\nf\nf'],
    ['nemo-long-word', 'a'.repeat(1000), 'a'.repeat(1001)],
    [
      'nemo-line-punctuation',
      `${'a\n'.repeat(17)}${'b.\n'.repeat(3)}`,
      `${'a\n'.repeat(18)}${'b.\n'.repeat(3)}`,
    ],
  ])('%s at its threshold and beyond', (rule, kept, dropped) => {
    expect(dropRule(kept, one(rule))).toBe(null);
    expect(dropRule(dropped, one(rule))).toBe(rule);
  });

  test('the set keeps prose and drops lorem ipsum', () => {
    const words = Array.from(
      { length: 80 },
      (_, i) => `word${String.fromCharCode(97 + (i % 26), 97 + Math.floor(i / 26))}`,
    );
    const text = `${prose}\n${words.slice(0, 40).join(' ')}.\n${words.slice(40).join(' ')}.`;
    expect(dropRule(text, 'nemo')).toBe(null);
    expect(dropRule(`${text}\nLorem Ipsum dolor.`, 'nemo')).toBe('nemo-boilerplate');
  });
});

describe('lists of one’s own', () => {
  test('words: whole, in any case, so and so many', () => {
    const words = { list: ['Casino', 'free money'], minDocumentMatches: 2 };
    const set = { name: 'mine', lists: { words } };
    expect(dropRule('A casino. More.', set)).toBe(null);
    expect(cleanText('A CASINO, and free money!', [set]).result).toMatchObject({
      rule: 'list-words',
      detail: '2 listed: "casino", "free money"',
    });
    expect(dropRule('casinos and free moneys', set)).toBe(null);
    expect(dropRule('casino casino', set)).toBe('list-words');
    expect(
      dropRule('megacasino', {
        name: 'm',
        rules: [{ rule: 'list-words', list: ['casino'], wholeWords: false }],
      }),
    ).toBe('list-words');
  });

  test('patterns remove lines, or drop documents', () => {
    const text = 'keep this\nADVERT here\nand this\n';
    const { result, summary } = cleanText(text, [{ name: 'mine', lists: { patterns: ['^advert'] } }]);
    expect(result.document.text).toBe('keep this\nand this\n');
    expect(summary.lines.dropped).toEqual({ 'list-patterns': 1 });
    const drops = { name: 'mine', lists: { patterns: { list: ['^advert'], action: 'drop-document' } } };
    expect(cleanText(text, [drops]).result).toMatchObject({
      kept: false,
      detail: 'a line matches /^advert/',
    });
    expect(cleanText(text, [drops]).summary.lines).toEqual({
      in: 3,
      out: 0,
      dropped: { 'list-patterns': 3 },
    });
  });

  test('a text that no pattern touches keeps its line ends', () => {
    const text = 'a\r\nb\r\n';
    expect(cleanText(text, [{ name: 'mine', lists: { patterns: ['x'] } }]).result.document.text).toBe(text);
  });

  test('a text of which nothing is left is dropped by the closing rule', () => {
    const { result, summary } = cleanText('advert\nadvert', [
      { name: 'mine', lists: { patterns: ['advert'] } },
    ]);
    expect(result).toMatchObject({ kept: false, rule: 'empty-text', set: 'closing' });
    expect(summary.lines).toEqual({ in: 2, out: 0, dropped: { 'list-patterns': 2 } });
    expect(summary.rules.find(({ rule }) => rule === 'list-patterns')).toMatchObject({
      bytesIn: 13,
      bytesOut: 0,
    });
  });

  test.each([
    ['a(b', /Pattern 1, \/a\(b\/, at character 2: .*group/i],
    ['ab)', /at character 3: .*parenthes|unmatched/i],
    ['a[z-a]', /at character 5: .*order/i],
    ['*x', /at character 1: nothing to repeat/i],
    ['(a+)+$', /at character 5: a repetition inside a repetition/],
    ['(?:x|(y*z))*', /at character 12: a repetition inside a repetition/],
  ])('%s is refused with its place', (pattern, message) => {
    expect(() => ruleSetOf({ name: 'mine', lists: { patterns: [pattern] } })).toThrow(ConfigError);
    expect(() => ruleSetOf({ name: 'mine', lists: { patterns: [pattern] } })).toThrow(message);
  });

  test('a pattern looks at the first 2,000 characters of a line', () => {
    const set = { name: 'mine', lists: { patterns: ['end$', 'needle'] } };
    expect(dropRule(`${'x'.repeat(2000)}needle`, set)).toBe(null);
    expect(dropRule(`${'x'.repeat(1994)}needle`, set)).toBe('empty-text');
  });

  test('lists override those of the set that is extended', () => {
    const set = ruleSetOf({ name: 'mine', extends: ['massive-text'], lists: { domains: ['bad.example'] } });
    const names = set.rules.map(({ name }) => name);
    expect(names).toEqual(ruleSetOf('massive-text').rules.map(({ name }) => name));
    const cleaner = new Cleaner([set]);
    const verdict = cleaner.clean({ ...documentOf('text'), meta: { url: 'http://bad.example/' } });
    expect(verdict).toMatchObject({ kept: false, rule: 'list-domains', set: 'mine' });
  });
});
