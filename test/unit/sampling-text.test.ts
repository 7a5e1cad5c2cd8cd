import { describe, expect, it } from 'vitest';
import { ConfigError } from '../../src/core/errors.ts';
import { formatSamplers, parseSamplers, type SamplerChain } from '../../src/sampling/index.ts';

describe('a sampler chain as text', () => {
  it.each<[string, SamplerChain]>([
    [
      'top-k=40,typical=0.9,temperature=0.8',
      [
        { stage: 'top-k', k: 40 },
        { stage: 'typical', p: 0.9 },
        { stage: 'temperature', temperature: 0.8 },
      ],
    ],
    ['top-k=40:keepTies=true', [{ stage: 'top-k', k: 40, keepTies: true }]],
    ['xtc=0.5:threshold=0.1', [{ stage: 'xtc', probability: 0.5, threshold: 0.1 }]],
    [
      'dry=0.8:base=1.75:breakers=13/198',
      [{ stage: 'dry', multiplier: 0.8, base: 1.75, breakers: [13, 198] }],
    ],
    ['mirostat=2:tau=4', [{ stage: 'mirostat', version: 2, tau: 4 }]],
    [
      'penalties:presence=0.5:lastN=64:countsOver=generated',
      [{ stage: 'penalties', presence: 0.5, lastN: 64, countsOver: 'generated' }],
    ],
    ['logit-bias=5@-2.5/7@1e-7', [{ stage: 'logit-bias', bias: { 5: -2.5, 7: 1e-7 } }]],
    [
      'banned-tokens=5/7,allowed-tokens=1',
      [
        { stage: 'banned-tokens', tokens: [5, 7] },
        { stage: 'allowed-tokens', tokens: [1] },
      ],
    ],
    ['min-tokens=8:stopTokens=2/3', [{ stage: 'min-tokens', count: 8, stopTokens: [2, 3] }]],
  ])('%s is read and written alike', (text, chain) => {
    expect(parseSamplers(text)).toEqual(chain);
    expect(formatSamplers(chain)).toBe(text);
  });

  it('takes spaces, and a flag without a value', () => {
    expect(parseSamplers(' top-k = 40 : keepTies , temperature=1 ')).toEqual([
      { stage: 'top-k', k: 40, keepTies: true },
      { stage: 'temperature', temperature: 1 },
    ]);
  });

  it.each<[string, string]>([
    ['', 'the text is empty'],
    ['top-k=40,topp=0.9', 'column 10: unknown stage "topp" (did you mean "top-p"?)'],
    ['top_k=40', 'column 1: unknown stage "top_k" (did you mean "top-k"?)'],
    ['temprature=1', 'column 1: unknown stage "temprature" (did you mean "temperature"?)'],
    ['zzz', 'column 1: unknown stage "zzz"; expected one of temperature'],
    ['top-k=40,', 'column 10: a stage is missing'],
    ['top-k=40,,top-p=1', 'column 10: a stage is missing'],
    ['top-k=forty', 'column 7: "forty" is no number'],
    ['top-k= ', 'column 7: a number is missing'],
    ['temperature=1, top-k=0x10', 'column 22: "0x10" is no number'],
    ['top-k=40:keepties', 'column 10: unknown setting "keepties" of top-k (did you mean "keepTies"?)'],
    ['top-k=40:keepTies=yes', 'column 19: "yes" is neither true nor false'],
    ['top-k=40:', 'column 10: a setting is missing'],
    ['xtc=0.5:threshold', 'column 9: threshold has no value; expected threshold=0.5'],
    ['xtc=0.5:threshold=0.1:threshold=0.2', 'column 23: xtc has threshold twice'],
    ['top-k=40,top-p=1.5', 'column 10: Sampling, top-p: p is 1.5'],
    ['temperature=1,top-k', 'column 15: Sampling, top-k: k is undefined'],
    ['penalties:countsOver=genrated', 'column 22: "genrated" (did you mean "generated"?)'],
    ['logit-bias=5', 'column 12: "5" is no bias; expected 5@-2.5/7@1'],
    ['logit-bias=5@1/5@2', 'column 16: token 5 has two biases'],
    ['banned-tokens=5/x', 'column 17: "x" is no number'],
    ['banned-tokens=-5', 'column 1: Sampling, banned-tokens: tokens has the token id -5'],
  ])('%s is refused: %s', (text, message) => {
    expect(() => parseSamplers(text)).toThrow(ConfigError);
    expect(() => parseSamplers(text)).toThrow(message);
  });
});
