/**
 * Speed of decoding beside llama.cpp (through node-llama-cpp, at the better of one and two threads) on the same
 * weights, written by the exporter: tokens a second alone and 32 together, time to the first token of a prompt of 512,
 * and the share of the machine's memory bandwidth that reading the weights reaches.
 * `npx tsx bench/decode.ts [1m] [30m] [135m] [f32] [q8] [q4] [--rounds 3]`
 *
 * One JSON line per size and precision. Weights are random, decoding is greedy and ends after a fixed number of
 * tokens. Rounds of ours and of the peer alternate; medians of rounds. `strict` and `fast` are our two kinds of
 * determinism; `prefixRatio` is the time of 100 requests that share 400 of 410 prompt tokens, over their time
 * when all is known already. The peer's cache of keys and values is float32 like ours.
 */
import { mkdtemp, open, rm } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLanguageModel, type Determinism, type OnnxLanguageModel } from '../src/decode/index.ts';
import { numParameters, type TransformerConfig, validateTransformerConfig } from '../src/model/config.ts';
import { exportGguf } from '../src/model/export/index.ts';
import { quantizeWeights, weightBytes } from '../src/model/index.ts';
import { initializeWeights } from '../src/model/initialize.ts';
import type { MixedWeights } from '../src/model/quantized.ts';
import { cpuDevice } from '../src/runtime/index.node.ts';
import { constant, input, matmul } from '../src/tensor/index.ts';
import { DEFAULT_TOKENIZER_CONFIG, trainBpe } from '../src/tokenizer/index.ts';

const SIZES = {
  '1m': { vocabSize: 1024, hiddenSize: 128, numLayers: 4, numHeads: 4, intermediateSize: 384, headDim: 32 },
  '30m': { vocabSize: 8192, hiddenSize: 512, numLayers: 8, numHeads: 8, intermediateSize: 1408, headDim: 64 },
  '135m': {
    vocabSize: 49_152,
    hiddenSize: 576,
    numLayers: 30,
    numHeads: 9,
    numKvHeads: 3,
    intermediateSize: 1536,
    headDim: 64,
  },
} satisfies Record<string, Partial<TransformerConfig>>;
type Size = keyof typeof SIZES;
const PRECISIONS = ['f32', 'q8', 'q4'] as const;
type Precision = (typeof PRECISIONS)[number];
/** Tokens of a round: alone, and each of 32. */
const TOKENS: Record<Size, readonly [number, number]> = {
  '1m': [512, 128],
  '30m': [128, 64],
  '135m': [48, 16],
};
const PROMPT_LENGTH = 16;
const LONG_PROMPT = 512;
const NUM_TOGETHER = 32;

const { sizes, precisions, rounds } = readArguments(process.argv.slice(2));
const folder = await mkdtemp(join(tmpdir(), 'plinth-decode-'));
try {
  for (const size of sizes) {
    for (const precision of precisions) console.log(JSON.stringify(await measure(size, precision)));
  }
} finally {
  await rm(folder, { recursive: true, force: true });
}
process.exit(0);

function readArguments(words: readonly string[]) {
  const at = words.indexOf('--rounds');
  const named = words.filter((_, i) => at < 0 || (i !== at && i !== at + 1));
  const known = [...Object.keys(SIZES), ...PRECISIONS];
  const strange = named.find((word) => !known.includes(word));
  if (strange) throw new Error(`Unknown word ${strange}; expected ${known.join(', ')} or --rounds N.`);
  const chosen = <Name extends string>(all: readonly Name[]) => {
    const some = all.filter((name) => named.includes(name));
    return some.length > 0 ? some : all;
  };
  return {
    sizes: chosen(Object.keys(SIZES) as Size[]),
    precisions: named.some((word) => (PRECISIONS as readonly string[]).includes(word))
      ? chosen(PRECISIONS)
      : (['f32', 'q8'] as const),
    rounds: at < 0 ? 3 : Number(words[at + 1]),
  };
}

/** One side's figures: tokens a second, milliseconds. */
interface Figures {
  alone: number;
  together: number;
  firstTokenMs: number;
}

interface Subject {
  alone(numTokens: number): Promise<void>;
  together(numTokens: number): Promise<void>;
  firstToken(): Promise<void>;
  dispose(): Promise<void>;
}

function prompt(length: number, seed: number): number[] {
  return Array.from({ length }, (_, i) => 3 + ((i * 37 + seed * 101 + i * i * seed) % 400));
}

async function measure(size: Size, precision: Precision) {
  const config = configOf(size);
  const weights = initializeWeights(config, 1);
  const bits = precision === 'q8' ? 8 : 4;
  const mixed: MixedWeights =
    precision === 'f32' ? weights : quantizeWeights(config, weights, { bits }).weights;
  const path = join(folder, `${size}-${precision}.gguf`);
  await writeGguf(path, config, mixed);
  const bytes = weightBytes(mixed);
  const bandwidth = await memoryBandwidth();
  const subjects: Record<string, Subject> = {
    strict: await ours(config, mixed, 'strict'),
    fast: await ours(config, mixed, 'fast'),
    llama1: await llama(path, 1),
    llama2: await llama(path, Math.min(2, availableParallelism())),
  };
  const [numAlone, numTogether] = TOKENS[size];
  const times: Record<string, { alone: number[]; together: number[]; first: number[] }> = {};
  for (const [name, subject] of Object.entries(subjects)) {
    times[name] = { alone: [], together: [], first: [] };
    await subject.alone(8);
    await subject.together(2);
    await subject.firstToken();
  }
  for (let round = 0; round < rounds; round++) {
    for (const [name, subject] of Object.entries(subjects)) {
      const own = times[name]!;
      own.alone.push(await timed(() => subject.alone(numAlone)));
      own.together.push(await timed(() => subject.together(numTogether)));
      own.first.push(await timed(() => subject.firstToken()));
    }
  }
  for (const subject of Object.values(subjects)) await subject.dispose();
  const figures = Object.fromEntries(
    Object.entries(times).map(([name, { alone, together, first }]) => [
      name,
      {
        alone: rounded((1000 * numAlone) / median(alone)),
        together: rounded((1000 * NUM_TOGETHER * numTogether) / median(together)),
        firstTokenMs: rounded(median(first)),
      } satisfies Figures,
    ]),
  ) as Record<'strict' | 'fast' | 'llama1' | 'llama2', Figures>;
  const { strict, fast, llama1, llama2 } = figures;
  const peer = {
    alone: Math.max(llama1.alone, llama2.alone),
    together: Math.max(llama1.together, llama2.together),
    firstTokenMs: Math.min(llama1.firstTokenMs, llama2.firstTokenMs),
  };
  return {
    bench: 'decode',
    size,
    precision,
    parameters: numParameters(config),
    weightBytes: bytes,
    strict,
    fast,
    llama1,
    llama2,
    ratioAlone: rounded(strict.alone / peer.alone),
    ratioTogether: rounded(strict.together / peer.together),
    ratioFirstToken: rounded(peer.firstTokenMs / strict.firstTokenMs),
    fastOverStrict: [rounded(fast.alone / strict.alone), rounded(fast.together / strict.together)],
    memoryGBps: rounded(bandwidth),
    bandwidthShare: rounded((strict.alone * bytes) / 1e9 / bandwidth),
    prefixRatio: rounded(await prefixRatio(config, mixed)),
  };
}

function configOf(size: Size): TransformerConfig {
  const shape = SIZES[size];
  return validateTransformerConfig({
    architecture: 'qwen3',
    numKvHeads: shape.numHeads,
    ropeTheta: 10_000,
    ropeScaling: null,
    rmsNormEps: 1e-6,
    tieWordEmbeddings: true,
    maxPositionEmbeddings: 1024,
    hiddenAct: 'silu',
    bosTokenId: null,
    eosTokenIds: [0],
    padTokenId: null,
    initializerRange: 0.02,
    ...shape,
  });
}

async function writeGguf(path: string, config: TransformerConfig, weights: MixedWeights): Promise<void> {
  const tokenizer = trainBpe(['the quick brown fox jumps over the lazy dog '], {
    vocabSize: 300,
    specialTokens: ['<|endoftext|>'],
  });
  const { chunks } = exportGguf({ config, weights, tokenizer, tokenizerConfig: DEFAULT_TOKENIZER_CONFIG });
  const file = await open(path, 'w');
  try {
    for (const chunk of chunks()) await file.writeFile(chunk);
  } finally {
    await file.close();
  }
}

async function ours(
  config: TransformerConfig,
  weights: MixedWeights,
  determinism: Determinism,
): Promise<Subject> {
  const model = await createLanguageModel({
    config,
    weights,
    determinism,
    device: cpuDevice(),
    prefixCacheBytes: 0,
  });
  const options = { ignoreStopTokens: true };
  return {
    alone: async (maxTokens) =>
      void (await model.generate(prompt(PROMPT_LENGTH, 1), { maxTokens, ...options })),
    together: async (maxTokens) => {
      const prompts = Array.from({ length: NUM_TOGETHER }, (_, i) => prompt(PROMPT_LENGTH, i));
      await model.generateMany(prompts, { maxTokens, ...options });
    },
    firstToken: async () => void (await model.generate(prompt(LONG_PROMPT, 2), { maxTokens: 1, ...options })),
    dispose: () => model.dispose(),
  };
}

async function llama(modelPath: string, threads: number): Promise<Subject> {
  const { getLlama, LlamaLogLevel } = await import('node-llama-cpp');
  const library = await getLlama({
    gpu: false,
    build: 'never',
    skipDownload: true,
    maxThreads: threads,
    logLevel: LlamaLogLevel.error,
  });
  const model = await library.loadModel({ modelPath });
  const contextOf = (sequences: number, contextSize: number) =>
    model.createContext({
      sequences,
      contextSize,
      batchSize: 512,
      threads: { ideal: threads, min: threads },
      flashAttention: false,
      experimentalKvCacheKeyType: 'F32',
      experimentalKvCacheValueType: 'F32',
    });
  const single = await contextOf(1, 1024);
  const many = await contextOf(NUM_TOGETHER, 256);
  type Sequence = ReturnType<typeof single.getSequence>;
  const run = async (sequence: Sequence, tokens: readonly number[], maxTokens: number) => {
    let count = 0;
    const generated = sequence.evaluate(tokens as never, { temperature: 0, yieldEogToken: true });
    for await (const _ of generated) if (++count >= maxTokens) break;
    await sequence.clearHistory();
  };
  const alone = single.getSequence();
  const group = Array.from({ length: NUM_TOGETHER }, () => many.getSequence());
  return {
    alone: (maxTokens) => run(alone, prompt(PROMPT_LENGTH, 1), maxTokens),
    together: async (maxTokens) => {
      await Promise.all(group.map((sequence, i) => run(sequence, prompt(PROMPT_LENGTH, i), maxTokens)));
    },
    firstToken: () => run(alone, prompt(LONG_PROMPT, 2), 1),
    dispose: () => library.dispose(),
  };
}

/** 100 requests whose prompts share 400 of 410 tokens: cold, over the same again with every prompt known. */
async function prefixRatio(config: TransformerConfig, weights: MixedWeights): Promise<number> {
  const model: OnnxLanguageModel = await createLanguageModel({
    config,
    weights,
    device: cpuDevice(),
    prefixCacheBytes: 2 ** 30,
  });
  const shared = prompt(400, 5);
  const prompts = Array.from({ length: 100 }, (_, i) => [...shared, ...prompt(10, i + 11)]);
  const options = { maxTokens: 32, ignoreStopTokens: true };
  await model.generateMany(prompts.slice(0, 40), options);
  const ratios: number[] = [];
  for (let round = 0; round < rounds; round++) {
    model.clearPrefixCache();
    const cold = await timed(() => model.generateMany(prompts, options));
    const warm = await timed(() => model.generateMany(prompts, options));
    ratios.push(cold / warm);
  }
  await model.dispose();
  return median(ratios);
}

/** GB/s of reading 256 MiB of float32 weights once for one row: what a decode step does with a model. */
async function memoryBandwidth(): Promise<number> {
  const [rows, columns] = [8192, 8192];
  const data = new Float32Array(rows * columns).map((_, i) => (i % 97) / 97);
  const program = await cpuDevice().compile({
    y: matmul(input('x', [1, columns]), constant(data, [rows, columns], 'float32'), { transposeB: true }),
  });
  const x = new Float32Array(columns).fill(0.5);
  const times: number[] = [];
  for (let i = 0; i < 12; i++) times.push(await timed(() => program.run({ x })));
  await program.dispose();
  return (4 * rows * columns) / 1e6 / Math.min(...times.slice(2));
}

async function timed(run: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await run();
  return performance.now() - start;
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]!;
}

function rounded(value: number): number {
  return Number(value.toPrecision(4));
}
