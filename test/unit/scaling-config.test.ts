/** Reading configs for counting: spellings, defaults, what is refused and how, and the commands that print counts. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Command } from 'commander';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { flopsCommand } from '../../src/cli/commands/scale-flops.ts';
import { memoryCommand } from '../../src/cli/commands/scale-memory.ts';
import { paramsCommand } from '../../src/cli/commands/scale-params.ts';
import { tokenCount, tokenLength } from '../../src/cli/scale/architecture-options.ts';
import { encodeSafetensors } from '../../src/model/index.ts';
import { architectureFromConfig, architectureOf } from '../../src/scaling/architecture/index.ts';
import { cacheBytes, countParameters } from '../../src/scaling/count/index.ts';

const total = (json: unknown) => countParameters(architectureFromConfig(json)).total;

const SMALL = {
  model_type: 'llama',
  vocab_size: 100,
  hidden_size: 16,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  intermediate_size: 32,
};
// 2 x 100 x 16, 2 layers of 4 x 16^2, 3 x 16 x 32 and 2 x 16, and 16.
const SMALL_TOTAL = 3200 + 2 * (1024 + 1536 + 32) + 16;

describe('config.json', () => {
  test("missing keys have transformers' defaults", () => {
    expect(total({ model_type: 'gpt2' })).toBe(124439808);
    expect(total({ model_type: 'mixtral' })).toBe(46702792704);
    expect(total({ model_type: 'jamba' })).toBe(51570323328);
    expect(total({ model_type: 't5' })).toBe(60506624);
    expect(total({ model_type: 'falcon' })).toBe(6921720704);
  });

  test('null means what it means there', () => {
    expect(total({ ...SMALL, num_key_value_heads: null, head_dim: null })).toBe(SMALL_TOTAL);
    // One key/value head saves three quarters of keys and values.
    expect(total({ ...SMALL, num_key_value_heads: 1 })).toBe(SMALL_TOTAL - 2 * 2 * 12 * 16);
    expect(total({ ...SMALL, tie_word_embeddings: true })).toBe(SMALL_TOTAL - 1600);
    expect(total({ ...SMALL, attention_bias: true, mlp_bias: true })).toBe(SMALL_TOTAL + 2 * (64 + 80));
  });

  test("state-spaces' keys: the vocabulary is padded and said so", () => {
    const mamba = architectureFromConfig({ d_model: 2560, n_layer: 64, vocab_size: 50277, ssm_cfg: {} });
    expect(mamba.vocabSize).toBe(50280);
    expect(mamba.notes.join()).toContain('padded to 50280');
    expect(countParameters(mamba).total).toBe(2768345600);
  });

  test('a hybrid of Mamba-2 and attention has attention in the layers named', () => {
    const hybrid = architectureFromConfig({
      d_model: 2560,
      n_layer: 64,
      vocab_size: 50277,
      ssm_cfg: { layer: 'Mamba2' },
      attn_layer_idx: [9, 18, 27, 36, 45, 56],
      attn_cfg: {
        causal: true,
        d_conv: 4,
        head_dim: 128,
        num_heads: 30,
        out_proj_bias: false,
        qkv_proj_bias: false,
        rotary_emb_dim: 64,
      },
      pad_vocab_size_multiple: 16,
    });
    const attention = countParameters(hybrid).byLayer.find(({ layers }) => layers.includes(9))!;
    expect(attention.layers).toEqual([9, 18, 27, 36, 45, 56]);
    const qkv = 3 * 30 * 128;
    expect(attention.total).toBe(2560 + 2560 * qkv + qkv * 5 + 30 * 128 * 2560);
    expect(cacheBytes(hybrid, { length: 1 })).toBe(6 * 2 * 30 * 128 * 2);
  });

  test("Plinth's own config, and a model with images", () => {
    expect(
      total({
        architecture: 'llama',
        vocabSize: 100,
        hiddenSize: 16,
        numLayers: 2,
        numHeads: 4,
        numKvHeads: 4,
        headDim: 4,
        intermediateSize: 32,
        tieWordEmbeddings: false,
        maxPositionEmbeddings: 64,
      }),
    ).toBe(SMALL_TOTAL);
    const pictures = architectureFromConfig({
      model_type: 'llava',
      text_config: SMALL,
      vision_config: { hidden_size: 8 },
    });
    expect(countParameters(pictures).total).toBe(SMALL_TOTAL);
    expect(pictures.notes.join()).toContain('Only the text model');
  });

  test('layers with their own windows', () => {
    const mixed = { ...SMALL, sliding_window: 8, layer_types: ['sliding_attention', 'full_attention'] };
    // Two-byte keys and values, 16 wide: 8 tokens in one layer, 100 in the other.
    expect(cacheBytes(architectureFromConfig(mixed), { length: 100 })).toBe(2 * 2 * 16 * (8 + 100));
    expect(() => total({ ...mixed, layer_types: ['linear_attention', 'full_attention'] })).toThrow(
      /layer_types/,
    );
  });

  test.each([
    [{ ...SMALL, hidden_size: '16' }, /"hidden_size" is "16"; expected a whole number.*without quotes/],
    [{ ...SMALL, hidden_size: -16 }, /"hidden_size" is -16/],
    [{ ...SMALL, num_hidden_layers: 1e9 }, /"num_hidden_layers".*1 to 10000/],
    [{ ...SMALL, num_key_value_heads: 3 }, /"num_key_value_heads" is 3; expected a divisor/],
    [{ ...SMALL, num_attention_heads: 5 }, /"num_attention_heads" is 5; expected a divisor of the width 16/],
    [{ ...SMALL, num_experts: 8 }, /"num_experts" is 8; expected no such key for model type "llama"/],
    [{ ...SMALL, qk_norm: true }, /"qk_norm"/],
    [{ ...SMALL, vocab_size: 2 ** 31 - 1, hidden_size: 2 ** 31 - 1, head_dim: 4 }, /9\.22e\+18 parameters/],
    [{ ...SMALL, model_type: 'lama' }, /"model_type" is "lama".*did you mean llama/],
    [{}, /"model_type" is missing; expected one of gpt2/],
    [[], /must hold a JSON object/],
    [{ model_type: 'mixtral', num_experts_per_tok: 9 }, /"num_experts_per_tok" is 9; expected at most.*8/],
    [{ model_type: 'mamba2', num_heads: 7 }, /"num_heads" is 7; expected num_heads \* head_dim/],
    [{ d_model: 64, n_layer: 2, ssm_cfg: { layer: 'S4' } }, /"ssm_cfg\.layer" is "S4"/],
  ])('refuses %j', (json, message) => {
    expect(() => architectureFromConfig(json)).toThrow(message);
  });

  test('keys that change nothing are no reason to refuse', () => {
    const harmless = {
      use_cache: true,
      num_beams: 4,
      rms_norm_eps: 1e-6,
      pretraining_tp: 1,
      num_experts: 0,
      dual_chunk: true,
    };
    expect(total({ ...SMALL, ...harmless })).toBe(SMALL_TOTAL);
  });

  test('a mistyped preset is answered with those that are alike', () => {
    expect(() => architectureOf('llama-2')).toThrow('Did you mean llama-2-7b, llama-2-13b, llama-2-70b?');
    expect(() => architectureOf('mixtrall-8x7b')).toThrow('Did you mean mixtral-8x7b?');
  });
});

/** What the tests look at in the commands' JSON. */
interface Figures {
  run: { sixND: number };
  inference: { cache: number };
  training: { activations: { layers: number } };
}

describe('commands', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'plinth-scale-'));
    await writeFile(join(folder, 'config.json'), JSON.stringify(SMALL));
  });
  afterAll(() => rm(folder, { recursive: true }));

  async function output(command: Command, ...words: string[]): Promise<string> {
    let text = '';
    const write = vi.spyOn(process.stdout, 'write').mockImplementation((chunk) => {
      text += String(chunk);
      return true;
    });
    try {
      await command.parseAsync(words, { from: 'user' });
    } finally {
      write.mockRestore();
    }
    return text;
  }
  const json = async (command: Command, ...words: string[]) =>
    JSON.parse(await output(command, ...words, '--json')) as Figures;

  test('params of a file', async () => {
    expect(await json(paramsCommand(), '--config', join(folder, 'config.json'))).toMatchObject({
      total: SMALL_TOTAL,
      active: SMALL_TOTAL,
      sparsity: 0,
      byPart: { attention: 2048, head: 1600 },
    });
    expect(await output(paramsCommand(), '--preset', 'Mixtral 8x7B')).toMatch(
      /total +46,702,792,704 +100\.0 % +12,879,925,248/,
    );
  });

  test('params of a folder are compared with the weights stored in it', async () => {
    const model = join(folder, 'model');
    await mkdir(model);
    await writeFile(join(model, 'config.json'), JSON.stringify(SMALL));
    expect(await json(paramsCommand(), '--model', model)).toMatchObject({ total: SMALL_TOTAL, stored: null });
    const weights = (size: number) =>
      encodeSafetensors([{ name: 'all', dtype: 'F32', shape: [size], data: new Float32Array(size) }]);
    await writeFile(join(model, 'model.safetensors'), weights(SMALL_TOTAL));
    expect(await output(paramsCommand(), '--model', model)).toContain('The safetensors headers hold as many');
    await writeFile(join(model, 'model.safetensors'), weights(SMALL_TOTAL - 3));
    expect(await output(paramsCommand(), '--model', model)).toContain('3 fewer than computed');
  });

  test('flops of a run, memory with a long cache', async () => {
    const flops = await json(flopsCommand(), '--preset', 'gpt-2', '--context', '1K', '--tokens', '300B');
    expect(flops).toMatchObject({ trainingPerSequence: 874944921600, run: { tokens: 300e9 } });
    expect(flops.run.sixND).toBeCloseTo(6 * 124439808 * 300e9, -8);
    const memory = await json(
      memoryCommand(),
      '--preset',
      'llama-2-7b',
      '--context',
      '4096',
      '--recompute',
      'full',
      '--cache-length',
      '256K',
    );
    expect(memory.inference.cache).toBe(128 * 2 ** 30);
    expect(memory.training.activations.layers).toBe(32 * 2 * 4096 * 4096);
    const text = await output(memoryCommand(), '--preset', 'llama-2-7b', '--precision', 'int4');
    expect(text).toContain('No training in int4');
  });

  test('one model has to be named', async () => {
    await expect(output(paramsCommand())).rejects.toThrow('Say which model');
    await expect(output(paramsCommand(), '--preset', 'gpt2', '--config', 'x')).rejects.toThrow(
      'one model only',
    );
    await expect(output(paramsCommand(), '--config', join(folder, 'none.json'))).rejects.toThrow(
      'There is no file',
    );
    await expect(output(memoryCommand(), '--preset', 'gpt2', '--optimizer', 'adam')).rejects.toThrow(
      'did you mean',
    );
  });

  test('lengths are in powers of two, amounts of tokens in powers of ten', () => {
    expect([tokenLength('256K'), tokenLength('1M'), tokenLength('4096')]).toEqual([262144, 1048576, 4096]);
    expect([tokenCount('300B'), tokenCount('1.4T'), tokenCount('5e11')]).toEqual([300e9, 1.4e12, 5e11]);
    for (const text of ['0', '-1', '1.5', 'x', '1e999', ''])
      expect(() => tokenLength(text)).toThrow('tokens');
  });
});
