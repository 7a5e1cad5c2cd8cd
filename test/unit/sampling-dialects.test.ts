import { describe, expect, it } from 'vitest';
import { ConfigError } from '../../src/core/errors.ts';
import {
  chainOf,
  DIALECTS,
  type DialectName,
  SAMPLING_SETTINGS,
  type SamplingSettings,
  sampleToken,
} from '../../src/sampling/index.ts';

const names = (settings: SamplingSettings, dialect: DialectName) =>
  chainOf(settings, dialect, { stopTokens: [2] }).map(({ stage }) => stage);

/** One value for every setting. */
const every: Required<SamplingSettings> = {
  temperature: 0.5,
  dynamicTemperature: { range: 0.1 },
  topK: 3,
  topP: 0.9,
  minP: 0.1,
  typicalP: 0.9,
  topNSigma: 1,
  epsilonCutoff: 0.001,
  etaCutoff: 0.001,
  xtc: { probability: 0.5, threshold: 0.1 },
  dry: { multiplier: 0.8 },
  mirostat: { version: 2 },
  repetitionPenalty: 1.1,
  presencePenalty: 0.1,
  frequencyPenalty: 0.1,
  penaltyLastN: 32,
  logitBias: { 1: 1 },
  allowedTokens: [1],
  bannedTokens: [3],
  minTokens: 4,
};

/** Every setting of a dialect but mirostat, which replaces most. */
function everyOf(dialect: DialectName): SamplingSettings {
  const owned = DIALECTS[dialect].settings.filter((name) => name !== 'mirostat');
  return Object.fromEntries(owned.map((name) => [name, every[name]]));
}

describe('dialects', () => {
  it('apply settings in the order of their engines', () => {
    expect(names(everyOf('llamacpp'), 'llamacpp')).toEqual([
      'logit-bias',
      'banned-tokens',
      'penalties',
      'dry',
      'top-n-sigma',
      'top-k',
      'typical',
      'top-p',
      'min-p',
      'xtc',
      'temperature',
    ]);
    expect(names(everyOf('vllm'), 'vllm')).toEqual([
      'allowed-tokens',
      'banned-tokens',
      'min-tokens',
      'logit-bias',
      'penalties',
      'temperature',
      'min-p',
      'top-k',
      'top-p',
    ]);
    expect(names(everyOf('hf'), 'hf')).toEqual([
      'logit-bias',
      'penalties',
      'banned-tokens',
      'min-tokens',
      'allowed-tokens',
      'temperature',
      'top-k',
      'top-p',
      'min-p',
      'typical',
      'epsilon',
      'eta',
    ]);
  });

  it('select different tokens from the same settings', () => {
    // Probabilities .5 .3 .2: nucleus .75 keeps two at temperature 1, three once 2 has flattened them.
    const row = [0.5, 0.3, 0.2].map(Math.log);
    const settings = { temperature: 2, topP: 0.75 };
    const last = { uniform: () => 0.999 };
    expect(sampleToken(row, chainOf(settings, 'llamacpp'), last)).toBe(1);
    expect(sampleToken(row, chainOf(settings, 'hf'), last)).toBe(2);
    expect(sampleToken(row, chainOf(settings, 'vllm'), last)).toBe(2);
  });

  it('keep ties at the k-th place where their engine does', () => {
    const row = [1, 1, 1, 0];
    const last = { uniform: () => 0.999 };
    expect(sampleToken(row, chainOf({ topK: 2 }, 'llamacpp'), last)).toBe(1);
    expect(sampleToken(row, chainOf({ topK: 2 }, 'vllm'), last)).toBe(2);
    expect(sampleToken(row, chainOf({ topK: 2 }, 'hf'), last)).toBe(2);
  });

  it('stop typical sampling where their engine does', () => {
    // Two equal halves: .5 is reached by one and exceeded by two; transformers keeps what ties as well.
    const row = [0, 0, -1e9];
    const p = { typicalP: 0.4 };
    const last = { uniform: () => 0.999 };
    expect(sampleToken(row, chainOf(p, 'llamacpp'), last)).toBe(0);
    expect(sampleToken(row, chainOf(p, 'hf'), last)).toBe(1);
  });

  it('count what their engine counts', () => {
    const settings = { presencePenalty: 2, repetitionPenalty: 1.5 };
    const penalties = (dialect: DialectName, given: SamplingSettings = settings) =>
      chainOf(given, dialect).find(({ stage }) => stage === 'penalties');
    expect(penalties('llamacpp')).toMatchObject({ lastN: 64, repetitionOver: 'all', countsOver: 'all' });
    expect(penalties('vllm')).toMatchObject({ lastN: -1, repetitionOver: 'all', countsOver: 'generated' });
    expect(penalties('hf', { repetitionPenalty: 1.5 })).toMatchObject({ lastN: -1, repetitionOver: 'all' });
    // Token 0 leads and stands in the prompt alone.
    const row = [3, 2.5, 0];
    const draws = { uniform: () => 0 };
    const given = { presencePenalty: 2, temperature: 0 };
    expect(sampleToken(row, chainOf(given, 'llamacpp'), draws, [0, 2], 1)).toBe(1);
    expect(sampleToken(row, chainOf(given, 'vllm'), draws, [0, 2], 1)).toBe(0);
  });

  it('raise and refuse temperatures as vLLM does', () => {
    const temperature = (value: number, dialect: DialectName) => chainOf({ temperature: value }, dialect)[0];
    expect(temperature(0.001, 'vllm')).toMatchObject({ temperature: 0.01 });
    expect(temperature(0.001, 'hf')).toMatchObject({ temperature: 0.001 });
    expect(temperature(0, 'vllm')).toMatchObject({ temperature: 0 });
    expect(() => temperature(2.1, 'vllm')).toThrow('Sampling, vllm: temperature is 2.1');
    expect(() => temperature(-1, 'vllm')).toThrow(ConfigError);
    expect(() => chainOf({ topP: 0 }, 'vllm')).toThrow('Sampling, vllm: topP is 0');
    expect(() => chainOf({ presencePenalty: 2.5 }, 'vllm')).toThrow(/presencePenalty is 2.5/);
    expect(() => chainOf({ typicalP: 0 }, 'hf')).toThrow('Sampling, hf: typicalP is 0');
  });
});

describe('every setting', () => {
  it.each(SAMPLING_SETTINGS)(
    '%s acts in a dialect that has it and is refused by name in the others',
    (name) => {
      const dialects = Object.keys(DIALECTS) as DialectName[];
      const owners = dialects.filter((dialect) =>
        (DIALECTS[dialect].settings as readonly string[]).includes(name),
      );
      expect(owners.length).toBeGreaterThan(0);
      for (const dialect of dialects) {
        const make = () => chainOf({ [name]: every[name] }, dialect, { stopTokens: [2] });
        if (owners.includes(dialect)) {
          expect(make()).not.toEqual(chainOf({}, dialect));
        } else {
          expect(make).toThrow(
            `the dialect ${dialect} has no ${name}; those that have it: ${owners.join(', ')}`,
          );
        }
      }
    },
  );

  it('that is unknown is refused with the nearest name', () => {
    expect(() => chainOf({ top_k: 5 } as SamplingSettings)).toThrow(
      'unknown setting "top_k" (did you mean "topK"?)',
    );
    const dry = { multiplier: 1, allowed_length: 2 };
    expect(() => chainOf({ dry }, 'llamacpp')).toThrow(
      /part "allowed_length" \(did you mean "allowedLength"\?\)/,
    );
    expect(() => chainOf({}, 'llama.cpp' as 'hf')).toThrow(
      'unknown dialect "llama.cpp" (did you mean "llamacpp"?)',
    );
  });

  it('that is undefined counts as not given', () => {
    expect(chainOf({ topK: undefined, dry: undefined } as unknown as SamplingSettings)).toEqual(chainOf({}));
  });

  it('that asks for chance makes the temperature 1, the others leave it greedy', () => {
    const temperature = (settings: SamplingSettings, dialect: DialectName) =>
      chainOf(settings, dialect, { stopTokens: [2] }).find(({ stage }) => stage === 'temperature');
    for (const name of ['topK', 'topP', 'minP', 'typicalP', 'topNSigma', 'xtc', 'mirostat'] as const) {
      expect(temperature({ [name]: every[name] }, 'llamacpp')).toMatchObject({ temperature: 1 });
    }
    for (const name of [
      'dry',
      'repetitionPenalty',
      'presencePenalty',
      'logitBias',
      'bannedTokens',
    ] as const) {
      expect(temperature({ [name]: every[name] }, 'llamacpp')).toMatchObject({ temperature: 0 });
    }
    for (const name of ['epsilonCutoff', 'etaCutoff'] as const) {
      expect(temperature({ [name]: every[name] }, 'hf')).toMatchObject({ temperature: 1 });
    }
  });
});

describe('mirostat in llama.cpp', () => {
  it('stands behind bias and temperature alone, and names what it would replace', () => {
    const mirostat = { version: 1 as const };
    expect(names({ mirostat, temperature: 0.7, logitBias: { 1: 1 }, bannedTokens: [3] }, 'llamacpp')).toEqual(
      ['logit-bias', 'banned-tokens', 'temperature', 'mirostat'],
    );
    for (const name of ['topK', 'topP', 'minP', 'typicalP', 'xtc', 'dry', 'repetitionPenalty'] as const) {
      expect(() => chainOf({ mirostat, [name]: every[name] }, 'llamacpp')).toThrow(
        `${name} has no effect beside mirostat`,
      );
    }
  });
});

describe('minTokens', () => {
  it('takes the stop tokens of the request and asks for them', () => {
    expect(chainOf({ minTokens: 3 }, 'hf', { stopTokens: new Set([7, 9]) })[0]).toEqual({
      stage: 'min-tokens',
      count: 3,
      stopTokens: [7, 9],
    });
    expect(() => chainOf({ minTokens: 3 })).toThrow(/stop tokens, and they are not given/);
  });
});
