/**
 * Token premium: how many tokens the same meaning takes in a language, relative to a reference language (Petrov et
 * al. 2023, "Language model tokenizers introduce unfairness between languages"; Ahia et al. 2023 for the price). The
 * texts are parallel: unit i of every language says the same (an article, a line). A unit that is empty in a
 * language or in the reference is left out of both sides and counted. Pure arithmetic over counts; it knows nothing
 * of files and prices come from the caller.
 */
import { ConfigError, DataError } from '../core/errors.ts';
import { pairedBootstrap } from './premium-bootstrap.ts';

/** Anything that says how many tokens a text has. */
export interface TokenCounter {
  readonly name: string;
  /** Null for one that has no vocabulary, such as characters. */
  readonly vocabSize: number | null;
  numTokens(text: string): number;
}

export interface PremiumOptions {
  /** Key of the reference language. Default 'en'. */
  readonly reference?: string;
  /** Price of a million tokens, in any currency. Default null: no costs. */
  readonly pricePerMillion?: number | null;
  /** Decoding speed. Default 100. */
  readonly tokensPerSecond?: number;
  /** Tokens of the context window. Default 8,192. */
  readonly contextTokens?: number;
  /** Resamples of the units for the 95 % intervals. Default 1,000; 0 for none. */
  readonly numResamples?: number;
  /** Default 1. */
  readonly seed?: number;
}

/** Sizes of the units that a language shares with the reference. */
export interface LanguageText {
  language: string;
  numUnits: number;
  /** Units of the reference that are empty or absent here. */
  numMissingUnits: number;
  /** UTF-8 bytes, code points, and words by Unicode's rules with dictionaries where a script has no spaces. */
  bytes: number;
  characters: number;
  words: number;
  /** Of the reference in the same units. */
  referenceWords: number;
}

export interface LanguagePremium {
  language: string;
  tokens: number;
  /** Of the reference in the same units. */
  referenceTokens: number;
  /** tokens / referenceTokens. */
  premium: number;
  /** 95 % by bootstrap over units; null with fewer than two. */
  interval: [low: number, high: number] | null;
  tokensPerByte: number;
  tokensPerCharacter: number;
  /** Tokens per word: fertility (Rust et al. 2021). */
  tokensPerWord: number;
  /** Of what takes 1,000 tokens in the reference language, and of what takes 1,000 words there; null without a price. */
  costPer1000ReferenceTokens: number | null;
  costPer1000ReferenceWords: number | null;
  /** To generate what takes 1,000 tokens in the reference language: premium times as many decoding steps. */
  secondsPer1000ReferenceTokens: number;
  /** The window in tokens of the reference language: contextTokens / premium, and this as a share of the window. */
  contextReferenceTokens: number;
  contextShare: number;
}

export interface TokenizerPremium {
  tokenizer: string;
  vocabSize: number | null;
  languages: LanguagePremium[];
}

export interface PremiumReport {
  reference: string;
  pricePerMillion: number | null;
  tokensPerSecond: number;
  contextTokens: number;
  /** In the order in which the languages were given. */
  texts: LanguageText[];
  tokenizers: TokenizerPremium[];
}

/** One token a UTF-8 byte: byte-level models. */
export const byteCounter: TokenCounter = {
  name: 'bytes',
  vocabSize: 256,
  numTokens: (text) => new TextEncoder().encode(text).length,
};

/** One token a code point: character-level models. */
export const characterCounter: TokenCounter = {
  name: 'characters',
  vocabSize: null,
  numTokens: (text) => {
    let count = 0;
    for (const _ of text) count++;
    return count;
  },
};

/** A tokenizer of ours as a counter. */
export function counterOf(
  name: string,
  tokenizer: { readonly vocabSize: number; encode(text: string): number[] },
): TokenCounter {
  return { name, vocabSize: tokenizer.vocabSize, numTokens: (text) => tokenizer.encode(text).length };
}

/**
 * @param texts language -> its units, aligned by index. Give each unit with the space that parts it from the one
 *   before, so that units joined are the text: tokenizers count a word at a text's start differently.
 * @throws ConfigError without the reference or a tokenizer, or for options out of range; DataError when a language
 *   shares no unit with the reference.
 */
export function tokenPremium(
  texts: Readonly<Record<string, readonly string[]>>,
  tokenizers: readonly TokenCounter[],
  options: PremiumOptions = {},
): PremiumReport {
  const settings = checkedOptions(texts, tokenizers, options);
  const { reference } = settings;
  const languages = Object.keys(texts);
  const referenceUnits = texts[reference]!;
  const shared = new Map(
    languages.map((language) => [language, sharedUnits(language, texts[language]!, referenceUnits)]),
  );
  const report: PremiumReport = {
    reference,
    pricePerMillion: settings.pricePerMillion,
    tokensPerSecond: settings.tokensPerSecond,
    contextTokens: settings.contextTokens,
    texts: [],
    tokenizers: [],
  };
  const referenceWords = countWords(referenceUnits, reference);
  const numPresent = referenceUnits.filter(isPresent).length;
  for (const language of languages) {
    const units = shared.get(language)!;
    const own = units.map((i) => texts[language]![i]!);
    report.texts.push({
      language,
      numUnits: units.length,
      numMissingUnits: numPresent - units.length,
      bytes: sum(own.map(byteCounter.numTokens)),
      characters: sum(own.map(characterCounter.numTokens)),
      words: sum(countWords(own, language)),
      referenceWords: sum(units.map((i) => referenceWords[i]!)),
    });
  }
  for (const tokenizer of tokenizers) {
    const count = (units: readonly string[]) =>
      Float64Array.from(units, (unit) => (isPresent(unit) ? tokenizer.numTokens(unit) : 0));
    const referenceCounts = count(referenceUnits);
    report.tokenizers.push({
      tokenizer: tokenizer.name,
      vocabSize: tokenizer.vocabSize,
      languages: languages.map((language, l) => {
        const units = shared.get(language)!;
        const counts = language === reference ? referenceCounts : count(texts[language]!);
        const own = Float64Array.from(units, (i) => counts[i]!);
        const theirs = Float64Array.from(units, (i) => referenceCounts[i]!);
        return premiumOf(language, own, theirs, report.texts[l]!, settings);
      }),
    });
  }
  return report;
}

type Settings = Required<PremiumOptions>;

function premiumOf(
  language: string,
  own: Float64Array,
  theirs: Float64Array,
  text: LanguageText,
  settings: Settings,
): LanguagePremium {
  const tokens = sum(own);
  const referenceTokens = sum(theirs);
  const premium = tokens / referenceTokens;
  const cost = (numTokens: number) =>
    settings.pricePerMillion === null ? null : (numTokens * settings.pricePerMillion) / 1e6;
  return {
    language,
    tokens,
    referenceTokens,
    premium,
    interval: pairedBootstrap(own, theirs, settings),
    tokensPerByte: tokens / text.bytes,
    tokensPerCharacter: tokens / text.characters,
    tokensPerWord: tokens / text.words,
    costPer1000ReferenceTokens: cost(1000 * premium),
    costPer1000ReferenceWords: cost((1000 * tokens) / text.referenceWords),
    secondsPer1000ReferenceTokens: (1000 * premium) / settings.tokensPerSecond,
    contextReferenceTokens: settings.contextTokens / premium,
    contextShare: 1 / premium,
  };
}

/** Indices of the units that both have. */
function sharedUnits(language: string, units: readonly string[], reference: readonly string[]): number[] {
  const shared: number[] = [];
  for (let i = 0; i < reference.length; i++) {
    if (isPresent(reference[i]!) && i < units.length && isPresent(units[i]!)) shared.push(i);
  }
  if (shared.length > 0) return shared;
  throw new DataError(
    `'${language}' has no unit of text where the reference language has one too. The texts must be parallel: ` +
      'unit i of each says the same.',
  );
}

function isPresent(unit: string): boolean {
  return unit.trim() !== '';
}

/** Words of each unit. A tag that the engine does not know falls back to its default rules. */
function countWords(units: readonly string[], language: string): number[] {
  let segmenter: Intl.Segmenter;
  try {
    segmenter = new Intl.Segmenter(language.replaceAll('_', '-'), { granularity: 'word' });
  } catch {
    segmenter = new Intl.Segmenter(undefined, { granularity: 'word' });
  }
  return units.map((unit) => {
    let count = 0;
    for (const { isWordLike } of segmenter.segment(unit)) if (isWordLike) count++;
    return count;
  });
}

function checkedOptions(
  texts: Readonly<Record<string, readonly string[]>>,
  tokenizers: readonly TokenCounter[],
  options: PremiumOptions,
): Settings {
  const settings: Settings = {
    reference: options.reference ?? 'en',
    pricePerMillion: options.pricePerMillion ?? null,
    tokensPerSecond: options.tokensPerSecond ?? 100,
    contextTokens: options.contextTokens ?? 8192,
    numResamples: options.numResamples ?? 1000,
    seed: options.seed ?? 1,
  };
  if (!Object.hasOwn(texts, settings.reference)) {
    throw new ConfigError(
      `There is no text in the reference language '${settings.reference}'. The languages are ${Object.keys(texts).join(', ')}.`,
    );
  }
  const names = tokenizers.map(({ name }) => name);
  if (names.length === 0 || new Set(names).size < names.length) {
    throw new ConfigError(
      `Tokenizers need names of their own, and at least one; got ${JSON.stringify(names)}.`,
    );
  }
  for (const name of ['tokensPerSecond', 'contextTokens'] as const) {
    if (!(settings[name] > 0)) throw new ConfigError(`${name} must be above 0; got ${settings[name]}.`);
  }
  if (settings.pricePerMillion !== null && !(settings.pricePerMillion >= 0)) {
    throw new ConfigError(`pricePerMillion must be at least 0; got ${settings.pricePerMillion}.`);
  }
  return settings;
}

function sum(values: Iterable<number>): number {
  let total = 0;
  for (const value of values) total += value;
  return total;
}
