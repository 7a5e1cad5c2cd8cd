/**
 * Exported GGUF files in llama.cpp (through node-llama-cpp): the same tokens of a text, the same chat template, the
 * same greedy answers in float32, and for quantised files scores within the rounding of its 8-bit products.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { getLlama, type Llama, LlamaLogLevel, type LlamaModel, type Token } from 'node-llama-cpp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createLanguageModel } from '../../src/decode/index.ts';
import type { TransformerConfig } from '../../src/model/config.ts';
import { exportModel } from '../../src/model/export/index.node.ts';
import { exportGguf } from '../../src/model/export/index.ts';
import { causalMask, logits, transformer } from '../../src/model/index.ts';
import type { Weights } from '../../src/model/initialize.ts';
import { dequantizeWeights, quantizeWeights } from '../../src/model/quantize/quantize-weights.ts';
import { cpuDevice } from '../../src/runtime/index.node.ts';
import { input } from '../../src/tensor/index.ts';
import type { PreTokenizerName } from '../../src/tokenizer/index.ts';
import {
  CUSTOM_TEMPLATE,
  type ExportModel,
  exportModelOf,
  PROMPTS,
  saveExportModel,
} from '../fixtures/models/export-model.ts';
import { fuzzTexts } from '../fixtures/tokenizer/fuzz-texts.ts';

const NUM_TOKENS = 24;
const root = mkdtempSync(join(tmpdir(), 'plinth-gguf-'));
let llama: Llama;

beforeAll(async () => {
  llama = await getLlama({
    gpu: false,
    build: 'never',
    skipDownload: true,
    maxThreads: 1,
    logLevel: LlamaLogLevel.error,
  });
});
afterAll(async () => {
  await llama.dispose();
  rmSync(root, { recursive: true, force: true });
});

let count = 0;
/** Saves and exports a model, loads it in llama.cpp and hands it over. */
async function inLlama<T>(
  model: ExportModel,
  settings: Omit<Parameters<typeof exportModel>[1], 'to' | 'out'>,
  work: (loaded: LlamaModel) => Promise<T>,
): Promise<T> {
  const name = `model-${++count}`;
  await saveExportModel(join(root, name), model);
  await exportModel(join(root, name), { ...settings, to: 'gguf', out: join(root, `${name}.gguf`) });
  const loaded = await llama.loadModel({ modelPath: join(root, `${name}.gguf`), gpuLayers: 0 });
  try {
    return await work(loaded);
  } finally {
    await loaded.dispose();
  }
}

/** With its defaults llama.cpp rounds the cache to float16. */
const exactContext = (model: LlamaModel) =>
  model.createContext({
    contextSize: 128,
    sequences: 1,
    threads: { ideal: 1, min: 1 },
    flashAttention: false,
    experimentalKvCacheKeyType: 'F32',
    experimentalKvCacheValueType: 'F32',
  });

async function theirGreedy(model: LlamaModel, prompts: readonly number[][]): Promise<number[][]> {
  const context = await exactContext(model);
  const sequence = context.getSequence();
  const answers: number[][] = [];
  for (const prompt of prompts) {
    await sequence.clearHistory();
    const answer: number[] = [];
    for await (const token of sequence.evaluate(prompt as Token[], { temperature: 0, yieldEogToken: true })) {
      answer.push(token);
      if (answer.length === NUM_TOKENS) break;
    }
    answers.push(answer);
  }
  await context.dispose();
  return answers;
}

async function ourGreedy(
  { config, weights }: ExportModel,
  prompts: readonly number[][],
): Promise<number[][]> {
  const model = await createLanguageModel({
    config,
    weights,
    stopTokens: [],
    device: cpuDevice({ numThreads: 1 }),
  });
  const completions = await model.generateMany(prompts, { maxTokens: NUM_TOKENS, temperature: 0 });
  await model.dispose();
  return completions.map(({ tokens }) => tokens);
}

const cases: [string, Partial<TransformerConfig>][] = [
  ['qwen3, tied, grouped queries', {}],
  [
    'qwen3, untied, heads wider than their share, linear RoPE scaling',
    { tieWordEmbeddings: false, headDim: 32, ropeScaling: { type: 'linear', factor: 4 } },
  ],
  ['llama, tied, a key head for every query head', { architecture: 'llama', numKvHeads: 4 }],
  [
    'llama, untied, spare rows of embeddings',
    { architecture: 'llama', tieWordEmbeddings: false, vocabSize: 448 },
  ],
  [
    'llama with all biases and llama3 RoPE scaling',
    {
      architecture: 'llama',
      attentionBias: true,
      attentionOutputBias: true,
      mlpBias: true,
      ropeScaling: {
        type: 'llama3',
        factor: 8,
        lowFreqFactor: 1,
        highFreqFactor: 4,
        originalMaxPositionEmbeddings: 32,
      },
    },
  ],
  ['qwen2', { architecture: 'llama', attentionBias: true }],
];

describe('greedy answers of llama.cpp are those of Plinth', () => {
  it.each(cases)('%s', async (_, overrides) => {
    const model = exportModelOf(overrides);
    const prompts = PROMPTS.map((prompt) => model.tokenizer.encode(prompt));
    const expected = await ourGreedy(model, prompts);
    expect(new Set(expected.flat()).size).toBeGreaterThan(12);
    expect(await inLlama(model, {}, (loaded) => theirGreedy(loaded, prompts))).toEqual(expected);
  });
});

/** Scores after every token of a text, [T, V], by the graph that trains. */
async function ourScores(
  config: TransformerConfig,
  weights: Weights,
  ids: readonly number[],
): Promise<Float32Array> {
  const inputs = Object.fromEntries([...weights].map(([name, { shape }]) => [name, input(name, shape)]));
  const { hiddenND } = transformer(
    inputs,
    config,
    {
      idsBT: input('ids', [1, ids.length], 'int32'),
      positionsBT: input('positions', [1, ids.length], 'int64'),
      maskTT: causalMask(ids.length),
    },
    { maxPositions: ids.length },
  );
  const program = await cpuDevice({ numThreads: 1 }).compile({ scores: logits(inputs, config, hiddenND) });
  const { scores } = await program.run({
    ...Object.fromEntries([...weights].map(([name, { data }]) => [name, data])),
    ids: Int32Array.from(ids),
    positions: BigInt64Array.from(ids, (_, i) => BigInt(i)),
  });
  return (await scores!.read()) as Float32Array;
}

async function theirScores(model: LlamaModel, ids: readonly number[]): Promise<Map<number, number>[]> {
  const context = await exactContext(model);
  const results = await context
    .getSequence()
    .controlledEvaluate(
      ids.map(
        (id) =>
          [
            id as Token,
            { generateNext: { logits: true, options: { topK: 0, topP: 1, temperature: 1 } } },
          ] as const,
      ) as never,
    );
  await context.dispose();
  return results.map((result) => new Map(result!.next.logits!) as Map<number, number>);
}

/** sqrt(mean squared difference) over the standard deviation of the scores. */
function relativeDifference(ours: Float32Array, theirs: readonly Map<number, number>[]): number {
  const width = ours.length / theirs.length;
  let error = 0;
  let square = 0;
  theirs.forEach((scores, row) => {
    expect(scores.size).toBe(width);
    for (const [id, score] of scores) {
      error += (score - ours[row * width + id]!) ** 2;
      square += ours[row * width + id]! ** 2;
    }
  });
  return Math.sqrt(error / square);
}

describe('scores of a text, token by token', () => {
  // llama.cpp rounds what meets the weights as well: to float16, bfloat16, or 8 bits a block.
  it.each([
    ['F32', {}, 1e-5],
    ['F16', { dtypes: ['f16'] }, 3e-3],
    ['BF16', { dtypes: ['bf16'] }, 2e-2],
    ['Q8_0', { quantize: ['q8'] }, 6e-2],
    ['Q4_0', { quantize: ['q4'] }, 8e-2],
  ] as const)('%s: those of the weights that the file holds', async (type, settings, tolerance) => {
    for (const architecture of ['qwen3', 'llama'] as const) {
      const model = exportModelOf({ architecture, tieWordEmbeddings: architecture === 'qwen3' });
      const bits = type === 'Q8_0' ? 8 : type === 'Q4_0' ? 4 : undefined;
      const weights = bits
        ? dequantizeWeights(quantizeWeights(model.config, model.weights, { bits }).weights)
        : model.weights;
      const ids = model.tokenizer.encode(PROMPTS[0]!);
      const expected = await ourScores(model.config, weights, ids);
      const scores = await inLlama(model, settings, (loaded) => theirScores(loaded, ids));
      const difference = relativeDifference(expected, scores);
      expect(difference, architecture).toBeLessThan(tolerance);
      if (bits === 4) {
        // The tolerance tells the quantised weights from those that they were made of.
        const plain = await ourScores(model.config, model.weights, ids);
        expect(relativeDifference(plain, scores)).toBeGreaterThan(2 * tolerance);
      }
    }
  });
});

describe('the tokenizer of a GGUF file', () => {
  it.each(['qwen2', 'gpt2', 'gpt2-digits', 'llama3'] as const)(
    'that cuts as %s has the same tokens and the same text',
    async (preTokenizer: PreTokenizerName) => {
      const model = exportModelOf({}, { preTokenizer });
      const { tokenizer } = model;
      // llama.cpp takes spaces away before punctuation when it decodes with this one; the export says so.
      const cleansSpaces = preTokenizer === 'llama3';
      expect(exportGguf(model).notes.some((note) => note.includes('space'))).toBe(cleansSpaces);
      await inLlama(model, {}, async (loaded) => {
        for (const text of fuzzTexts(200, 11)) {
          const expected = tokenizer.encode(text);
          expect([...loaded.tokenize(text)], JSON.stringify(text)).toEqual(expected);
          if (cleansSpaces && / [.,!?']/.test(text)) continue;
          expect(loaded.detokenize(expected as Token[]), JSON.stringify(text)).toBe(
            tokenizer.decode(expected),
          );
        }
        const parsed = tokenizer.encode('<turn>user: hi<|im_end|>', { special: 'parse' });
        expect([...loaded.tokenize('<turn>user: hi<|im_end|>', true)]).toEqual(parsed);
        expect(loaded.tokens.eos).toBe(tokenizer.specialTokens.get('<|im_end|>'));
        expect(loaded.tokens.shouldPrependBosToken).toBe(false);
        expect(loaded.fileInfo.metadata.tokenizer.chat_template).toBe(CUSTOM_TEMPLATE);
      });
    },
  );
});
