/**
 * Speculative decoding: what a draft of an eighth of a model's size gains.
 * `npx tsx bench/speculative.ts [--steps 400] [--models DIR]`
 *
 * Trains a model of 22 M parameters (as planned for `plinth train --params 20e6`: 12 layers, 384 wide) and a draft of
 * 2 layers, 288 wide, on articles about 250 countries: real facts (npm world-countries) in five phrasings each, their
 * order random. That is text with much that can be foreseen, what the models of `plinth run` are made for; on other
 * text, or hardly trained, a draft is right less often. Then articles on some countries are continued from two
 * facts in a phrasing that was held out for that country. About 10 minutes on two free cores; `--models` keeps the
 * trained models in a folder and uses them again.
 *
 * One JSON line: tokens a second without a draft and with it, one text at a time, text by text in turn, greedy and at
 * temperature 1; tokens chosen per run of the large model; `useless`: the same with a draft of random weights, that is
 * what guessing costs where it gains nothing; whether the tokens were equal in every text.
 */
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { atlasFactSources } from '../recipes/atlas-facts.ts';
import { main } from '../src/cli/main.ts';
import { createLanguageModel, type DraftModel } from '../src/decode/index.ts';
import { initializeWeights, loadCheckpoint } from '../src/model/index.node.ts';
import { factArticles, type Statement, writeFacts } from '../src/recipe/facts/index.ts';
import { cpuDevice } from '../src/runtime/index.node.ts';
import { loadTokenizer } from '../src/tokenizer/index.node.ts';

const { values } = parseArgs({
  options: { steps: { type: 'string', default: '400' }, models: { type: 'string' } },
});
const MODELS = {
  target: { stepsShare: 1, more: ['--params', '20e6'] },
  // Deep models take longer a step than wide ones of that size; more steps cost little here.
  draft: { stepsShare: 2, more: ['--params', '2.5e6', '--set', 'hiddenSize=288', '--set', 'numLayers=2'] },
};
const NUM_TEXTS = 12;
const MAX_TOKENS = 96;
/** The first one warms up. */
const NUM_ROUNDS = 4;

const texts = countryTexts();
const folder = values.models ? resolve(values.models) : await mkdtemp(join(tmpdir(), 'plinth-speculative-'));
try {
  console.log(JSON.stringify(await measure()));
} finally {
  if (!values.models) await rm(folder, { recursive: true, force: true });
}
process.exit(0);

async function measure() {
  await train();
  const files = (name: string) => join(folder, name, 'model');
  const [target, draft] = await Promise.all([
    loadCheckpoint(files('target')),
    loadCheckpoint(files('draft')),
  ]);
  const { tokenizer } = await loadTokenizer(files('target'));
  const prompts = texts.prompts.map((prompt) => tokenizer.encode(prompt));
  const device = cpuDevice();
  const random = { config: draft.config, weights: initializeWeights(draft.config, 1) };
  const create = (draft?: DraftModel) =>
    createLanguageModel({
      config: target.config,
      weights: target.weights,
      device,
      prefixCacheBytes: 0,
      ...(draft && { draft }),
    });
  const models = [await create(), await create(draft), await create(random)] as const;
  const results: Record<string, unknown> = {};
  let areEqual = true;
  for (const temperature of [0, 1]) {
    // Of each text the best of some rounds: a text takes a fifth of a second, and machines do other things too.
    const seconds = models.map(() => new Array<number>(prompts.length).fill(Number.POSITIVE_INFINITY));
    let numTokens = 0;
    const numSteps = [0, 0, 0];
    for (let round = 0; round < NUM_ROUNDS; round++) {
      const before = models.map((model) => model.use.numSteps);
      numTokens = 0;
      for (const [text, prompt] of prompts.entries()) {
        const answers: string[] = [];
        // In another order each time: what ran before leaves its traces in the processor's caches.
        for (let turn = 0; turn < models.length; turn++) {
          const i = (turn + text) % models.length;
          const model = models[i]!;
          const start = performance.now();
          const { tokens } = await model.generate(prompt, { maxTokens: MAX_TOKENS, temperature, seed: 7 });
          const taken = (performance.now() - start) / 1000;
          if (round > 0) seconds[i]![text] = Math.min(seconds[i]![text]!, taken);
          answers.push(tokens.join());
          if (i === 0) numTokens += tokens.length;
        }
        areEqual &&= new Set(answers).size === 1;
      }
      for (const [i, model] of models.entries()) numSteps[i] = model.use.numSteps - before[i]!;
    }
    const [plain, drafted, useless] = seconds.map((list) => list.reduce((total, one) => total + one, 0)) as [
      number,
      number,
      number,
    ];
    results[temperature === 0 ? 'greedy' : 'sampled'] = {
      plain: rounded(numTokens / plain),
      drafted: rounded(numTokens / drafted),
      ratio: rounded(plain / drafted),
      tokensPerRun: rounded(numTokens / numSteps[1]!),
      useless: rounded(plain / useless),
    };
  }
  for (const model of models) await model.dispose();
  const [parameters, draftParameters] = [target, draft].map(({ weights }) =>
    [...weights.values()].reduce((count, { data }) => count + data.length, 0),
  );
  return { bench: 'speculative', parameters, draftParameters, areEqual, numTexts: NUM_TEXTS, ...results };
}

/** What the folder does not hold yet. */
async function train(): Promise<void> {
  const articles = join(folder, 'articles.jsonl');
  const tokenizer = join(folder, 'tokenizer');
  if (!existsSync(tokenizer)) {
    await mkdir(folder, { recursive: true });
    await writeFile(articles, texts.articles.map((text) => `${JSON.stringify({ text })}\n`).join(''));
    await command(['tokenizer', 'train', articles, '--vocab-size', '2048', '--out', tokenizer]);
  }
  for (const [name, { stepsShare, more }] of Object.entries(MODELS)) {
    const out = join(folder, name);
    if (existsSync(join(out, 'model'))) continue;
    const steps = String(Math.round(Number(values.steps) * stepsShare));
    const words = ['train', '--data', articles, '--tokenizer', tokenizer, '--out', out, '--steps', steps];
    await command([...words, '--length', '256', '--batch-size', '4', '--json', ...more]);
  }
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

/**
 * Articles to learn from, and beginnings of articles on some of the countries: two facts in a phrasing that no article
 * has for that country (others have it).
 */
function countryTexts(): { articles: string[]; prompts: string[] } {
  const [countries] = atlasFactSources();
  const corpus = writeFacts([countries!]);
  const entities = [...new Set(corpus.statements.map(({ entity }) => entity))];
  const asked = Array.from(
    { length: NUM_TEXTS },
    (_, i) => entities[Math.floor(((i + 0.5) * entities.length) / NUM_TEXTS)]!,
  );
  const isHeldOut = ({ entity, phrasing }: Statement) => phrasing === asked.indexOf(entity) % 5;
  const prompts = asked.map((name, i) => {
    const own = corpus.statements.filter((one) => one.entity === name && isHeldOut(one));
    return `${own[i % own.length]!.text} ${own[(i + 1) % own.length]!.text}`;
  });
  const statements = corpus.statements.filter((one) => !isHeldOut(one));
  return { articles: factArticles({ ...corpus, statements }).map(({ text }) => text), prompts };
}

function rounded(value: number): number {
  return Number(value.toPrecision(4));
}
