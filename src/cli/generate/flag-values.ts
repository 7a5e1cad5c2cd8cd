/** Values that only flags of generation take, from their text. A bad one says what is expected. */
import { InvalidArgumentError } from 'commander';
import { ConfigError } from '../../core/errors.ts';
import { parseSamplers, type SamplerChain } from '../../sampling/index.ts';
import { wholeNumber } from '../option-values.ts';

const MAX_LOGPROBS = 999;

/** Any finite number. */
export function anyNumber(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value)) throw new InvalidArgumentError('Expected a number.');
  return value;
}

export function aboveZero(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !(value > 0 && Number.isFinite(value))) {
    throw new InvalidArgumentError('Expected a number above 0.');
  }
  return value;
}

/** 0 to 1, both included. */
export function probability(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !(value >= 0 && value <= 1)) {
    throw new InvalidArgumentError('Expected a number from 0 to 1.');
  }
  return value;
}

/** How many tokens to look back on; -1 is all. */
export function lookBack(text: string): number {
  if (text.trim() === '-1') return -1;
  try {
    return wholeNumber(text);
  } catch {
    throw new InvalidArgumentError('Expected a whole number of at least 0, or -1 for all tokens.');
  }
}

/** `50256=-2.5`, several separated by commas; may be repeated, and a later bias of a token replaces an earlier. */
export function logitBias(
  text: string,
  before: Readonly<Record<number, number>> = {},
): Readonly<Record<number, number>> {
  const biases: Record<number, number> = { ...before };
  for (const pair of text.split(',')) {
    const match = /^\s*(\d+)\s*[=:]\s*([+-]?[\d.]+(?:e[+-]?\d+)?)\s*$/i.exec(pair);
    const bias = Number(match?.[2]);
    if (!match || !Number.isFinite(bias)) {
      throw new InvalidArgumentError('Expected a token id and a number, such as 1234=-2.5.');
    }
    biases[Number(match[1])] = bias;
  }
  return biases;
}

/** One of a few words; the value is what stands for it. */
export function oneOf<const Value extends string | number>(...values: readonly Value[]) {
  return (text: string): Value => {
    const found = values.find((value) => String(value) === text.trim());
    if (found === undefined) throw new InvalidArgumentError(`Expected one of ${values.join(', ')}.`);
    return found;
  };
}

/** How many likeliest tokens a place may be listed with. */
export function numLogprobs(text: string): number {
  const value = wholeNumber(text);
  if (value > MAX_LOGPROBS) throw new InvalidArgumentError(`Expected at most ${MAX_LOGPROBS}.`);
  return value;
}

export function samplers(text: string): SamplerChain {
  try {
    return parseSamplers(text);
  } catch (error) {
    if (error instanceof ConfigError) throw new InvalidArgumentError(error.message);
    throw error;
  }
}
