/**
 * Exported ONNX folders in transformers.js: the same tokens of a text, the same chat, the same greedy answers, for
 * every architecture and for several prompts at once, padded on the left.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AutoModelForCausalLM, AutoTokenizer, env, type Tensor } from '@huggingface/transformers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createLanguageModel } from '../../src/decode/index.ts';
import type { TransformerConfig } from '../../src/model/config.ts';
import { exportModel } from '../../src/model/export/index.node.ts';
import { quantizeWeights } from '../../src/model/quantize/quantize-weights.ts';
import type { MixedWeights } from '../../src/model/quantized.ts';
import { cpuDevice } from '../../src/runtime/index.node.ts';
import { chatFormatOf, renderChat } from '../../src/tokenizer/index.ts';
import {
  type ExportModel,
  exportModelOf,
  PROMPTS,
  saveExportModel,
} from '../fixtures/models/export-model.ts';
import { fuzzTexts } from '../fixtures/tokenizer/fuzz-texts.ts';

const NUM_TOKENS = 24;
const root = mkdtempSync(join(tmpdir(), 'plinth-export-'));
env.allowRemoteModels = false;
env.localModelPath = `${root}/`;
afterAll(() => rmSync(root, { recursive: true, force: true }));

let count = 0;
/** Saves and exports a model; gives the name under which transformers.js finds it. */
async function exported(
  model: ExportModel,
  settings: Omit<Parameters<typeof exportModel>[1], 'to' | 'out'> = {},
): Promise<string> {
  const name = `model-${++count}`;
  await saveExportModel(join(root, `${name}-source`), model);
  await exportModel(join(root, `${name}-source`), { ...settings, to: 'onnx', out: join(root, name) });
  return name;
}

/** Greedy answers of transformers.js to all prompts in one batch. */
async function theirs(name: string, dtype?: 'fp32' | 'fp16' | 'q8' | 'q4'): Promise<number[][]> {
  const tokenizer = await AutoTokenizer.from_pretrained(name);
  tokenizer.padding_side = 'left';
  const model = await AutoModelForCausalLM.from_pretrained(name, {
    ...(dtype && { dtype }),
    session_options: { intraOpNumThreads: 1 },
  });
  try {
    const inputs = tokenizer(PROMPTS, { padding: true });
    const length = inputs.input_ids.dims[1] as number;
    const output = (await model.generate({
      ...inputs,
      max_new_tokens: NUM_TOKENS,
      min_new_tokens: NUM_TOKENS,
      do_sample: false,
    })) as Tensor;
    return (output.tolist() as (number | bigint)[][]).map((row) => row.slice(length).map(Number));
  } finally {
    await model.dispose();
  }
}

/** Greedy answers of Plinth, one by one. An end of the text is passed over there, so it may not be chosen here. */
async function ours({ config, tokenizer }: ExportModel, weights: MixedWeights): Promise<number[][]> {
  const end = config.eosTokenIds[0]!;
  const model = await createLanguageModel({
    config,
    weights,
    stopTokens: [],
    device: cpuDevice({ numThreads: 1 }),
  });
  try {
    const answers: number[][] = [];
    for (const prompt of PROMPTS) {
      const { tokens } = await model.generate(tokenizer.encode(prompt), {
        maxTokens: NUM_TOKENS,
        temperature: 0,
        logitBias: { [end]: -1000 },
      });
      answers.push(tokens);
    }
    return answers;
  } finally {
    await model.dispose();
  }
}

const cases: [string, Partial<TransformerConfig>][] = [
  ['qwen3, tied, grouped queries', {}],
  ['qwen3, untied, a key head for every query head', { tieWordEmbeddings: false, numKvHeads: 4 }],
  [
    'llama, tied, one key head, spare rows of embeddings',
    { architecture: 'llama', numKvHeads: 1, vocabSize: 448 },
  ],
  [
    'llama with all biases and llama3 RoPE scaling',
    {
      architecture: 'llama',
      attentionBias: true,
      attentionOutputBias: true,
      mlpBias: true,
      tieWordEmbeddings: false,
      ropeScaling: {
        type: 'llama3',
        factor: 8,
        lowFreqFactor: 1,
        highFreqFactor: 4,
        originalMaxPositionEmbeddings: 32,
      },
    },
  ],
  [
    'qwen2 with linear RoPE scaling',
    { architecture: 'llama', attentionBias: true, ropeScaling: { type: 'linear', factor: 2 } },
  ],
];

describe('greedy answers of transformers.js are those of Plinth', () => {
  it.each(cases)('%s', async (_, overrides) => {
    const model = exportModelOf(overrides);
    const expected = await ours(model, model.weights);
    expect(new Set(expected.flat()).size).toBeGreaterThan(12);
    expect(await theirs(await exported(model))).toEqual(expected);
  });

  it('with weights in float16, which are widened there', async () => {
    const model = exportModelOf();
    const halved = new Map(
      [...model.weights].map(([name, { shape, data }]) => [
        name,
        { shape, data: shape.length === 2 ? Float32Array.from(data, toHalf) : data },
      ]),
    );
    expect(await theirs(await exported(model, { dtypes: ['f16'] }), 'fp16')).toEqual(
      await ours(model, halved),
    );
  });

  it.each([
    ['q8', 8],
    ['q4', 4],
  ] as const)('with the same weights quantised to %s', async (form, bits) => {
    const model = exportModelOf({ tieWordEmbeddings: false });
    const { weights, quantized } = quantizeWeights(model.config, model.weights, { bits });
    expect(quantized).toHaveLength(16);
    const name = await exported(model, { quantize: [form] });
    expect(await theirs(name)).toEqual(await ours(model, weights));
  });
});

/** The nearest float16, by scaling to whole numbers of the last place. */
function toHalf(value: number): number {
  if (value === 0) return 0;
  const unit = 2 ** Math.max(Math.floor(Math.log2(Math.abs(value))) - 10, -24);
  const whole = value / unit;
  const below = Math.floor(whole);
  const rest = whole - below;
  return (rest > 0.5 || (rest === 0.5 && below % 2 !== 0) ? below + 1 : below) * unit;
}

describe('the exported tokenizer', () => {
  let name: string;
  const model = exportModelOf();
  beforeAll(async () => {
    name = await exported(model);
  });

  it('has the same tokens for texts that break tokenizers, and gives the texts back', async () => {
    const tokenizer = await AutoTokenizer.from_pretrained(name);
    for (const text of fuzzTexts(300, 7)) {
      const ids = tokenizer.encode(text, { add_special_tokens: false });
      expect(ids, JSON.stringify(text)).toEqual(model.tokenizer.encode(text, { special: 'parse' }));
      expect(tokenizer.decode(ids)).toBe(model.tokenizer.decode(ids, { special: 'keep' }));
    }
    expect(tokenizer.decode(model.tokenizer.encode('Yes . No , well'))).toBe('Yes . No , well');
  });

  it('writes a chat in the template of the model', async () => {
    const tokenizer = await AutoTokenizer.from_pretrained(name);
    const messages = [
      { role: 'system' as const, content: 'Be brief.' },
      { role: 'user' as const, content: 'What is  it?\n' },
    ];
    const format = chatFormatOf(model.tokenizer, model.tokenizerConfig)!;
    const expected = renderChat(format, messages, { addGenerationPrompt: true });
    expect(expected).toContain('<turn>assistant: ');
    expect(tokenizer.apply_chat_template(messages, { add_generation_prompt: true, tokenize: false })).toBe(
      expected,
    );
  });
});
