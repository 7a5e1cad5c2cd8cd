/** Reward models as folders: the layout that transformers loads, what comes back, and what is refused. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { loadRewardModel, saveRewardModel } from '../../src/align/reward/reward-checkpoint.node.ts';
import { RewardModel, rewardModelStart } from '../../src/align/reward/reward-model.ts';
import { ConfigError, DataError, FormatError } from '../../src/core/errors.ts';
import { KeyedRandom } from '../../src/core/random.ts';
import { loadLanguageModel } from '../../src/decode/index.node.ts';
import { loadCheckpoint, saveCheckpoint } from '../../src/model/checkpoint.node.ts';
import { SafetensorsFile } from '../../src/model/safetensors.node.ts';
import { cpuDevice } from '../../src/runtime/index.node.ts';
import {
  chatMl,
  DEFAULT_TOKENIZER_CONFIG,
  encodeChat,
  formatTokenizerConfig,
  formatTokenizerJson,
} from '../../src/tokenizer/index.ts';
import { answered } from '../fixtures/align/answered.ts';
import { temporaryFolder } from '../fixtures/cli/plinth-process.ts';
import { TINY_CONTEXT, tinyTokenizer, writeTinyChatFolder } from '../fixtures/cli/tiny-chat-folder.ts';
import { tinyModel } from '../fixtures/models/random-model.ts';

const device = cpuDevice({ numThreads: 1 });
const temporary = temporaryFolder();
const folder = join(temporary.path, 'reward');
const files = new Map([
  ['tokenizer.json', formatTokenizerJson(tinyTokenizer)],
  [
    'tokenizer_config.json',
    formatTokenizerConfig(tinyTokenizer, { ...DEFAULT_TOKENIZER_CONFIG, chatTemplate: chatMl.template }),
  ],
]);
const end = tinyTokenizer.idOf('<|im_end|>')!;

/** A reward model on random layers with an output matrix of their own, which it must leave out. */
function parts(padTokenId: number | null = null) {
  const language = tinyModel({
    vocabSize: tinyTokenizer.vocabSize,
    maxPositionEmbeddings: TINY_CONTEXT,
    eosTokenIds: [end],
    padTokenId,
    tieWordEmbeddings: false,
  });
  const { config, layers, head } = rewardModelStart(language.config, language.weights);
  const score = head.get('score.weight')!;
  const data = new KeyedRandom(1).normals(score.data.length);
  const weights = new Map([...layers, ['score.weight', { shape: score.shape, data }]]);
  return { config, weights, tokenizer: tinyTokenizer, chatFormat: chatMl };
}

const json = async (name: string) => JSON.parse(await readFile(join(folder, name), 'utf8'));

beforeAll(() => saveRewardModel(folder, parts(), files));
afterAll(() => temporary.remove());

describe('a saved reward model', () => {
  test('has the names and shapes of transformers’ sequence classification with one label', async () => {
    const config = await json('config.json');
    expect(config.architectures).toEqual(['Qwen3ForSequenceClassification']);
    expect(config.id2label).toEqual({ 0: 'LABEL_0' });
    expect(config.label2id).toEqual({ LABEL_0: 0 });
    const file = await SafetensorsFile.open(join(folder, 'model.safetensors'));
    expect(file.tensors.get('score.weight')?.shape).toEqual([1, config.hidden_size]);
    expect(file.tensors.has('lm_head.weight')).toBe(false);
    expect([...file.tensors.keys()].filter((name) => !name.startsWith('model.'))).toEqual(['score.weight']);
    await file.close();
  });

  test('names no padding that ends answers, and keeps other padding', async () => {
    expect((await json('config.json')).pad_token_id).toBeNull();
    const other = join(temporary.path, 'padded');
    const padOf = async (id: number) => {
      await saveRewardModel(other, parts(id), files);
      return JSON.parse(await readFile(join(other, 'config.json'), 'utf8')).pad_token_id;
    };
    expect(await padOf(end)).toBeNull();
    expect(await padOf(0)).toBe(0);
  });

  test('scores what it scored before it was saved, whatever the batch, in order', async () => {
    const before = await RewardModel.create(device, parts());
    const after = await loadRewardModel(folder, { device });
    expect(after.name).toBe(`model:${folder}`);
    const answers = Array.from({ length: 21 }, (_, i) => answered('ab'.repeat(1 + ((8 * i) % 21))));
    const rewards = await after.score(answers);
    expect(new Set(rewards).size).toBe(21);
    expect(await before.score(answers)).toEqual(rewards);
    for (const [i, answer] of answers.entries()) {
      expect((await after.score([answer]))[0]).toBeCloseTo(rewards[i]!, 5);
    }
    await before.dispose();
    await after.dispose();
  });

  test('reads an answer at the token that ends its turn', async () => {
    const model = await loadRewardModel(folder, { device });
    const { ids } = encodeChat(tinyTokenizer, chatMl, [
      { role: 'user', content: 'q' },
      { role: 'assistant', content: 'yes' },
    ]);
    const row = ids.slice(0, ids.lastIndexOf(end) + 1);
    expect(row).toHaveLength(ids.length - 1);
    const [byText] = await model.score([answered('yes')]);
    expect((await model.scoreRows([row]))[0]).toBe(byText);
    expect((await model.scoreRows([ids]))[0]).not.toBe(byText);
    await model.dispose();
  });

  test('an answer that leaves the context is an error that gives both lengths', async () => {
    const model = await loadRewardModel(folder, { device });
    const long = answered('x'.repeat(TINY_CONTEXT));
    await expect(model.score([answered('a'), long])).rejects.toThrow(DataError);
    await expect(model.score([answered('a'), long])).rejects.toThrow(/Answer 2.*more than the 160/);
    await model.dispose();
  });
});

describe('folders of another kind are refused', () => {
  test('a reward model is no language model, and a language model no reward model', async () => {
    await expect(loadCheckpoint(folder)).rejects.toThrow(ConfigError);
    await expect(loadLanguageModel(folder, { device })).rejects.toThrow(
      /Qwen3ForSequenceClassification, which scores texts.*loadRewardModel/,
    );
    const language = join(temporary.path, 'language');
    await writeTinyChatFolder(language);
    await expect(loadRewardModel(language, { device })).rejects.toThrow(ConfigError);
    await expect(loadRewardModel(language, { device })).rejects.toThrow(
      /Qwen3ForCausalLM; a reward model is needed.*plinth reward/,
    );
  });

  test('a classifier of several labels, and weights without a score', async () => {
    const copy = join(temporary.path, 'copy');
    await saveRewardModel(copy, parts(), files);
    const config = await json('config.json');
    const write = (changed: object) => writeFile(join(copy, 'config.json'), JSON.stringify(changed));
    await write({ ...config, id2label: { 0: 'bad', 1: 'good' } });
    await expect(loadRewardModel(copy, { device })).rejects.toThrow(/2 labels.*has one/);
    await write({ ...config, id2label: undefined });
    await expect(loadRewardModel(copy, { device })).rejects.toThrow(/2 labels/);

    const { config: own, weights } = parts();
    const layers = new Map([...weights].filter(([name]) => name !== 'score.weight'));
    await saveCheckpoint(copy, { config: own, weights: layers, files, overwrite: true });
    await write(config);
    await expect(loadRewardModel(copy, { device })).rejects.toThrow(FormatError);
    await expect(loadRewardModel(copy, { device })).rejects.toThrow(/"score.weight"/);
  });

  test('an output matrix has no place in a reward model', async () => {
    const { config, weights } = parts();
    const untied = { config: { ...config, tieWordEmbeddings: false }, weights, head: 'score' as const };
    await expect(saveCheckpoint(join(temporary.path, 'untied'), untied)).rejects.toThrow(
      /no output matrix; set tieWordEmbeddings/,
    );
  });
});
