/** When guessing ahead pays: decided by what runs were said to take and to give, here made up. */
import { describe, expect, it } from 'vitest';
import { KeyedRandom } from '../../src/core/random.ts';
import { GuessChances, GuessPolicy } from '../../src/decode/guess-policy.ts';

interface World {
  readonly stepMs: number;
  readonly draftMs: number;
  readonly checkMs: (numGuesses: number) => number;
  /** Probability by the draft, and whether it is right, of guess i of all. */
  readonly guess: (i: number) => { probability: number; isRight: boolean };
  readonly most?: number;
}

/** Plays rounds until `numTokens` tokens are there, one row. Guesses that were dropped count below 0. */
function play(policy: GuessPolicy, chances: GuessChances, world: World, numTokens: number) {
  const { stepMs, draftMs, checkMs, guess, most = 8 } = world;
  const counts: number[] = [];
  let ms = 0;
  let tokens = 0;
  let asked = 0;
  while (tokens < numTokens) {
    if (!policy.decide()) {
      policy.toldStep(stepMs);
      counts.push(0);
      ms += stepMs;
      tokens++;
      continue;
    }
    const guesses: { probability: number; isRight: boolean }[] = [];
    let chance = 1;
    let expected = 0;
    do {
      guesses.push(guess(asked++));
      chance *= chances.of(guesses.at(-1)!.probability);
      expected += chance;
    } while (guesses.length < most && policy.paysOneMore([chance]));
    ms += draftMs * guesses.length;
    if (!policy.paysCheck(guesses.length, expected)) {
      policy.toldDropped(guesses.length, draftMs * guesses.length);
      policy.toldStep(stepMs);
      counts.push(-guesses.length);
      ms += stepMs;
      tokens++;
      continue;
    }
    const wrong = guesses.findIndex(({ isRight }) => !isRight);
    const numRight = wrong < 0 ? guesses.length : wrong;
    for (const one of guesses.slice(0, numRight + 1)) chances.told(one.probability, one.isRight);
    const round = {
      numGuesses: guesses.length,
      draftMs: draftMs * guesses.length,
      checkMs: checkMs(guesses.length),
      numTokens: numRight + 1,
    };
    policy.toldRound(round);
    counts.push(guesses.length);
    ms += round.checkMs;
    tokens += numRight + 1;
  }
  return { counts, msPerToken: ms / tokens };
}

const start = () => {
  const chances = new GuessChances();
  return { chances, policy: new GuessPolicy(chances) };
};
const cheapDraft = { stepMs: 4, draftMs: 0.5, checkMs: (count: number) => 4.4 + 0.1 * count };
const random = new KeyedRandom(5);
/** Right as often as the draft is sure of it. */
const calibrated = (probability: number) => (i: number) => ({
  probability,
  isRight: random.uniform(i) < probability,
});

describe('guessing ahead', () => {
  it('first sees what a step takes', () => {
    const { policy } = start();
    expect([policy.decide(), policy.decide(), policy.decide(), policy.decide()]).toEqual([
      false,
      false,
      false,
      true,
    ]);
  });

  it('goes as far as it may where guesses are right, and looks at plain steps now and then', () => {
    const { policy, chances } = start();
    const world = { ...cheapDraft, guess: () => ({ probability: 0.99, isRight: true }) };
    play(policy, chances, world, 100);
    const { counts, msPerToken } = play(policy, chances, world, 2000);
    expect(new Set(counts)).toEqual(new Set([0, 8]));
    expect(counts.filter((count) => count === 0).length).toBeLessThan(5);
    // 8 guesses at .5, a check at 5.2: 9 tokens.
    expect(msPerToken).toBeLessThan(1.05);
  });

  it('stops at the guess that the draft is not sure of', () => {
    const { policy, chances } = start();
    // Every fourth one is hard, and right one time in ten.
    const guess = (i: number) =>
      i % 4 === 3
        ? { probability: 0.1, isRight: random.uniform(i) < 0.1 }
        : { probability: 0.99, isRight: true };
    const { counts } = play(policy, chances, { ...cheapDraft, guess }, 4000);
    const late = counts.slice(50).filter((count) => count > 0);
    expect(late.filter((count) => count <= 4).length).toBeGreaterThan(0.95 * late.length);
  });

  it('costs a few per cent at most where guesses are wrong, from the first token on', () => {
    for (const probability of [0.01, 0.5, 0.99]) {
      const { policy, chances } = start();
      const guess = () => ({ probability, isRight: false });
      expect(play(policy, chances, { ...cheapDraft, guess }, 300).msPerToken).toBeLessThan(4 * 1.06);
      const { counts, msPerToken } = play(policy, chances, { ...cheapDraft, guess }, 5000);
      expect(msPerToken).toBeLessThan(4 * 1.005);
      // It still tries.
      expect(counts.filter((count) => count > 0).length).toBeGreaterThan(15);
    }
  });

  it.each([0.1, 0.3, 0.5, 0.7, 0.9])(
    'is never much slower than steps alone, right %d of the time',
    (rate) => {
      for (const draftMs of [0.2, 1, 4, 8]) {
        const { policy, chances } = start();
        const { msPerToken } = play(
          policy,
          chances,
          { ...cheapDraft, draftMs, guess: calibrated(rate) },
          3000,
        );
        expect(msPerToken, `draft ${draftMs}`).toBeLessThan(4 * 1.03);
      }
    },
  );

  it('comes near the best fixed number of guesses', () => {
    for (const rate of [0.6, 0.8, 0.9]) {
      const { policy, chances } = start();
      const { msPerToken } = play(policy, chances, { ...cheapDraft, guess: calibrated(rate) }, 6000);
      const fixed = [1, 2, 3, 4, 5, 6, 7, 8].map((count) => {
        const tokens = (1 - rate ** (count + 1)) / (1 - rate);
        return (cheapDraft.draftMs * count + cheapDraft.checkMs(count)) / tokens;
      });
      expect(msPerToken, `rate ${rate}`).toBeLessThan(1.08 * Math.min(...fixed));
    }
  });

  it('begins again within some hundred tokens of text that can be guessed', () => {
    const { policy, chances } = start();
    play(policy, chances, { ...cheapDraft, guess: () => ({ probability: 0.5, isRight: false }) }, 3000);
    const { counts } = play(
      policy,
      chances,
      { ...cheapDraft, guess: () => ({ probability: 0.95, isRight: true }) },
      1000,
    );
    const begun = counts.findIndex((count, i) => i > 0 && count > 0 && counts[i - 1]! > 0);
    expect(begun).toBeGreaterThan(0);
    expect(begun).toBeLessThan(300);
  });

  it('is not thrown off by a run that was held up', () => {
    const { policy, chances } = start();
    const world = { ...cheapDraft, guess: () => ({ probability: 0.99, isRight: true }) };
    play(policy, chances, world, 300);
    policy.toldRound({ numGuesses: 8, draftMs: 4, checkMs: 5000, numTokens: 1 });
    policy.toldStep(900);
    const { counts } = play(policy, chances, world, 90);
    expect(counts.filter((count) => count === 8).length).toBeGreaterThan(8);
  });
});

describe('chances of guesses', () => {
  it('are learnt for each degree of sureness', () => {
    const chances = new GuessChances();
    expect(chances.of(0.9)).toBeGreaterThan(chances.of(0.2));
    for (let i = 0; i < 200; i++) {
      chances.told(0.95, true);
      chances.told(0.4, i % 4 === 0);
    }
    expect(chances.of(0.99)).toBeGreaterThan(0.95);
    expect(chances.of(0.38)).toBeGreaterThan(0.1);
    expect(chances.of(0.38)).toBeLessThan(0.4);
    expect(chances.mean).toBeGreaterThan(0.5);
    expect(chances.mean).toBeLessThan(0.75);
  });

  it('take probabilities from 0 to 1', () => {
    const chances = new GuessChances();
    chances.told(0, false);
    chances.told(1, true);
    expect(chances.of(0)).toBeLessThan(chances.of(1));
  });
});
