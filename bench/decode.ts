/**
 * Speed of decoding beside llama.cpp (through node-llama-cpp, at the better of one and two threads) on the same
 * weights, written by the exporter: tokens a second alone and 32 together, time to the first token of a prompt of 512,
 * and the share of the machine's memory bandwidth that reading the weights reaches.
 * `npx tsx bench/decode.ts [1m] [30m] [135m] [f32] [q8] [q4] [--rounds 3]`
 *
 * One JSON line per size and precision. Weights are random, decoding is greedy and ends after a fixed number of
 * tokens. Every side runs in a process of its own, one after the other (a pool of threads that waits for work takes a
 * core from the others); figures are medians of rounds. Two threads of llama.cpp that are not pinned sometimes wait
 * for each other: a side that is several times slower than one thread is not measured further and has null. `strict` and `fast` are our two
 * kinds of determinism; `prefixRatio` is the time of 100 requests that share 400 of 410 prompt tokens, over their time
 * when all is known already. The peer's cache of keys and values is float32 like ours.
 */
import { execFileSync } from 'node:child_process';
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

const SUBJECTS = ['strict', 'fast', 'llama1', 'llama2'] as const;
type SubjectName = (typeof SUBJECTS)[number];
/** Milliseconds for 8 tokens above which a side is not measured further. */
const TOO_SLOW_MS: Record<Size, number> = { '1m': 40, '30m': 150, '135m': 600 };

const child = process.argv.indexOf('--subject');
const { sizes, precisions, rounds } = readArguments(
  child < 0 ? process.argv.slice(2) : process.argv.slice(child + 4),
);
if (child >= 0) {
  const [subject, size, precision] = process.argv.slice(child + 1, child + 4) as [
    SubjectName,
    Size,
    Precision,
  ];
  process.stdout.write(`${JSON.stringify(await measureSubject(subject, size, precision))}\n`);
} else {
  for (const size of sizes) {
    for (const precision of precisions) console.log(JSON.stringify(await measure(size, precision)));
  }
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

function weightsOf(size: Size, precision: Precision): { config: TransformerConfig; weights: MixedWeights } {
  const config = configOf(size);
  const weights = initializeWeights(config, 1);
  if (precision === 'f32') return { config, weights };
  return { config, weights: quantizeWeights(config, weights, { bits: precision === 'q8' ? 8 : 4 }).weights };
}

/** In a process of its own. */
async function measureSubject(name: SubjectName, size: Size, precision: Precision): Promise<Figures | null> {
  const { config, weights } = weightsOf(size, precision);
  const folder = await mkdtemp(join(tmpdir(), 'plinth-decode-'));
  try {
    let subject: Subject;
    if (name === 'strict' || name === 'fast') subject = await ours(config, weights, name);
    else {
      const path = join(folder, 'model.gguf');
      await writeGguf(path, config, weights);
      subject = await llama(path, name === 'llama1' ? 1 : Math.min(2, availableParallelism()));
    }
    const [numAlone, numTogether] = TOKENS[size];
    await subject.alone(2);
    if ((await timed(() => subject.alone(8))) > TOO_SLOW_MS[size]) return null;
    await subject.alone(numAlone);
    await subject.together(numTogether);
    await subject.firstToken();
    const [alone, together, first]: [number[], number[], number[]] = [[], [], []];
    for (let round = 0; round < rounds; round++) {
      alone.push(await timed(() => subject.alone(numAlone)));
      together.push(await timed(() => subject.together(numTogether)));
      first.push(await timed(() => subject.firstToken()));
    }
    return {
      alone: rounded((1000 * numAlone) / median(alone)),
      together: rounded((1000 * NUM_TOGETHER * numTogether) / median(together)),
      firstTokenMs: rounded(median(first)),
    };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function measure(size: Size, precision: Precision) {
  const figures = {} as Record<SubjectName, Figures | null>;
  for (const name of SUBJECTS) {
    const words = ['--import', 'tsx', process.argv[1]!, '--subject', name, size, precision];
    const output = execFileSync(process.execPath, [...words, '--rounds', String(rounds)], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    figures[name] = JSON.parse(output.trim().split('\n').at(-1)!);
  }
  const strict = figures.strict!;
  const fast = figures.fast!;
  const peers = [figures.llama1, figures.llama2].filter((one) => one !== null);
  const peer = {
    alone: Math.max(...peers.map((one) => one.alone)),
    together: Math.max(...peers.map((one) => one.together)),
    firstTokenMs: Math.min(...peers.map((one) => one.firstTokenMs)),
  };
  const { config, weights } = weightsOf(size, precision);
  const bytes = weightBytes(weights);
  const bandwidth = await memoryBandwidth();
  return {
    bench: 'decode',
    size,
    precision,
    parameters: numParameters(config),
    weightBytes: bytes,
    ...figures,
    ratioAlone: rounded(strict.alone / peer.alone),
    ratioTogether: rounded(strict.together / peer.together),
    ratioFirstToken: rounded(peer.firstTokenMs / strict.firstTokenMs),
    fastOverStrict: [rounded(fast.alone / strict.alone), rounded(fast.together / strict.together)],
    memoryGBps: rounded(bandwidth),
    bandwidthShare: rounded((strict.alone * bytes) / 1e9 / bandwidth),
    prefixRatio: rounded(await prefixRatio(config, weights)),
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
