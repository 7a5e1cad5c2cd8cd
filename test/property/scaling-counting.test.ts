/** The counter against models that are really built, and laws that hold for any config, good or hostile. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ConfigError, PlinthError } from '../../src/core/errors.ts';
import {
  initializeWeights,
  numParameters,
  type TransformerConfig,
  toHuggingFaceConfig,
} from '../../src/model/index.ts';
import {
  architectureFromConfig,
  architectureOf,
  architectureOfTransformer,
  PRESETS,
} from '../../src/scaling/architecture/index.ts';
import {
  cacheBytes,
  countParameters,
  flopsPerToken,
  flopsRules,
  memoryOf,
} from '../../src/scaling/count/index.ts';

const small = fc.integer({ min: 1, max: 6 });

const transformerConfig: fc.Arbitrary<TransformerConfig> = fc
  .record({
    architecture: fc.constantFrom('qwen3' as const, 'llama' as const),
    vocabSize: fc.integer({ min: 1, max: 60 }),
    hiddenSize: fc.integer({ min: 1, max: 24 }),
    numLayers: fc.integer({ min: 1, max: 3 }),
    numKvHeads: fc.integer({ min: 1, max: 3 }),
    group: fc.integer({ min: 1, max: 3 }),
    halfHeadDim: small,
    intermediateSize: fc.integer({ min: 1, max: 30 }),
    tieWordEmbeddings: fc.boolean(),
    attentionBias: fc.boolean(),
    attentionOutputBias: fc.boolean(),
    mlpBias: fc.boolean(),
  })
  .map(({ group, halfHeadDim, ...config }) => ({
    ...config,
    numHeads: group * config.numKvHeads,
    headDim: 2 * halfHeadDim,
    ropeTheta: 10000,
    ropeScaling: null,
    rmsNormEps: 1e-6,
    maxPositionEmbeddings: 128,
    hiddenAct: 'silu' as const,
    bosTokenId: null,
    eosTokenIds: [],
    padTokenId: null,
    initializerRange: 0.02,
  }));

test('computes the number of weights of every transformer that Plinth builds', () => {
  fc.assert(
    fc.property(transformerConfig, (config) => {
      const { total, active } = countParameters(architectureOfTransformer(config));
      expect(total).toBe(numParameters(config));
      expect(active).toBe(total);
      let initialized = 0;
      for (const { data } of initializeWeights(config, 1).values()) initialized += data.length;
      expect(initialized).toBe(total);
    }),
    { numRuns: 60 },
  );
});

test('counts the config.json that Plinth writes for its models', () => {
  let numWritten = 0;
  fc.assert(
    fc.property(transformerConfig, (config) => {
      let json: Record<string, unknown>;
      try {
        json = toHuggingFaceConfig(config);
      } catch (error) {
        // No Hugging Face model type has these biases or widths.
        if (error instanceof ConfigError) return;
        throw error;
      }
      numWritten++;
      expect(countParameters(architectureFromConfig(json)).total).toBe(numParameters(config));
    }),
    { numRuns: 300 },
  );
  expect(numWritten).toBeGreaterThan(30);
});

/** Configs of several kinds of models with random small sizes. */
const config = fc
  .record({
    kind: fc.constantFrom(
      'llama',
      'mixtral',
      'qwen3_moe',
      'gpt2',
      'jamba',
      'mamba',
      'rwkv7',
      't5',
      'deepseek_v3',
      'gemma3_text',
    ),
    layers: fc.integer({ min: 1, max: 12 }),
    heads: small,
    kv: small,
    inner: fc.integer({ min: 1, max: 200 }),
    vocab: fc.integer({ min: 1, max: 500 }),
    experts: fc.integer({ min: 2, max: 9 }),
    active: fc.integer({ min: 1, max: 2 }),
    tied: fc.boolean(),
  })
  .map(({ kind, layers, heads, kv, inner, vocab, experts, active, tied }): Record<string, unknown> => {
    const numHeads = kind === 'rwkv7' ? heads : heads * kv;
    const common = { model_type: kind, vocab_size: vocab, tie_word_embeddings: tied };
    if (kind === 'gpt2')
      return { ...common, n_layer: layers, n_embd: 8 * numHeads, n_head: numHeads, n_inner: inner };
    if (kind === 't5')
      return { ...common, num_layers: layers, d_model: 8 * kv, d_kv: 4, num_heads: heads, d_ff: inner };
    const shape = {
      ...common,
      num_hidden_layers: layers,
      hidden_size: kind === 'rwkv7' ? 64 * heads : 8 * numHeads,
    };
    if (kind === 'mamba') return shape;
    if (kind === 'rwkv7') return { ...shape, intermediate_size: inner };
    const dense = { ...shape, num_attention_heads: numHeads, intermediate_size: inner };
    if (kind === 'deepseek_v3')
      return {
        ...dense,
        n_routed_experts: experts,
        num_experts_per_tok: active,
        moe_intermediate_size: inner,
      };
    const grouped = { ...dense, num_key_value_heads: kv };
    if (kind === 'mixtral') return { ...grouped, num_local_experts: experts, num_experts_per_tok: active };
    if (kind === 'qwen3_moe')
      return { ...grouped, num_experts: experts, num_experts_per_tok: active, moe_intermediate_size: inner };
    return kind === 'jamba' ? { ...grouped, num_experts: experts, num_experts_per_tok: active } : grouped;
  });

const sum = (parts: Readonly<Record<string, number>>) => Object.values(parts).reduce((a, b) => a + b, 0);

test('parts sum to totals, active is at most total, and memory and FLOPs grow with what they depend on', () => {
  fc.assert(
    fc.property(config, fc.integer({ min: 1, max: 4000 }), (json, length) => {
      const architecture = architectureFromConfig(json);
      const count = countParameters(architecture);
      expect(Number.isSafeInteger(count.total)).toBe(true);
      expect(Number.isSafeInteger(count.active)).toBe(true);
      expect(sum(count.byPart)).toBe(count.total);
      expect(sum(count.activeByPart)).toBe(count.active);
      expect(count.active).toBeLessThanOrEqual(count.total);
      expect(count.embedding + count.nonEmbedding).toBe(count.total);
      const inLayers = count.byLayer.reduce((all, { layers, total }) => all + layers.length * total, 0);
      expect(inLayers).toBeLessThan(count.total);
      const at = (contextLength: number) => flopsPerToken(architecture, { contextLength });
      expect(sum(at(length).byPart)).toBeCloseTo(at(length).forward, 4);
      expect(at(length + 1).forward).toBeGreaterThanOrEqual(at(length).forward - 1e-6);
      expect(at(length).forward).toBeGreaterThan(at(length).scores);
      const half = flopsPerToken(architecture, { contextLength: length, causalMask: 'half' });
      expect(half.forward).toBeLessThanOrEqual(at(length).forward);
      for (const rule of Object.values(flopsRules(architecture, { contextLength: length }))) {
        expect(Number.isFinite(rule) && rule > 0).toBe(true);
      }
      const cache = (tokens: number) => cacheBytes(architecture, { length: tokens });
      expect(cache(length + 1)).toBeGreaterThanOrEqual(cache(length));
      expect(cacheBytes(architecture, { length, batch: 3 })).toBe(3 * cache(length));
      const train = (recompute: 'none' | 'selective' | 'full') =>
        memoryOf(architecture, { contextLength: length, recompute, flashAttention: false }).training!
          .activations.layers;
      expect(train('none')).toBeGreaterThanOrEqual(train('selective'));
      expect(train('selective')).toBeGreaterThan(train('full'));
    }),
    { numRuns: 200 },
  );
});

/** What people and programs get wrong in a config. */
const wrong: fc.Arbitrary<unknown> = fc.oneof(
  fc.constantFrom('64', '', null, -1, 0, 1.5, 1e300, 2 ** 31, true, [], {}, [[1]], { a: null }),
  fc.integer({ min: -10, max: 100 }),
  fc.jsonValue({ maxDepth: 2 }) as fc.Arbitrary<unknown>,
);

test('a damaged config is counted or refused with advice, never a crash, never not a number', () => {
  const keys = [
    ...new Set(PRESETS.flatMap(({ config: json }) => Object.keys(json))),
    'text_config',
    'layer_types',
    'head_dim',
  ];
  let numRefused = 0;
  fc.assert(
    fc.property(
      fc.constantFrom(...PRESETS),
      fc.dictionary(fc.constantFrom(...keys), wrong, { minKeys: 1, maxKeys: 3 }),
      (preset, damage) => {
        try {
          const architecture = architectureFromConfig({ ...preset.config, ...damage });
          const { total, active } = countParameters(architecture);
          expect(Number.isSafeInteger(total) && total > 0 && active > 0).toBe(true);
          expect(Number.isFinite(flopsPerToken(architecture).training)).toBe(true);
          expect(Number.isFinite(memoryOf(architecture).inference.total)).toBe(true);
        } catch (error) {
          if (!(error instanceof PlinthError)) throw error;
          expect(error.code).toBe('config');
          expect(error.message).toMatch(/expected|Presets|Check the sizes|must hold/);
          expect(error.message.length).toBeLessThan(1500);
          numRefused++;
        }
      },
    ),
    { numRuns: 1000 },
  );
  expect(numRefused).toBeGreaterThan(100);
});

test('every preset has a name of its own, also when typed otherwise', () => {
  for (const { name } of PRESETS) {
    expect(architectureOf(name).name).toBe(name);
    expect(architectureOf(name.toUpperCase().replaceAll('-', ' ')).name).toBe(name);
  }
});
