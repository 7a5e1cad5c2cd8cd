/**
 * Rewards that are programs, and mixtures of rewards: what can be checked about an answer without a model. Every
 * program gives 0 or 1, `tokens` excepted, which counts. Browser-safe.
 *
 * As text: `exact-match`, `json:city=place`, `0.8*exact-match + 0.2*json`, `number - 0.001*tokens`.
 */
import { ConfigError, DataError } from '../core/errors.ts';
import { nearestName } from '../core/nearest-name.ts';
import type { AnsweredPrompt, RewardFunction } from './reward-function.ts';

/** One term of a reward as text: `weight * name:argument`. */
export interface RewardTerm {
  readonly weight: number;
  readonly name: string;
  readonly argument: string | undefined;
}

export interface WeightedReward {
  readonly weight: number;
  readonly reward: RewardFunction;
}

interface RewardProgram {
  /** How it is written, for help and errors. */
  readonly usage: string;
  readonly description: string;
  /** Throws ConfigError for an argument that it cannot use. */
  make(argument: string | undefined): (answer: AnsweredPrompt) => number;
}

const DEFAULT_FIELD = 'answer';
/** Two numbers are the same when they differ by less than this share of the larger. */
const NUMBER_TOLERANCE = 1e-6;
/** Digits with or without separators of thousands, a fraction and an exponent. */
const NUMBER =
  /(?:(?<!\d)[-−+])?(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?(?:e[-+]?\d+)?|(?<!\d)[-−+]?\.\d+/giu;

export const REWARD_PROGRAMS: Readonly<Record<string, RewardProgram>> = {
  'exact-match': {
    usage: 'exact-match[:FIELD]',
    description: `the answer is the text of the record's FIELD (default "${DEFAULT_FIELD}"), or one of its list`,
    make: (field = DEFAULT_FIELD) => {
      return ({ completion, record }) => {
        const wanted = fieldOf(record, field);
        const texts = Array.isArray(wanted) ? wanted : [wanted];
        return indicator(texts.some((text) => plain(textOf(text)) === plain(completion.text)));
      };
    },
  },
  number: {
    usage: 'number[:FIELD]',
    description: `the last number of the answer is the last one of the record's FIELD (default "${DEFAULT_FIELD}")`,
    make: (field = DEFAULT_FIELD) => {
      return ({ completion, record }) => {
        const wanted = lastNumber(textOf(fieldOf(record, field)));
        if (wanted === undefined) throw new DataError(`The record's field "${field}" holds no number.`);
        const given = lastNumber(completion.text);
        return indicator(given !== undefined && isSameNumber(given, wanted));
      };
    },
  },
  regex: {
    usage: 'regex:PATTERN or regex:/PATTERN/FLAGS',
    description: 'the pattern occurs in the answer; in slashes it may hold spaces',
    make: (argument) => {
      if (argument === undefined)
        throw new ConfigError('The reward regex needs a pattern: regex:^[A-Z].*[.]$');
      const pattern = regexOf(argument);
      return ({ completion }) => indicator(pattern.test(completion.text));
    },
  },
  json: {
    usage: 'json[:FIELD[=RECORD_FIELD]]',
    description:
      "the answer is JSON; with FIELD, an object whose field equals the record's of the same or the given name",
    make: (argument) => {
      const [field = '', recordField = field] = argument?.split('=', 2) ?? [];
      if (argument === undefined) return ({ completion }) => indicator(parsed(completion.text) !== undefined);
      if (field === '' || recordField === '') {
        throw new ConfigError(
          `The reward json:${argument} names no field; expected json:city or json:city=place.`,
        );
      }
      return ({ completion, record }) => {
        const wanted = fieldOf(record, recordField);
        const value = parsed(completion.text)?.value;
        const isObject = typeof value === 'object' && value !== null && Object.hasOwn(value, field);
        return indicator(isObject && isSameJson((value as Record<string, unknown>)[field], wanted));
      };
    },
  },
  length: {
    usage: 'length:MIN-MAX',
    description: 'the answer has so many characters; one of the two may be left out',
    make: (argument) => {
      const [, min = '', max = ''] = /^(\d*)-(\d*)$/.exec(argument ?? '') ?? [];
      const [low, high] = [Number(min), max === '' ? Number.POSITIVE_INFINITY : Number(max)];
      if (min + max === '' || low > high) {
        throw new ConfigError(
          `The reward length:${argument ?? ''} is no range; expected length:10-200, length:10- or length:-200.`,
        );
      }
      return ({ completion }) => {
        let length = 0;
        for (const _ of completion.text) length++;
        return indicator(length >= low && length <= high);
      };
    },
  },
  finished: {
    usage: 'finished',
    description: 'the answer came to an end and was not cut at its greatest length',
    make: without('finished', ({ completion }) => indicator(completion.finishReason === 'stop')),
  },
  tokens: {
    usage: 'tokens',
    description: "the number of the answer's tokens: with a negative weight a penalty for each",
    make: without('tokens', ({ completion }) => completion.usage.completionTokens),
  },
};

const indicator = (holds: boolean) => (holds ? 1 : 0);
const plain = (text: string) => text.normalize('NFC').trim();

/** For programs that take no argument. */
function without(name: string, score: (answer: AnsweredPrompt) => number) {
  return (argument: string | undefined) => {
    if (argument === undefined) return score;
    throw new ConfigError(`The reward ${name} takes no argument, got "${argument}".`);
  };
}

function fieldOf(record: AnsweredPrompt['record'], field: string): unknown {
  const value = Object.hasOwn(record, field) ? record[field] : undefined;
  if (value !== undefined && value !== null) return value;
  const fields = Object.keys(record).join(', ') || 'none';
  throw new DataError(`A record lacks the field "${field}" that the reward compares with; it has ${fields}.`);
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}

/** The last number that stands in a text, as a person would read it; undefined when there is none. */
export function lastNumber(text: string): number | undefined {
  const found = text.match(NUMBER) ?? [];
  const last = found.at(-1)?.replaceAll(',', '').replace('−', '-');
  return last === undefined ? undefined : Number(last);
}

function isSameNumber(a: number, b: number): boolean {
  return Math.abs(a - b) <= NUMBER_TOLERANCE * Math.max(Math.abs(a), Math.abs(b));
}

function regexOf(argument: string): RegExp {
  const [, source = argument, flags = ''] = /^\/(.*)\/([a-z]*)$/su.exec(argument) ?? [];
  try {
    // Sticky and global patterns remember where they stopped, which a check must not.
    return new RegExp(source, [...new Set(`${flags}u`)].join('').replace(/[gy]/g, ''));
  } catch (error) {
    throw new ConfigError(`The reward regex:${argument} has no valid pattern: ${(error as Error).message}.`, {
      cause: error,
    });
  }
}

function parsed(text: string): { readonly value: unknown } | undefined {
  try {
    return { value: JSON.parse(text) };
  } catch {
    return undefined;
  }
}

/** Equal as JSON values whatever the order of keys; a text and a number are the same when they read the same. */
function isSameJson(a: unknown, b: unknown): boolean {
  if (Array.isArray(a) && Array.isArray(b)) {
    return a.length === b.length && a.every((item, i) => isSameJson(item, b[i]));
  }
  if (isObject(a) && isObject(b)) {
    const keys = Object.keys(a);
    return (
      keys.length === Object.keys(b).length &&
      keys.every((key) => Object.hasOwn(b, key) && isSameJson(a[key], b[key]))
    );
  }
  if (isObject(a) || isObject(b) || Array.isArray(a) || Array.isArray(b)) return false;
  return a === b || (a !== null && b !== null && plain(String(a)) === plain(String(b)));
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Signs, weights, names and arguments, one after the other; an argument ends at white space unless in slashes. */
const TERM =
  /\s*([-+])?\s*(?:(\d+(?:\.\d+)?(?:e[-+]?\d+)?)\s*\*\s*)?([a-z][a-z-]*[a-z]|[a-z])(?::(\/(?:\\.|[^\\/])*\/[a-z]*(?!\S)|\S*))?\s*/uy;

/**
 * Terms of a reward as text. Throws ConfigError that shows where the text cannot be read.
 */
export function parseRewardTerms(text: string): RewardTerm[] {
  const terms: RewardTerm[] = [];
  TERM.lastIndex = 0;
  while (TERM.lastIndex < text.length || terms.length === 0) {
    const at = TERM.lastIndex;
    const [, sign, weight, name, argument] = TERM.exec(text) ?? [];
    if (name === undefined || (terms.length > 0 && sign === undefined)) {
      throw new ConfigError(
        `The reward "${text}" cannot be read from "${text.slice(at)}" on. Expected terms such as ` +
          '0.8*exact-match:answer + 0.2*json - 0.001*tokens.',
      );
    }
    terms.push({
      weight: (sign === '-' ? -1 : 1) * Number(weight ?? 1),
      name,
      argument: argument || undefined,
    });
  }
  return terms;
}

/** A built-in program. Throws ConfigError for a name that none has and for an argument it cannot use. */
export function rewardProgram(name: string, argument?: string): RewardFunction {
  const program = Object.hasOwn(REWARD_PROGRAMS, name) ? REWARD_PROGRAMS[name] : undefined;
  if (program === undefined) {
    const near = nearestName(name, Object.keys(REWARD_PROGRAMS));
    const known = Object.values(REWARD_PROGRAMS).map(({ usage }) => usage);
    throw new ConfigError(
      `There is no reward "${name}". ${near ? `Did you mean "${near}"?` : `There are: ${known.join(', ')}.`}`,
    );
  }
  const score = program.make(argument);
  return {
    name: argument === undefined ? name : `${name}:${argument}`,
    score: (answers) => answers.map(score),
  };
}

/** The weighted sum of rewards. One reward of weight 1 is given back as it is. */
export function rewardMixture(terms: readonly WeightedReward[]): RewardFunction {
  const [first] = terms;
  if (first === undefined) throw new ConfigError('A mixture of rewards needs at least one.');
  if (terms.length === 1 && first.weight === 1) return first.reward;
  return {
    name: terms
      .map(({ weight, reward }, i) => {
        const sign = weight < 0 ? '- ' : i > 0 ? '+ ' : '';
        return `${sign}${Math.abs(weight) === 1 ? '' : `${Math.abs(weight)}*`}${reward.name}`;
      })
      .join(' '),
    score: async (answers) => {
      const totals = answers.map(() => 0);
      for (const { weight, reward } of terms) {
        const scores = await reward.score(answers);
        scores.forEach((score, i) => {
          totals[i]! += weight * score;
        });
      }
      return totals;
    },
  };
}

/**
 * A reward from its text: built-in programs and mixtures of them. Throws ConfigError for text that cannot be read.
 * Rewards that are models or modules are opened in Node (`openReward`).
 */
export function parseReward(text: string): RewardFunction {
  return rewardMixture(
    parseRewardTerms(text).map(({ weight, name, argument }) => ({
      weight,
      reward: rewardProgram(name, argument),
    })),
  );
}
