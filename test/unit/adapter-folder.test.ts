/** Adapters on disk: PEFT's names and settings, what is refused, and models that are loaded with one. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { FormatError } from '../../src/core/errors.ts';
import { KeyedRandom } from '../../src/core/random.ts';
import { loadLanguageModel } from '../../src/decode/index.node.ts';
import { loadAdapter, type SaveAdapterInput, saveAdapter } from '../../src/model/adapter/adapter.node.ts';
import { ALL_LINEAR, type LowRankSettings, lowRankSpecs } from '../../src/model/adapter/low-rank.ts';
import { checkAdapter, mergeAdapter } from '../../src/model/adapter/read-adapter.ts';
import type { TransformerConfig } from '../../src/model/config.ts';
import { dequantizeWeights, quantizeWeights, saveCheckpoint } from '../../src/model/index.node.ts';
import { initializeWeights, type Weights } from '../../src/model/initialize.ts';
import { SafetensorsFile, writeSafetensors } from '../../src/model/safetensors.node.ts';
import { cpuDevice } from '../../src/runtime/index.node.ts';
import { tinyConfig } from '../fixtures/training/tiny-model.ts';

let folder: string;
let dir: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'plinth-adapter-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const settings: LowRankSettings = { rank: 2, alpha: 4, targets: ['q_proj', 'v_proj'] };
const base = initializeWeights(tinyConfig, 1);

function randomAdapter(lowRank: LowRankSettings, config = tinyConfig): Weights {
  return new Map(
    lowRankSpecs(config, lowRank).map(({ name, shape }) => [
      name,
      { shape, data: new KeyedRandom(4).fork(name).normals(shape[0]! * shape[1]!, 0.3) },
    ]),
  );
}
const weights = randomAdapter(settings);
const save = (path: string, changes: Partial<SaveAdapterInput> = {}) =>
  saveAdapter(path, { config: tinyConfig, settings, weights, baseModel: 'tiny', ...changes });
let count = 0;
beforeEach(async () => {
  dir = join(folder, String(count++));
  await save(dir);
});

async function changeConfig(change: Record<string, unknown>): Promise<void> {
  const path = join(dir, 'adapter_config.json');
  const before = JSON.parse(await readFile(path, 'utf8')) as object;
  await writeFile(path, JSON.stringify({ ...before, ...change }));
}

async function changeTensors(
  change: (all: Map<string, { shape: readonly number[]; data: Float32Array }>) => void,
): Promise<void> {
  const all = new Map(
    [...weights].map(([name, { shape, data }]) => [`base_model.model.${name}`, { shape, data }]),
  );
  change(all);
  await writeSafetensors(
    join(dir, 'adapter_model.safetensors'),
    [...all].map(([name, { shape, data }]) => ({ name, dtype: 'F32', shape, data })),
  );
}

describe('the files', () => {
  // Names and keys: huggingface.co/docs/peft/developer_guides/checkpoint ("keys always start with base_model.model.",
  // "lora_A.weight", "lora_B.weight"; the example of adapter_config.json), with the modules of a Qwen3 model.
  test('carry the names of PEFT', async () => {
    const file = await SafetensorsFile.open(join(dir, 'adapter_model.safetensors'));
    const shapes = Object.fromEntries([...file.tensors].map(([name, { shape }]) => [name, shape]));
    await file.close();
    expect(shapes).toEqual({
      'base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight': [2, 16],
      'base_model.model.model.layers.0.self_attn.q_proj.lora_B.weight': [16, 2],
      'base_model.model.model.layers.0.self_attn.v_proj.lora_A.weight': [2, 16],
      'base_model.model.model.layers.0.self_attn.v_proj.lora_B.weight': [8, 2],
      'base_model.model.model.layers.1.self_attn.q_proj.lora_A.weight': [2, 16],
      'base_model.model.model.layers.1.self_attn.q_proj.lora_B.weight': [16, 2],
      'base_model.model.model.layers.1.self_attn.v_proj.lora_A.weight': [2, 16],
      'base_model.model.model.layers.1.self_attn.v_proj.lora_B.weight': [8, 2],
    });
  });

  test('carry the settings of PEFT', async () => {
    expect(JSON.parse(await readFile(join(dir, 'adapter_config.json'), 'utf8'))).toEqual({
      alpha_pattern: {},
      auto_mapping: null,
      base_model_name_or_path: 'tiny',
      bias: 'none',
      fan_in_fan_out: false,
      inference_mode: true,
      init_lora_weights: true,
      layers_pattern: null,
      layers_to_transform: null,
      lora_alpha: 4,
      lora_dropout: 0,
      modules_to_save: null,
      peft_type: 'LORA',
      r: 2,
      rank_pattern: {},
      revision: null,
      target_modules: ['q_proj', 'v_proj'],
      task_type: 'CAUSAL_LM',
      trainable_token_indices: null,
      use_dora: false,
      use_rslora: false,
    });
  });

  test('all-linear is written as the names it stands for', async () => {
    const all: LowRankSettings = { ...settings, targets: ALL_LINEAR, rankStabilised: true };
    await save(dir, { settings: all, weights: randomAdapter(all) });
    const config = JSON.parse(await readFile(join(dir, 'adapter_config.json'), 'utf8'));
    const names = ['q_proj', 'k_proj', 'v_proj', 'o_proj', 'gate_proj', 'up_proj', 'down_proj'];
    expect(config.target_modules).toEqual(names);
    expect((await loadAdapter(dir)).settings).toEqual({
      rank: 2,
      alpha: 4,
      rankStabilised: true,
      targets: names,
    });
  });

  test('come back as they were; as BF16 within its rounding', async () => {
    const exact = await loadAdapter(dir);
    expect(exact.settings).toEqual({ ...settings, rankStabilised: false });
    expect(exact.baseModel).toBe('tiny');
    expect(exact.baseConfig).toMatchObject({ hiddenSize: 16, numLayers: 2, eosTokenIds: [0] });
    expect(exact.weights).toEqual(weights);
    await save(dir, { dtype: 'BF16' });
    for (const [name, { data }] of (await loadAdapter(dir)).weights) {
      data.forEach((value, i) => {
        const before = weights.get(name)!.data[i]!;
        expect(Math.abs(value - before)).toBeLessThanOrEqual(2 ** -8 * Math.abs(before));
      });
    }
  });

  // PEFT's TrainableTokensLayer keeps the rows themselves, not differences, under this name.
  test('rows of tokens carry the names of PEFT, and come back', async () => {
    const own: LowRankSettings = { ...settings, tokens: [5, 9] };
    const values = randomAdapter(own);
    await save(dir, { settings: own, weights: values });
    const config = JSON.parse(await readFile(join(dir, 'adapter_config.json'), 'utf8'));
    expect(config.trainable_token_indices).toEqual({ embed_tokens: [5, 9] });
    const file = await SafetensorsFile.open(join(dir, 'adapter_model.safetensors'));
    const name = 'base_model.model.model.embed_tokens.token_adapter.trainable_tokens_delta';
    expect(file.tensors.get(name)!.shape).toEqual([2, 16]);
    await file.close();
    const adapter = await loadAdapter(dir);
    expect(adapter.settings.tokens).toEqual([5, 9]);
    expect(adapter.weights).toEqual(values);
    const merged = mergeAdapter(tinyConfig, base, adapter).weights.get('model.embed_tokens.weight')!.data;
    const rows = values.get('model.embed_tokens.token_adapter.trainable_tokens_delta')!.data;
    expect(merged.slice(9 * 16, 10 * 16)).toEqual(rows.slice(16));
    await changeConfig({ trainable_token_indices: [5] });
    await expect(loadAdapter(dir)).rejects.toThrow(/trainable_tokens_delta" is no part/);
  });

  test('what PEFT leaves out has its defaults, and a pattern leaves the modules to the tensors', async () => {
    await rm(join(dir, 'base_config.json'));
    await changeTensors((all) => {
      for (const name of all.keys()) if (name.includes('layers.0.')) all.delete(name);
    });
    await writeFile(
      join(dir, 'adapter_config.json'),
      '{"peft_type": "LORA", "r": 2, "target_modules": ".*layers\\\\.1\\\\..*[qv]_proj"}',
    );
    const adapter = await loadAdapter(dir);
    expect(adapter.settings).toEqual({
      rank: 2,
      alpha: 8,
      rankStabilised: false,
      targets: ['model.layers.1.self_attn.q_proj', 'model.layers.1.self_attn.v_proj'],
    });
    checkAdapter(adapter, tinyConfig);
  });
});

describe('refused is', () => {
  test.each([
    [{ peft_type: 'IA3' }, /"peft_type" is "IA3".*"LORA"/],
    [{ use_dora: true }, /"use_dora" is true.*Merge this adapter with PEFT/],
    [{ bias: 'all' }, /"bias" is "all"/],
    [{ modules_to_save: ['lm_head'] }, /"modules_to_save"/],
    [{ alpha_pattern: { q_proj: 3 } }, /"alpha_pattern"/],
    [{ r: 0 }, /"r" is 0/],
    [{ r: 3 }, /shape \[2, 16\], but "r".*is 3/],
    [{ lora_alpha: 'x' }, /"lora_alpha"/],
    [{ target_modules: [] }, /"target_modules"/],
    [{ use_rslora: 1 }, /"use_rslora"/],
    [{ base_model_name_or_path: 3 }, /"base_model_name_or_path"/],
  ])('a config with %j', async (change, message) => {
    await changeConfig(change);
    await expect(loadAdapter(dir)).rejects.toThrow(FormatError);
    await expect(loadAdapter(dir)).rejects.toThrow(message);
  });

  test('a file that is half there', async () => {
    await changeTensors((all) => {
      all.delete('base_model.model.model.layers.1.self_attn.v_proj.lora_B.weight');
    });
    await expect(loadAdapter(dir)).rejects.toThrow(
      /lora_A or lora_B is missing of .*layers\.1\.self_attn\.v_proj/,
    );
  });

  test('a tensor that is no part of an adapter', async () => {
    await changeTensors((all) => {
      all.set('model.norm.weight', { shape: [16], data: new Float32Array(16) });
    });
    await expect(loadAdapter(dir)).rejects.toThrow(/"model.norm.weight" is no part/);
  });

  test('a folder without an adapter', async () => {
    await rm(join(dir, 'adapter_config.json'));
    await expect(loadAdapter(dir)).rejects.toThrow(/adapter_config\.json.*Is this the folder of an adapter/);
  });

  test.each<[string, Partial<TransformerConfig>, RegExp]>([
    ['another width', { hiddenSize: 32 }, /its hiddenSize is 16, this model's 32/],
    ['another vocabulary', { vocabSize: 49 }, /its vocabSize is 48, this model's 49/],
    ['more layers', { numLayers: 3 }, /its numLayers is 2/],
  ])('a model with %s', async (_, change, message) => {
    const adapter = await loadAdapter(dir);
    expect(() => checkAdapter(adapter, { ...tinyConfig, ...change })).toThrow(message);
  });

  test('without a base config: shapes and modules that the model does not have', async () => {
    await rm(join(dir, 'base_config.json'));
    const adapter = await loadAdapter(dir);
    expect(() => checkAdapter(adapter, { ...tinyConfig, headDim: 16 })).toThrow(
      /q_proj\.lora_B\.weight" has shape \[16, 2\]; this model asks for \[32, 2\]/,
    );
    expect(() => checkAdapter(adapter, { ...tinyConfig, numLayers: 3 })).toThrow(/lacks .*layers\.2/);
    expect(() => checkAdapter(adapter, { ...tinyConfig, numLayers: 1 })).toThrow(/has .*layers\.1.*does not/);
    expect(() => checkAdapter(adapter, tinyConfig)).not.toThrow();
  });

  test('weights of other shapes than the settings say, before anything is written', async () => {
    await expect(save(join(folder, 'never'), { weights: new Map() })).rejects.toThrow(/is missing/);
    await expect(save(join(folder, 'never'), { settings: { ...settings, rank: 3 } })).rejects.toThrow(
      /expected \[3, 16\]/,
    );
  });
});

describe('a model that is loaded with an adapter', () => {
  const device = cpuDevice({ numThreads: 1 });
  const prompt = { tokens: [3, 4, 5] };

  async function logprobs(path: string, options: { adapter?: string } = {}) {
    const model = await loadLanguageModel(path, { device, ...options });
    const answer = await model.generate(prompt.tokens, { maxTokens: 6, temperature: 0, logprobs: 4 });
    await model.dispose();
    return {
      tokens: answer.tokens,
      values: answer.logprobs!.flatMap(({ top }) => top.map(({ logprob }) => logprob)),
    };
  }

  test('answers as the merged one, and otherwise than without', async () => {
    const [modelFolder, mergedFolder] = [join(dir, 'base'), join(dir, 'merged')];
    await saveCheckpoint(modelFolder, { config: tinyConfig, weights: base });
    const merged = mergeAdapter(tinyConfig, base, await loadAdapter(dir));
    await saveCheckpoint(mergedFolder, merged);
    const own = await logprobs(modelFolder, { adapter: dir });
    expect(own).toEqual(await logprobs(mergedFolder));
    expect(own.values).not.toEqual((await logprobs(modelFolder)).values);
  });

  test('whose weights are quantised: they are widened, then merged', async () => {
    const modelFolder = join(dir, 'quantised');
    const quantised = quantizeWeights(tinyConfig, base, {
      bits: 8,
      blockSize: 16,
      keep: ['model.embed_tokens.weight'],
    });
    await saveCheckpoint(modelFolder, { config: tinyConfig, weights: quantised.weights });
    const merged = mergeAdapter(tinyConfig, dequantizeWeights(quantised.weights), await loadAdapter(dir));
    const mergedFolder = join(dir, 'merged');
    await saveCheckpoint(mergedFolder, merged);
    expect(await logprobs(modelFolder, { adapter: dir })).toEqual(await logprobs(mergedFolder));
  });

  test('ends its answers where the training of the adapter did', async () => {
    await save(dir, { config: { ...tinyConfig, eosTokenIds: [7] } });
    const { config } = mergeAdapter(tinyConfig, base, await loadAdapter(dir));
    expect(config.eosTokenIds).toEqual([7, 0]);
  });
});
