import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createTemporaryFolder, writeFileAtomic } from '../../src/core/atomic-file.node.ts';
import { ConfigError, FormatError } from '../../src/core/errors.ts';
import {
  loadCheckpoint,
  saveCheckpoint,
  stopTokenIds,
  type Weight,
} from '../../src/model/checkpoint.node.ts';
import { parameterSpecs, type TransformerConfig } from '../../src/model/config.ts';
import { SafetensorsFile, writeSafetensors } from '../../src/model/safetensors.node.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'plinth-checkpoint-'));
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

const CONFIG: TransformerConfig = {
  architecture: 'qwen3',
  vocabSize: 32,
  hiddenSize: 8,
  numLayers: 2,
  numHeads: 2,
  numKvHeads: 1,
  headDim: 4,
  intermediateSize: 12,
  ropeTheta: 10000,
  ropeScaling: null,
  rmsNormEps: 1e-6,
  tieWordEmbeddings: true,
  maxPositionEmbeddings: 64,
  attentionBias: false,
  attentionOutputBias: false,
  mlpBias: false,
  hiddenAct: 'silu',
  bosTokenId: null,
  eosTokenIds: [3],
  padTokenId: null,
  initializerRange: 0.02,
};

/** Every bit pattern class is among them: normal, subnormal, -0, infinity, NaN. */
function weightsOf(config: TransformerConfig, seed = 0): Map<string, Weight> {
  return new Map(
    parameterSpecs(config).map(({ name, shape }, n) => {
      const data = new Float32Array(shape.reduce((product, size) => product * size, 1));
      data.forEach((_, i) => {
        data[i] = Math.sin(seed + 0.1 + n + 0.7 * i);
      });
      data.set([-0, 1e-45, Infinity, Number.NaN]);
      return [name, { shape, data }];
    }),
  );
}

const bitsOf = ({ data }: Weight): number[] => [
  ...new Uint32Array(data.buffer, data.byteOffset, data.length),
];

/** Puts the tensors of `weights` into the folder's model.safetensors, as they are. */
async function rewriteWeights(target: string, weights: Map<string, Weight>): Promise<void> {
  await writeSafetensors(
    join(target, 'model.safetensors'),
    [...weights].map(([name, { shape, data }]) => ({ name, dtype: 'F32', shape, data })),
  );
}

describe('saving and loading', () => {
  test('gives back config and weights bit for bit, with all files of a model folder', async () => {
    const target = join(folder, 'model');
    const weights = weightsOf(CONFIG);
    const tokenizer = '{"version":"1.0"}';
    await saveCheckpoint(target, {
      config: CONFIG,
      weights,
      generation: { temperature: 0.8 },
      files: new Map<string, string | Uint8Array>([['tokenizer.json', tokenizer]]),
      addFiles: async (temporary) => writeFile(join(temporary, 'training.json'), '{}'),
    });
    expect((await readdir(target)).sort()).toEqual(
      [
        'config.json',
        'generation_config.json',
        'model.safetensors',
        'tokenizer.json',
        'training.json',
      ].sort(),
    );
    const loaded = await loadCheckpoint(target);
    expect(loaded.config).toEqual(CONFIG);
    expect(loaded.rawConfig.architectures).toEqual(['Qwen3ForCausalLM']);
    expect(loaded.rawGenerationConfig).toEqual({ eos_token_id: 3, do_sample: true, temperature: 0.8 });
    expect(loaded.ignoredTensors).toEqual([]);
    expect([...loaded.weights.keys()]).toEqual(parameterSpecs(CONFIG).map(({ name }) => name));
    for (const [name, weight] of loaded.weights) expect(bitsOf(weight)).toEqual(bitsOf(weights.get(name)!));
    expect(await readFile(join(target, 'tokenizer.json'), 'utf8')).toBe(tokenizer);
  });

  test('the same checkpoint saved twice has the same bytes', async () => {
    for (const name of ['a', 'b']) {
      await saveCheckpoint(join(folder, name), { config: CONFIG, weights: weightsOf(CONFIG) });
    }
    for (const name of await readdir(join(folder, 'a'))) {
      expect(await readFile(join(folder, 'b', name))).toEqual(await readFile(join(folder, 'a', name)));
    }
  });

  test('BF16 and F16 halve the file and say so in config.json', async () => {
    for (const [dtype, words, bits] of [
      ['BF16', 'bfloat16', 8],
      ['F16', 'float16', 11],
    ] as const) {
      const target = join(folder, dtype);
      await saveCheckpoint(target, { config: CONFIG, weights: weightsOf(CONFIG), dtype });
      const file = await SafetensorsFile.open(join(target, 'model.safetensors'));
      expect(new Set([...file.tensors.values()].map((info) => info.dtype))).toEqual(new Set([dtype]));
      await file.close();
      const { weights, rawConfig } = await loadCheckpoint(target);
      expect(rawConfig.torch_dtype).toBe(words);
      const exact = weightsOf(CONFIG).get('model.norm.weight')!.data;
      weights
        .get('model.norm.weight')!
        .data.slice(4)
        .forEach((value, i) => {
          expect(Math.abs(value - exact[i + 4]!)).toBeLessThanOrEqual(2 ** -bits);
          expect(value).not.toBe(exact[i + 4]);
        });
    }
  });

  test('a llama with biases and its own output matrix', async () => {
    const config: TransformerConfig = {
      ...CONFIG,
      architecture: 'llama',
      tieWordEmbeddings: false,
      attentionBias: true,
    };
    await saveCheckpoint(join(folder, 'm'), { config, weights: weightsOf(config) });
    const { weights, config: loaded } = await loadCheckpoint(join(folder, 'm'));
    expect(loaded).toEqual(config);
    expect(weights.get('model.layers.1.self_attn.k_proj.bias')!.shape).toEqual([4]);
    expect(weights.has('lm_head.weight')).toBe(true);
  });
});

describe('saving refuses', () => {
  const save = (change: Partial<Parameters<typeof saveCheckpoint>[1]>): Promise<void> =>
    saveCheckpoint(join(folder, 'm'), { config: CONFIG, weights: weightsOf(CONFIG), ...change });

  test('weights that are not those of the config, and writes nothing', async () => {
    const missing = weightsOf(CONFIG);
    missing.delete('model.norm.weight');
    await expect(save({ weights: missing })).rejects.toThrow(/"model.norm.weight" is missing/);
    const extra = weightsOf(CONFIG).set('lm_head.weight', { shape: [1], data: new Float32Array(1) });
    await expect(save({ weights: extra })).rejects.toThrow(/not in the config: "lm_head.weight"/);
    const misshapen = weightsOf(CONFIG).set('model.norm.weight', {
      shape: [2, 4],
      data: new Float32Array(8),
    });
    await expect(save({ weights: misshapen })).rejects.toThrow(
      /shape \[2, 4\], but the config asks for \[8\]/,
    );
    const short = weightsOf(CONFIG).set('model.norm.weight', { shape: [8], data: new Float32Array(7) });
    await expect(save({ weights: short })).rejects.toThrow(/needs 8 values, got 7/);
    expect(await readdir(folder)).toEqual([]);
  });

  test.each(['../escape', 'sub/file', 'config.json', 'model.safetensors', '.hidden', ''])(
    'a further file called %j',
    async (name) => {
      await expect(save({ files: new Map([[name, 'x']]) })).rejects.toThrow(ConfigError);
      expect(await readdir(folder)).toEqual([]);
    },
  );

  test('a folder that is there, unless told to replace it', async () => {
    await save({});
    await expect(save({ weights: weightsOf(CONFIG, 5) })).rejects.toThrow(/already there/);
    await save({ weights: weightsOf(CONFIG, 5), overwrite: true });
    const { weights } = await loadCheckpoint(join(folder, 'm'));
    expect(bitsOf(weights.get('model.norm.weight')!)).toEqual(
      bitsOf(weightsOf(CONFIG, 5).get('model.norm.weight')!),
    );
    expect(await readdir(folder)).toEqual(['m']);
  });

  test('to leave half a checkpoint when the disk is full: the old one stays', async () => {
    await save({});
    const full = async (temporary: string): Promise<void> =>
      writeFileAtomic(join(temporary, 'optimizer.safetensors'), new Uint8Array(1000), {
        write: async () => {
          throw Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' });
        },
      });
    const work = save({ weights: weightsOf(CONFIG, 5), overwrite: true, addFiles: full });
    await expect(work).rejects.toMatchObject({ code: 'disk' });
    expect(await readdir(folder)).toEqual(['m']);
    const { weights } = await loadCheckpoint(join(folder, 'm'));
    expect(bitsOf(weights.get('model.norm.weight')!)).toEqual(
      bitsOf(weightsOf(CONFIG).get('model.norm.weight')!),
    );
  });
});

describe('loading refuses', () => {
  let target: string;
  beforeEach(async () => {
    target = join(folder, 'm');
    await saveCheckpoint(target, { config: CONFIG, weights: weightsOf(CONFIG) });
  });

  async function failure(): Promise<string> {
    const error = await loadCheckpoint(target).then(
      () => undefined,
      (e: unknown) => e,
    );
    expect(error).toBeInstanceOf(FormatError);
    return (error as FormatError).message;
  }

  test('missing tensors, naming some and counting all', async () => {
    const weights = weightsOf(CONFIG);
    for (const name of [...weights.keys()].filter((key) => key.includes('layers.1.'))) weights.delete(name);
    await rewriteWeights(target, weights);
    expect(await failure()).toMatch(
      /11 of 24 tensors are missing: "model\.layers\.1\.input_layernorm\.weight".* and 6 more/,
    );
  });

  test('tensors that have no place in the model', async () => {
    const bias = { shape: [8], data: new Float32Array(8) };
    await rewriteWeights(target, weightsOf(CONFIG).set('model.layers.0.self_attn.q_proj.bias', bias));
    expect(await failure()).toMatch(/1 tensors have no place in a qwen3 model: .*q_proj\.bias/);
  });

  test('a wrong shape, giving both', async () => {
    const wrong = { shape: [8, 32], data: new Float32Array(256) };
    await rewriteWeights(target, weightsOf(CONFIG).set('model.embed_tokens.weight', wrong));
    expect(await failure()).toMatch(
      /"model\.embed_tokens\.weight" has shape \[8, 32\], but config\.json asks for \[32, 8\]/,
    );
  });

  test('weights that are not floating numbers', async () => {
    const tensors = [...weightsOf(CONFIG)].map(([name, { shape, data }]) =>
      name === 'model.norm.weight'
        ? ({ name, dtype: 'I8', shape, data: new Uint8Array(8) } as const)
        : ({ name, dtype: 'F32', shape, data } as const),
    );
    await writeSafetensors(join(target, 'model.safetensors'), tensors);
    expect(await failure()).toMatch(/"model\.norm\.weight" is I8/);
  });

  test('a tied output matrix that is not the embedding, and leaves out one that is', async () => {
    const weights = weightsOf(CONFIG);
    const embedding = weights.get('model.embed_tokens.weight')!;
    await rewriteWeights(target, weights.set('lm_head.weight', embedding));
    expect((await loadCheckpoint(target)).ignoredTensors).toEqual(['lm_head.weight']);
    const other = { shape: embedding.shape, data: embedding.data.slice() };
    other.data[100]! += 1;
    await rewriteWeights(target, weights.set('lm_head.weight', other));
    expect(await failure()).toMatch(
      /lm_head\.weight differs from model\.embed_tokens\.weight.*set it to false/,
    );
  });

  test('a config that is not JSON, not there, or of another model', async () => {
    await writeFile(join(target, 'config.json'), '{"model_type": ');
    expect(await failure()).toMatch(/config\.json is not JSON/);
    await writeFile(join(target, 'config.json'), '{"model_type": "gpt2"}');
    await expect(loadCheckpoint(target)).rejects.toThrow(ConfigError);
    await rm(join(target, 'config.json'));
    await expect(loadCheckpoint(target)).rejects.toMatchObject({ code: 'disk' });
    await expect(loadCheckpoint(join(folder, 'nowhere', 'm'))).rejects.toMatchObject({ code: 'disk' });
  });

  test('a truncated download', async () => {
    const path = join(target, 'model.safetensors');
    const bytes = await readFile(path);
    await writeFile(path, bytes.subarray(0, bytes.length - 1));
    expect(await failure()).toMatch(/may be truncated/);
  });
});

test('a checkpoint whose replacement was killed between its renames loads again', async () => {
  const target = join(folder, 'm');
  await saveCheckpoint(target, { config: CONFIG, weights: weightsOf(CONFIG) });
  const { rename } = await import('node:fs/promises');
  await rename(target, join(folder, '.m.plinth-old-4194999-0123456789abcdef'));
  expect((await loadCheckpoint(target)).config).toEqual(CONFIG);
  expect(await readdir(folder)).toEqual(['m']);
});

test('saving works beside what another save is still writing', async () => {
  const other = await createTemporaryFolder(join(folder, 'm'));
  await saveCheckpoint(join(folder, 'm'), { config: CONFIG, weights: weightsOf(CONFIG) });
  expect((await readdir(folder)).length).toBe(2);
  await rm(other, { recursive: true });
});

test('stop tokens that are not token ids are refused', () => {
  expect(stopTokenIds(CONFIG, { eos_token_id: [4, 3] })).toEqual([3, 4]);
  expect(stopTokenIds(CONFIG, {})).toEqual([3]);
  for (const eos of [32, -1, 1.5, 'end', [1, null]]) {
    expect(() => stopTokenIds(CONFIG, { eos_token_id: eos })).toThrow(ConfigError);
  }
});
