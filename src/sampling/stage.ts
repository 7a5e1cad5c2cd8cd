/**
 * What a stage of a sampler chain is. Each kind of stage stands in a file of its own, which checks the
 * settings once and gives a function for each token; `stages.ts` lists the kinds.
 */
import { ConfigError } from '../core/errors.ts';
import type { Candidates } from './candidates.ts';
import type { Draws } from './draws.ts';

/** What a caller tells a chain about the place it samples for. */
export interface SamplingPlace {
  readonly draws: Draws;
  /** Tokens so far: the prompt and what was generated. Default none. */
  readonly history?: ArrayLike<number>;
  /** How many of `history` are the prompt. Stages that tell the two apart refuse to run without it. */
  readonly promptLength?: number;
}

/** What a stage may look at besides the candidates. */
export interface StageContext {
  readonly draws: Draws;
  readonly history: ArrayLike<number>;
  readonly promptLength: number | undefined;
  /** Number of logits, forbidden tokens included. */
  readonly vocabSize: number;
}

export interface Stage {
  apply(candidates: Candidates, context: StageContext): void;
  /** The first largest score stays a candidate and stays the first largest, whatever the input. */
  readonly keepsFirstMaximum: boolean;
  /** Only the first maximum is left afterwards. */
  readonly picksMaximum?: boolean;
  /** May throw for settings that only the model or the caller can show to be wrong, so it has to run. */
  readonly mayRefuse?: boolean;
  /** Told of the token that was drawn and of its probability then; for stages with state. */
  accept?(token: number, probability: number): void;
}

/**
 * How a setting is written in a text: `number`; `flag` (true or false); `ids` (token ids); `biases` (numbers by
 * token id); or one of several words.
 */
export type SettingForm = 'number' | 'flag' | 'ids' | 'biases' | readonly string[];

/** A kind of stage: its settings as data, `{ stage: name, ... }`, become a stage for one sequence. */
export interface StageKind<Settings> {
  /** Every setting but `stage`, in order of importance: `name=1` in a text sets the first. */
  readonly settings: { readonly [Name in Exclude<keyof Settings, 'stage'>]-?: SettingForm };
  /**
   * Throws ConfigError for settings out of range. `nextLane` reserves a lane of draws for the stage, which no
   * other stage of the chain and not the choice of the token uses.
   */
  create(settings: Settings, nextLane: () => number): Stage;
}

/** The numbers that a setting allows. */
export interface SettingRange {
  readonly least?: number;
  readonly most?: number;
  /** Excluded bounds. */
  readonly above?: number;
  readonly below?: number;
  readonly whole?: boolean;
}

/** Throws ConfigError that names the place and the setting unless the value is a finite number in the range. */
export function checkSetting(
  place: string,
  name: string,
  value: unknown,
  range: SettingRange = {},
): asserts value is number {
  const { least, most, above, below, whole = false } = range;
  const fits =
    typeof value === 'number' &&
    Number.isFinite(value) &&
    !(least !== undefined && value < least) &&
    !(most !== undefined && value > most) &&
    !(above !== undefined && value <= above) &&
    !(below !== undefined && value >= below) &&
    (!whole || Number.isInteger(value));
  if (fits) return;
  const bounds = [
    least !== undefined && `of at least ${least}`,
    above !== undefined && `above ${above}`,
    most !== undefined && `of at most ${most}`,
    below !== undefined && `below ${below}`,
  ].filter((text) => text !== false);
  throw new ConfigError(
    `Sampling, ${place}: ${name} is ${describe(value)}; expected a ${whole ? 'whole' : 'finite'} number` +
      `${bounds.length > 0 ? ` ${bounds.join(' and ')}` : ''}.`,
  );
}

/** Throws ConfigError that names the place and the setting unless the value is true, false or left out. */
export function checkFlag(place: string, name: string, value: unknown): asserts value is boolean | undefined {
  if (value === undefined || typeof value === 'boolean') return;
  throw new ConfigError(`Sampling, ${place}: ${name} is ${describe(value)}; expected true or false.`);
}

/** Throws ConfigError that names the place and the setting unless the value is a list of token ids. */
export function checkTokens(place: string, name: string, value: unknown): asserts value is readonly number[] {
  if (!Array.isArray(value)) {
    throw new ConfigError(`Sampling, ${place}: ${name} is ${describe(value)}; expected a list of token ids.`);
  }
  for (const id of value) checkTokenId(place, name, id);
}

/** Token ids fit an Int32Array. */
const LARGEST_ID = 2 ** 31 - 1;

export function checkTokenId(place: string, name: string, id: unknown): asserts id is number {
  if (Number.isInteger(id) && (id as number) >= 0 && (id as number) <= LARGEST_ID) return;
  throw new ConfigError(
    `Sampling, ${place}: ${name} has the token id ${describe(id)}; expected a whole number from 0 to ${LARGEST_ID}.`,
  );
}

/** Throws ConfigError when a stage was given a token id that the model does not have. */
export function checkVocabulary(place: string, largestId: number, vocabSize: number): void {
  if (largestId < vocabSize) return;
  throw new ConfigError(
    `Sampling, ${place}: token ${largestId} is not in the vocabulary of ${vocabSize} tokens; ` +
      `expected ids up to ${vocabSize - 1}. Encode the text again with this model's tokenizer.`,
  );
}

/** How many tokens of the history were generated. Throws ConfigError where the caller did not say. */
export function numGenerated(place: string, { history, promptLength }: StageContext): number {
  if (promptLength === undefined && history.length > 0) {
    throw new ConfigError(
      `Sampling, ${place}: it tells the prompt from what was generated, but promptLength is not given; ` +
        'pass it with the history.',
    );
  }
  return history.length - (promptLength ?? 0);
}

/** Throws ConfigError for a stage that ruled out every candidate. */
export function refuseNoneLeft(place: string, numBefore: number): never {
  throw new ConfigError(
    `Sampling, ${place}: none of the ${numBefore} tokens that could still be chosen is left. ` +
      'Rule out fewer tokens, or look at what the stages and masks before it forbid.',
  );
}

/** Keeps a score finite: what overflows stays the largest or the smallest number. */
export function finite(score: number): number {
  return Math.max(-Number.MAX_VALUE, Math.min(score, Number.MAX_VALUE));
}

export function describe(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value);
  return typeof value === 'object' && value !== null ? (JSON.stringify(value) ?? 'an object') : String(value);
}
