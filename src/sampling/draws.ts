/**
 * Where chance comes from. A draw is a pure function of (seed, choice, position, lane), so a token never
 * depends on the batch it was computed in, on the slot, or on what else was sampled before it.
 */
import { ConfigError } from '../core/errors.ts';
import { KeyedRandom } from '../core/random.ts';

/** The draws of one position. Lane 0 picks the token; stages that need chance of their own use 1 to 7. */
export interface Draws {
  /** Uniform in [0, 1). */
  uniform(lane: number): number;
}

/** Lanes of one position. */
export const NUM_LANES = 8;

/** Draws of one choice (one of several answers to the same prompt) under one seed. */
export class KeyedDraws implements Draws {
  readonly #random: KeyedRandom;
  #position = 0;

  /** Throws ConfigError unless seed and choice are whole numbers from 0 to 2^53 - 1. */
  constructor(seed: number, choice = 0) {
    for (const [name, value] of [
      ['seed', seed],
      ['choice', choice],
    ] as const) {
      if (!Number.isSafeInteger(value) || value < 0) {
        throw new ConfigError(`Sampling: ${name} is ${value}; expected a whole number from 0 to 2^53 - 1.`);
      }
    }
    this.#random = new KeyedRandom(seed).fork(`token choice ${choice}`);
  }

  /** These draws, set to a position: the number of tokens generated before. */
  at(position: number): this {
    this.#position = position;
    return this;
  }

  uniform(lane: number): number {
    return this.#random.uniform(this.#position * NUM_LANES + lane);
  }
}
