/** Preferences in the forms of TRL's datasets, and what is said of lines that hold none. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { readPreferences } from '../../src/align/preference/preference-data.node.ts';
import {
  labelsIn,
  type PreferenceRecord,
  pairsIn,
  preferenceOf,
} from '../../src/align/preference/preference-data.ts';
import type { ChatMessage, ChatRole } from '../../src/tokenizer/index.ts';

const message = (role: ChatRole, content: string): ChatMessage => ({ role, content });
const user = (content: string) => message('user', content);
const assistant = (content: string) => message('assistant', content);

function read(record: Record<string, unknown>): PreferenceRecord {
  const found = preferenceOf(record);
  if (typeof found === 'string') throw new Error(found);
  return found;
}

describe('forms of records', () => {
  const pair = { messages: [user('Sky?')], chosen: [assistant('Blue.')], rejected: [assistant('Green.')] };

  test.each<[string, Record<string, unknown>]>([
    ['texts', { prompt: 'Sky?', chosen: 'Blue.', rejected: 'Green.' }],
    ['messages', { prompt: pair.messages, chosen: pair.chosen, rejected: pair.rejected }],
    [
      'a prompt in messages and answers as texts',
      { prompt: pair.messages, chosen: 'Blue.', rejected: 'Green.' },
    ],
    [
      'an implicit prompt',
      { chosen: [...pair.messages, ...pair.chosen], rejected: [...pair.messages, ...pair.rejected] },
    ],
    [
      'a prompt that the answers repeat',
      {
        prompt: 'Sky?',
        chosen: [...pair.messages, ...pair.chosen],
        rejected: [...pair.messages, ...pair.rejected],
      },
    ],
    ['a ranking without ranks, best first', { prompt: 'Sky?', completions: ['Blue.', 'Green.'] }],
    ['a ranking by ranks', { prompt: 'Sky?', completions: ['Green.', 'Blue.'], ranks: [2, 1] }],
  ])('a pair from %s', (_, record) => {
    const [first, ...others] = pairsIn(read(record));
    expect(others).toEqual([]);
    expect(first).toMatchObject(pair);
  });

  test('an implicit prompt ends before the turn of the assistant in which the lists part', () => {
    const shared = [message('system', 'Be brief.'), user('1+1?'), assistant('2'), user('And 2+2?')];
    const found = read({ chosen: [...shared, assistant('4')], rejected: [...shared, assistant('5')] });
    expect(found).toMatchObject({ messages: shared, chosen: [assistant('4')], rejected: [assistant('5')] });
    // One list goes on where the other ends: the last shared turn of the assistant is part of both answers.
    const longer = read({
      chosen: [user('Hi'), assistant('Hello')],
      rejected: [user('Hi'), assistant('Hello'), user('?'), assistant('Bye')],
    });
    expect(longer).toMatchObject({
      messages: [user('Hi')],
      chosen: [assistant('Hello')],
      rejected: [assistant('Hello'), user('?'), assistant('Bye')],
    });
  });

  test('a labelled answer', () => {
    expect(read({ prompt: 'Sky?', completion: 'Blue.', label: true })).toEqual({
      kind: 'label',
      messages: [user('Sky?')],
      answer: [assistant('Blue.')],
      isGood: true,
    });
  });
});

test('tools and calls in the form of OpenAI are kept, in every form of record', () => {
  const call = { id: 'c1', type: 'function', function: { name: 'sum', arguments: '{"a":1,"b":2}' } };
  const calling = { role: 'assistant', content: null, tool_calls: [call] };
  const tools = [{ type: 'function', function: { name: 'sum' } }];
  const pair = pairsIn(read({ prompt: '1+2?', chosen: [calling], rejected: 'Four.', tools }))[0]!;
  expect(pair.tools).toEqual(tools);
  const toolCalls = [{ id: 'c1', name: 'sum', arguments: { a: 1, b: 2 } }];
  expect(pair.chosen).toEqual([{ role: 'assistant', content: '', toolCalls }]);
  for (const record of [
    { prompt: '1+2?', completions: [[calling], 'Four.'], tools },
    { prompt: '1+2?', completion: 'Three.', label: true, tools },
  ]) {
    const all = [...pairsIn(read(record)), ...labelsIn(read(record))];
    expect(all.map((one) => one.tools)).toEqual(all.map(() => tools));
  }
});

describe('conversions', () => {
  const texts = ([one]: readonly ChatMessage[]) => one!.content;

  test('a ranking gives every better answer against every worse one; ties give nothing', () => {
    const record = read({ prompt: 'x', completions: ['c', 'a', 'b', 'd'], ranks: [2, 1, 2, 3] });
    const pairs = pairsIn(record).map(({ chosen, rejected }) => texts(chosen) + texts(rejected));
    expect(pairs).toEqual(['ac', 'ab', 'ad', 'cd', 'bd']);
    // In the middle between best and worst, c and b are neither good nor bad.
    const labels = labelsIn(record).map(({ answer, isGood }) => [texts(answer), isGood]);
    expect(labels).toEqual([
      ['a', true],
      ['d', false],
    ]);
  });

  test('a pair gives a good and a bad answer; a labelled answer gives no pair', () => {
    const labels = labelsIn(read({ prompt: 'x', chosen: 'a', rejected: 'b' }));
    expect(labels.map(({ answer, isGood }) => [texts(answer), isGood])).toEqual([
      ['a', true],
      ['b', false],
    ]);
    const label = read({ prompt: 'x', completion: 'a', label: false });
    expect(pairsIn(label)).toEqual([]);
    expect(labelsIn(label)).toEqual([label]);
  });
});

describe('what is refused', () => {
  test.each<[string, Record<string, unknown>]>([
    ['none of "chosen" and "rejected", "completion" and "label", "completions"', { text: 'x' }],
    ['no "rejected"', { prompt: 'x', chosen: 'a' }],
    ['no "chosen"', { prompt: 'x', rejected: 'a' }],
    ['"chosen" and "rejected" are the same', { prompt: 'x', chosen: 'a', rejected: 'a' }],
    ['"prompt" is empty', { prompt: ' ', chosen: 'a', rejected: 'b' }],
    ['"prompt" is 3, expected text or messages', { prompt: 3, chosen: 'a', rejected: 'b' }],
    ['"prompt" is missing, expected text or messages', { completion: 'a', label: true }],
    ['without it, "chosen" and "rejected" must be lists', { chosen: 'a', rejected: 'b' }],
    ['"label" is 1, expected true or false', { prompt: 'x', completion: 'a', label: 1 }],
    ['"completions" is no list of two answers or more', { prompt: 'x', completions: ['a'] }],
    ['expected 2 numbers', { prompt: 'x', completions: ['a', 'b'], ranks: [1] }],
    ['all "ranks" are the same', { prompt: 'x', completions: ['a', 'b'], ranks: [1, 1] }],
    ['no prompt before the answers', { chosen: [assistant('a')], rejected: [assistant('b')] }],
    ["the prompt ends with the assistant's turn", { prompt: [assistant('a')], chosen: 'b', rejected: 'c' }],
    ['"chosen" ends with the role user', { prompt: 'x', chosen: [assistant('a'), user('b')], rejected: 'c' }],
    ['"rejected" is empty', { prompt: 'x', chosen: 'a', rejected: [] }],
    ['chosen[0].role is "robot"', { prompt: 'x', chosen: [{ role: 'robot', content: 'a' }], rejected: 'b' }],
    ['chosen[0].content is not text', { prompt: 'x', chosen: [{ role: 'assistant' }], rejected: 'b' }],
    ['prompt[0].role is missing', { prompt: [null], chosen: 'a', rejected: 'b' }],
    ['"tools" is not a list', { prompt: 'x', chosen: 'a', rejected: 'b', tools: 'sum' }],
  ])('%s', (reason, record) => {
    expect(preferenceOf(record)).toEqual(expect.stringContaining(reason));
  });
});

describe('files', () => {
  const folder = mkdtempSync(join(tmpdir(), 'plinth-preferences-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  test('wrong lines are skipped and counted with their places', async () => {
    const path = join(folder, 'mixed.jsonl');
    const lines = [
      '{"prompt":"x","chosen":"a","rejected":"b"}',
      'not json',
      '{"prompt":"x","chosen":"a"}',
      '',
      '{"prompt":"x","completion":"a","label":false}',
    ];
    writeFileSync(path, lines.join('\n'));
    const { records, reports } = await readPreferences([path]);
    expect(records.map(({ kind }) => kind)).toEqual(['pair', 'label']);
    expect(reports[0]).toMatchObject({ source: path, numRead: 2, numSkipped: 2 });
    expect(reports[0]!.skipped.map(({ position }) => position)).toEqual([
      'line 2 (byte 43)',
      'line 3 (byte 52)',
    ]);
    expect(reports[0]!.skipped[1]!.reason).toBe('no "rejected"');
  });

  test('files without any preference are an error that names the first fault', async () => {
    const path = join(folder, 'none.jsonl');
    writeFileSync(path, '{"text":"x"}\n');
    await expect(readPreferences([path])).rejects.toThrow(/No preference in .*line 1 .*: none of "chosen"/);
    await expect(readPreferences([join(folder, 'missing.jsonl')])).rejects.toThrow(/missing\.jsonl/);
  });
});
