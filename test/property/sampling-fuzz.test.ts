/**
 * Any finite logits under any valid stages in any order: no NaN, the candidates are what they claim to be, something
 * is left unless the settings forbid everything; settings out of range never get past the constructor; text and
 * chain are each other's inverse; greedy by shortcut is greedy by stages.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ConfigError } from '../../src/core/errors.ts';
import {
  Candidates,
  chainOf,
  DIALECTS,
  type DialectName,
  explain,
  formatSamplers,
  logprobs,
  parseSamplers,
  SAMPLING_SETTINGS,
  Sampler,
  type SamplingSettings,
  STAGE_KINDS,
  type StageName,
  type StageSettings,
} from '../../src/sampling/index.ts';

const VOCAB_SIZE = 24;
const id = fc.integer({ min: 0, max: VOCAB_SIZE - 1 });
const share = fc.oneof(fc.constantFrom(0, 1, 0.5), fc.double({ min: 0, max: 1, noNaN: true }));
const belowOne = fc.oneof(fc.constant(0), fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }));
const size = fc.oneof(
  fc.constantFrom(0, 1e-300, 1e300),
  fc.double({ min: 0, max: 5, noNaN: true }),
  fc.double({ min: 0, max: Number.MAX_VALUE, noNaN: true }),
);
const real = fc.oneof(
  fc.double({ min: -5, max: 5, noNaN: true }),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
);
const whole = fc.oneof(fc.integer({ min: 0, max: 30 }), fc.constant(Number.MAX_SAFE_INTEGER));
const window = fc.integer({ min: -1, max: 40 });
const scope = fc.constantFrom('all' as const, 'generated' as const);
const ids = fc.array(id, { maxLength: 12 });

type Parts<Name extends StageName> = {
  [Key in Exclude<keyof Extract<StageSettings, { stage: Name }>, 'stage'>]-?: fc.Arbitrary<unknown>;
};

/** Every setting of every stage; those in `optional` may be left out. */
const parts: { [Name in StageName]: Parts<Name> } = {
  temperature: { temperature: real, range: size, exponent: size },
  'top-k': { k: whole, keepTies: fc.boolean() },
  'top-p': { p: share, minKeep: whole },
  'min-p': { p: share },
  typical: { p: share, stopAtP: fc.boolean(), keepTies: fc.boolean() },
  'top-n-sigma': { n: size },
  epsilon: { cutoff: belowOne },
  eta: { cutoff: belowOne },
  xtc: { probability: share, threshold: share, minKeep: whole },
  dry: {
    multiplier: size,
    base: fc.oneof(fc.double({ min: 1, max: 4, noNaN: true }), fc.constant(Number.MAX_VALUE)),
    allowedLength: fc.integer({ min: 0, max: 5 }),
    lastN: window,
    breakers: ids,
  },
  mirostat: { version: fc.constantFrom(1, 2), tau: size, eta: size, m: fc.integer({ min: 2, max: 100 }) },
  penalties: {
    repetition: fc.oneof(
      fc.double({ min: 0.1, max: 3, noNaN: true }),
      fc.constantFrom(Number.MIN_VALUE, Number.MAX_VALUE),
    ),
    presence: real,
    frequency: real,
    lastN: window,
    repetitionOver: scope,
    countsOver: scope,
  },
  'logit-bias': { bias: fc.dictionary(id.map(String), real, { maxKeys: 5 }) },
  'allowed-tokens': { tokens: fc.array(id, { minLength: 1, maxLength: 12 }) },
  'banned-tokens': { tokens: ids },
  'min-tokens': { count: fc.integer({ min: 0, max: 30 }), stopTokens: ids },
};
const required = [
  'temperature',
  'k',
  'p',
  'n',
  'cutoff',
  'probability',
  'threshold',
  'multiplier',
  'version',
];
const alsoRequired = ['bias', 'tokens', 'count', 'stopTokens'];

const stage: fc.Arbitrary<StageSettings> = fc.oneof(
  ...Object.entries(parts).map(([name, settings]) => {
    const requiredKeys = Object.keys(settings).filter((key) => [...required, ...alsoRequired].includes(key));
    return fc
      .record(settings as Record<string, fc.Arbitrary<unknown>>, { requiredKeys })
      .map((made) => ({ stage: name, ...made }) as StageSettings);
  }),
);

/** Any finite numbers, also as far apart as they go, ties and forbidden tokens. */
const logits = fc
  .array(
    fc.oneof(
      { weight: 4, arbitrary: fc.double({ min: -30, max: 30, noNaN: true }) },
      { weight: 2, arbitrary: fc.integer({ min: -2, max: 2 }) },
      { weight: 1, arbitrary: fc.double({ noNaN: true, noDefaultInfinity: true }) },
      { weight: 1, arbitrary: fc.constantFrom(Number.MAX_VALUE, -Number.MAX_VALUE, 0, -0) },
      { weight: 2, arbitrary: fc.constant(Number.NEGATIVE_INFINITY) },
    ),
    { minLength: VOCAB_SIZE, maxLength: VOCAB_SIZE },
  )
  .filter((row) => row.some((logit) => logit > Number.NEGATIVE_INFINITY));

const history = fc.array(fc.integer({ min: 0, max: VOCAB_SIZE + 3 }), { maxLength: 40 });
const chance = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });

function checkWhole(left: Candidates, row: readonly number[]): void {
  const places = Array.from({ length: left.size }, (_, i) => i);
  const isWhole =
    left.size > 0 &&
    places.every((i) => Number.isFinite(left.scores[i]!) && row[left.ids[i]!]! > Number.NEGATIVE_INFINITY) &&
    places
      .slice(1)
      .every((i) =>
        left.isSorted ? left.scores[i - 1]! >= left.scores[i]! : left.ids[i - 1]! < left.ids[i]!,
      ) &&
    new Set(left.ids.subarray(0, left.size)).size === left.size;
  if (!isWhole)
    throw new Error(`broken: ${places.map((i) => `${left.ids[i]}: ${left.scores[i]}`).join(', ')}`);
}

/** Settings that may rule out everything that is left. */
const RULES_OUT: readonly StageName[] = ['allowed-tokens', 'banned-tokens', 'min-tokens'];

describe('any logits under any valid chain', () => {
  it('leave tokens with finite scores, in order, and one of them is drawn', () => {
    let numRuns = 0;
    let numRefused = 0;
    fc.assert(
      fc.property(logits, fc.array(stage, { maxLength: 6 }), history, chance, (row, chain, tokens, u) => {
        const sampler = new Sampler(chain);
        const draws = { uniform: () => u };
        const promptLength = tokens.length >> 1;
        const left = new Candidates();
        numRuns++;
        try {
          for (let token = 0; token < 3; token++) {
            sampler.run(left, row, { draws, history: tokens, promptLength });
            checkWhole(left, row);
            const drawn = sampler.sample(row, draws, tokens, promptLength);
            expect(left.placeOf(drawn)).toBeGreaterThanOrEqual(0);
            if (sampler.isGreedy) expect([...left.ids.subarray(0, left.size)]).toEqual([drawn]);
          }
          const { steps } = explain(row, chain, { history: tokens, promptLength, draws });
          expect(steps).toHaveLength(chain.length + 1);
          for (const { top, droppedProbability, entropy, numLeft } of steps) {
            expect(entropy).toBeGreaterThanOrEqual(-1e-9);
            expect(droppedProbability).toBeLessThan(1 + 1e-9);
            expect(top.length).toBe(Math.min(20, numLeft));
            expect(top.every(({ probability }) => probability >= 0 && probability <= 1)).toBe(true);
          }
        } catch (error) {
          if (!(error instanceof ConfigError)) throw error;
          numRefused++;
          expect(error.message).toMatch(/none of the \d+ tokens/);
          expect(chain.some((settings) => RULES_OUT.includes(settings.stage))).toBe(true);
        }
      }),
      { numRuns: 2000, seed: 11 },
    );
    expect(numRefused).toBeLessThan(numRuns / 5);
  });

  it('has probabilities that add up to 1, of which the best and the drawn are told as logarithms', () => {
    const cuts = fc
      .array(stage, { maxLength: 4 })
      .filter((chain) => !chain.some(({ stage: name }) => RULES_OUT.includes(name)));
    fc.assert(
      fc.property(logits, cuts, history, chance, (row, sampler, tokens, u) => {
        const draws = { uniform: () => u };
        const place = { draws, history: tokens, promptLength: 0 };
        const drawn = new Sampler(sampler).sample(row, draws, tokens, 0);
        for (const mode of [{ mode: 'raw' as const }, { mode: 'processed' as const, sampler, ...place }]) {
          const { logprob, top } = logprobs(row, drawn, VOCAB_SIZE, mode);
          const total = top.reduce((sum, one) => sum + Math.exp(one.logprob), 0);
          expect(Math.abs(total - 1)).toBeLessThan(1e-9);
          expect(top.find(({ token }) => token === drawn)?.logprob).toBe(logprob);
          for (let i = 1; i < top.length; i++) {
            const [a, b] = [top[i - 1]!, top[i]!];
            const [before, after] = [row[a.token]!, row[b.token]!];
            const isOrdered = before > after || (before === after && a.token < b.token);
            expect(isOrdered || mode.mode === 'processed').toBe(true);
            expect(a.logprob).toBeGreaterThanOrEqual(b.logprob);
          }
        }
      }),
      { numRuns: 500, seed: 12 },
    );
  });

  it('survives being written as text', () => {
    fc.assert(
      fc.property(fc.array(stage, { minLength: 1, maxLength: 5 }), (chain) => {
        const plain = chain.map((settings) =>
          Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== undefined)),
        );
        // -0 is written 0.
        const positive = JSON.parse(JSON.stringify(plain));
        expect(JSON.parse(JSON.stringify(parseSamplers(formatSamplers(chain))))).toEqual(positive);
      }),
      { numRuns: 1000, seed: 13 },
    );
  });

  it('never comes from an odd text: that is refused with the column', () => {
    const pieces = fc.constantFrom(
      ...Object.keys(STAGE_KINDS),
      ',',
      '=',
      ':',
      '/',
      '@',
      '0.5',
      '40',
      'keepTies',
      ' ',
      'x',
    );
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 8 }), (list) => {
        try {
          new Sampler(parseSamplers(list.join('')));
        } catch (error) {
          expect(error).toBeInstanceOf(ConfigError);
          expect((error as Error).message).toMatch(/column \d+|the text is empty/);
        }
      }),
      { numRuns: 2000, seed: 14 },
    );
  });
});

describe('settings out of range', () => {
  const wrongNumbers = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, '1', null, true, {}];
  /** Numbers that each part does not take. */
  const outOfRange: { [Name in StageName]: Record<string, unknown[]> } = {
    temperature: { temperature: [], range: [-0.1], exponent: [-0.1] },
    'top-k': { k: [-1, 1.5], keepTies: [1, 'true'] },
    'top-p': { p: [-0.01, 1.01], minKeep: [-1, 1.5] },
    'min-p': { p: [-0.01, 1.01] },
    typical: { p: [-0.01, 1.01], stopAtP: [0], keepTies: [0] },
    'top-n-sigma': { n: [-1] },
    epsilon: { cutoff: [-0.1, 1] },
    eta: { cutoff: [-0.1, 1] },
    xtc: { probability: [-0.1, 1.1], threshold: [-0.1, 1.1], minKeep: [-1] },
    dry: {
      multiplier: [-1],
      base: [0.99],
      allowedLength: [-1, 0.5],
      lastN: [-2, 0.5],
      breakers: [[-1], [1.5], 'ab', [2 ** 31]],
    },
    mirostat: { version: [0, 3, 1.5], tau: [-1], eta: [-1], m: [1, 2.5] },
    penalties: {
      repetition: [0, -1],
      presence: [],
      frequency: [],
      lastN: [-2, 1.5],
      repetitionOver: ['prompt', 1],
      countsOver: ['prompt', 1],
    },
    'logit-bias': {
      bias: [
        { 3: Number.NaN },
        { 3: Number.NEGATIVE_INFINITY },
        { x: 1 },
        { '-1': 1 },
        { '1.5': 1 },
        { '': 1 },
      ],
    },
    'allowed-tokens': { tokens: [[], [-1], [0.5], ['a']] },
    'banned-tokens': { tokens: [[-1], [0.5], ['a']] },
    'min-tokens': { count: [-1, 0.5], stopTokens: [[-1], 7] },
  };
  const valid: { [Name in StageName]: Record<string, unknown> } = {
    temperature: { temperature: 1 },
    'top-k': { k: 1 },
    'top-p': { p: 0.5 },
    'min-p': { p: 0.5 },
    typical: { p: 0.5 },
    'top-n-sigma': { n: 1 },
    epsilon: { cutoff: 0.1 },
    eta: { cutoff: 0.1 },
    xtc: { probability: 0.5, threshold: 0.1 },
    dry: { multiplier: 1 },
    mirostat: { version: 2 },
    penalties: {},
    'logit-bias': { bias: { 1: 1 } },
    'allowed-tokens': { tokens: [1] },
    'banned-tokens': { tokens: [1] },
    'min-tokens': { count: 1, stopTokens: [1] },
  };

  it.each(Object.keys(STAGE_KINDS) as StageName[])(
    'of %s are refused with the name of the stage and the setting',
    (name) => {
      const refused = (settings: Record<string, unknown>, key: string) => {
        const chain = [{ stage: name, ...valid[name], ...settings } as StageSettings];
        expect(() => new Sampler(chain), JSON.stringify(settings)).toThrow(ConfigError);
        expect(() => new Sampler(chain)).toThrow(`Sampling, ${name}: `);
        expect(() => new Sampler(chain)).toThrow(key);
      };
      expect(() => new Sampler([{ stage: name, ...valid[name] } as StageSettings])).not.toThrow();
      for (const [key, form] of Object.entries(STAGE_KINDS[name].settings)) {
        const values = outOfRange[name][key]!;
        for (const value of values) refused({ [key]: value }, key);
        if (form === 'number') for (const value of wrongNumbers) refused({ [key]: value }, key);
        else refused({ [key]: 7n.toString() }, key);
      }
      refused({ nonsense: 1 }, 'nonsense');
    },
  );

  it('of a request are refused with the name that the caller wrote', () => {
    const bad: { [Name in keyof Required<SamplingSettings>]: unknown[] } = {
      temperature: [Number.NaN, '1', null],
      dynamicTemperature: [{ range: -1 }, {}, 1, { range: 1, extent: 2 }, null],
      topK: [-1, 0.5, '3', null],
      topP: [-0.1, 1.1, null],
      minP: [-0.1, 1.1, null],
      typicalP: [-0.1, 1.1, null],
      topNSigma: [-1, null],
      epsilonCutoff: [1, -0.1, null],
      etaCutoff: [1, -0.1, null],
      xtc: [{ probability: 0.5 }, { probability: 2, threshold: 0.1 }, true, null],
      dry: [{ multiplier: -1 }, {}, { multiplier: 1, breaker: [1] }, 0.8, null],
      mirostat: [{ version: 3 }, {}, 2, null],
      repetitionPenalty: [0, -1, null],
      presencePenalty: [Number.NaN, '1', null],
      frequencyPenalty: [Number.NaN, '1', null],
      penaltyLastN: [-2, 0.5, null],
      logitBias: [null, [1], { 1: 'x' }],
      allowedTokens: [[], null, [-1]],
      bannedTokens: [null, [-1], 5],
      minTokens: [-1, 0.5, null],
    };
    for (const name of SAMPLING_SETTINGS) {
      const dialects = (Object.keys(DIALECTS) as DialectName[]).filter((dialect) =>
        (DIALECTS[dialect].settings as readonly string[]).includes(name),
      );
      expect(dialects.length, name).toBeGreaterThan(0);
      for (const dialect of dialects) {
        for (const value of bad[name]) {
          const make = () => chainOf({ [name]: value } as SamplingSettings, dialect, { stopTokens: [1] });
          expect(make, `${name}: ${JSON.stringify(value)}`).toThrow(ConfigError);
          expect(make).toThrow(name);
        }
      }
    }
  });
});
