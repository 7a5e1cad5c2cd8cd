/** Synthetic demonstrations: prompts and templates, what is kept and why not, and going on after a stop. */
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { parseReward } from '../../src/align/reward-programs.ts';
import { CancelledError, ConfigError, DataError } from '../../src/core/errors.ts';
import type { LanguageModel } from '../../src/decode/language-model.ts';
import {
  ALL_ALIKE,
  CUT,
  chooseDemonstrations,
  choosePairs,
  DUPLICATE,
  EMPTY,
  type JudgedDemonstration,
  NO_VALID,
  NOT_BEST,
} from '../../src/recipe/post-training/choose-demonstrations.ts';
import { type DemonstrateOptions, demonstrate } from '../../src/recipe/post-training/demonstrate.node.ts';
import { openReward } from '../../src/recipe/post-training/open-reward.node.ts';
import { checkTemplate, fillTemplate } from '../../src/recipe/post-training/row-templates.ts';
import { cpuDevice } from '../../src/runtime/index.node.ts';
import { completionOf } from '../fixtures/align/answered.ts';
import { temporaryFolder } from '../fixtures/cli/plinth-process.ts';

const temporary = temporaryFolder();
const at = (...parts: string[]) => join(temporary.path, ...parts);
afterAll(() => temporary.remove());

const jsonLines = (path: string) =>
  readFileSync(path, 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));

/** Answers a sum right or wrong by the number of the choice; counts what it was asked. */
class Scripted {
  numAsked = 0;
  readonly texts: (question: string, choice: number) => string;
  /** Aborts when so many answers were asked for. */
  stopAt = Number.POSITIVE_INFINITY;
  readonly stop = new AbortController();

  constructor(texts: (question: string, choice: number) => string) {
    this.texts = texts;
  }

  get model(): LanguageModel {
    const generateMany: LanguageModel['generateMany'] = async (prompts, options) => {
      this.numAsked += prompts.length;
      if (this.numAsked >= this.stopAt) this.stop.abort();
      return prompts.map((prompt, i) => {
        const { messages } = prompt as unknown as { messages: { content: string }[] };
        const { choice = 0 } = (options as readonly { choice?: number }[])[i]!;
        const text = this.texts(messages.at(-1)!.content, choice);
        return completionOf(text.replace('...', ''), text.endsWith('...') ? { finishReason: 'length' } : {});
      });
    };
    return { generateMany, capabilities: { logprobs: false, seeded: true } } as unknown as LanguageModel;
  }
}

const sums = Array.from({ length: 300 }, (_, i) => ({ prompt: `${i}+1=`, answer: i + 1 }));
writeFileSync(at('sums.jsonl'), sums.map((sum) => `${JSON.stringify(sum)}\n`).join(''));
writeFileSync(at('cities.csv'), 'city,country\nBonn,Germany\nRome,Italy\nNowhere,\n');

/** Choice 0 is wrong, 1 right, 2 right in more words, 3 cut. */
const sumTexts = (question: string, choice: number) => {
  const right = String(Number.parseInt(question, 10) + 1);
  return ['0', right, `It is ${right}`, `${right}...`][choice]!;
};
const ofSums = (scripted: Scripted, changes: Partial<DemonstrateOptions> = {}): DemonstrateOptions => ({
  folder: at('sums'),
  source: { files: [at('sums.jsonl')] },
  model: { name: 'scripted', model: scripted.model },
  numSamples: 4,
  validators: [{ reward: parseReward('number'), threshold: 1 }],
  signal: scripted.stop.signal,
  ...changes,
});

describe('demonstrations of a model', () => {
  test('a stopped run keeps what it sampled and goes on; another choice samples nothing again', async () => {
    const first = new Scripted(sumTexts);
    first.stopAt = 600;
    await expect(demonstrate(ofSums(first))).rejects.toThrow(CancelledError);
    const numKeptBefore = jsonLines(at('sums', 'data', 'samples.jsonl')).length;
    expect(numKeptBefore).toBeGreaterThan(0);
    expect(numKeptBefore).toBeLessThan(300);
    // A line that a kill cut short.
    appendFileSync(at('sums', 'data', 'samples.jsonl'), '{"prompt":299,"answ');

    const second = new Scripted(sumTexts);
    const report = await demonstrate(ofSums(second));
    expect(second.numAsked).toBe((300 - numKeptBefore) * 4);
    expect(report).toMatchObject({ numPrompts: 300, numAnswers: 1200, numKept: 600, numPromptsKept: 300 });
    expect(report.dropped).toEqual({ [CUT]: 300, 'not valid: number': 300 });
    const [chat] = jsonLines(report.file);
    expect(chat).toEqual({
      messages: [
        { role: 'user', content: '0+1=' },
        { role: 'assistant', content: '1' },
      ],
    });

    const third = new Scripted(sumTexts);
    const shortest = await demonstrate(ofSums(third, { reward: parseReward('-tokens') }));
    expect(third.numAsked).toBe(0);
    expect(shortest).toMatchObject({ numSampled: 0, numKept: 300 });
    expect(shortest.dropped[NOT_BEST]).toBe(300);
    expect(shortest.meanKeptScore).toBeGreaterThan(shortest.meanScore!);
    expect(jsonLines(shortest.file).every(({ messages }) => /^\d+$/.test(messages[1].content))).toBe(true);

    const pairs = await demonstrate(ofSums(third, { asPairs: true }));
    expect(third.numAsked).toBe(0);
    expect(jsonLines(pairs.file)[1]).toEqual({
      prompt: [{ role: 'user', content: '1+1=' }],
      chosen: [{ role: 'assistant', content: '2' }],
      rejected: [{ role: 'assistant', content: '0' }],
    });
    await expect(demonstrate(ofSums(third, { numSamples: 2 }))).rejects.toThrow(ConfigError);
  });

  test('an answer that cannot be judged is dropped with the reason and spoils no other', async () => {
    const fussy = {
      name: 'fussy',
      score: (answers: readonly { completion: { text: string } }[]) => {
        if (answers.some(({ completion }) => completion.text === '0')) throw new DataError('no zeros');
        return answers.map(() => 1);
      },
    };
    const options = ofSums(new Scripted(sumTexts), {
      folder: at('fussy'),
      validators: [{ reward: fussy, threshold: 1 }],
    });
    const report = await demonstrate(options);
    expect(report.dropped['not judged: no zeros']).toBe(300);
    expect(report.numKept).toBe(600);
  });
});

describe('demonstrations of templates', () => {
  test('fill rows; empty cells and equal answers are counted', async () => {
    const report = await demonstrate({
      folder: at('cities'),
      source: {
        table: at('cities.csv'),
        promptTemplates: ['Where is {city}?', '{city}: {country}?'],
        answerTemplates: ['In {country}.', 'In {country}.', '{{{city}}} is in {country}'],
        system: 'Be brief.',
      },
    });
    const chats = jsonLines(report.file) as { messages: { role: string; content: string }[] }[];
    expect(chats.map(({ messages }) => messages.map(({ content }) => content))).toContainEqual([
      'Be brief.',
      'Where is Rome?',
      '{Rome} is in Italy',
    ]);
    // Nowhere has a question but no answer.
    expect(report).toMatchObject({ numPrompts: 5, numAnswers: 12, numKept: 8 });
    expect(report.meanScore).toBeUndefined();
    expect(report.dropped).toEqual({
      [DUPLICATE]: 4,
      'a cell that the template needs is empty': 1,
      [NO_VALID]: 1,
    });
  });

  test.each([
    [{}, /either files of prompts, or a table/],
    [{ files: ['x'], table: 'y' }, /either files/],
    [{ table: 'cities.csv' }, /need each other/],
    [{ table: 'cities.csv', promptTemplates: ['{city}'] }, /from a model or from templates/],
  ])('a source like %j is refused', async (source, message) => {
    await expect(demonstrate({ folder: at('refused'), source })).rejects.toThrow(message);
  });

  test('placeholders must be columns', () => {
    expect(() => checkTemplate('{citty}', ['city', 'country'])).toThrow(/did you mean city/);
    expect(() => checkTemplate('{{citty}}', ['city'])).not.toThrow();
    expect(fillTemplate('{a} and {b}', { a: 1, b: ['x', 'y'] })).toBe('1 and x, y');
    expect(fillTemplate('{a}', { a: null })).toBeUndefined();
    expect(fillTemplate('{a}', { a: '{b}', b: 'c' })).toBe('{b}');
  });
});

describe('the choice', () => {
  const answer = (text: string, score: number, changes: Partial<JudgedDemonstration> = {}) => ({
    text,
    score,
    isCut: false,
    fault: undefined,
    ...changes,
  });
  const messages = [{ role: 'user' as const, content: 'q' }];
  const answers = [
    answer('low', 1),
    answer('high', 3),
    answer('high', 3),
    answer('also high', 3),
    answer('cut', 9, { isCut: true }),
    answer(' ', 9),
    answer('wrong', 9, { fault: 'not valid: json' }),
  ];

  test.each([
    ['best', ['high'], { [DUPLICATE]: 1, [CUT]: 1, [EMPTY]: 1, 'not valid: json': 1, [NOT_BEST]: 2 }],
    ['valid', ['low', 'high', 'also high'], { [DUPLICATE]: 1, [CUT]: 1, [EMPTY]: 1, 'not valid: json': 1 }],
    ['all', ['low', 'high', 'also high', 'cut', ' ', 'wrong'], { [DUPLICATE]: 1 }],
  ] as const)('keeps the %s', (keep, texts, reasons) => {
    const { kept, dropped } = chooseDemonstrations([{ messages, answers }], keep);
    expect(kept.map(({ text }) => text)).toEqual(texts);
    expect(Object.fromEntries(dropped)).toEqual(reasons);
  });

  test('pairs set the best valid answer against a wrong one, or the lowest score', () => {
    expect(choosePairs([{ messages, answers }]).kept).toEqual([
      { messages, chosen: 'high', rejected: 'wrong' },
    ]);
    const valid = answers.slice(0, 4);
    expect(choosePairs([{ messages, answers: valid }]).kept[0]).toMatchObject({
      chosen: 'high',
      rejected: 'low',
    });
    const alike = choosePairs([{ messages, answers: answers.slice(1, 4) }]);
    expect(Object.fromEntries(alike.dropped)).toEqual({ [DUPLICATE]: 1, [ALL_ALIKE]: 1 });
    const wrong = choosePairs([{ messages, answers: answers.slice(6) }]);
    expect(Object.fromEntries(wrong.dropped)).toEqual({ [NO_VALID]: 1 });
  });
});

describe('rewards by their text', () => {
  const device = cpuDevice({ numThreads: 1 });

  test('a module, a mixture with it, and what is missing', async () => {
    writeFileSync(
      at('judge.mjs'),
      "export const reward = { name: 'vowels', score: (answers) => answers.map(({ completion }) => completion.text.match(/[aeiou]/g)?.length ?? 0) };",
    );
    writeFileSync(at('empty.mjs'), 'export const other = 1;');
    const asked = [{ messages: [], record: {}, completion: completionOf('banana') }];
    const { reward, isProgram } = await openReward(`2*module:${at('judge.mjs')} + json`, device);
    expect(isProgram).toBe(false);
    expect(await reward.score(asked)).toEqual([6]);
    expect((await openReward('json + finished', device)).isProgram).toBe(true);
    await expect(openReward(`module:${at('empty.mjs')}`, device)).rejects.toThrow(/exports no reward/);
    await expect(openReward(`module:${at('missing.mjs')}`, device)).rejects.toThrow(ConfigError);
    await expect(openReward('model', device)).rejects.toThrow(/needs a folder/);
  });
});
