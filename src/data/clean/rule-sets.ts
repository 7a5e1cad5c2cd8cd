/**
 * Rule sets by name and as plain JSON. The built-in sets are such JSON themselves, so a set of one's own can extend
 * them, override a threshold, leave a rule out or add lists.
 */
import { ConfigError } from '../../core/errors.ts';
import { nearestNames } from '../../core/nearest-name.ts';
import type { Rule, Setting, Settings } from './rule.ts';
import { ruleOf } from './rules/rule-table.ts';

export interface RuleSet {
  readonly name: string;
  readonly description: string;
  readonly rules: readonly Rule[];
}

/** A rule and settings that differ from its defaults; `off: true` takes an inherited rule out. */
export interface RuleSpec {
  readonly rule: string;
  readonly off?: boolean;
  readonly [setting: string]: Setting | undefined;
}

export interface RuleLists {
  readonly domains?: readonly string[];
  readonly urls?: readonly string[];
  /** Words and phrases, or with them how many a document may not reach. */
  readonly words?:
    | readonly string[]
    | { readonly list: readonly string[]; readonly minDocumentMatches?: number };
  /** Regular expressions; lines that match are removed, or with `action: 'drop-document'` their documents. */
  readonly patterns?: readonly string[] | { readonly list: readonly string[]; readonly action?: string };
}

export interface RuleSetSpec {
  readonly name: string;
  readonly description?: string;
  /** Names of sets whose rules come first. */
  readonly extends?: readonly string[];
  /** Settings for inherited rules of the same name, in place; others are added at the end, in order. */
  readonly rules?: readonly (RuleSpec | string)[];
  readonly lists?: RuleLists;
}

const c4Lines = ['c4-strip-lines', 'c4-long-word', 'c4-citations', 'c4-no-endmark', 'c4-short-line'];
const c4Phrases = ['c4-lorem-ipsum', 'c4-javascript', 'c4-curly-bracket', 'c4-policy'];

const gopherRepetition = [
  'gopher-duplicate-paragraphs',
  'gopher-duplicate-paragraph-characters',
  'gopher-duplicate-lines',
  'gopher-duplicate-line-characters',
  'gopher-top-2-gram',
  'gopher-top-3-gram',
  'gopher-top-4-gram',
  'gopher-duplicate-5-grams',
  'gopher-duplicate-6-grams',
  'gopher-duplicate-7-grams',
  'gopher-duplicate-8-grams',
  'gopher-duplicate-9-grams',
  'gopher-duplicate-10-grams',
];

const gopher = [
  'gopher-word-count',
  'gopher-mean-word-length',
  'gopher-symbol-ratio',
  'gopher-bullet-lines',
  'gopher-ellipsis-lines',
  'gopher-alphabetic-words',
  'gopher-stop-words',
];

const finewebOwn = [
  'fineweb-line-punctuation',
  'fineweb-short-lines',
  'fineweb-duplicate-line-characters',
  'fineweb-newlines-per-word',
];

/** As datatrove counts, whose code made FineWeb. */
const datatroveRules: readonly RuleSpec[] = [
  ...gopherRepetition.map((rule) =>
    rule.endsWith('gram') || rule.endsWith('grams')
      ? { rule, variant: 'datatrove', words: 'tokens' }
      : { rule, variant: 'datatrove' },
  ),
  { rule: 'gopher-word-count', words: 'tokens' },
  { rule: 'gopher-mean-word-length', words: 'tokens' },
  { rule: 'gopher-symbol-ratio', words: 'tokens' },
  { rule: 'gopher-bullet-lines', bullets: ['•', '-'] },
  { rule: 'gopher-ellipsis-lines' },
  { rule: 'gopher-alphabetic-words', words: 'tokens' },
  { rule: 'gopher-stop-words', words: 'tokens', distinct: false },
];

const builtIn: readonly RuleSetSpec[] = [
  {
    name: 'c4',
    description:
      'C4, English web text: tensorflow/datasets c4_utils.py without its deduplication across pages',
    rules: [
      'c4-page-length',
      ...c4Lines,
      ...c4Phrases,
      'c4-sentence-count',
      'c4-local-duplicate-line',
      'c4-sentence-count-after-duplicates',
      'c4-language',
      'c4-bad-words',
    ],
  },
  {
    name: 'mc4',
    description: 'mC4, web text in any language: tensorflow/datasets c4_utils.py, multilingual configuration',
    rules: [
      'c4-page-length',
      'mc4-long-lines',
      'c4-local-duplicate-line',
      'mc4-language',
      { rule: 'c4-bad-words', language: 'auto' },
    ],
  },
  { name: 'gopher', description: 'Gopher quality rules (MassiveText), English', rules: gopher },
  {
    name: 'gopher-repetition',
    description: 'Gopher repetition rules (MassiveText), any language',
    rules: gopherRepetition,
  },
  {
    name: 'fineweb',
    description:
      'FineWeb in its order: address, language, Gopher, C4 without end marks, its own; as datatrove counts',
    rules: [
      'fineweb-url',
      'fineweb-language',
      ...datatroveRules,
      'c4-strip-lines',
      'c4-long-word',
      'c4-citations',
      { rule: 'c4-short-line', minWords: 3 },
      ...c4Phrases,
      { rule: 'c4-sentence-count', minSentences: 5 },
      ...finewebOwn,
    ],
  },
  { name: 'fineweb-quality', description: 'FineWeb’s own rules alone', rules: finewebOwn },
  {
    name: 'cc-net',
    description: 'CCNet: length and language (its paragraph deduplication is a step of its own)',
    rules: ['cc-net-length', 'cc-net-language'],
  },
  {
    name: 'nemo',
    description: 'NeMo Curator’s heuristics for English',
    rules: [
      'nemo-non-alphanumeric',
      'nemo-symbol-words',
      'nemo-numbers',
      'nemo-urls',
      'nemo-white-space',
      'nemo-parentheses',
      'nemo-boilerplate',
      'nemo-repeated-lines',
      'nemo-repeated-paragraphs',
      'nemo-repeated-line-characters',
      'nemo-repeated-paragraph-characters',
      'gopher-word-count',
      'nemo-line-punctuation',
      'gopher-alphabetic-words',
      { rule: 'gopher-stop-words', distinct: false },
      'gopher-mean-word-length',
      'nemo-long-word',
      'gopher-ellipsis-lines',
      ...gopherRepetition.slice(4),
      { rule: 'gopher-bullet-lines', bullets: ['•', '‣', '⁃', '⁌', '⁍', '∙', '○', '●', '◘', '◦', '⦾', '⦿'] },
    ],
  },
  {
    name: 'massive-text',
    description:
      'In the way of MassiveText: lists and bad words in place of a safe-search filter, English, Gopher’s quality ' +
      'and repetition rules',
    rules: [
      'fineweb-url',
      'list-domains',
      'list-urls',
      'list-patterns',
      'language',
      ...gopher,
      ...gopherRepetition,
      'list-words',
      { rule: 'c4-bad-words', minMatches: 3 },
    ],
  },
];

const specs = new Map(builtIn.map((spec) => [spec.name, spec]));

export const RULE_SET_NAMES: readonly string[] = [...specs.keys()];

/**
 * A built-in set by name, or a set from its JSON.
 * @throws ConfigError for an unknown set, rule or setting, and for lists that cannot be used.
 */
export function ruleSetOf(spec: string | RuleSetSpec): RuleSet {
  const plain = typeof spec === 'string' ? namedSpec(spec) : checkedSpec(spec);
  const chosen = new Map<string, Settings>();
  for (const base of plain.extends ?? []) {
    for (const { name, thresholds } of ruleSetOf(base).rules) chosen.set(name, thresholds);
  }
  for (const entry of listEntries(plain.lists)) applyEntry(chosen, entry, plain.name);
  for (const entry of plain.rules ?? []) {
    applyEntry(chosen, typeof entry === 'string' ? { rule: entry } : entry, plain.name);
  }
  if (chosen.size === 0)
    throw new ConfigError(`Rule set ${plain.name} has no rules. Give extends, rules or lists.`);
  return {
    name: plain.name,
    description: plain.description ?? (plain.extends ? `as ${plain.extends.join(', ')}, changed` : 'custom'),
    rules: [...chosen].map(([name, settings]) => ruleOf(name, settings)),
  };
}

/** 'gopher,c4' -> these sets in this order. @throws ConfigError */
export function parseRuleSets(text: string): RuleSet[] {
  const names = text
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '');
  if (names.length === 0)
    throw new ConfigError(`No rule set is named. Rule sets: ${RULE_SET_NAMES.join(', ')}.`);
  return names.map((name) => ruleSetOf(name));
}

function namedSpec(name: string): RuleSetSpec {
  const spec = specs.get(name);
  if (spec === undefined) {
    throw new ConfigError(
      `There is no rule set "${name}". Rule sets: ${nearestNames(name, RULE_SET_NAMES)}.`,
    );
  }
  return spec;
}

const specKeys = ['name', 'description', 'extends', 'rules', 'lists'];
const listKeys = ['domains', 'urls', 'words', 'patterns'];

/** A spec comes from a file as a rule: everything about it is looked at. */
function checkedSpec(spec: RuleSetSpec): RuleSetSpec {
  const fail = (message: string): ConfigError => new ConfigError(`Rule set: ${message}`);
  if (typeof spec !== 'object' || spec === null || Array.isArray(spec)) {
    throw fail(`expected a name or an object, got ${JSON.stringify(spec) ?? String(spec)}.`);
  }
  for (const key of Object.keys(spec)) {
    if (!specKeys.includes(key)) throw fail(`unknown key "${key}". Keys: ${nearestNames(key, specKeys)}.`);
  }
  if (typeof spec.name !== 'string' || spec.name === '') throw fail('expected a name.');
  const { description, rules, lists } = spec;
  if (description !== undefined && typeof description !== 'string') throw fail('description must be a text.');
  if (spec.extends !== undefined && !isTextList(spec.extends))
    throw fail('extends must be a list of set names.');
  if (rules !== undefined && !Array.isArray(rules)) throw fail('rules must be a list.');
  for (const entry of rules ?? []) {
    const isNamed =
      typeof entry === 'string' ||
      (typeof entry === 'object' && entry !== null && typeof entry.rule === 'string');
    if (!isNamed) throw fail(`expected {"rule": name, ...settings}, got ${JSON.stringify(entry)}.`);
  }
  if (lists !== undefined && (typeof lists !== 'object' || lists === null || Array.isArray(lists))) {
    throw fail(`lists must be an object with ${listKeys.join(', ')}.`);
  }
  for (const key of Object.keys(lists ?? {})) {
    if (!listKeys.includes(key)) throw fail(`unknown list "${key}". Lists: ${nearestNames(key, listKeys)}.`);
  }
  for (const key of ['words', 'patterns'] as const) {
    const value = lists?.[key];
    if (value === undefined || isTextList(value) || isTextList((value as { list?: unknown } | null)?.list))
      continue;
    throw fail(`list ${key} must be a list of texts, or {"list": [...], ...settings}.`);
  }
  return spec;
}

function isTextList(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'string');
}

function applyEntry(chosen: Map<string, Settings>, entry: RuleSpec, set: string): void {
  const { rule, off, ...settings } = entry;
  const known = chosen.get(rule);
  if (off === true) {
    if (known === undefined) {
      const names = [...chosen.keys()];
      throw new ConfigError(
        `Rule set ${set} turns off "${rule}", which it does not have. It has ${nearestNames(rule, names)}.`,
      );
    }
    chosen.delete(rule);
    return;
  }
  // Created here for its checks: the message names the rule while the set is still at hand.
  chosen.set(rule, ruleOf(rule, { ...known, ...(settings as Settings) }).thresholds);
}

function listEntries(lists: RuleLists = {}): RuleSpec[] {
  const entries: RuleSpec[] = [];
  if (lists.domains !== undefined) entries.push({ rule: 'list-domains', domains: lists.domains });
  if (lists.urls !== undefined) entries.push({ rule: 'list-urls', urls: lists.urls });
  const { words, patterns } = lists;
  if (words !== undefined) {
    entries.push(isTextList(words) ? { rule: 'list-words', list: words } : { rule: 'list-words', ...words });
  }
  if (patterns !== undefined) {
    const { list, ...settings } = isTextList(patterns) ? { list: patterns } : patterns;
    entries.push({ rule: 'list-patterns', patterns: list, ...settings });
  }
  return entries;
}
