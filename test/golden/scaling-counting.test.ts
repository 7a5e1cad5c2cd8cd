/**
 * Counts against numbers that others have published: totals of weights on Hugging Face and in papers, nanoGPT's
 * transformer_sizing notebook, PaLM's formula, Chinchilla's table A4, Korthikanti et al. 2022, the Jamba paper.
 */
import { describe, expect, test } from 'vitest';
import { architectureFromConfig, architectureOf, PRESETS } from '../../src/scaling/architecture/index.ts';
import {
  cacheBytes,
  cacheBytesPerToken,
  countParameters,
  flopsPerToken,
  flopsRules,
  memoryOf,
  stateBytes,
} from '../../src/scaling/count/index.ts';

const GIB = 2 ** 30;
const total = (name: string) => countParameters(architectureOf(name)).total;
const active = (name: string) => countParameters(architectureOf(name)).active;

describe('parameters', () => {
  test.each(PRESETS.filter(({ published }) => published !== null))(
    '$name has as many as published',
    ({ name, published }) => {
      expect(total(name)).toBe(published);
    },
  );

  test('of models that are published rounded only', () => {
    // Brown et al. 2020, table D.1: 174,600M; vocabulary 50257, context 2048.
    expect(total('gpt3')).toBe(174604259328);
    // DeepSeek-V3 technical report: 671B, 37B active. 671026404352 without the router's load corrections.
    expect(total('deepseek-v3')).toBe(671026404352 + 58 * 256);
    expect(active('deepseek-v3') / 1e9).toBeCloseTo(37.55, 2);
    // Hoffmann et al. 2022, tables A4 and A9: 73M and 70B.
    expect(Math.round(total('chinchilla-73m') / 1e6)).toBe(74);
    expect(Math.round(total('chinchilla-70b') / 1e9)).toBe(70);
    // Mamba-2 2.7B: 2.7B; RWKV-6 1.6B.
    expect(total('mamba2-2.7b')).toBe(2702599680);
    expect(total('rwkv-6-1.6b')).toBe(1599873024);
  });

  test('that one token uses in mixtures of experts', () => {
    expect(active('mixtral-8x7b')).toBe(12879925248);
    // Qwen3-30B-A3B: 3.3B activated. Qwen3-235B-A22B: 22B. Jamba: 12B. DeepSeek-V2: 21B.
    expect(active('qwen3-30b-a3b') / 1e9).toBeCloseTo(3.35, 2);
    expect(active('qwen3-235b-a22b') / 1e9).toBeCloseTo(22.19, 2);
    expect(active('jamba-v0.1') / 1e9).toBeCloseTo(12.11, 2);
    expect(active('deepseek-v2') / 1e9).toBeCloseTo(21.38, 2);
    // gpt-oss's card says 3.61B and 5.13B: without the input embedding.
    const unembedded = (name: string) =>
      active(name) - countParameters(architectureOf(name)).byPart.embedding;
    expect(unembedded('gpt-oss-20b') / 1e9).toBeCloseTo(3.61, 2);
    expect(unembedded('gpt-oss-120b') / 1e9).toBeCloseTo(5.13, 2);
  });

  test('without embeddings, as Pythia and Qwen3 report them', () => {
    // Pythia, table 1; Qwen3-0.6B's card says 0.44B and Qwen3-8B's 6.95B.
    expect(countParameters(architectureOf('pythia-70m')).nonEmbedding).toBe(18915328);
    expect(countParameters(architectureOf('pythia-160m')).nonEmbedding).toBe(85056000);
    expect(countParameters(architectureOf('qwen3-0.6b')).nonEmbedding / 1e9).toBeCloseTo(0.44, 2);
    expect(countParameters(architectureOf('qwen3-8b')).nonEmbedding / 1e9).toBeCloseTo(6.95, 2);
  });
});

describe('FLOPs', () => {
  const context = { contextLength: 1024 };
  const nanoGptConfig = {
    n_layer: 12,
    n_head: 12,
    n_embd: 768,
    block_size: 1024,
    vocab_size: 50257,
    bias: false,
  };

  test('of GPT-2 as nanoGPT counts them', () => {
    expect(flopsPerToken(architectureOf('gpt2'), context).trainingPerSequence).toBe(874944921600);
    const bare = architectureFromConfig(nanoGptConfig);
    expect(countParameters(bare).total).toBe(124337664);
    expect(flopsPerToken(bare, context).trainingPerSequence).toBe(874944921600);
  });

  test("of GPT-2 by PaLM's formula, with and without biases", () => {
    expect(flopsRules(architectureOf('gpt2'), context).palm * 1024).toBe(875062886400);
    expect(flopsRules(architectureFromConfig(nanoGptConfig), context).palm * 1024).toBe(875062886400);
  });

  test("of Chinchilla's appendix F: the first ratio of table A4", () => {
    const { chinchillaRatio } = flopsRules(architectureOf('chinchilla-73m'), { contextLength: 2048 });
    expect(chinchillaRatio).toBeCloseTo(1.025036, 6);
  });

  test('of GPT-3 by 6 N D', () => {
    const { sixN } = flopsRules(architectureOf('gpt3'));
    expect(sixN * 300e9).toBeCloseTo(3.1428766679e23, -14);
  });

  test('of Kaplan: 2 N + 2 layers context width, forward', () => {
    const architecture = architectureOf('gpt3');
    const { nonEmbedding } = countParameters(architecture);
    expect(flopsRules(architecture, { contextLength: 2048 }).kaplan).toBe(
      3 * (2 * nonEmbedding + 2 * 96 * 2048 * 12288),
    );
  });

  test('of scores: halved by a causal kernel, capped by a window', () => {
    const llama = architectureOf('llama-2-7b');
    const full = flopsPerToken(llama, { contextLength: 4096 });
    expect(full.scores).toBe(32 * 4 * 4096 * 4096);
    expect(flopsPerToken(llama, { contextLength: 4096, causalMask: 'half' }).scores).toBe(full.scores / 2);
    // Mistral's window is 4096: beyond it scores no longer grow.
    const mistral = architectureOf('mistral-7b');
    expect(flopsPerToken(mistral, { contextLength: 32768 }).scores).toBe(32 * 4 * 4096 * 4096);
  });

  test('of generating with a latent cache: scores on the latents themselves', () => {
    const architecture = architectureOf('deepseek-v3');
    const short = flopsPerToken(architecture, { contextLength: 1 }).decode;
    const long = flopsPerToken(architecture, { contextLength: 1001 }).decode;
    expect(long - short).toBe(61 * 2 * 128 * (2 * 512 + 64) * 1000);
  });
});

describe('cache and state', () => {
  test.each([
    ['gpt2', 36864],
    ['gpt3', 4718592],
    ['llama-2-7b', 524288],
    ['llama-2-13b', 819200],
    ['llama-2-70b', 327680],
    ['llama-3-8b', 131072],
    // DeepSeek-V3, 70 KB a token (arXiv 2505.09343, table 1: 70.272 KB).
    ['deepseek-v3', 70272],
  ])('%s keeps %i bytes a token in bf16', (name, bytes) => {
    expect(cacheBytesPerToken(architectureOf(name))).toBe(bytes);
  });

  test('at 256K tokens as in the Jamba paper (arXiv 2403.19887, table 1)', () => {
    const gib = (name: string) => cacheBytes(architectureOf(name), { length: 262144 }) / GIB;
    expect(gib('jamba-v0.1')).toBe(4);
    expect(gib('mixtral-8x7b')).toBe(32);
    expect(gib('llama-2-7b')).toBe(128);
  });

  test('a sliding window bounds the cache, unless it is kept whole', () => {
    const mistral = architectureOf('mistral-7b');
    expect(cacheBytes(mistral, { length: 32768 })).toBe(131072 * 4096);
    expect(cacheBytes(mistral, { length: 32768, rolling: false })).toBe(131072 * 32768);
  });

  test('recurrent states do not grow: Mamba 64 x (16 + 4) x 5120 numbers, RWKV-7 heads of 64 x 64', () => {
    expect(stateBytes(architectureOf('mamba-2.8b'))).toBe(4 * 64 * 5120 * (16 + 4));
    expect(cacheBytes(architectureOf('mamba-2.8b'), { length: 1e6 })).toBe(0);
    expect(stateBytes(architectureOf('rwkv-7-0.1b'))).toBe(4 * 12 * (12 * 64 * 64 + 2 * 768));
    expect(stateBytes(architectureOf('llama-2-7b'))).toBe(0);
  });
});

describe('training memory', () => {
  const layers = (name: string, recompute: 'none' | 'selective' | 'full') =>
    memoryOf(architectureOf(name), {
      precision: 'fp16',
      batch: 3,
      contextLength: 1024,
      dropout: true,
      flashAttention: false,
      recompute,
    }).training!.activations.layers;

  test.each([
    ['gpt2', 12, 768, 12],
    ['gpt2-xl', 48, 1600, 25],
  ])("activations of %s by Korthikanti's equations", (name, numLayers, h, a) => {
    const [s, b] = [1024, 3];
    expect(layers(name, 'none')).toBe(numLayers * (s * b * h * 34 + 5 * a * s * s * b));
    expect(layers(name, 'selective')).toBe(numLayers * 34 * s * b * h);
    expect(layers(name, 'full')).toBe(numLayers * 2 * s * b * h);
  });

  test('16 bytes a parameter with AdamW in mixed precision, sharded as in the ZeRO paper', () => {
    // arXiv 1910.02054, figure 1: 7.5B parameters, 64 devices: 120, 31.4, 16.6, 1.9 GB.
    const model = architectureFromConfig({
      model_type: 'gpt2',
      n_layer: 72,
      n_embd: 2928,
      n_head: 24,
      vocab_size: 32768,
    });
    const numParameters = countParameters(model).total;
    const stateGB = (zeroStage: number) => {
      const { weights, gradients, masterWeights, optimizer } = memoryOf(model, { zeroStage, numDevices: 64 })
        .training!;
      return ((weights + gradients + masterWeights + optimizer) / numParameters) * 7.5;
    };
    expect(stateGB(0)).toBeCloseTo(120, 6);
    expect(stateGB(1)).toBeCloseTo(31.4, 1);
    expect(stateGB(2)).toBeCloseTo(16.6, 1);
    expect(stateGB(3)).toBeCloseTo(1.9, 1);
  });

  test('optimizers keep what they say', () => {
    const gpt2 = architectureOf('gpt2');
    const { total: size, byPart } = countParameters(gpt2);
    const state = (optimizer: string) => memoryOf(gpt2, { precision: 'fp32', optimizer }).training!.optimizer;
    expect(state('sgd')).toBe(0);
    expect(state('lion')).toBe(4 * size);
    expect(state('adamw')).toBe(8 * size);
    const hidden = 12 * 12 * 768 ** 2;
    expect(byPart.embedding + byPart.position).toBe((50257 + 1024) * 768);
    expect(state('muon')).toBe(4 * hidden + 8 * (size - hidden));
    // Row and column sums of the 14 matrices and tables of a layer and the ends; biases and norms whole.
    const factored = 12 * (4 * (768 + 768) + 2 * (768 + 3072)) + (50257 + 768) + (1024 + 768);
    const vectors = 12 * (9 * 768 + 4 * 768) + 2 * 768;
    expect(state('adafactor')).toBe(4 * (factored + vectors));
    // Two bytes a number and 8 per block of 256; small tensors in 32 bits.
    expect(state('adamw-8bit') / size).toBeCloseTo(2 + 8 / 256, 1);
  });
});
