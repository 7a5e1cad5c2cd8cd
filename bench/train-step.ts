/**
 * Speed of one training step (forward, backward, clipping, AdamW) beside the machine's matrix rate and eager
 * PyTorch on the same model. `npx tsx bench/train-step.ts [small] [large]`
 *
 * One JSON line per size. `gflops` counts the matrix products of the step; `sgemmGflops` is a 1024^3 product
 * measured in the same process, between the steps. `torchTokensPerSecond` is null where no Python with torch
 * is found (Debian: python3-torch libopenblas0-pthread). Rounds of ours and of the peer alternate; medians.
 */
import { execFileSync, spawn } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { resourceUsage } from 'node:process';
import { numParameters, parameterSpecs, type TransformerConfig } from '../src/model/config.ts';
import { initializeWeights } from '../src/model/initialize.ts';
import { cpuDevice, measureSgemm } from '../src/runtime/index.node.ts';
import { languageModelObjective } from '../src/train/objective.ts';
import { DEFAULT_OPTIMIZER } from '../src/train/optimizer.ts';
import { initialState, TrainingStep } from '../src/train/training-step.ts';

interface Size {
  name: string;
  hiddenSize: number;
  numLayers: number;
  numHeads: number;
  intermediateSize: number;
  vocabSize: number;
  length: number;
  batchSize: number;
  stepsPerRound: number;
}

const SIZES: Size[] = [
  {
    name: 'small',
    hiddenSize: 256,
    numLayers: 4,
    numHeads: 4,
    intermediateSize: 864,
    vocabSize: 2048,
    length: 128,
    batchSize: 16,
    stepsPerRound: 6,
  },
  {
    name: 'large',
    hiddenSize: 512,
    numLayers: 8,
    numHeads: 8,
    intermediateSize: 1376,
    vocabSize: 8192,
    length: 256,
    batchSize: 8,
    stepsPerRound: 2,
  },
];
const ROUNDS = 4;

const wanted = process.argv.slice(2);
const python = findTorch();
for (const size of SIZES.filter(({ name }) => wanted.length === 0 || wanted.includes(name))) {
  console.log(JSON.stringify(await measure(size)));
}

async function measure(size: Size): Promise<Record<string, unknown>> {
  const config: TransformerConfig = {
    architecture: 'qwen3',
    vocabSize: size.vocabSize,
    hiddenSize: size.hiddenSize,
    numLayers: size.numLayers,
    numHeads: size.numHeads,
    numKvHeads: size.numHeads,
    headDim: size.hiddenSize / size.numHeads,
    intermediateSize: size.intermediateSize,
    ropeTheta: 10_000,
    ropeScaling: null,
    rmsNormEps: 1e-6,
    tieWordEmbeddings: true,
    maxPositionEmbeddings: size.length,
    hiddenAct: 'silu',
    bosTokenId: null,
    eosTokenIds: [],
    padTokenId: null,
    initializerRange: 0.02,
  };
  const device = cpuDevice();
  const shape = { batchSize: size.batchSize, length: size.length, segments: false };
  const settings = { optimizer: DEFAULT_OPTIMIZER, clipNorm: 1, accumulate: 1 };
  const step = await TrainingStep.compile(
    device,
    languageModelObjective(config, shape),
    parameterSpecs(config),
    settings,
  );
  const state = initialState(initializeWeights(config, 1), DEFAULT_OPTIMIZER);
  const numTokens = size.batchSize * size.length;
  const ids = Int32Array.from({ length: numTokens + 1 }, (_, i) => (i * i * 7 + i * 13) % size.vocabSize);
  const batch = {
    batchSize: size.batchSize,
    sequenceLength: size.length,
    inputIds: ids.slice(0, numTokens),
    targets: ids.slice(1),
    lossMask: new Float32Array(numTokens).fill(1),
    segmentIds: new Int32Array(numTokens).fill(1),
    positions: Int32Array.from({ length: numTokens }, (_, i) => i % size.length),
    numTargets: numTokens,
  };
  const torch = python ? startTorch(python, size) : undefined;
  const seconds: number[] = [];
  const rates: number[] = [];
  const torchSeconds: number[] = [];
  let number = 0;
  for (let round = 0; round < ROUNDS + 1; round++) {
    rates.push(await measureSgemm(device, { rounds: 5 }));
    for (let i = 0; i < size.stepsPerRound; i++) {
      const start = performance.now();
      await step.run(state, [batch], ++number, 1e-3);
      // The first round warms both sides up.
      if (round > 0) seconds.push((performance.now() - start) / 1000);
    }
    rates.push(await measureSgemm(device, { rounds: 5 }));
    if (torch) {
      const measured = await torch.round();
      if (round > 0) torchSeconds.push(...measured);
    }
  }
  torch?.stop();
  await step.dispose();
  const secondsPerStep = median(seconds);
  const sgemmGflops = median(rates);
  const gflops = step.flops / secondsPerStep / 1e9;
  return {
    config: { ...size, parameters: numParameters(config), threads: device.numThreads },
    sgemmGflops: round1(sgemmGflops),
    gflops: round1(gflops),
    share: Math.round((1000 * gflops) / sgemmGflops) / 1000,
    millisecondsPerStep: round1(secondsPerStep * 1000),
    tokensPerSecond: Math.round(numTokens / secondsPerStep),
    torchTokensPerSecond: torchSeconds.length > 0 ? Math.round(numTokens / median(torchSeconds)) : null,
    peakRssBytes: resourceUsage().maxRSS * 1024,
  };
}

/** A Python with torch, or undefined. */
function findTorch(): string | undefined {
  return ['/usr/bin/python3', 'python3'].find((path) => {
    try {
      execFileSync(path, ['-c', 'import torch'], { stdio: 'ignore' });
      return true;
    } catch {
      return false;
    }
  });
}

/** The peer runs in its own process and takes a round of steps whenever it gets a line. */
function startTorch(path: string, size: Size): { round(): Promise<number[]>; stop(): void } {
  const script = new URL('train-step-torch.py', import.meta.url).pathname;
  const environment = { ...process.env, OMP_NUM_THREADS: String(availableParallelism()) };
  // Settings for old processors would slow the peer down.
  delete (environment as Record<string, unknown>).OPENBLAS_CORETYPE;
  delete (environment as Record<string, unknown>).OPENBLAS_L2_SIZE;
  const child = spawn(path, [script, JSON.stringify(size)], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: environment,
  });
  let buffer = '';
  const waiting: ((line: string) => void)[] = [];
  child.stdout.on('data', (chunk: Buffer) => {
    buffer += chunk.toString();
    for (let end = buffer.indexOf('\n'); end >= 0; end = buffer.indexOf('\n')) {
      waiting.shift()?.(buffer.slice(0, end));
      buffer = buffer.slice(end + 1);
    }
  });
  return {
    round: () =>
      new Promise((resolve, reject) => {
        child.once('error', reject);
        waiting.push((line) => resolve(JSON.parse(line) as number[]));
        child.stdin.write('round\n');
      }),
    stop: () => child.stdin.end(),
  };
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[sorted.length >> 1]!;
}

function round1(value: number): number {
  return Math.round(value * 10) / 10;
}
