/** Flags of generation: what each becomes, and which exclude or need each other. */
import { Command } from 'commander';
import { describe, expect, test } from 'vitest';
import { GENERATION_FLAGS, type GenerationFlags } from '../../src/cli/generate/generation-flags.ts';
import {
  addGenerationOptions,
  generateOptions,
  hasChance,
  refuseUnsupported,
} from '../../src/cli/generation-options.ts';
import type { GenerateOptions, LanguageModel } from '../../src/decode/language-model.ts';
import { SAMPLING_SETTINGS } from '../../src/sampling/index.ts';

function flagsOf(args: readonly string[]): GenerationFlags {
  const command = addGenerationOptions(new Command('test').exitOverride());
  command.configureOutput({ writeErr: () => {} });
  command.parse(args as string[], { from: 'user' });
  return command.opts();
}
const optionsOf = (...args: string[]) => generateOptions(flagsOf(args));

const llamacpp = ['--dialect', 'llamacpp'];
const TABLE: [string[], GenerateOptions][] = [
  [['--max-tokens', '5'], { maxTokens: 5 }],
  [['--min-tokens', '2'], { minTokens: 2 }],
  [['--stop', 'a', '--stop', '\n'], { stop: ['a', '\n'] }],
  [['--stop-tokens', '1,2'], { stopTokens: [1, 2] }],
  [['--ignore-stop-tokens'], { ignoreStopTokens: true }],
  [['--temperature', '0.5'], { temperature: 0.5 }],
  [
    [...llamacpp, '--dynamic-temperature', '0.3', '--dynamic-temperature-exponent', '2'],
    { dialect: 'llamacpp', dynamicTemperature: { range: 0.3, exponent: 2 } },
  ],
  [['--top-k', '40'], { topK: 40 }],
  [['--top-p', '0.9'], { topP: 0.9 }],
  [['--min-p', '0.05'], { minP: 0.05 }],
  [['--typical-p', '0.9'], { typicalP: 0.9 }],
  [[...llamacpp, '--top-n-sigma', '1.5'], { dialect: 'llamacpp', topNSigma: 1.5 }],
  [['--epsilon-cutoff', '0.001'], { epsilonCutoff: 0.001 }],
  [['--eta-cutoff', '0.002'], { etaCutoff: 0.002 }],
  [[...llamacpp, '--xtc', '0.5'], { dialect: 'llamacpp', xtc: { probability: 0.5, threshold: 0.1 } }],
  [
    [...llamacpp, '--xtc-threshold', '0.2', '--xtc', '1'],
    { dialect: 'llamacpp', xtc: { probability: 1, threshold: 0.2 } },
  ],
  [
    [...llamacpp, '--mirostat', '2', '--mirostat-tau', '4', '--mirostat-eta', '0.2'],
    { dialect: 'llamacpp', mirostat: { version: 2, tau: 4, eta: 0.2 } },
  ],
  [['--seed', '0'], { seed: 0 }],
  [['--dialect', 'vllm'], { dialect: 'vllm' }],
  [
    ['--sampler', 'top-k=5,temperature=0.8'],
    {
      chain: [
        { stage: 'top-k', k: 5 },
        { stage: 'temperature', temperature: 0.8 },
      ],
    },
  ],
  [['--repetition-penalty', '1.1'], { repetitionPenalty: 1.1 }],
  [
    ['--dialect', 'vllm', '--presence-penalty', '-0.5', '--frequency-penalty', '0.25'],
    { dialect: 'vllm', presencePenalty: -0.5, frequencyPenalty: 0.25 },
  ],
  [
    [...llamacpp, '--repetition-penalty', '1.1', '--penalty-last-n', '-1'],
    { dialect: 'llamacpp', repetitionPenalty: 1.1, penaltyLastN: -1 },
  ],
  [
    [
      ...llamacpp,
      ...'--dry 0.8 --dry-base 2 --dry-allowed-length 3 --dry-last-n 64 --dry-breakers 5,6'.split(' '),
    ],
    { dialect: 'llamacpp', dry: { multiplier: 0.8, base: 2, allowedLength: 3, lastN: 64, breakers: [5, 6] } },
  ],
  [['--logit-bias', '5=-2.5,6=1', '--logit-bias', '5=3'], { logitBias: { 5: 3, 6: 1 } }],
  [['--ban-tokens', '5'], { bannedTokens: [5] }],
  [['--allow-tokens', '5,6'], { allowedTokens: [5, 6] }],
  [['--num-beams', '4'], { search: { method: 'beam', numBeams: 4 } }],
  [
    ['--num-beams', '4', '--length-penalty', '-0.5', '--early-stopping'],
    { search: { method: 'beam', numBeams: 4, lengthPenalty: -0.5, earlyStopping: true } },
  ],
  [['--contrastive-alpha', '0.6'], { search: { method: 'contrastive', topK: 4, alpha: 0.6 } }],
  [
    ['--contrastive-alpha', '0.6', '--top-k', '8'],
    { search: { method: 'contrastive', topK: 8, alpha: 0.6 } },
  ],
  [['--logprobs', '0', '--logprobs-mode', 'processed'], { logprobs: 0, logprobsMode: 'processed' }],
  [['--prompt-logprobs', '2'], { promptLogprobs: 2 }],
];

describe('a flag becomes an option', () => {
  test.each(TABLE)('%j', (args, options) => {
    expect(optionsOf(...args)).toEqual(options);
  });

  test('and every flag stands in this table, and every sampling setting has a flag', () => {
    const tested = new Set(TABLE.flatMap(([args]) => args.filter((word) => word.startsWith('--'))));
    expect(GENERATION_FLAGS.map(({ name }) => `--${name}`).filter((name) => !tested.has(name))).toEqual([]);
    const settings = new Set<string>(GENERATION_FLAGS.map(({ option }) => option));
    expect(SAMPLING_SETTINGS.filter((name) => !settings.has(name))).toEqual([]);
  });

  test('none given asks for nothing', () => {
    expect(optionsOf()).toEqual({});
  });
});

describe('flags that mean nothing are refused by name', () => {
  test.each([
    [['--dry-base', '2'], '--dry-base says how --dry works'],
    [['--xtc-threshold', '0.2'], '--xtc'],
    [['--mirostat-tau', '3'], '--mirostat'],
    [['--length-penalty', '1'], '--num-beams'],
    [['--sampler', 'top-k=5', '--temperature', '1'], '--temperature cannot stand beside it'],
    [['--sampler', 'top-k=5', '--dialect', 'hf'], '--dialect cannot stand beside it'],
    [['--num-beams', '2', '--contrastive-alpha', '0.5'], 'two different searches'],
    [['--num-beams', '2', '--top-p', '0.5'], '--top-p means nothing'],
    [['--num-beams', '2', '--top-k', '5'], '--top-k means nothing'],
    [['--num-beams', '2', '--seed', '5'], '--seed means nothing'],
    [['--contrastive-alpha', '0.5', '--sampler', 'top-k=5'], '--sampler means nothing'],
    [['--dry', '0.8'], 'the dialect hf has no --dry'],
    [['--typical-p', '0.5', '--dialect', 'vllm'], 'the dialect vllm has no --typical-p'],
    [['--temperature', '3', '--dialect', 'vllm'], '--temperature is 3'],
    [['--mirostat', '2', '--top-k', '5', '--dialect', 'llamacpp'], '--top-k has no effect beside --mirostat'],
  ])('%j', (args, fault) => {
    expect(() => optionsOf(...args)).toThrow(expect.objectContaining({ code: 'usage' }));
    expect(() => optionsOf(...args)).toThrow(fault);
  });

  test.each([
    ['--max-tokens', '0', 'at least 1'],
    ['--temperature', '-1', 'at least 0'],
    ['--temperature', 'hot', 'at least 0'],
    ['--top-p', '1.5', 'up to 1'],
    ['--min-p', '-0.1', 'from 0 to 1'],
    ['--repetition-penalty', '0', 'above 0'],
    ['--presence-penalty', 'x', 'Expected a number'],
    ['--penalty-last-n', '-2', '-1 for all'],
    ['--logit-bias', '5', '1234=-2.5'],
    ['--logit-bias', '5=inf', '1234=-2.5'],
    ['--mirostat', '3', 'one of 1, 2'],
    ['--dialect', 'gpt', 'one of llamacpp, vllm, hf'],
    ['--sampler', 'top-q=5', 'unknown stage "top-q"'],
    ['--ban-tokens', 'x', 'whole number'],
    ['--logprobs', '5000', 'at most 999'],
    ['--logprobs-mode', 'cooked', 'one of raw, processed'],
  ])('%s %s', (flag, value, fault) => {
    expect(() => flagsOf([flag, value])).toThrow(flag);
    expect(() => flagsOf([flag, value])).toThrow(fault);
  });
});

describe('hasChance', () => {
  test.each<[GenerateOptions, boolean]>([
    [{}, false],
    [{ temperature: 0, topK: 5 }, false],
    [{ repetitionPenalty: 1.2 }, false],
    [{ minTokens: 3 }, false],
    [{ topK: 5 }, true],
    [{ temperature: 0.1 }, true],
    [{ chain: [{ stage: 'temperature', temperature: 0 }] }, false],
    [{ chain: [{ stage: 'top-k', k: 5 }] }, true],
    [{ search: { method: 'beam', numBeams: 2 } }, false],
  ])('%j: %s', (options, expected) => {
    expect(hasChance(options)).toBe(expected);
  });
});

describe('a model that cannot do everything', () => {
  const model = {
    capabilities: {
      logprobs: false,
      promptLogprobs: false,
      seeded: false,
      fullLogits: false,
      sampling: new Set(['temperature', 'topP']),
    },
  } as unknown as LanguageModel;

  test.each([
    ['--top-k', '5'],
    ['--seed', '1'],
    ['--logprobs', '1'],
    ['--prompt-logprobs', '1'],
    ['--sampler', 'top-k=5'],
    ['--num-beams', '2'],
    ['--ban-tokens', '5'],
  ])('refuses %s by name and says what it takes', (...args) => {
    expect(() => refuseUnsupported(flagsOf(args), model)).toThrow(`${args[0]} is not something`);
    expect(() => refuseUnsupported(flagsOf(args), model)).toThrow('--temperature, --top-p');
  });

  test('takes what it can do, and what is no matter of sampling', () => {
    const flags = flagsOf(['--temperature', '1', '--top-p', '0.5', '--max-tokens', '3', '--stop', 'x']);
    expect(() => refuseUnsupported(flags, model)).not.toThrow();
  });
});
