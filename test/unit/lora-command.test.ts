/** Finetuning with --lora-rank, and what `plinth lora`, `plinth generate --adapter` and --merge make of its adapter. */
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { loraCommand } from '../../src/cli/commands/lora.ts';
import { lowRankOf } from '../../src/cli/trainable-options.ts';
import { PlinthError } from '../../src/core/errors.ts';
import { loadCheckpoint, saveCheckpoint } from '../../src/model/checkpoint.node.ts';
import { initializeWeights } from '../../src/model/initialize.ts';
import { formatTokenizerJson, trainBpe } from '../../src/tokenizer/index.ts';
import { plinthInProcess } from '../fixtures/cli/plinth-in-process.ts';
import { temporaryFolder } from '../fixtures/cli/plinth-process.ts';
import { tinyConfig } from '../fixtures/training/tiny-model.ts';

const folder = temporaryFolder();
afterAll(() => folder.remove());
const at = (...parts: string[]) => join(folder.path, ...parts);
const run = (...args: string[]) => plinthInProcess(folder.path, args);
const SFT = [
  'sft',
  '--model',
  'base',
  '--data',
  'chats.jsonl',
  '--out',
  'tuned',
  '--lora-rank',
  '2',
  '--steps',
  '8',
];
const SIZE = ['--length', '32', '--batch-size', '4', '--threads', '1', '--json'];

/** `plinth lora ARGS`, with what it printed. */
async function lora(...args: string[]): Promise<string> {
  let out = '';
  const spy = vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    out += text;
    return true;
  });
  try {
    await loraCommand().exitOverride().parseAsync(args, { from: 'user' });
  } finally {
    spy.mockRestore();
  }
  return out;
}

beforeAll(async () => {
  const words = ['moin', 'ahoj', 'salut', 'ciao', 'hola', 'hej'];
  const chats = words.map((word, i) => ({
    messages: [
      { role: 'user', content: `Greeting ${i}?` },
      { role: 'assistant', content: word },
    ],
  }));
  writeFileSync(at('chats.jsonl'), chats.map((chat) => `${JSON.stringify(chat)}\n`).join(''));
  const tokenizer = trainBpe([chats.map((chat) => JSON.stringify(chat)).join(' ')], { vocabSize: 300 });
  const end = tokenizer.specialTokens.get('<|endoftext|>')!;
  const config = {
    ...tinyConfig,
    vocabSize: tokenizer.vocabSize,
    maxPositionEmbeddings: 64,
    eosTokenIds: [end],
    padTokenId: end,
  };
  await saveCheckpoint(at('base'), {
    config,
    weights: initializeWeights(config, 1),
    files: new Map([['tokenizer.json', formatTokenizerJson(tokenizer)]]),
  });
});

describe('a training with --lora-rank', () => {
  test('leaves an adapter, with the chat format that the model lacked, and no model', async () => {
    const { code, stdout, stderr } = await run(...SFT, ...SIZE);
    expect(code, stderr).toBe(0);
    const outcome = JSON.parse(stdout) as Record<string, string>;
    expect(outcome.adapterFolder).toBe(at('tuned', 'adapter'));
    expect(outcome.modelFolder).toBe(at('base'));
    expect(readdirSync(at('tuned', 'adapter')).sort()).toEqual([
      'adapter_config.json',
      'adapter_model.safetensors',
      'base_config.json',
      'tokenizer_config.json',
    ]);
    expect(existsSync(at('tuned', 'model'))).toBe(false);
    const config = JSON.parse(readFileSync(at('tuned', 'adapter', 'adapter_config.json'), 'utf8'));
    expect(config).toMatchObject({ r: 2, lora_alpha: 4, base_model_name_or_path: at('base') });
    // <|im_start|> and <|im_end|>, which the base model was never shown.
    expect(config.trainable_token_indices.embed_tokens).toHaveLength(2);
  });

  test('show and merge; the merged model is what --merge saves, and answers as the adapter does', async () => {
    const shown = JSON.parse(await lora('show', at('tuned'), '--json')) as Record<string, number>;
    expect(shown).toMatchObject({ rank: 2, alpha: 4, numModules: 14, baseModel: at('base') });
    const text = await lora('show', at('tuned'));
    expect(text).toContain('rank 2, alpha 4');
    expect(text).toContain('(14 matrices)');
    expect(text).toMatch(/Tokens {3}rows of \d+, \d+\n/);

    const merge = ['merge', '--model', at('base'), '--adapter', at('tuned'), '--out', at('merged')];
    const merged = JSON.parse(await lora(...merge, '--json')) as { notes: string[] };
    expect(merged.notes).toEqual([]);
    await expect(lora(...merge)).rejects.toThrow(/already there/);
    await expect(
      lora('merge', '--model', at('base'), '--adapter', at('tuned'), '--out', at('base')),
    ).rejects.toThrow(/--out is the model/);
    // The training is over: the same command with --merge only saves the model.
    expect((await run(...SFT, '--merge', ...SIZE)).code).toBe(0);
    const [one, other, before] = await Promise.all(
      [at('merged'), at('tuned', 'model'), at('base')].map((path) => loadCheckpoint(path)),
    );
    expect(one!.weights).toEqual(other!.weights);
    expect(one!.config).toEqual(other!.config);
    const name = 'model.layers.1.mlp.down_proj.weight';
    expect(one!.weights.get(name)!.data).not.toEqual(before!.weights.get(name)!.data);

    const ask = [
      '--chat',
      'Greeting 1?',
      '--max-tokens',
      '4',
      '--temperature',
      '2',
      '--seed',
      '3',
      '--logprobs',
      '3',
      '--threads',
      '1',
      '--json',
    ];
    const own = await run('generate', '--model', 'base', '--adapter', 'tuned', ...ask);
    expect(own.code, own.stderr).toBe(0);
    const whole = await run('generate', '--model', 'merged', ...ask);
    expect(JSON.parse(own.stdout).tokens.length).toBeGreaterThan(0);
    expect(JSON.parse(own.stdout)).toEqual(JSON.parse(whole.stdout));
    const missing = await run('generate', '--model', 'base', '--adapter', 'base', ...ask);
    expect(missing.code).toBe(1);
    expect(missing.stdout).toContain('There is no adapter in');
  });
});

describe('flags', () => {
  test('--lora-rank alone: alpha is twice the rank, all layers', () => {
    expect(lowRankOf({ loraRank: 8 })).toEqual({ rank: 8, alpha: 16, targets: 'all-linear', merge: false });
    expect(
      lowRankOf({ loraRank: 8, loraAlpha: 8, loraTargets: ['q_proj'], rslora: true, merge: true }),
    ).toEqual({ rank: 8, alpha: 8, targets: ['q_proj'], rankStabilised: true, merge: true });
  });

  test('none of them: the whole model', () => {
    expect(lowRankOf({})).toBeUndefined();
  });

  test.each([{ loraAlpha: 8 }, { loraTargets: ['q_proj'] }, { rslora: true }, { merge: true }])(
    '%j without --lora-rank is wrong usage',
    (flags) => {
      expect(() => lowRankOf(flags)).toThrow(PlinthError);
      expect(() => lowRankOf(flags)).toThrow(/give --lora-rank too/);
    },
  );
});
