/** Rule sets by name and as JSON: composition, overrides, and what is said of mistakes. */
import { describe, expect, test } from 'vitest';
import { ConfigError } from '../../src/core/errors.ts';
import {
  Cleaner,
  cleanSummary,
  parseRuleSets,
  RULE_DEFINITIONS,
  RULE_SET_NAMES,
  type RuleSetSpec,
  ruleSetOf,
} from '../../src/data/clean/index.ts';
import { dropRule } from '../fixtures/data/cleaning.ts';

describe('rule sets', () => {
  test('have the names that are documented, and every rule is in one of them', () => {
    expect([...RULE_SET_NAMES].sort()).toEqual([
      'c4',
      'cc-net',
      'fineweb',
      'fineweb-quality',
      'gopher',
      'gopher-repetition',
      'massive-text',
      'mc4',
      'nemo',
    ]);
    const used = new Set(RULE_SET_NAMES.flatMap((name) => ruleSetOf(name).rules.map((rule) => rule.name)));
    expect(RULE_DEFINITIONS.map(({ name }) => name).filter((name) => !used.has(name))).toEqual([]);
  });

  test('every rule says what it does, where it is from and what its thresholds are', () => {
    for (const { name, description, source, settings } of RULE_DEFINITIONS) {
      expect([name, description.length > 10, source.length > 10]).toEqual([name, true, true]);
      expect(JSON.parse(JSON.stringify(settings))).toEqual(settings);
    }
    expect(new Set(RULE_DEFINITIONS.map(({ name }) => name)).size).toBe(RULE_DEFINITIONS.length);
  });

  test('parse from a list of names', () => {
    expect(parseRuleSets(' gopher, c4 ').map(({ name }) => name)).toEqual(['gopher', 'c4']);
    expect(() => parseRuleSets(' , ')).toThrow(/No rule set is named/);
  });

  test('a set of one’s own extends, overrides in place, leaves out and adds', () => {
    const spec: RuleSetSpec = {
      name: 'mine',
      extends: ['gopher'],
      rules: [
        { rule: 'gopher-word-count', minWords: 3 },
        { rule: 'gopher-stop-words', off: true },
        'cc-net-length',
      ],
    };
    const { rules } = ruleSetOf(JSON.parse(JSON.stringify(spec)));
    const gopher = ruleSetOf('gopher').rules.map(({ name }) => name);
    expect(rules.map(({ name }) => name)).toEqual([
      ...gopher.filter((name) => name !== 'gopher-stop-words'),
      'cc-net-length',
    ]);
    expect(rules[0]!.thresholds).toMatchObject({ minWords: 3, maxWords: 100_000 });
    expect(dropRule('Only four words here', spec)).toBe('cc-net-length');
    expect(dropRule('Two words', spec)).toBe('gopher-word-count');
  });

  test('overrides reach through sets that extend sets', () => {
    const [first] = ruleSetOf({ name: 'a', extends: ['fineweb'] }).rules.filter(
      ({ name }) => name === 'c4-short-line',
    );
    expect(first!.thresholds).toEqual({ minWords: 3 });
  });

  test.each<[unknown, RegExp]>([
    ['goffer', /There is no rule set "goffer"\. Rule sets: gopher, .*\(did you mean gopher\?\)/],
    [{ name: 'x', extends: ['c5'] }, /did you mean c4/],
    [
      { name: 'x', rules: [{ rule: 'gopher-wordcount' }] },
      /no rule "gopher-wordcount".*did you mean gopher-word-count/,
    ],
    [
      { name: 'x', rules: [{ rule: 'gopher-word-count', minWord: 3 }] },
      /no setting "minWord".*did you mean minWords/,
    ],
    [
      { name: 'x', rules: [{ rule: 'gopher-word-count', minWords: '3' }] },
      /expected a number from 0 up, got "3"/,
    ],
    [
      { name: 'x', rules: [{ rule: 'gopher-word-count', minWords: null }] },
      /expected a number from 0 up, got null/,
    ],
    [
      { name: 'x', rules: [{ rule: 'gopher-word-count', words: 'spaces' }] },
      /one of whitespace, tokens, got "spaces"/,
    ],
    [
      { name: 'x', rules: [{ rule: 'gopher-bullet-lines', bullets: '-' }] },
      /expected a list of texts, got "-"/,
    ],
    [{ name: 'x', rules: [{ rule: 'gopher-stop-words', distinct: 1 }] }, /expected true or false, got 1/],
    [{ name: 'x', rules: [{ rule: 'c4-language', language: 7 }] }, /expected a text, got 7/],
    [{ name: 'x', rules: [{ rule: 'c4-citations', x: 7 }] }, /has no setting "x"\. It has no settings/],
    [
      { name: 'x', rules: [{ rule: 'c4-policy', off: true }] },
      /turns off "c4-policy", which it does not have/,
    ],
    [{ name: 'x', rules: [{ rule: 'c4-bad-words', language: 'xx' }] }, /no bad-words list for language "xx"/],
    [{ name: 'x', rules: [7] }, /expected \{"rule": name/],
    [{ name: 'x', rules: 'gopher' }, /rules must be a list/],
    [{ name: 'x', extends: 'gopher' }, /extends must be a list/],
    [{ name: 'x', lists: { word: [] } }, /unknown list "word".*did you mean words/],
    [{ name: 'x', lists: { words: 'spam' } }, /words.*must be a list/],
    [{ name: 'x', lists: { patterns: { action: 'remove-line' } } }, /patterns.*must be a list/],
    [{ name: 'x', lists: { domains: [1] } }, /expected a list of texts/],
    [{ name: 'x', rule: [] }, /unknown key "rule".*did you mean rules/],
    [{ extends: ['c4'] }, /expected a name/],
    [{ name: 'x' }, /has no rules/],
    [null, /expected a name or an object, got null/],
    [{ name: 'x', rules: [{ rule: '__proto__' }] }, /no rule "__proto__"/],
    [{ name: 'x', rules: [{ rule: 'c4-policy', constructor: 1 }] }, /no setting "constructor"/],
  ])('%j is a ConfigError that says what to do', (spec, message) => {
    expect(() => ruleSetOf(spec as string)).toThrow(ConfigError);
    expect(() => ruleSetOf(spec as string)).toThrow(message);
  });

  test('a cleaner without sets is refused', () => {
    expect(() => new Cleaner([])).toThrow(/at least one rule set/);
  });

  test('the summary shows every rule in order with documents and bytes before and after', () => {
    const cleaner = new Cleaner([ruleSetOf('fineweb-quality')]);
    cleaner.clean({ id: 'a', text: 'A line that ends. And is long enough for it.', source: 's', meta: {} });
    cleaner.clean({ id: 'b', text: 'no mark', source: 's', meta: {} });
    const { rules, dropped } = cleanSummary(cleaner.counts);
    expect(dropped).toEqual({ 'fineweb-line-punctuation': 1 });
    expect(
      rules.map(({ rule, documentsIn, documentsOut, bytesIn, bytesOut }) => [
        rule,
        documentsIn,
        documentsOut,
        bytesIn,
        bytesOut,
      ]),
    ).toEqual([
      ['fineweb-line-punctuation', 2, 1, 51, 44],
      ['fineweb-short-lines', 1, 1, 44, 44],
      ['fineweb-duplicate-line-characters', 1, 1, 44, 44],
      ['fineweb-newlines-per-word', 1, 1, 44, 44],
      ['empty-text', 1, 1, 44, 44],
    ]);
    expect(rules[0]).toMatchObject({
      set: 'fineweb-quality',
      thresholds: { minFraction: 0.12 },
      linesDropped: 0,
    });
  });
});
