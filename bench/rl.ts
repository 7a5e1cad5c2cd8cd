/**
 * Reinforcement on a reward that a program checks: three-digit addition, answered in plain form (most significant digit
 * first). `npx tsx bench/rl.ts [--methods grpo,ppo] [--folder DIR] [--steps 150] [--again 6]`
 *
 * A model of 0.4 M parameters learns to add from nothing, then is finetuned on careless sums, of which one in twelve is
 * right and the others forget every carry or are one too many, until it answers a third of the held-out sums. Each
 * method starts from there, sees sums and a reward of 1 or 0 only, and is measured on 500 sums that no stage was shown:
 * what is measured is whether a reward finds the answers that are right among habits that are wrong, not whether it
 * teaches addition. With `--careless-steps 0 --sft-steps 600` the model is one that has half learned to add, and the
 * reward has to teach the rest: sampled answers climb to greedy ones, and greedy ones hardly. One JSON line: rewards before and after, greedy and
 * sampled, the curves, seconds, and whether the first `--again` steps of a second run gave the same figures.
 * `--folder` keeps the models (and goes on where it was stopped).
 */
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { parseReward } from '../src/align/reward-programs.ts';
import { type RlSettings, rlSettings } from '../src/align/rl/index.ts';
import { formatJsonLines } from '../src/core/json-lines.ts';
import { KeyedRandom } from '../src/core/random.ts';
import { loadLanguageModel } from '../src/decode/index.node.ts';
import { saveCheckpoint } from '../src/model/checkpoint.node.ts';
import { numParameters, type TransformerConfig } from '../src/model/config.ts';
import { initializeWeights } from '../src/model/initialize.ts';
import { finetuneOnChats } from '../src/recipe/post-training/finetune-on-chats.node.ts';
import { reinforce } from '../src/recipe/post-training/reinforce.node.ts';
import { cpuDevice } from '../src/runtime/index.node.ts';
import {
  DEFAULT_TOKENIZER_CONFIG,
  formatTokenizerConfig,
  formatTokenizerJson,
  trainBpe,
} from '../src/tokenizer/index.ts';

const { values: flags } = parseArgs({
  options: {
    methods: { type: 'string', default: 'grpo,ppo' },
    folder: { type: 'string' },
    steps: { type: 'string', default: '150' },
    'sft-steps': { type: 'string', default: '2500' },
    again: { type: 'string', default: '6' },
    set: { type: 'string', default: '{}' },
    rate: { type: 'string' },
    'careless-steps': { type: 'string', default: '1200' },
    width: { type: 'string', default: '96' },
    layers: { type: 'string', default: '3' },
    threads: { type: 'string', default: '2' },
  },
});
const NUM_HELD_OUT = 500;
const NUM_PROMPTS = 20_000;
const NUM_EXAMPLES = 20_000;
/** Of the finetuning's sums, so many have fewer digits. */
const EASY_SHARE = 0.4;
/** Of its answers, so many are right, and so many forget carries; the others are one too many. */
const RIGHT_SHARE = 0.08;
const FORGETFUL_SHARE = 0.42;
const WANTED = 0.9;
const MAX_TOKENS = 6;

interface Sum {
  readonly prompt: string;
  readonly answer: string;
}

type Files = Awaited<ReturnType<typeof writeSums>>;

const device = cpuDevice({ numThreads: Number(flags.threads) });
const folder = flags.folder ? resolve(flags.folder) : await mkdtemp(join(tmpdir(), 'plinth-rl-'));
const reward = parseReward('exact-match');
try {
  console.log(JSON.stringify(await measure()));
} finally {
  if (!flags.folder) await rm(folder, { recursive: true, force: true });
}
process.exit(0);

async function measure() {
  await mkdir(folder, { recursive: true });
  const files = await writeSums();
  const started = performance.now();
  const base = await makeModel(files);
  const sftSeconds = (performance.now() - started) / 1000;
  const before = await accuracy(base, files.heldOut);
  process.stderr.write(`base ${JSON.stringify(before)}\n`);
  const methods: Record<string, unknown> = {};
  for (const method of flags.methods!.split(',').filter(Boolean))
    methods[method] = await run(method, base, files);
  return {
    parameters: numParameters(modelConfig(0)),
    sftSeconds: round(sftSeconds),
    before,
    methods,
  };
}

async function run(method: string, base: string, files: Files) {
  const settings = settingsOf(method);
  const steps = Number(flags.steps);
  const out = join(folder, method);
  const begun = performance.now();
  let secondsToWanted: number | undefined;
  const outcome = await reinforce({
    model: base,
    files: [files.prompts],
    validationFiles: [files.heldOut],
    reward,
    settings,
    folder: out,
    device,
    steps,
    ...(flags.rate && { learningRate: Number(flags.rate) }),
    onEvent: (event) => {
      const seconds = (performance.now() - begun) / 1000;
      if (event.type === 'validation') {
        process.stderr.write(
          `${method} ${event.step} ${round(seconds)} s ${JSON.stringify(event.metrics)}\n`,
        );
        if ((event.metrics?.reward ?? 0) > WANTED) secondsToWanted ??= seconds;
      }
      if (event.type === 'train-step' && event.step % 20 === 0)
        process.stderr.write(
          `${method} ${event.step} ${round(seconds)} s ${JSON.stringify(event.metrics)}\n`,
        );
    },
  });
  const seconds = (performance.now() - begun) / 1000;
  const report = JSON.parse(await readFile(join(out, 'report.json'), 'utf8')) as {
    iterations: Record<string, number>[];
  };
  const after = await accuracy(outcome.modelFolder, files.heldOut);
  return {
    after,
    seconds: round(seconds),
    secondsToWanted: secondsToWanted === undefined ? null : round(secondsToWanted),
    iterations: steps,
    answers: steps * settings.promptsPerStep * settings.groupSize,
    reward: report.iterations.map((one) => round(one.reward!)),
    kl: report.iterations.map((one) => round(one.kl!)),
    entropy: report.iterations.map((one) => round(one.entropy!)),
    ...(Number(flags.again) > 0 && {
      isSameAgain: await isSameAgain(method, base, files, report.iterations),
    }),
  };
}

/** The first iterations once more in a folder of their own: the same seed gives the same curve, to the last digit. */
async function isSameAgain(
  method: string,
  base: string,
  files: Files,
  first: readonly Record<string, number>[],
) {
  const out = join(folder, `${method}-again`);
  await reinforce({
    model: base,
    files: [files.prompts],
    reward,
    settings: settingsOf(method),
    folder: out,
    device,
    steps: Number(flags.again),
    ...(flags.rate && { learningRate: Number(flags.rate) }),
    fresh: true,
  });
  const { iterations } = JSON.parse(await readFile(join(out, 'report.json'), 'utf8')) as {
    iterations: Record<string, number>[];
  };
  return JSON.stringify(iterations) === JSON.stringify(first.slice(0, iterations.length));
}

function settingsOf(method: string): RlSettings {
  const shared = { promptsPerStep: 32, groupSize: 8, maxTokens: MAX_TOKENS, ...JSON.parse(flags.set!) };
  return method === 'ppo'
    ? rlSettings({ method: 'ppo', ...shared })
    : rlSettings({ method: 'grpo', ...shared });
}

/** Files of sums; no held-out one is in the others, in either order of its terms. */
async function writeSums() {
  const random = new KeyedRandom(1).fork('sums');
  const key = (a: number, b: number) => `${Math.min(a, b)}+${Math.max(a, b)}`;
  const draw = (
    label: string,
    count: number,
    taken: ReadonlySet<string>,
    digits: (i: number) => number,
  ): Sum[] => {
    const own = random.fork(label);
    const sums: Sum[] = [];
    for (let i = 0; sums.length < count; i++) {
      const least = 10 ** (digits(i) - 1);
      const [a, b] = [2 * i, 2 * i + 1].map((n) => least + own.integer(n, 9 * least)) as [number, number];
      if (!taken.has(key(a, b))) sums.push({ prompt: `${a}+${b}=`, answer: String(a + b) });
    }
    return sums;
  };
  const heldOut = draw('held out', NUM_HELD_OUT, new Set(), () => 3);
  const taken = new Set(heldOut.map(({ prompt }) => key(...termsOf(prompt))));
  const prompts = draw('prompts', NUM_PROMPTS, taken, () => 3);
  const easy = random.fork('easy');
  const examples = draw('examples', NUM_EXAMPLES, taken, (i) =>
    easy.uniform(i) < EASY_SHARE ? 1 + easy.integer(i, 2) : 3,
  );
  const care = random.fork('care');
  const chatOf = ({ prompt }: Sum, answer: string) => ({
    messages: [
      { role: 'user', content: prompt },
      { role: 'assistant', content: answer },
    ],
  });
  const chats = examples.map((sum) => chatOf(sum, sum.answer));
  const carelessChats = examples.map((sum, i) =>
    chatOf(sum, carelessAnswer(termsOf(sum.prompt), care.uniform(i))),
  );
  const files: Record<'heldOut' | 'prompts' | 'chats' | 'carelessChats', string> = {
    heldOut: join(folder, 'held-out.jsonl'),
    prompts: join(folder, 'prompts.jsonl'),
    chats: join(folder, 'chats.jsonl'),
    carelessChats: join(folder, 'careless-chats.jsonl'),
  };
  for (const [name, lines] of Object.entries({ heldOut, prompts, chats, carelessChats })) {
    const path = files[name as keyof typeof files];
    const text = formatJsonLines(lines);
    // A file that is there already keeps its date: trainings in this folder go on.
    if ((await readFile(path, 'utf8').catch(() => '')) !== text) await writeFile(path, text);
  }
  return files;
}

function termsOf(prompt: string): [number, number] {
  const [a, b] = prompt.slice(0, -1).split('+').map(Number);
  return [a!, b!];
}

/** @param chance within 0..1 */
function carelessAnswer([a, b]: readonly [number, number], chance: number): string {
  if (chance < RIGHT_SHARE) return String(a + b);
  if (chance >= RIGHT_SHARE + FORGETFUL_SHARE) return String(a + b + 1);
  let sum = 0;
  for (let place = 1; place <= Math.max(a, b); place *= 10) {
    const digits = (Math.floor(a / place) % 10) + (Math.floor(b / place) % 10);
    // The first digits have no place to carry to: they are written as they are.
    sum += place * (place * 10 > Math.max(a, b) ? digits : digits % 10);
  }
  return String(sum);
}

function modelConfig(vocabSize: number, eos = 0): TransformerConfig {
  return {
    architecture: 'qwen3',
    vocabSize: vocabSize || 280,
    hiddenSize: Number(flags.width),
    numLayers: Number(flags.layers),
    numHeads: 4,
    numKvHeads: 4,
    headDim: Number(flags.width) / 4,
    intermediateSize: 3 * Number(flags.width),
    ropeTheta: 10_000,
    ropeScaling: null,
    rmsNormEps: 1e-6,
    tieWordEmbeddings: true,
    maxPositionEmbeddings: 64,
    hiddenAct: 'silu',
    bosTokenId: null,
    eosTokenIds: [eos],
    padTokenId: null,
    initializerRange: 0.02,
  };
}

/** One token for each digit: the tokenizer's text has none, so no merge of two is learned. */
async function makeModel(files: Files): Promise<string> {
  const tokenizer = trainBpe(['user\nassistant\n'.repeat(20)], { vocabSize: 276 });
  const fresh = join(folder, 'fresh');
  const config = modelConfig(tokenizer.vocabSize, tokenizer.idOf('<|im_end|>')!);
  await saveCheckpoint(fresh, {
    config,
    weights: initializeWeights(config, 1),
    files: new Map([
      ['tokenizer.json', formatTokenizerJson(tokenizer)],
      ['tokenizer_config.json', formatTokenizerConfig(tokenizer, DEFAULT_TOKENIZER_CONFIG)],
    ]),
    overwrite: true,
  });
  const able = await finetune(fresh, files.chats, 'able', Number(flags['sft-steps']), 3e-3);
  const carelessSteps = Number(flags['careless-steps']);
  return carelessSteps === 0 ? able : finetune(able, files.carelessChats, 'base', carelessSteps, 2e-3);
}

async function finetune(model: string, chats: string, name: string, steps: number, learningRate: number) {
  const { modelFolder } = await finetuneOnChats({
    model,
    files: [chats],
    folder: join(folder, name),
    device,
    steps,
    batchSize: 16,
    length: 64,
    learningRate,
    onEvent: (event) => {
      if (event.type === 'train-step' && event.step % 100 === 0)
        process.stderr.write(`${name} ${event.step} ${event.loss.toFixed(3)}\n`);
    },
  });
  return modelFolder;
}

/** Share of the held-out sums that are right: greedy answers, and one sampled answer each. */
async function accuracy(model: string, heldOut: string) {
  const sums = (await readFile(heldOut, 'utf8'))
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Sum);
  const loaded = await loadLanguageModel(model, { device, maxBatchSize: 256 });
  const shareOf = async (temperature: number) => {
    const prompts = sums.map(({ prompt }) => ({ messages: [{ role: 'user' as const, content: prompt }] }));
    const answers = await loaded.generateMany(
      prompts,
      prompts.map((_, choice) => ({
        maxTokens: MAX_TOKENS,
        temperature,
        ...(temperature > 0 && { seed: 7, choice }),
      })),
    );
    return round(answers.filter(({ text }, i) => text === sums[i]!.answer).length / sums.length);
  };
  const result = { greedy: await shareOf(0), sampled: await shareOf(1) };
  await loaded.dispose();
  return result;
}

function round(value: number): number {
  return Number(value.toFixed(4));
}
