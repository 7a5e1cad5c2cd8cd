/**
 * Microseconds a token for the common sampler chains, on rows of 1,024 and 151,936 logits that are shaped like a
 * language model's (normal noise and a few likely tokens), all different from token to token; beside a plain
 * implementation that sorts the whole row, and beside the sampler of transformers.js, which knows temperature and top-k
 * (its top-p is accepted and has no effect). Medians over rounds that alternate. One JSON line on stdout.
 *
 *   npx tsx bench/sampling.ts
 */
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { KeyedRandom } from '../src/core/random.ts';
import {
  chainOf,
  type DialectName,
  KeyedDraws,
  Sampler,
  type SamplingSettings,
} from '../src/sampling/index.ts';

const NUM_ROWS = 16;
const NUM_ROUNDS = 7;
const TARGET_MS = 40;
const HISTORY_LENGTH = 2048;

const chains: Record<string, [DialectName, SamplingSettings]> = {
  greedy: ['hf', {}],
  temperature: ['hf', { temperature: 0.8 }],
  topK: ['hf', { temperature: 0.8, topK: 40 }],
  topP: ['hf', { temperature: 0.8, topP: 0.95 }],
  minP: ['hf', { temperature: 0.8, minP: 0.05 }],
  hfAll: ['hf', { temperature: 0.8, topK: 50, topP: 0.95, minP: 0.05 }],
  llamacppDefault: ['llamacpp', { temperature: 0.8, topK: 40, topP: 0.95, minP: 0.05 }],
  typical: ['hf', { temperature: 0.8, typicalP: 0.9 }],
  topNSigma: ['llamacpp', { temperature: 0.8, topNSigma: 1 }],
  eta: ['hf', { temperature: 0.8, etaCutoff: 0.001 }],
  xtc: ['llamacpp', { temperature: 0.8, minP: 0.05, xtc: { probability: 0.5, threshold: 0.1 } }],
  dry: ['llamacpp', { temperature: 0.8, topK: 40, dry: { multiplier: 0.8 } }],
  mirostat2: ['llamacpp', { temperature: 0.8, mirostat: { version: 2 } }],
  penalties: ['vllm', { temperature: 0.8, topK: 40, repetitionPenalty: 1.1, presencePenalty: 0.5 }],
};

function rowsOf(vocabSize: number): Float32Array[] {
  return Array.from({ length: NUM_ROWS }, (_, i) => {
    const random = new KeyedRandom(i).fork(`row ${vocabSize}`);
    const row = random.normals(vocabSize, 2.5);
    for (let j = 0; j < 40; j++) row[random.integer(j, vocabSize)]! += 8 * random.uniform(1000 + j);
    return row;
  });
}

/** Sorts all of it, every time: softmax, cumulative sum, draw. */
function plainTopP(row: Float32Array, temperature: number, p: number, u: number): number {
  const entries = Array.from(row, (logit, id) => ({ id, score: logit / temperature }));
  entries.sort((a, b) => b.score - a.score);
  const top = entries[0]!.score;
  const weights = entries.map(({ score }) => Math.exp(score - top));
  const total = weights.reduce((a, b) => a + b, 0);
  let kept = 0;
  let mass = 0;
  while (kept < entries.length && mass < p * total) mass += weights[kept++]!;
  let rest = u * mass;
  for (let i = 0; i < kept; i++) {
    rest -= weights[i]!;
    if (rest < 0) return entries[i]!.id;
  }
  return entries[0]!.id;
}

type OneToken = (row: Float32Array, index: number) => unknown;

async function microseconds(
  one: OneToken,
  rows: readonly Float32Array[],
  numTokens: number,
): Promise<number> {
  const startedAt = performance.now();
  for (let i = 0; i < numTokens; i++) {
    const result = one(rows[i % rows.length]!, i);
    if (result instanceof Promise) await result;
  }
  return (1000 * (performance.now() - startedAt)) / numTokens;
}

/** The peer's own classes, by path: its package does not export them. */
async function transformersJs(vocabSize: number, topK: number): Promise<OneToken> {
  const root = join(dirname(createRequire(import.meta.url).resolve('@huggingface/transformers')), '..');
  const load = (path: string) => import(pathToFileURL(join(root, 'src', path)).href);
  const { LogitsSampler } = await load('generation/logits_sampler.js');
  const { TemperatureLogitsWarper } = await load('generation/logits_process.js');
  const { Tensor } = await load('utils/tensor.js');
  const warper = new TemperatureLogitsWarper(0.8);
  const sampler = LogitsSampler.getSampler({ do_sample: true, top_k: topK, num_beams: 1 });
  return (row) => sampler(warper([], new Tensor('float32', Float32Array.from(row), [1, vocabSize])));
}

const median = (values: number[]) => values.sort((a, b) => a - b)[values.length >> 1]!;
const round = (value: number) => Number(value.toPrecision(3));

const result: Record<string, unknown> = {
  bench: 'sampling',
  unit: 'microseconds a token',
  node: process.version,
};
for (const vocabSize of [1024, 151_936]) {
  const rows = rowsOf(vocabSize);
  const random = new KeyedRandom(99);
  const history = Int32Array.from({ length: HISTORY_LENGTH }, (_, i) => random.integer(i, vocabSize));
  const draws = new KeyedDraws(1);
  const contestants: [string, OneToken][] = [];
  for (const [name, [dialect, settings]] of Object.entries(chains)) {
    const sampler = new Sampler(chainOf(settings, dialect));
    contestants.push([name, (row, i) => sampler.sample(row, draws.at(i), history, 1024)]);
  }
  contestants.push(['plainSortTopP', (row, i) => plainTopP(row, 0.8, 0.95, draws.at(i).uniform(0))]);
  contestants.push(['transformersJsTopK', await transformersJs(vocabSize, 40)]);

  const times = new Map<string, number[]>();
  const counts = new Map<string, number>();
  for (const [name, one] of contestants) {
    const first = await microseconds(one, rows, 8);
    counts.set(name, Math.max(8, Math.min(20_000, Math.round((1000 * TARGET_MS) / first))));
  }
  for (let i = 0; i < NUM_ROUNDS; i++) {
    for (const [name, one] of contestants) {
      const time = await microseconds(one, rows, counts.get(name)!);
      times.set(name, [...(times.get(name) ?? []), time]);
    }
  }
  result[`vocab${vocabSize}`] = Object.fromEntries(
    [...times].map(([name, list]) => [name, round(median(list))]),
  );
}
console.log(JSON.stringify(result));
