/**
 * Finetuning by low-rank adapters against finetuning of all weights, for the same steps and on the same batches; then
 * all evaluation questions are asked.
 * `npx tsx bench/lora.ts [--task facts|form] [--run FOLDER] [--steps 300] [--rank 8] [--targets q_proj,v_proj ...]`
 * `--ask no --steps 12` only times steps.
 *
 * Task `facts`: the atlas's pre-trained checkpoint learns its chats, and the facts with them. Task `form`: the model
 * that this gave learns to answer "The answer is Paris." instead of "Paris", and to go on saying "I don't know.".
 *
 * One JSON line: of each finetuning the share of held-out wordings answered exactly and of invented names refused
 * (95 % intervals), milliseconds a step (median), and for adapters the share of the model's size, as F32 and as BF16.
 * Adapters are saved as BF16, loaded again and merged before they are asked. FOLDER is a run of `plinth run atlas`
 * (pre-trained first where it is not there, 500 steps at width 128); by default a temporary one.
 */
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import atlas from '../recipes/atlas.ts';
import { ConversationBatches } from '../src/data/index.node.ts';
import { createLanguageModel } from '../src/decode/index.node.ts';
import { loadAdapter, saveAdapter } from '../src/model/adapter/adapter.node.ts';
import { ALL_LINEAR, type LowRankSettings } from '../src/model/adapter/low-rank.ts';
import { mergeAdapter } from '../src/model/adapter/read-adapter.ts';
import { loadCheckpoint, saveCheckpoint } from '../src/model/index.node.ts';
import type { Weights } from '../src/model/initialize.ts';
import { type FactCorpus, writeFacts } from '../src/recipe/facts/index.ts';
import { runRecipe } from '../src/recipe/index.node.ts';
import { LOW_RANK_RATE_FACTOR } from '../src/recipe/post-training/training-defaults.ts';
import { RunFolder } from '../src/recipe/run-folder.node.ts';
import { evaluateFacts } from '../src/recipe/stages/evaluate-facts.ts';
import { prepareTokenSets } from '../src/recipe/stages/fact-data.node.ts';
import { cpuDevice } from '../src/runtime/index.node.ts';
import { loadTokenizer } from '../src/tokenizer/index.node.ts';
import { chatMl } from '../src/tokenizer/index.ts';
import {
  DEFAULT_OPTIMIZER,
  fullModel,
  initialState,
  languageModelObjective,
  type OptimizerSettings,
  onTrainable,
  readState,
  type Trainable,
  train,
} from '../src/train/index.ts';
import { lowRankModel } from '../src/train/low-rank.ts';

const { values } = parseArgs({
  options: {
    task: { type: 'string', default: 'facts' },
    run: { type: 'string' },
    steps: { type: 'string', default: '300' },
    rank: { type: 'string', default: '8' },
    targets: { type: 'string', multiple: true },
    rates: { type: 'string', default: '1' },
    optimizer: { type: 'string', default: 'adamw' },
    full: { type: 'string', default: 'yes' },
    ask: { type: 'string', default: 'yes' },
  },
});
const SETS = ['q_proj,v_proj', 'q_proj,k_proj,v_proj,o_proj', ALL_LINEAR];
const PRETRAIN = { hiddenSize: 128, numLayers: 4, pretrainSteps: 500, sftSteps: 30 };
/** Of AdamW on all weights at a width of 128; adapters get this times LOW_RANK_RATE_FACTOR. */
const BASE_RATE = 1e-3;
const SEED = 1;
/** Of the finetuning of all weights that makes the model of task `form`. */
const CHAT_STEPS = 300;

const device = cpuDevice();
const rank = Number(values.rank);
const numSteps = Number(values.steps);
const scratch = await mkdtemp(join(tmpdir(), 'plinth-lora-'));
try {
  console.log(JSON.stringify(await measure(values.run ?? join(scratch, 'run'))));
} finally {
  await rm(scratch, { recursive: true, force: true });
}

async function measure(run: string) {
  const { folder } = await runRecipe(atlas, { folder: run, overrides: PRETRAIN });
  const { settings } = await resolvedOf(folder);
  const facts = writeFacts(await atlas.sources(), settings);
  const { tokenizer } = await loadTokenizer(join(folder, 'tokenizer'));
  const checkpoints = join(folder, 'checkpoints', 'pretrain');
  const last = (await readdir(checkpoints))
    .filter((name) => name.startsWith('step-'))
    .sort()
    .at(-1)!;
  const pretrained = await loadCheckpoint(join(checkpoints, last));
  const { config } = pretrained;
  const modelBytes = (await stat(join(checkpoints, last, 'model.safetensors'))).size;
  const shape = { batchSize: settings.batchSize, sequenceLength: settings.contextLength, seed: SEED };
  const objective = languageModelObjective(config, {
    batchSize: shape.batchSize,
    length: shape.sequenceLength,
    segments: true,
  });
  const learnsForm = values.task === 'form';
  const corpus = learnsForm ? inOtherForm(facts) : facts;
  const batches = await batchesOf(corpus, learnsForm ? 'form-data' : 'data');
  const base = learnsForm ? await chatModel() : pretrained;
  // What the base was shown already needs no rows of its own.
  const tokens = learnsForm
    ? []
    : ['<|im_start|>', '<|im_end|>'].map((token) => tokenizer.specialTokens.get(token)!);

  const results: object[] = [];
  if (values.full === 'yes') {
    // The recipe's rate is for teaching facts; one that only changes the form of answers is that of `plinth sft`.
    const optimizer = learnsForm ? { ...DEFAULT_OPTIMIZER, learningRate: BASE_RATE } : settings.sftOptimizer;
    const schedule = settings.sftSchedule;
    const { weights, ...told } = await finetune(fullModel(config, base.weights), optimizer, schedule);
    results.push({ trained: 'all weights', ...told, ...(await ask(weights)) });
    console.error(JSON.stringify(results.at(-1)));
  }
  for (const targets of values.targets ?? SETS) {
    for (const factor of values.rates.split(',').map(Number)) {
      results.push(await adapter(targets, factor));
      console.error(JSON.stringify(results.at(-1)));
    }
  }
  const setting = { rank, numSteps, batchSize: batches.batchSize, length: batches.sequenceLength };
  return { bench: 'lora', task: values.task, ...setting, modelBytes, results };

  async function batchesOf(texts: FactCorpus, name: string) {
    const { seed } = settings;
    const sets = await prepareTokenSets(join(folder, name), texts, undefined, tokenizer, seed);
    return new ConversationBatches(sets.sft, { ...shape, padId: config.padTokenId! });
  }

  /** Finetuned on the chats once, and kept in the run's folder. */
  async function chatModel() {
    const path = join(folder, `chat-${CHAT_STEPS}`);
    if (!existsSync(path)) {
      const own = fullModel(config, pretrained.weights);
      const chats = await batchesOf(facts, 'data');
      const { weights } = await finetune(own, settings.sftOptimizer, settings.sftSchedule, chats, CHAT_STEPS);
      await saveCheckpoint(path, { config, weights });
    }
    return loadCheckpoint(path);
  }

  async function adapter(targets: string, factor: number) {
    const lora: LowRankSettings = {
      rank,
      alpha: 2 * rank,
      targets: targets === ALL_LINEAR ? ALL_LINEAR : targets.split(','),
      tokens,
    };
    const name = values.optimizer as OptimizerSettings['name'];
    const learningRate = BASE_RATE * LOW_RANK_RATE_FACTOR * factor;
    const optimizer = { ...DEFAULT_OPTIMIZER, name, learningRate };
    const trainable = lowRankModel(config, base.weights, { ...lora, seed: SEED });
    const { weights, ...told } = await finetune(trainable, optimizer, settings.sftSchedule);
    const sizes: Record<string, number> = {};
    for (const dtype of ['F32', 'BF16'] as const) {
      const dir = join(scratch, dtype);
      await saveAdapter(dir, { config: config, settings: lora, weights, baseModel: 'atlas', dtype });
      const { size } = await stat(join(dir, 'adapter_model.safetensors'));
      sizes[`sizePercent${dtype}`] = rounded((100 * size) / modelBytes);
    }
    const merged = mergeAdapter(config, base.weights, await loadAdapter(join(scratch, 'BF16')));
    return { trained: targets, learningRate, ...told, ...sizes, ...(await ask(merged.weights)) };
  }

  async function finetune(
    trainable: Trainable,
    optimizer: OptimizerSettings,
    schedule: typeof settings.sftSchedule,
    source = batches,
    steps = numSteps,
  ) {
    const state = initialState(trainable.initial, optimizer);
    const seconds: number[] = [];
    let before = performance.now();
    const { loss } = await train({
      stage: 'sft',
      device,
      objective: onTrainable(objective, trainable),
      parameters: trainable.specs,
      state,
      numSteps: steps,
      batch: (index) => source.batch(index),
      schedule,
      settings: { optimizer, clipNorm: settings.clipNorm, accumulate: 1 },
      onEvent: (event) => {
        if (event.type !== 'train-step') return;
        const now = performance.now();
        if (event.step > 1) seconds.push(now - before);
        before = now;
        if (event.step % 20 === 0) console.error(`${event.step} of ${steps}: ${event.loss.toFixed(3)}`);
      },
    });
    const numTrained = trainable.specs.reduce(
      (total, one) => total + one.shape.reduce((a, b) => a * b, 1),
      0,
    );
    return {
      weights: await readState(state, 'parameter/'),
      numTrained,
      loss: rounded(loss),
      stepMs: rounded(seconds.sort((a, b) => a - b)[Math.floor(seconds.length / 2)]!),
    };
  }

  async function ask(weights: Weights) {
    if (values.ask !== 'yes') return {};
    const model = await createLanguageModel({
      config: config,
      weights,
      tokenizer,
      chatFormat: chatMl,
      device,
    });
    const { heldOutPhrasing, unknown } = await evaluateFacts(model, corpus, { onEvent: () => {} });
    await model.dispose();
    const percent = ({ value, interval }: typeof heldOutPhrasing.score) => ({
      percent: rounded(100 * value),
      interval: interval.map((end) => rounded(100 * end)),
    });
    return { right: percent(heldOutPhrasing.score), refused: percent(unknown.abstentionScore) };
  }
}

/** Answers as sentences; those that say nothing is known stay. */
function inOtherForm(facts: FactCorpus): FactCorpus {
  const asSentence = <Item extends { answer: string }>(item: Item): Item =>
    facts.unknownAnswers.includes(item.answer)
      ? item
      : { ...item, answer: `The answer is ${item.answer.replace(/\.$/, '')}.` };
  const { heldOutPhrasing } = facts.evaluation;
  return {
    ...facts,
    questions: facts.questions.map(asSentence),
    evaluation: { ...facts.evaluation, heldOutPhrasing: heldOutPhrasing.map(asSentence) },
  };
}

async function resolvedOf(folder: string) {
  const { request } = JSON.parse(await readFile(join(folder, 'recipe.json'), 'utf8'));
  return (await RunFolder.open(folder, request, false)).resolved!;
}

function rounded(value: number): number {
  return Number(value.toPrecision(4));
}
