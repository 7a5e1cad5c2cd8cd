/** Finetuning data: records in the forms of OpenAI and TRL, the roles of stored tokens, and a look at the whole. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FormatError } from '../../src/core/errors.ts';
import { ChatInspector } from '../../src/data/chats/chat-inspector.ts';
import { type ChatRecord, chatRecordOf } from '../../src/data/chats/chat-record.ts';
import { quantilesOf } from '../../src/data/chats/chat-report.ts';
import { refusalKind } from '../../src/data/chats/refusal-phrases.ts';
import {
  type LanguageIdentifier,
  loadLanguageIdentifier,
  openTokenShards,
  readTokenSetEntries,
  writeTokenShards,
} from '../../src/data/index.node.ts';
import { CHAT_ROLES, chatMl, encodeChat, trainBpe } from '../../src/tokenizer/index.ts';
import { trainingTexts } from '../fixtures/tokenizer/fuzz-texts.ts';

const user = { role: 'user', content: 'Hi' };
const assistant = { role: 'assistant', content: 'Hello' };
const call = (args: unknown, more: object = {}) => ({
  role: 'assistant',
  tool_calls: [{ id: 'c1', type: 'function', function: { name: 'f', arguments: args } }],
  ...more,
});

describe('records of other programs', () => {
  it("reads OpenAI's: calls with arguments as text, parts, weights, tools", () => {
    const record = {
      messages: [
        {
          role: 'developer',
          content: [
            { type: 'text', text: 'Be ' },
            { type: 'text', text: 'brief.' },
          ],
        },
        user,
        call('{"x": [1]}', { weight: 0 }),
        { role: 'tool', tool_call_id: 'c1', content: '3' },
        { ...assistant, weight: 1 },
      ],
      tools: [{ type: 'function', function: { name: 'f', parameters: { type: 'object' } } }],
      parallel_tool_calls: false,
    };
    expect(chatRecordOf(record)).toEqual({
      messages: [
        { role: 'system', content: 'Be brief.' },
        user,
        {
          role: 'assistant',
          content: '',
          toolCalls: [{ id: 'c1', name: 'f', arguments: { x: [1] } }],
          weight: 0,
        },
        { role: 'tool', content: '3', toolCallId: 'c1' },
        { ...assistant, weight: 1 },
      ],
      tools: record.tools,
    });
  });

  it("reads OpenAI's older form", () => {
    const record = {
      messages: [
        user,
        { role: 'assistant', content: null, function_call: { name: 'f', arguments: '' } },
        { role: 'function', name: 'f', content: '3' },
        assistant,
      ],
      functions: [{ name: 'f' }],
    };
    expect(chatRecordOf(record)).toEqual({
      messages: [
        user,
        { role: 'assistant', content: '', toolCalls: [{ name: 'f', arguments: {} }] },
        { role: 'tool', content: '3', name: 'f' },
        assistant,
      ],
      tools: [{ type: 'function', function: { name: 'f' } }],
    });
  });

  it("reads TRL's prompts with completions; what a prompt's assistant said is given", () => {
    expect(chatRecordOf({ prompt: 'Hi', completion: 'Hello' })).toEqual({ messages: [user, assistant] });
    const record = { prompt: [user, assistant, user], completion: [assistant] };
    expect(chatRecordOf(record)).toEqual({ messages: [user, { ...assistant, weight: 0 }, user, assistant] });
  });

  it.each<[object, string]>([
    [{}, 'no list "messages"'],
    [{ prompt: 'Hi' }, 'no "prompt" with a "completion"'],
    [{ prompt: 'Hi', completion: [assistant] }, 'not of one form'],
    [{ messages: [user] }, 'no message of the assistant to learn from'],
    [{ messages: [user, { ...assistant, content: '  ' }] }, 'no message of the assistant to learn from'],
    [{ messages: [user, { ...assistant, weight: 0 }] }, 'no message of the assistant to learn from'],
    [{ messages: [user, { ...assistant, weight: 0.5 }] }, 'messages[1].weight is 0.5'],
    [{ messages: [{ ...user, weight: 1 }, assistant] }, 'messages[0].weight is 1'],
    [{ messages: [{ role: 'bot', content: 'x' }] }, 'messages[0].role is "bot"'],
    [{ messages: [null] }, 'messages[0].role is missing'],
    [{ messages: [{ role: 'user', content: null }, assistant] }, 'messages[0].content is not text'],
    [{ messages: [user, { role: 'assistant' }] }, 'messages[1].content is not text'],
    [
      { messages: [{ role: 'user', content: [{ type: 'image_url' }] }, assistant] },
      'a part of type "image_url"',
    ],
    [{ messages: [user, call('{"x"')] }, 'the arguments are "{\\"x\\"", expected a JSON object'],
    [{ messages: [user, call([1])] }, 'expected a JSON object'],
    [{ messages: [user, { role: 'assistant', tool_calls: [{ function: {} }] }] }, 'the name is missing'],
    [{ messages: [user, { ...call({}), role: 'user' }] }, 'only the assistant calls tools'],
    [{ messages: [user, assistant], tools: {} }, '"tools" is not a list'],
    [{ messages: [user, assistant], tools: [{ type: 'retrieval', function: {} }] }, 'of type "retrieval"'],
    [{ messages: [user, assistant], tools: [{ type: 'function', function: {} }] }, 'tools[0]: the name'],
    [
      {
        messages: [user, { role: 'assistant', tool_calls: [{ name: 'f' }, { name: 'g' }] }],
        parallel_tool_calls: false,
      },
      'several calls',
    ],
  ])('refuses %j', (record, reason) => {
    expect(chatRecordOf(record as Record<string, unknown>)).toContain(reason);
  });
});

const tokenizer = trainBpe(trainingTexts(), {
  vocabSize: 700,
  specialTokens: ['<|endoftext|>', '<|im_start|>', '<|im_end|>'],
});

describe('roles on disk', () => {
  const folder = mkdtempSync(join(tmpdir(), 'plinth-roles-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  const chats = ['one', 'two three'].map((content) =>
    encodeChat(tokenizer, chatMl, [
      { role: 'system', content: 'x' },
      { role: 'user', content },
      { role: 'assistant', content: `${content}!` },
    ]),
  );
  const documents = chats.map(({ ids, lossMask, roles }) => ({ tokens: ids, lossMask, roles }));

  it('come back token by token, across shards, and are counted', async () => {
    await writeTokenShards(folder, 'sft', documents, { vocabSize: tokenizer.vocabSize, tokensPerShard: 7 });
    const dataset = await openTokenShards(folder, 'sft');
    const expected = chats.flatMap(({ roles }) => [...roles]);
    expect([...dataset.readRoles(0, dataset.numTokens)!]).toEqual(expected);
    expect([...dataset.readRoles(5, 9)!]).toEqual(expected.slice(5, 14));
    dataset.close();
    const { roleTokens } = (await readTokenSetEntries(folder)).sft!;
    const count = (role: string) => expected.filter((one) => CHAT_ROLES[one] === role).length;
    expect(roleTokens).toEqual({
      system: count('system'),
      user: count('user'),
      assistant: count('assistant'),
    });
  });

  it('are absent where they were not given, and must be given for all', async () => {
    const [first, second] = documents;
    const { roles: _, ...bare } = second!;
    const options = { vocabSize: tokenizer.vocabSize };
    await writeTokenShards(folder, 'bare', [bare], options);
    expect((await openTokenShards(folder, 'bare')).readRoles(0, 2)).toBeUndefined();
    await expect(writeTokenShards(folder, 'mixed', [first!, bare], options)).rejects.toThrow('no roles');
    const wrong = { ...first!, roles: first!.roles.map(() => 9) };
    await expect(writeTokenShards(folder, 'wrong', [wrong], options)).rejects.toThrow(
      'list of roles entry 0',
    );
  });

  it('are checked when they are read', async () => {
    await writeTokenShards(folder, 'hurt', documents, { vocabSize: tokenizer.vocabSize });
    const path = join(folder, 'hurt-00000.roles');
    writeFileSync(path, readFileSync(path).fill(7, 2, 3));
    const dataset = await openTokenShards(folder, 'hurt');
    expect(() => dataset.readRoles(0, 4)).toThrow(FormatError);
  });
});

describe('a look at finetuning data', () => {
  let identifier: LanguageIdentifier;
  beforeAll(async () => {
    identifier = await loadLanguageIdentifier();
  });
  const chat = (question: string, answer: string): ChatRecord => ({
    messages: [
      { role: 'user', content: question },
      { role: 'assistant', content: answer },
    ],
  });
  const inspect = (records: readonly ChatRecord[], cutAt = 200) => {
    const inspector = new ChatInspector(cutAt, identifier);
    for (const record of records) {
      inspector.add(record, encodeChat(tokenizer, chatMl, record.messages, { tools: record.tools }));
    }
    return inspector.report([]);
  };
  const long = 'the river runs through the old town and under three bridges before it meets the sea';

  it('counts turns, roles, targets and what lies behind the cut', () => {
    const record: ChatRecord = {
      messages: [{ role: 'system', content: 'Be brief.' }, ...chat('Where?', long).messages],
    };
    const { ids, lossMask, roles } = encodeChat(tokenizer, chatMl, record.messages);
    const cutAt = ids.length - 5;
    const report = inspect([record, chat('Hi?', 'Yes.')], cutAt);
    expect(report.chats).toBe(2);
    expect(report.turns).toMatchObject({ min: 2, max: 3 });
    expect(report.roles.system).toMatchObject({ messages: 1, tokens: roles.filter((r) => r === 0).length });
    expect(report.tokens).toMatchObject({ cutAt, chatsCut: 1 });
    const lost = lossMask.slice(cutAt + 1).reduce((a, b) => a + b, 0);
    expect(lost).toBeGreaterThan(0);
    expect(report.tokens.targetsLostShare).toBeCloseTo(lost / report.tokens.targets, 12);
    expect(report.warnings.join()).toContain('behind the cut');
  });

  it('finds copies, near copies, and questions with different answers, whatever the system prompt', () => {
    const near = chat(`Say: ${long} and ${long}`, `${long}. ${long}.`);
    const nearly = chat(`Say: ${long} and ${long}`, `${long}. ${long}!!`);
    const withSystem: ChatRecord = {
      messages: [{ role: 'system', content: 'x' }, ...chat('Capital?', 'Rome').messages],
    };
    const report = inspect([
      chat('Capital?', 'Rome'),
      chat('capital?', ' Oslo '),
      withSystem,
      near,
      nearly,
      chat('Fine?', 'Yes'),
    ]);
    expect(report.duplicates).toEqual({ exact: 1, near: 2 });
    expect(report.conflicts).toMatchObject({ questions: 2, answers: 4 });
    expect(report.conflicts.examples[0]).toEqual({ question: 'Capital?', answers: ['rome', 'oslo'] });
  });

  it('counts calls, functions that were not listed, and turns that no result follows', () => {
    const tools = [{ type: 'function' as const, function: { name: 'f' } }];
    const calls = (name: string): ChatRecord['messages'][number] => ({
      role: 'assistant',
      content: '',
      toolCalls: [{ name, arguments: {} }],
    });
    const report = inspect([
      {
        messages: [{ role: 'user', content: 'x' }, calls('f'), { role: 'tool', content: '1' }, calls('g')],
        tools,
      },
      { messages: [{ role: 'user', content: 'x' }, calls('f'), { role: 'user', content: 'and?' }] },
    ]);
    expect(report.tools).toEqual({
      chats: 1,
      calls: 3,
      callsByName: { f: 2, g: 1 },
      unlistedCalls: 2,
      unansweredTurns: 1,
    });
    expect(report.answers.empty).toBe(0);
    expect(report.warnings.join()).toContain('2 of 3 calls are of functions that their chat does not list');
  });

  it('tells languages, refusals and empty answers', () => {
    const german = chat(
      'Wie komme ich von hier aus am schnellsten zum Bahnhof?',
      'Gehen Sie geradeaus und dann links, es ist nicht weit von hier.',
    );
    const english = chat('How do I get to the station from here?', "I'm sorry, but I can’t help with that.");
    const unknown = chat('Who lives on the third floor of this house?', "I don't know.");
    const empty: ChatRecord = {
      messages: [...english.messages, { role: 'user', content: 'Hm?' }, { role: 'assistant', content: ' ' }],
    };
    const report = inspect([german, english, unknown, empty]);
    expect(report.languages).toEqual({ en: 3, de: 1 });
    expect(report.answers).toEqual({ total: 5, empty: 1, refusals: 2, unknown: 1 });
    expect(report.warnings.join()).toMatch(
      /60 % of the answers refuse.*1 answers of the assistant are empty/,
    );
  });

  it.each([
    ['Unfortunately, I cannot help with this.', 'refusal'],
    ['I don’t know who that is.', 'unknown'],
    ['They say "I cannot help" in the play.', 'refusal'],
    ['Paris. He said in an interview, and it was quoted often, I cannot help it.', undefined],
    ['Certainly!', undefined],
  ])('%s', (answer, kind) => {
    expect(refusalKind(answer)).toBe(kind);
  });

  it('quantiles are values at ranks', () => {
    const values = Array.from({ length: 100 }, (_, i) => 100 - i);
    expect(quantilesOf(values)).toEqual({ min: 1, p10: 10, p50: 50, p90: 90, p99: 99, max: 100 });
    expect(quantilesOf([])).toMatchObject({ min: 0, max: 0 });
  });
});
