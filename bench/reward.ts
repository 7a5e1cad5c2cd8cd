/**
 * A reward model on a task with a known rule, and what happens when it is pushed on: `npx tsx bench/reward.ts [FOLDER]`
 *
 * A tiny model learns to answer with 3 to 9 random letters. The gold reward is a program: each of the first two letters
 * "a" is worth 1, each further one costs 1. The proxy is a reward model trained on pairs of the model's own answers,
 * where three "a" are rare, a tenth of the labels being wrong. Best of n and GRPO are then pushed by the proxy; both
 * rewards are measured against the KL from the initial model, as in Gao et al. 2022. About two minutes on one thread.
 *
 * One JSON line: accuracy on held-out pairs and on pairs by the rule, KL of best-of-n and its bound, fitted laws, and
 * where the gold reward turns. FOLDER (default: a temporary one) keeps over-optimisation.html and .json.
 */
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bestOf } from '../src/align/best-of/best-of.ts';
import { loadRewardModel } from '../src/align/reward/reward-checkpoint.node.ts';
import type { RewardFunction } from '../src/align/reward-function.ts';
import { CollapseError } from '../src/align/rl/collapse-guard.ts';
import { rlSettings } from '../src/align/rl/settings.ts';
import { packageVersion } from '../src/core/package-root.node.ts';
import { KeyedRandom } from '../src/core/random.ts';
import { loadLanguageModel } from '../src/decode/index.node.ts';
import { loadCheckpoint, saveCheckpoint } from '../src/model/checkpoint.node.ts';
import type { TransformerConfig } from '../src/model/config.ts';
import { initializeWeights } from '../src/model/initialize.ts';
import { finetuneOnChats } from '../src/recipe/post-training/finetune-on-chats.node.ts';
import {
  type MeasuredCheckpoint,
  measureBestOf,
  measureCheckpoints,
  writeOverOptimisation,
} from '../src/recipe/post-training/measure-over-optimisation.node.ts';
import { overOptimisationCurve } from '../src/recipe/post-training/over-optimisation-report.ts';
import { reinforce } from '../src/recipe/post-training/reinforce.node.ts';
import { evaluateRewards } from '../src/recipe/post-training/reward-evaluation.ts';
import { trainReward } from '../src/recipe/post-training/train-reward.node.ts';
import { cpuDevice } from '../src/runtime/index.node.ts';
import { saveTokenizer } from '../src/tokenizer/index.node.ts';
import { trainBpe } from '../src/tokenizer/index.ts';

const LETTERS = 'abcdefgh';
const LENGTH = 40;
const NUM_CHATS = 3000;
const NUM_LABELLED_PROMPTS = 800;
const WRONG_LABELS = 0.1;
const NUM_PROMPTS = 32;
const LARGEST_N = 256;
const RL_SEGMENTS = 8;
const STEPS_PER_SEGMENT = 5;

const folder = process.argv[2] ?? mkdtempSync(join(tmpdir(), 'plinth-reward-'));
mkdirSync(folder, { recursive: true });
const at = (...parts: string[]) => join(folder, ...parts);
const device = cpuDevice({ numThreads: 1 });
const random = new KeyedRandom(7).fork('bench-reward');
let draws = 0;
const draw = (limit: number) => random.integer(draws++, limit);
const word = (least: number, most: number) =>
  Array.from({ length: least + draw(most - least + 1) }, () => LETTERS[draw(LETTERS.length)]!).join('');
const writeLines = (name: string, lines: readonly unknown[]) =>
  writeFileSync(at(name), lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
const say = (text: string) => process.stderr.write(`${text}\n`);
const round = (value: number, digits = 4) => Number(value.toFixed(digits));

const goldOf = (text: string) => {
  const count = text.split('a').length - 1;
  return count <= 2 ? count : 4 - count;
};
const gold: RewardFunction = {
  name: 'letters "a", of which more than two cost',
  score: (answers) => answers.map(({ completion }) => goldOf(completion.text)),
};

// The initial model: random letters.
const tokenizer = trainBpe([], { vocabSize: 259 });
const end = tokenizer.idOf('<|im_end|>')!;
const config: TransformerConfig = {
  architecture: 'qwen3',
  vocabSize: tokenizer.vocabSize,
  hiddenSize: 48,
  numLayers: 2,
  numHeads: 4,
  numKvHeads: 2,
  headDim: 12,
  intermediateSize: 96,
  ropeTheta: 10_000,
  ropeScaling: null,
  rmsNormEps: 1e-6,
  tieWordEmbeddings: true,
  maxPositionEmbeddings: 64,
  hiddenAct: 'silu',
  bosTokenId: null,
  eosTokenIds: [end],
  padTokenId: null,
  initializerRange: 0.05,
};
await saveCheckpoint(at('fresh'), { config, weights: initializeWeights(config, 1), overwrite: true });
await saveTokenizer(at('fresh'), tokenizer);
writeLines(
  'chats.jsonl',
  Array.from({ length: NUM_CHATS }, () => ({
    messages: [
      { role: 'user', content: word(2, 4) },
      { role: 'assistant', content: word(3, 9) },
    ],
  })),
);
const initial = await finetuneOnChats({
  model: at('fresh'),
  files: [at('chats.jsonl')],
  folder: at('initial'),
  device,
  epochs: 4,
  length: LENGTH,
  learningRate: 3e-3,
  fresh: true,
});
say(`initial model: loss ${initial.loss.toFixed(3)}`);

// Pairs of its own answers, labelled by the gold reward with errors.
const generation = { maxTokens: 14 };
const promptsOf = (count: number) =>
  Array.from({ length: count }, () => ({
    messages: [{ role: 'user' as const, content: word(2, 4) }],
    record: {},
  }));
const policy = await loadLanguageModel(initial.modelFolder, { device });
const labelled = await bestOf(policy, promptsOf(NUM_LABELLED_PROMPTS), { n: 8, reward: gold, generation });
const pairs = labelled.flatMap(({ answers }, i) =>
  [0, 2, 4, 6].flatMap((first) => {
    const [a, b] = [answers[first]!, answers[first + 1]!];
    if (a.reward === b.reward || a.completion.text === '' || b.completion.text === '') return [];
    const isRight = random.fork('labels').uniform(i * 8 + first) >= WRONG_LABELS;
    const [chosen, rejected] = a.reward > b.reward === isRight ? [a, b] : [b, a];
    return [{ prompt: word(2, 4), chosen: chosen.completion.text, rejected: rejected.completion.text }];
  }),
);
writeLines('pairs.jsonl', pairs);
const trained = await trainReward({
  model: initial.modelFolder,
  files: [at('pairs.jsonl')],
  folder: at('reward'),
  device,
  length: LENGTH,
  epochs: 4,
  learningRate: 3e-3,
  fresh: true,
});
const proxy = await loadRewardModel(trained.modelFolder, { device, name: 'reward model' });

// The same kind of pairs with right labels: what the errors hid.
const fresh = await bestOf(policy, promptsOf(200), { n: 2, reward: gold, generation });
const judged = fresh.filter(({ answers: [a, b] }) => a!.reward !== b!.reward);
const freshRewards = await proxy.scoreAnswers(
  judged.flatMap(({ answers }) =>
    answers.map(({ completion }) => ({
      messages: [{ role: 'user' as const, content: 'abc' }],
      answer: [{ role: 'assistant' as const, content: completion.text }],
    })),
  ),
);
const byRule = evaluateRewards(
  judged.map(({ answers: [a, b] }, i) => ({
    rewards: freshRewards.slice(2 * i, 2 * i + 2),
    ranks: a!.reward > b!.reward ? [1, 2] : [2, 1],
    group: 'rule',
  })),
);
say(`reward model: ${round(byRule.accuracy)} of pairs by the rule`);

// Pushed on: best of n.
const prompts = promptsOf(NUM_PROMPTS);
const measure = { prompts, proxy, gold, generation };
const bestOfPoints = await measureBestOf(policy, { ...measure, numSamples: LARGEST_N });
const bestOfN = overOptimisationCurve('best-of-n', bestOfPoints);
say(
  bestOfPoints
    .map(({ label, kl, proxy: p, gold: g }) => `${label}: ${[kl, p, g].map((x) => round(x, 3))}`)
    .join('\n'),
);

// Pushed on: reinforcement, whose segments begin where the one before ended.
writeLines(
  'prompts.jsonl',
  Array.from({ length: 400 }, () => ({ prompt: word(2, 4) })),
);
const folders = [initial.modelFolder];
for (let segment = 1; segment <= RL_SEGMENTS; segment++) {
  try {
    const { modelFolder } = await reinforce({
      model: folders.at(-1)!,
      files: [at('prompts.jsonl')],
      reward: proxy,
      settings: rlSettings({
        method: 'grpo',
        promptsPerStep: 16,
        groupSize: 8,
        maxTokens: 14,
        seed: segment,
      }),
      folder: at(`rl-${segment}`),
      device,
      steps: STEPS_PER_SEGMENT,
      learningRate: 1e-3,
      fresh: true,
    });
    folders.push(modelFolder);
  } catch (error) {
    if (!(error instanceof CollapseError)) throw error;
    say(`segment ${segment}: ${error.message}`);
    break;
  }
}
async function* checkpoints(): AsyncGenerator<MeasuredCheckpoint> {
  for (const [i, path] of folders.entries()) {
    const model = await loadLanguageModel(path, { device });
    const { weights } = await loadCheckpoint(path);
    yield { label: `step ${i * STEPS_PER_SEGMENT}`, model, weights };
    await model.dispose();
  }
}
const rlPoints = await measureCheckpoints(checkpoints(), {
  ...measure,
  numSamples: 16,
  device,
  config,
  initial: (await loadCheckpoint(initial.modelFolder)).weights,
  length: LENGTH,
});
// The first is the initial model itself.
const rl = overOptimisationCurve('rl', rlPoints.with(0, { ...rlPoints[0]!, kl: 0 }));
say(
  rlPoints
    .map(({ label, kl, proxy: p, gold: g }) => `${label}: ${[kl, p, g].map((x) => round(x, 3))}`)
    .join('\n'),
);

await writeOverOptimisation(folder, {
  plinthVersion: packageVersion(),
  title: 'Over-optimisation of a reward model',
  gold: gold.name,
  proxy: `${proxy.name} on ${pairs.length} pairs, a tenth of them mislabelled`,
  curves: [bestOfN, rl],
  settings: [
    ['Prompts', String(NUM_PROMPTS)],
    ['Answers to a prompt', `${LARGEST_N} for best of n, 16 a checkpoint`],
    ['Reward model', `${round(100 * byRule.accuracy, 1)} % of pairs in the rule's order`],
  ],
});
await proxy.dispose();
await policy.dispose();

const lawOf = ({ gold: law, peak, hasFallen }: typeof rl) => ({
  alpha: law && round(law.alpha),
  beta: law && round(law.beta),
  rSquared: law && round(law.rSquared),
  turnKl: law?.turn && round(law.turn.kl),
  isTurnMeasured: law?.turn?.isMeasured,
  peak: { label: peak.label, kl: round(peak.kl), gold: round(peak.gold) },
  hasFallen,
});
console.log(
  JSON.stringify({
    numPairs: pairs.length,
    heldOutAccuracy: round(trained.evaluation!.accuracy),
    heldOutInterval: trained.evaluation!.interval.map((value) => round(value)),
    ruleAccuracy: round(byRule.accuracy),
    ruleInterval: byRule.interval.map((value) => round(value)),
    ruleCalibrationError: round(byRule.calibrationError),
    bestOf: {
      ...lawOf(bestOfN),
      kl: bestOfPoints.map(({ kl }) => round(kl)),
      klBound: bestOfPoints.map(({ klBound }) => round(klBound)),
      gold: bestOfPoints.map((point) => round(point.gold)),
      proxy: bestOfPoints.map((point) => round(point.proxy)),
    },
    rl: {
      ...lawOf(rl),
      kl: rlPoints.map(({ kl }) => round(kl)),
      gold: rlPoints.map((point) => round(point.gold)),
      proxy: rlPoints.map((point) => round(point.proxy)),
    },
    page: at('over-optimisation.html'),
  }),
);
