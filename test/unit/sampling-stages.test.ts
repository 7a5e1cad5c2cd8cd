import { describe, expect, it } from 'vitest';
import { ConfigError } from '../../src/core/errors.ts';
import { KeyedRandom } from '../../src/core/random.ts';
import {
  Candidates,
  KeyedDraws,
  Sampler,
  type SamplerChain,
  type StageSettings,
  sampleToken,
} from '../../src/sampling/index.ts';

const never = {
  uniform() {
    throw new Error('drew');
  },
};

/** What a chain leaves: scores by token id. */
function left(
  logits: readonly number[],
  chain: SamplerChain,
  place: { history?: number[]; promptLength?: number; chance?: number } = {},
): Map<number, number> {
  const candidates = new Candidates();
  const { chance, ...rest } = place;
  const draws = chance === undefined ? never : { uniform: () => chance };
  new Sampler(chain).run(candidates, logits, { draws, ...rest });
  return new Map(
    Array.from({ length: candidates.size }, (_, i) => [candidates.ids[i]!, candidates.scores[i]!]),
  );
}

const idsOf = (scores: Map<number, number>) => [...scores.keys()].sort((a, b) => a - b);
const ln = (probabilities: readonly number[]) => probabilities.map(Math.log);

describe('penalties', () => {
  const logits = [2, -2, 0, 1];

  it('divide positive scores, multiply the others, then take off frequency and presence', () => {
    const stage: StageSettings = { stage: 'penalties', repetition: 2, frequency: 0.5, presence: 0.25 };
    const scores = left(logits, [stage], { history: [0, 1, 1, 2] });
    expect(Object.fromEntries(scores)).toEqual({ 0: 1 - 0.75, 1: -4 - 1.25, 2: 0 - 0.75, 3: 1 });
  });

  it('look back lastN tokens', () => {
    const scores = (lastN: number) =>
      left(logits, [{ stage: 'penalties', presence: 1, lastN }], { history: [0, 3, 3, 1] });
    expect(scores(0).get(1)).toBe(-2);
    expect([...scores(2)]).toEqual([
      ...new Map([
        [0, 2],
        [1, -3],
        [2, 0],
        [3, 0],
      ]),
    ]);
    expect(scores(-1).get(0)).toBe(1);
    expect(scores(100).get(0)).toBe(1);
  });

  it('count the prompt or not, each as told', () => {
    const stage: StageSettings = { stage: 'penalties', repetition: 2, presence: 5, countsOver: 'generated' };
    const scores = left(logits, [stage], { history: [0, 3], promptLength: 1 });
    expect(scores.get(0)).toBe(1);
    expect(scores.get(3)).toBe(0.5 - 5);
    const both: StageSettings = { ...stage, repetitionOver: 'generated', lastN: 1 };
    expect(left(logits, [both], { history: [0, 3], promptLength: 2 }).get(3)).toBe(1);
  });

  it('ask for the length of the prompt where it matters', () => {
    const stage: StageSettings = { stage: 'penalties', presence: 1, countsOver: 'generated' };
    expect(() => left(logits, [stage], { history: [0] })).toThrow(/promptLength is not given/);
    expect(() => left(logits, [stage], { history: [0], promptLength: 2 })).toThrow(ConfigError);
    expect(left(logits, [stage]).get(0)).toBe(2);
  });

  it('leave nothing behind for the next token, and pass over ids beyond the vocabulary', () => {
    const sampler = new Sampler([
      { stage: 'penalties', frequency: 10 },
      { stage: 'temperature', temperature: 0 },
    ]);
    expect(sampler.isGreedy).toBe(false);
    expect(sampler.sample(logits, anyDraw, [0, 0, 77])).toBe(3);
    expect(sampler.sample(logits, anyDraw, [3])).toBe(0);
    expect(sampler.sample(logits, anyDraw, [])).toBe(0);
  });

  it('put sorted candidates back into order', () => {
    const chain: SamplerChain = [
      { stage: 'top-k', k: 3 },
      { stage: 'penalties', presence: 3 },
      { stage: 'top-k', k: 1 },
    ];
    expect(idsOf(left(logits, chain, { history: [0] }))).toEqual([3]);
  });
});

/** Greedy still takes its draw, and any will do. */
const anyDraw = { uniform: () => 0.5 };

describe('DRY', () => {
  const flat = [0, 0, 0, 0, 0];
  const stage = (more: object): SamplerChain => [
    { stage: 'dry', multiplier: 1, base: 2, allowedLength: 1, ...more },
  ];

  it('takes the longest repetition that a token would lengthen', () => {
    // Before the end 1 2: 0 1 2 (two tokens, then 3) and 4 2 (one token, then 0).
    const history = [0, 1, 2, 3, 4, 2, 0, 1, 2];
    expect(left(flat, stage({}), { history }).get(3)).toBe(-4);
    expect(left(flat, stage({}), { history }).get(0)).toBe(-1);
    expect(left(flat, stage({}), { history }).get(4)).toBe(0);
  });

  it('does not reach over a breaker and never penalises one', () => {
    const history = [0, 1, 2, 3, 0, 1, 2];
    expect(left(flat, stage({}), { history }).get(3)).toBe(-4);
    expect(left(flat, stage({ breakers: [1] }), { history }).get(3)).toBe(-1);
    expect(left(flat, stage({ breakers: [3] }), { history }).get(3)).toBe(0);
    expect(left(flat, stage({ breakers: [2] }), { history }).get(3)).toBe(0);
  });

  it('looks back lastN tokens, and only at repetitions of the allowed length', () => {
    const history = [0, 1, 2, 3, 0, 1, 2];
    expect(left(flat, stage({ lastN: 5 }), { history }).get(3)).toBe(-1);
    expect(left(flat, stage({ lastN: 4 }), { history }).get(3)).toBe(0);
    expect(left(flat, stage({ allowedLength: 3 }), { history }).get(3)).toBe(-1);
    expect(left(flat, stage({ allowedLength: 4 }), { history }).get(3)).toBe(0);
  });

  it.each([
    ['one token', () => 1],
    ['a few tokens', (i: number) => i % 7],
    ['words of growing length', (i: number) => Number(Number.isInteger(Math.sqrt(i)))],
  ])('reads each token of the history a few times at most, however much repeats: %s', (_, tokenAt) => {
    const length = 20_000;
    let numReads = 0;
    const history = new Proxy(
      Int32Array.from({ length }, (__, i) => tokenAt(i)),
      {
        get: (tokens, key) => {
          if (key === 'length') return length;
          numReads++;
          return tokens[Number(key)];
        },
      },
    );
    new Sampler(stage({ breakers: [9] })).sample(new Array<number>(10).fill(0), anyDraw, history);
    expect(numReads).toBeGreaterThan(length);
    expect(numReads).toBeLessThan(8 * length);
  });

  it('stops the power before it overflows', () => {
    const history = new Array<number>(5000).fill(1);
    const score = left(flat, stage({ base: 10 }), { history }).get(1)!;
    expect(score).toBe(-1e38);
  });
});

describe('mirostat', () => {
  it.each([1, 2])('%i brings the mean surprise to tau', (version) => {
    const random = new KeyedRandom(5);
    const rows = Array.from({ length: 20 }, (_, i) =>
      Float64Array.from(
        { length: 400 },
        (_, id) => -1.05 * Math.log(id + 1) + 0.3 * random.uniform(400 * i + id),
      ),
    );
    for (const tau of [2.5, 4]) {
      const sampler = new Sampler([{ stage: 'mirostat', version, tau, eta: 0.2 }]);
      const draws = new KeyedDraws(1);
      let surprise = 0;
      for (let i = 0; i < 1500; i++) {
        sampler.sample(rows[i % rows.length]!, draws.at(i), [], 0, (candidates, token) => {
          const p =
            Math.exp(candidates.scores[candidates.placeOf(token)]! - candidates.maximum) /
            candidates.totalWeight();
          if (i >= 300) surprise -= Math.log2(p) / 1200;
        });
      }
      expect(Math.abs(surprise - tau)).toBeLessThan(0.1);
    }
  });

  it('keeps its state to itself: two samplers of one chain do not meet', () => {
    const chain: SamplerChain = [{ stage: 'mirostat', version: 2, tau: 1, eta: 1 }];
    const logits = ln([0.1, 0.2, 0.3, 0.4]);
    const [a, b] = [new Sampler(chain), new Sampler(chain)];
    for (let i = 0; i < 2; i++) a.sample(logits, { uniform: () => 0 });
    const size = (sampler: Sampler) => {
      const candidates = new Candidates();
      sampler.run(candidates, logits, { draws: never });
      return candidates.size;
    };
    expect([size(a), size(b)]).toEqual([1, 2]);
  });

  it('guesses ahead without moving', () => {
    const logits = ln([0.1, 0.2, 0.3, 0.4]);
    const sampler = new Sampler([{ stage: 'mirostat', version: 2, tau: 1, eta: 1 }]);
    const draws = { uniform: () => 0 };
    for (let i = 0; i < 3; i++) expect(sampler.peek(logits, { draws })).toBe(2);
    for (const token of [2, 2, 3]) {
      expect(sampler.peek(logits, { draws })).toBe(token);
      expect(sampler.sample(logits, draws)).toBe(token);
    }
  });

  it('leaves the best alone when all are too surprising, and copes with equal scores', () => {
    const flat = new Array<number>(8).fill(0);
    expect(idsOf(left(flat, [{ stage: 'mirostat', version: 2, tau: 1 }]))).toEqual([0]);
    expect(idsOf(left(flat, [{ stage: 'mirostat', version: 1, tau: 1 }]))).toEqual([0]);
    expect(idsOf(left(flat, [{ stage: 'mirostat', version: 1, tau: 3 }]))).toHaveLength(8);
    expect(idsOf(left([3], [{ stage: 'mirostat', version: 1 }]))).toEqual([0]);
  });
});

describe('XTC', () => {
  const logits = ln([0.3, 0.3, 0.25, 0.15]);
  const xtc = (threshold: number, more: object = {}): SamplerChain => [
    { stage: 'xtc', probability: 0.5, threshold, ...more },
  ];

  it('keeps the last of those that reach the threshold, the higher id of equals', () => {
    expect(idsOf(left(logits, xtc(0.2), { chance: 0.4 }))).toEqual([2, 3]);
    expect(idsOf(left(logits, xtc(0.28), { chance: 0.4 }))).toEqual([1, 2, 3]);
    expect(idsOf(left(logits, xtc(0), { chance: 0.4 }))).toEqual([3]);
  });

  it('does nothing without the chance, with one on top, above 0.5, or below minKeep', () => {
    const whole = [0, 1, 2, 3];
    expect(idsOf(left(logits, xtc(0.2), { chance: 0.5 }))).toEqual(whole);
    expect(idsOf(left(ln([0.6, 0.2, 0.1, 0.1]), xtc(0.3), { chance: 0 }))).toEqual(whole);
    expect(idsOf(left(logits, xtc(0.51)))).toEqual(whole);
    expect(idsOf(left(logits, xtc(0.2, { minKeep: 3 }), { chance: 0 }))).toEqual(whole);
  });

  it('draws from a lane of its own, another one for each stage', () => {
    const lanes: number[] = [];
    const draws = { uniform: (lane: number) => lanes.push(lane) / 10 };
    sampleToken(logits, [...xtc(0.28), ...xtc(0.1)], draws);
    expect(lanes).toEqual([1, 2, 0]);
    const eight = Array.from({ length: 8 }, () => xtc(0.1)[0]!);
    expect(() => new Sampler(eight)).toThrow(/more than 7 stages/);
  });
});

describe('stages that rule out tokens', () => {
  const logits = [3, 2, 1, Number.NEGATIVE_INFINITY];

  it('keep the allowed ones, drop the banned ones, also among sorted candidates', () => {
    expect(idsOf(left(logits, [{ stage: 'allowed-tokens', tokens: [3, 2, 1] }]))).toEqual([1, 2]);
    expect(idsOf(left(logits, [{ stage: 'banned-tokens', tokens: [0] }]))).toEqual([1, 2]);
    const chain: SamplerChain = [
      { stage: 'top-k', k: 2 },
      { stage: 'banned-tokens', tokens: [0] },
    ];
    expect(idsOf(left(logits, chain))).toEqual([1]);
  });

  it('hold stop tokens back until enough were generated', () => {
    const chain: SamplerChain = [{ stage: 'min-tokens', count: 2, stopTokens: [0] }];
    const ids = (history: number[], promptLength: number) =>
      idsOf(left(logits, chain, { history, promptLength }));
    expect(ids([1, 1, 1], 3)).toEqual([1, 2]);
    expect(ids([1, 1, 1], 2)).toEqual([1, 2]);
    expect(ids([1, 1, 1], 1)).toEqual([0, 1, 2]);
    expect(() => left(logits, chain, { history: [1] })).toThrow(/promptLength is not given/);
    const beyond: SamplerChain = [{ stage: 'min-tokens', count: 2, stopTokens: [0, 9] }];
    expect(idsOf(left(logits, beyond))).toEqual([1, 2]);
  });

  it.each<[string, StageSettings]>([
    ['allowed-tokens', { stage: 'allowed-tokens', tokens: [3] }],
    ['banned-tokens', { stage: 'banned-tokens', tokens: [0, 1, 2] }],
    ['min-tokens', { stage: 'min-tokens', count: 1, stopTokens: [0, 1, 2] }],
  ])('say so when %s leaves nothing, also behind greedy', (name, stage) => {
    const message = `Sampling, ${name}: none of the 3 tokens`;
    expect(() => left(logits, [stage])).toThrow(message);
    expect(() => left(logits, [stage])).toThrow(ConfigError);
    const greedy: SamplerChain = [
      { stage: 'temperature', temperature: 0 },
      { stage: 'banned-tokens', tokens: [0] },
    ];
    expect(() => sampleToken(logits, greedy, anyDraw)).toThrow(/none of the 1 tokens/);
  });

  it.each<StageSettings>([
    { stage: 'allowed-tokens', tokens: [0, 4] },
    { stage: 'banned-tokens', tokens: [4] },
    { stage: 'logit-bias', bias: { 4: 1 } },
  ])('and $stage refuse tokens that the vocabulary does not have', (stage) => {
    expect(() => left(logits, [stage])).toThrow(/token 4 is not in the vocabulary of 4 tokens/);
  });

  it('bring no forbidden token back by a bias', () => {
    const scores = left(logits, [{ stage: 'logit-bias', bias: { 3: 100, 2: 5 } }]);
    expect(Object.fromEntries(scores)).toEqual({ 0: 3, 1: 2, 2: 6 });
  });
});

describe('greedy', () => {
  const greedy: StageSettings = { stage: 'temperature', temperature: 0 };

  it('takes the lowest id of equals, by shortcut and by stages', () => {
    const logits = [1, 4, 2, 4, 4];
    expect(new Sampler([greedy]).isGreedy).toBe(true);
    expect(sampleToken(logits, [greedy], never)).toBe(1);
    expect(sampleToken(logits, [{ stage: 'logit-bias', bias: { 0: 1 } }, greedy], anyDraw)).toBe(1);
    expect(sampleToken(logits, [{ stage: 'penalties', presence: 1 }, greedy], anyDraw, [1])).toBe(3);
  });

  it.each<[boolean, StageSettings]>([
    [false, { stage: 'penalties', presence: 1 }],
    [true, { stage: 'penalties', presence: 0, repetition: 1 }],
    [true, { stage: 'penalties', presence: 1, lastN: 0 }],
    [false, { stage: 'dry', multiplier: 1 }],
    [true, { stage: 'dry', multiplier: 0 }],
    [false, { stage: 'logit-bias', bias: { 1: 2 } }],
    [false, { stage: 'banned-tokens', tokens: [1] }],
    [false, { stage: 'allowed-tokens', tokens: [1] }],
    [true, { stage: 'banned-tokens', tokens: [] }],
    [true, { stage: 'min-tokens', count: 0, stopTokens: [1] }],
    [false, { stage: 'typical', p: 0.9 }],
    [false, { stage: 'xtc', probability: 1, threshold: 0.1 }],
    [true, { stage: 'xtc', probability: 1, threshold: 0.6 }],
    [true, { stage: 'top-n-sigma', n: 1 }],
    [true, { stage: 'eta', cutoff: 0.1 }],
  ])('is a shortcut (%s) behind %j', (isGreedy, stage) => {
    expect(new Sampler([stage, greedy]).isGreedy).toBe(isGreedy);
  });
});

describe('dynamic temperature', () => {
  const stage = (temperature: number, range: number, exponent?: number): SamplerChain => [
    { stage: 'temperature', temperature, range, ...(exponent !== undefined && { exponent }) },
  ];

  it('is highest where all are equal and lowest where one is certain', () => {
    // Equal scores have the greatest entropy: 1.5. One certain candidate has none: 0.5.
    expect(left([1, 1, 1], stage(1, 0.5)).get(0)).toBeCloseTo(1 / 1.5, 12);
    expect(left([1000, 0, 0], stage(1, 0.5)).get(0)).toBeCloseTo(1000 / 0.5, 9);
    // Half the greatest entropy, by the exponent 2 a quarter of the way: .5 + 1 * .25.
    const half = ln([0.5, 0.5, 1e-30, 1e-30]);
    expect(left(half, stage(1, 0.5, 2)).get(0)).toBeCloseTo(Math.log(0.5) / 0.75, 9);
  });

  it('leaves one candidate alone, and is greedy where it comes to 0', () => {
    expect(left([7, Number.NEGATIVE_INFINITY], stage(1, 0.5)).get(0)).toBe(7);
    expect(idsOf(left([1000, 0, 0], stage(0.5, 0.5)))).toEqual([0]);
    expect(idsOf(left([1, 2, 3], stage(-2, 1)))).toEqual([2]);
  });
});
