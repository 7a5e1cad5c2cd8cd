/**
 * Every dialect against its engine's rules written out plainly (sampling-reference.ts): 1,000 random distributions
 * each, of 2 to 2,000 tokens, with ties and forbidden tokens, under random settings. The same tokens are left, with
 * the same probabilities to 1e-6.
 */
import { describe, expect, it } from 'vitest';
import { ConfigError } from '../../src/core/errors.ts';
import { KeyedRandom } from '../../src/core/random.ts';
import {
  Candidates,
  chainOf,
  type DialectName,
  Sampler,
  type SamplingSettings,
} from '../../src/sampling/index.ts';
import { type Entry, llamacpp, type Request, softmax, transformers, vllm } from './sampling-reference.ts';

const NUM_CASES = 1000;
const NUM_MIROSTAT_TOKENS = 5;

class Dice {
  readonly #random: KeyedRandom;
  #index = 0;
  constructor(seed: number) {
    this.#random = new KeyedRandom(seed);
  }
  real(low = 0, high = 1): number {
    return low + (high - low) * this.#random.uniform(this.#index++);
  }
  whole(low: number, high: number): number {
    return Math.floor(this.real(low, high + 1));
  }
  with(probability: number): boolean {
    return this.real() < probability;
  }
  normal(): number {
    return Math.sqrt(-2 * Math.log(1 - this.real())) * Math.cos(2 * Math.PI * this.real());
  }
  list(length: number, below: number): number[] {
    return Array.from({ length }, () => this.whole(0, below - 1));
  }
}

function randomLogits(dice: Dice): number[] {
  const vocabSize = dice.with(0.3) ? dice.whole(2, 12) : Math.round(2 * 1000 ** dice.real());
  const scale = dice.real(0.2, 5);
  const forbidden = dice.with(0.4) ? dice.real(0, 0.6) : 0;
  const ties = dice.with(0.4);
  const logits = Array.from({ length: vocabSize }, () => {
    if (dice.with(forbidden)) return Number.NEGATIVE_INFINITY;
    const logit = scale * dice.normal();
    return Math.fround(ties ? Math.round(logit * 2) / 7 : logit);
  });
  if (logits.every((logit) => logit === Number.NEGATIVE_INFINITY)) logits[0] = 1;
  return logits;
}

type Maker = (dice: Dice, vocabSize: number) => SamplingSettings;

/** Parameters have many digits, so that no rule is decided by the last bit. */
const makers: { [Name in keyof Required<SamplingSettings>]: Maker } = {
  temperature: (dice) => ({
    temperature: dice.with(0.1) ? 0 : dice.with(0.1) ? dice.real(0, 0.02) : dice.real(0.1, 2),
  }),
  dynamicTemperature: (dice) => ({
    dynamicTemperature: { range: dice.real(0, 1), ...(dice.with(0.5) && { exponent: dice.real(0.3, 2) }) },
  }),
  topK: (dice) => ({ topK: dice.with(0.1) ? 0 : dice.whole(1, 60) }),
  topP: (dice) => ({ topP: dice.with(0.1) ? 1 : dice.real(0.001, 1) }),
  minP: (dice) => ({ minP: dice.with(0.1) ? 0 : dice.real() ** 3 }),
  typicalP: (dice) => ({ typicalP: dice.with(0.1) ? 1 : dice.real(0.001, 1) }),
  topNSigma: (dice) => ({ topNSigma: dice.with(0.1) ? 0 : dice.real(0.2, 3) }),
  epsilonCutoff: (dice) => ({ epsilonCutoff: dice.with(0.1) ? 0 : dice.real() ** 6 }),
  etaCutoff: (dice) => ({ etaCutoff: dice.with(0.1) ? 0 : dice.real() ** 4 }),
  xtc: (dice) => ({ xtc: { probability: dice.real(), threshold: dice.real(0, 0.6) ** 2 } }),
  dry: (dice, vocabSize) => ({
    dry: {
      multiplier: dice.real(0, 2),
      ...(dice.with(0.5) && { base: dice.real(1, 2) }),
      ...(dice.with(0.5) && { allowedLength: dice.whole(0, 4) }),
      ...(dice.with(0.5) && { lastN: dice.whole(-1, 60) }),
      ...(dice.with(0.5) && { breakers: dice.list(2, Math.min(5, vocabSize)) }),
    },
  }),
  mirostat: (dice) => ({
    mirostat: { version: dice.with(0.5) ? 1 : 2, tau: dice.real(0.5, 6), eta: dice.real(0, 0.5) },
  }),
  repetitionPenalty: (dice) => ({ repetitionPenalty: dice.real(0.7, 1.8) }),
  presencePenalty: (dice) => ({ presencePenalty: dice.real(-2, 2) }),
  frequencyPenalty: (dice) => ({ frequencyPenalty: dice.real(-2, 2) }),
  penaltyLastN: (dice) => ({ penaltyLastN: dice.whole(-1, 80) }),
  logitBias: (dice, vocabSize) => ({
    logitBias: Object.fromEntries(dice.list(5, vocabSize).map((id) => [id, dice.real(-4, 4)])),
  }),
  allowedTokens: (dice, vocabSize) => ({ allowedTokens: dice.list(dice.whole(1, vocabSize), vocabSize) }),
  bannedTokens: (dice, vocabSize) => ({ bannedTokens: dice.list(dice.whole(0, 20), vocabSize) }),
  minTokens: (dice) => ({ minTokens: dice.whole(0, 60) }),
};

const SHARED = [
  'temperature',
  'topK',
  'topP',
  'minP',
  'repetitionPenalty',
  'logitBias',
  'bannedTokens',
] as const;
const engines: Record<
  DialectName,
  { run: (request: Request) => Entry[]; settings: (keyof SamplingSettings)[] }
> = {
  llamacpp: {
    run: llamacpp,
    settings: [
      ...SHARED,
      'dynamicTemperature',
      'typicalP',
      'topNSigma',
      'xtc',
      'dry',
      'presencePenalty',
      'frequencyPenalty',
      'penaltyLastN',
    ],
  },
  vllm: {
    run: vllm,
    settings: [...SHARED, 'presencePenalty', 'frequencyPenalty', 'allowedTokens', 'minTokens'],
  },
  hf: {
    run: transformers,
    settings: [...SHARED, 'typicalP', 'epsilonCutoff', 'etaCutoff', 'allowedTokens', 'minTokens'],
  },
};

function randomRequest(dice: Dice, settings: readonly (keyof SamplingSettings)[]): Request {
  const logits = randomLogits(dice);
  // Few different tokens, so that they repeat and sequences of them too.
  const history = dice.list(dice.whole(0, 120), Math.min(logits.length, dice.whole(2, 30)));
  const density = dice.real(0.1, 0.7);
  const chosen = settings.filter(() => dice.with(density));
  const made = chosen.map((name) => makers[name](dice, logits.length));
  return {
    logits,
    settings: Object.assign({ temperature: dice.real(0.3, 1.5) }, ...made),
    history,
    promptLength: dice.whole(0, history.length),
    stopTokens: dice.list(2, logits.length),
    chance: dice.real(),
    mu: Number.NaN,
  };
}

function expectSame(left: Candidates, want: readonly Entry[], what: string): void {
  const p = softmax(want);
  const wanted = new Map(want.map(({ id }, i) => [id, p[i]!]));
  const total = left.totalWeight();
  const got = new Map<number, number>();
  for (let i = 0; i < left.size; i++) {
    got.set(left.ids[i]!, Math.exp(left.scores[i]! - left.maximum) / total);
  }
  expect(
    [...got.keys()].sort((a, b) => a - b),
    what,
  ).toEqual([...wanted.keys()].sort((a, b) => a - b));
  for (const [id, probability] of got)
    expect(Math.abs(probability - wanted.get(id)!), what).toBeLessThan(1e-6);
}

describe.each(Object.entries(engines))(
  'the dialect %s leaves what its engine leaves',
  (name, { run, settings }) => {
    const dialect = name as DialectName;

    it(`on ${NUM_CASES} random distributions`, () => {
      const dice = new Dice(41);
      let numCut = 0;
      let numRefused = 0;
      for (let i = 0; i < NUM_CASES; i++) {
        const request = randomRequest(dice, settings);
        const { logits, history, promptLength, stopTokens, chance } = request;
        const what = `case ${i}: ${JSON.stringify(request.settings)}`;
        const sampler = new Sampler(chainOf(request.settings, dialect, { stopTokens }));
        const place = {
          draws: { uniform: (lane: number) => (lane === 1 ? chance : 0.5) },
          history,
          promptLength,
        };
        const want = run(request);
        const left = new Candidates();
        if (want.length === 0) {
          expect(() => sampler.run(left, logits, place), what).toThrow(ConfigError);
          numRefused++;
          continue;
        }
        sampler.run(left, logits, place);
        expectSame(left, want, what);
        if (want.length < logits.filter(Number.isFinite).length) numCut++;
        // Greedy by the shortcut and greedy by the stages are the same.
        const token = sampler.sample(logits, place.draws, history, promptLength);
        expect(
          want.some(({ id }) => id === token),
          what,
        ).toBe(true);
      }
      expect(numCut).toBeGreaterThan(NUM_CASES / 2);
      expect(numRefused).toBeLessThan(NUM_CASES / 5);
    });
  },
);

describe('mirostat', () => {
  it('leaves what llama.cpp leaves, token after token', () => {
    const dice = new Dice(43);
    for (let i = 0; i < 200; i++) {
      const settings = { ...makers.mirostat(dice, 0), temperature: dice.real(0.5, 1.5) };
      const { tau = 5, eta = 0.1 } = settings.mirostat!;
      const sampler = new Sampler(chainOf(settings, 'llamacpp'));
      let mu = 2 * tau;
      for (let token = 0; token < NUM_MIROSTAT_TOKENS; token++) {
        const logits = randomLogits(dice);
        const draws = { uniform: () => dice.real() };
        const want = llamacpp({
          logits,
          settings,
          history: [],
          promptLength: 0,
          stopTokens: [],
          chance: 0,
          mu,
        });
        const left = new Candidates();
        sampler.run(left, logits, { draws });
        expectSame(left, want, `sequence ${i}, token ${token}: ${JSON.stringify(settings)}, mu ${mu}`);
        const drawn = sampler.sample(logits, draws);
        const probability = softmax(want)[want.findIndex(({ id }) => id === drawn)]!;
        mu -= eta * (-Math.log2(probability) - tau);
      }
    }
  });
});
