/** Prompts, rollouts, settings and SQL rewards of reinforcement. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseReward } from '../../src/align/reward-programs.ts';
import { experienceOf, type JudgedRollout, shapedReward } from '../../src/align/rl/experience.ts';
import { PolicyScorer } from '../../src/align/rl/policy-scorer.ts';
import { readPrompts } from '../../src/align/rl/prompts.node.ts';
import { PromptDeck, type RlPrompt, sampleRollouts } from '../../src/align/rl/rollouts.ts';
import { rlSettings } from '../../src/align/rl/settings.ts';
import { queryOf, sqlReward } from '../../src/align/rl/sql-reward.node.ts';
import { createLanguageModel } from '../../src/decode/index.ts';
import type { Completion } from '../../src/decode/language-model.ts';
import { cpuDevice } from '../../src/runtime/index.node.ts';
import { chatMl, trainBpe } from '../../src/tokenizer/index.ts';
import { DEFAULT_OPTIMIZER, fullModel, initialState } from '../../src/train/index.ts';
import { tinyModel } from '../fixtures/models/random-model.ts';

const device = cpuDevice({ numThreads: 1 });
const tokenizer = trainBpe(['user\nassistant\n'.repeat(9)], { vocabSize: 270 });
const end = tokenizer.idOf('<|im_end|>')!;
const { config, weights } = tinyModel({ vocabSize: tokenizer.vocabSize, eosTokenIds: [end] });
let folder: string;
let prompts: readonly RlPrompt[];
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'plinth-prompts-'));
  const path = join(folder, 'prompts.jsonl');
  const lines = [
    '{"prompt":"1+1=","answer":"2"}',
    '{"prompt":[{"role":"user","content":"Hi"},{"role":"assistant","content":"Hello"},{"role":"user","content":"2+2="}],"answer":"4"}',
    '{"question":"?"}',
    '{"prompt":""}',
    '{"prompt":[{"role":"user","content":"x"},{"role":"assistant","content":"y"}]}',
    'no JSON',
    '{"prompt":[{"role":"nobody","content":"x"}]}',
    `{"prompt":"${'long '.repeat(60)}"}`,
  ];
  await writeFile(path, lines.join('\n'));
  const read = await readPrompts([path], { tokenizer, chatFormat: chatMl, maxPromptTokens: 60 });
  prompts = read.prompts;
  expect(read.reports[0]!.numSkipped).toBe(6);
  expect(read.reports[0]!.skipped.map(({ reason }) => reason)[0]).toMatch(/no "prompt"/);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe('prompts', () => {
  test('are texts or chats of several turns, with the fields of their line', () => {
    expect(prompts.map(({ messages }) => messages.length)).toEqual([1, 3]);
    expect(prompts[1]!.record.answer).toBe('4');
    expect(tokenizer.decode(prompts[0]!.ids)).toMatch(/1\+1=.*assistant\n$/s);
  });

  test('a file without any names the first fault', async () => {
    const path = join(folder, 'none.jsonl');
    await writeFile(path, '{"prompt":7}\n');
    const reading = readPrompts([path], { tokenizer, chatFormat: chatMl, maxPromptTokens: 60 });
    await expect(reading).rejects.toThrow(/No prompt in .*line 1 \(byte 0\): no "prompt" that is a text/);
  });

  test('are drawn by key: each once a pass, in another order each pass', () => {
    const many = Array.from({ length: 12 }, (_, i) => ({
      messages: [],
      record: { i },
      ids: new Int32Array(1),
    }));
    const deck = new PromptDeck(many, 4, 1, 9);
    const pass = (first: number) =>
      [0, 1, 2].flatMap((i) => deck.draw(first + i).map(({ record }) => record.i as number));
    expect([...pass(0)].sort((a, b) => a - b)).toEqual(many.map((_, i) => i));
    expect(pass(3)).not.toEqual(pass(0));
    expect(new PromptDeck(many, 4, 1, 9).draw(4)).toEqual(deck.draw(4));
  });
});

describe('rollouts', () => {
  const options = { groupSize: 3, temperature: 0.8, maxTokens: 12, seed: 5 };
  const model = createLanguageModel({ config, weights, tokenizer, chatFormat: chatMl, device });
  const reward = parseReward('tokens');

  test('are groups of answers that differ, and the same for the same seed', async () => {
    const groups = await sampleRollouts(await model, prompts, reward, options);
    expect(groups.map(({ length }) => length)).toEqual([3, 3]);
    const texts = groups.flat().map(({ completion }) => completion.text);
    expect(new Set(texts).size).toBe(6);
    const again = await sampleRollouts(await model, prompts, reward, options);
    expect(again).toEqual(groups);
    for (const { row, prompt, completion, isCut, reward: own } of groups.flat()) {
      const numActions = row.tokens.length - prompt.ids.length;
      expect(own).toBe(numActions);
      expect(numActions).toBe(completion.tokens.length + (completion.stopToken === undefined ? 0 : 1));
      expect(isCut).toBe(completion.stopToken === undefined);
      expect(Array.from(row.actions).indexOf(1)).toBe(prompt.ids.length);
    }
  });

  test('the token that ends an answer is one of its actions', async () => {
    const groups = await sampleRollouts(await model, prompts, reward, {
      ...options,
      groupSize: 60,
      maxTokens: 60,
    });
    const ended = groups.flat().filter(({ isCut }) => !isCut);
    expect(ended.length).toBeGreaterThan(0);
    for (const { row } of ended) {
      expect(row.tokens[row.tokens.length - 1]).toBe(end);
      expect(row.actions[row.tokens.length - 1]).toBe(1);
    }
  });

  test('the log-probabilities of the scorer are those that the engine drew from', async () => {
    const groups = await sampleRollouts(await model, prompts, reward, options);
    const rows = groups.flat().map(({ row }) => row);
    const policy = fullModel(config, weights);
    const scorer = await PolicyScorer.compile(device, policy, {
      shape: { batchSize: 4, length: 80 },
      temperature: 0.8,
    });
    const scored = await scorer.score(initialState(weights, DEFAULT_OPTIMIZER), rows);
    const drawn = await (await model).generateMany(
      groups.flat().map(({ prompt }) => prompt.ids),
      groups.flat().map(({ completion }, i) => ({
        maxTokens: 12,
        temperature: 0.8,
        seed: completion.seed,
        choice: i % 3,
        logprobs: 0,
        logprobsMode: 'processed' as const,
      })),
    );
    for (const [i, { tokens, logprobs }] of drawn.entries()) {
      const start = rows[i]!.tokens.length - (drawn[i]!.stopToken === undefined ? 0 : 1) - tokens.length;
      expect(Array.from(rows[i]!.tokens).slice(start, start + tokens.length)).toEqual(tokens);
      for (const [t, { logprob }] of logprobs!.entries()) {
        expect(scored[i]!.logprobs[start - 1 + t]).toBeCloseTo(logprob, 4);
      }
    }
    await scorer.dispose();
  });
});

test('answers near the greatest length lose reward where that is asked for', () => {
  const answer = (length: number) =>
    ({
      reward: 1,
      prompt: prompts[0]!,
      row: { tokens: new Int32Array(prompts[0]!.ids.length + length), actions: [] },
    }) as never;
  const settings = { overlongMargin: 4, maxTokens: 12 };
  expect([8, 10, 12].map((length) => shapedReward(answer(length), settings))).toEqual([1, 0.5, 0]);
  expect(shapedReward(answer(12), { ...settings, overlongMargin: 0 })).toBe(1);
});

test("PPO's advantages come from token rewards, values and whitening, by hand", () => {
  const settings = rlSettings({
    method: 'ppo',
    promptsPerStep: 1,
    groupSize: 2,
    minibatches: 1,
    klWeight: 0.1,
  });
  const prompt = { messages: [], record: {}, ids: Int32Array.of(1, 2) };
  const judged = (
    logprobs: number[],
    reference: number[],
    values: number[],
    reward: number,
  ): JudgedRollout => ({
    prompt,
    completion: { tokens: [] } as unknown as Completion,
    row: { tokens: new Int32Array(2 + logprobs.length), actions: [] },
    reward,
    isCut: false,
    scored: {
      logprobs: Float32Array.of(0, ...logprobs),
      entropies: new Float32Array(1 + logprobs.length),
      values: Float32Array.of(9, ...values),
    },
    referenceLogprobs: Float32Array.of(0, ...reference),
  });
  const { rows } = experienceOf(
    [[judged([-1, -1, -1], [-1, -1, -1], [0.5, 0.4, 0.3], 1), judged([-1], [-3], [0], 0)]],
    settings,
    0.1,
  );
  // Without a log-ratio: .43675, .565, .7; with a log-ratio of 2 and no reward: -.2.
  const raw = [0.43675, 0.565, 0.7, -0.2];
  const mean = raw.reduce((a, b) => a + b) / 4;
  const deviation = Math.sqrt(raw.reduce((total, x) => total + (x - mean) ** 2, 0) / 3);
  const all = rows.flatMap(({ advantages }) => Array.from(advantages));
  for (const [i, x] of raw.entries()) expect(all[i]).toBeCloseTo((x - mean) / deviation, 5);
  expect(rows[0]!.returns[0]).toBeCloseTo(0.93675, 6);
  expect(rows[0]!.start).toBe(1);
});

test('settings out of range are refused by name', () => {
  expect(() => rlSettings({ method: 'grpo', groupSize: 1 })).toThrow(/groupSize must be at least 2/);
  expect(() => rlSettings({ method: 'ppo', minibatches: 3 })).toThrow(/3 minibatches do not divide evenly/);
  expect(() => rlSettings({ method: 'ppo', temperature: 0 })).toThrow(/temperature must be above 0/);
  expect(() => rlSettings({ method: 'ppo', lambda: 2 })).toThrow(/lambda must be within 0..1, got 2/);
  expect(() => rlSettings({ method: 'grpo', clip: { low: 1, high: 0.2 } })).toThrow(/clip.low/);
  expect(rlSettings({ method: 'grpo', lossNormaliser: 'dr_grpo' })).toMatchObject({ byDeviation: false });
});

describe('SQL rewards', () => {
  const schema =
    "CREATE TABLE city (name TEXT, people INT); INSERT INTO city VALUES ('Rome', 3), ('Oslo', 1), ('Bern', 1);";
  const score = (compare: 'valid' | 'result', text: string, answer?: string) => {
    const completion = { text } as Completion;
    return (
      sqlReward({ compare }).score([{ messages: [], record: { schema, answer }, completion }]) as number[]
    )[0];
  };

  test('valid: what SQLite can prepare on the tables, one reading query', () => {
    expect(score('valid', 'SELECT name FROM city')).toBe(1);
    expect(score('valid', '```sql\nSELECT 1;\n```')).toBe(1);
    for (const bad of ['SELECT nme FROM city', 'DROP TABLE city', 'SELECT 1; DROP TABLE city', 'hello', '']) {
      expect(score('valid', bad), bad).toBe(0);
    }
    expect(
      queryOf('WITH RECURSIVE n AS (SELECT 1 UNION ALL SELECT 1 FROM n) SELECT * FROM n'),
    ).toBeUndefined();
  });

  test('result: the same rows; their order where the right query has one', () => {
    const ordered = 'SELECT name FROM city WHERE people = 1 ORDER BY name';
    expect(score('result', 'SELECT name FROM city WHERE people < 2 ORDER BY name', ordered)).toBe(1);
    expect(score('result', 'SELECT name FROM city WHERE people < 2 ORDER BY name DESC', ordered)).toBe(0);
    const free = 'SELECT name FROM city WHERE people = 1';
    expect(score('result', 'SELECT name FROM city WHERE people < 2 ORDER BY name DESC', free)).toBe(1);
    expect(score('result', 'SELECT name, people FROM city WHERE people < 2', free)).toBe(0);
    expect(score('result', 'SELECT oops', free)).toBe(0);
    expect(() => score('result', 'SELECT 1', 'SELECT oops')).toThrow(/"answer" is no SELECT/);
    expect(() =>
      sqlReward({ compare: 'valid' }).score([
        { messages: [], record: {}, completion: { text: '' } as Completion },
      ]),
    ).toThrow(/lacks the text "schema"/);
  });
});
