import { describe, expect, test } from 'vitest';
import { ChatSession, type ChatSettings } from '../../src/cli/chat-session.ts';
import { LimitError, PlinthError } from '../../src/core/errors.ts';
import type { Completion, GenerateOptions, LanguageModel, Prompt } from '../../src/decode/language-model.ts';
import { type ChatMessage, chatMl } from '../../src/tokenizer/index.ts';

interface Call {
  messages: readonly ChatMessage[];
  options: GenerateOptions;
}

/** Answers with the number of messages; refuses more than `limit` of them. */
function counter(limit = Number.POSITIVE_INFINITY): { model: LanguageModel; calls: Call[] } {
  const calls: Call[] = [];
  const stream = (prompt: Prompt, options: GenerateOptions = {}) => {
    const { messages } = prompt as { messages: readonly ChatMessage[] };
    const text = `seen ${messages.length}`;
    const fits = messages.length <= limit;
    if (fits) calls.push({ messages, options });
    const completion: Completion = {
      text,
      tokens: [],
      finishReason: options.signal?.aborted ? 'cancelled' : 'stop',
      usage: { promptTokens: 0, completionTokens: 0 },
      seed: 0,
    };
    return {
      completion: fits ? Promise.resolve(completion) : new Promise<Completion>(() => {}),
      async *[Symbol.asyncIterator]() {
        if (!fits) throw new LimitError('The prompt does not fit.');
        for (const piece of text.split(' ')) yield { text: piece, tokens: [] };
      },
    };
  };
  return { model: { chatFormat: chatMl, stream } as unknown as LanguageModel, calls };
}

function session(settings: Partial<ChatSettings> = {}, limit?: number) {
  const { model, calls } = counter(limit);
  const chat = new ChatSession(model, { history: true, options: {}, ...settings });
  const pieces: string[] = [];
  const forgotten: number[] = [];
  const ask = (text: string, signal = new AbortController().signal) =>
    chat.answer(
      text,
      signal,
      (piece) => pieces.push(piece),
      (count) => forgotten.push(count),
    );
  return { chat, calls, pieces, forgotten, ask };
}

describe('a conversation', () => {
  test('shows the model all turns when history is on, the question alone when off', async () => {
    const on = session();
    await on.ask('a');
    await on.ask('b');
    expect(on.calls[1]?.messages.map(({ content }) => content)).toEqual(['a', 'seen 1', 'b']);
    const off = session({ history: false, system: 'Be brief.' });
    await off.ask('a');
    await off.ask('b');
    expect(off.calls[1]?.messages).toEqual([
      { role: 'system', content: 'Be brief.' },
      { role: 'user', content: 'b' },
    ]);
  });

  test('streams pieces and gives the whole text', async () => {
    const { ask, pieces } = session();
    expect(await ask('a')).toEqual({ stopped: false, text: 'seen 1' });
    expect(pieces).toEqual(['seen', '1']);
  });

  test('forgets the oldest turns, and says so, until it fits', async () => {
    const { ask, calls, forgotten } = session({}, 3);
    for (const text of ['a', 'b', 'c', 'd']) await ask(text);
    expect(calls.map(({ messages }) => messages.length)).toEqual([1, 3, 3, 3]);
    expect(calls[3]?.messages.map(({ content }) => content)).toEqual(['c', 'seen 3', 'd']);
    expect(forgotten).toEqual([2, 2]);
  });

  test('a message that does not fit alone is refused and the conversation stays as it was', async () => {
    const { ask, chat } = session({}, 0);
    await expect(ask('a')).rejects.toBeInstanceOf(LimitError);
    expect(chat.numTurns).toBe(0);
  });

  test('says when it was stopped', async () => {
    const controller = new AbortController();
    controller.abort();
    expect((await session().ask('a', controller.signal)).stopped).toBe(true);
  });

  test('a model without a chat format is refused', () => {
    const model = { chatFormat: undefined } as unknown as LanguageModel;
    expect(() => new ChatSession(model, { history: true, options: {} })).toThrow(PlinthError);
  });
});

describe('commands', () => {
  test('/reset forgets, /quit leaves, /help lists', async () => {
    const { chat, ask, calls } = session();
    await ask('a');
    chat.command('/reset');
    await ask('b');
    expect(calls[1]?.messages).toHaveLength(1);
    expect(chat.command('/quit')).toBe('quit');
    expect(chat.command('/help')).toMatchObject({ text: expect.stringContaining('/settings') });
    expect(chat.command('/rest')).toMatchObject({ text: expect.stringContaining('Did you mean /reset?') });
  });

  test('/settings changes what the next answer is generated with', async () => {
    const { chat, ask, calls } = session();
    chat.command('/settings temperature=0.7');
    chat.command('/settings topK 5');
    chat.command('/settings history=off');
    await ask('a');
    await ask('b');
    expect(calls[1]?.options).toMatchObject({ temperature: 0.7, topK: 5 });
    expect(calls[1]?.messages).toHaveLength(1);
    expect(chat.command('/settings')).toMatchObject({ text: expect.stringMatching(/temperature +0\.7/) });
    chat.command('/settings temperature=');
    await ask('c');
    expect(calls[2]?.options.temperature).toBeUndefined();
  });

  test.each([
    '/settings temperature=hot',
    '/settings temprature=1',
    '/settings history=maybe',
    '/settings topP=-1',
  ])('%s changes nothing and says why', (line) => {
    const { chat } = session();
    const before = chat.command('/settings');
    const { text } = chat.command(line) as { text: string };
    expect(text.length).toBeGreaterThan(5);
    expect(chat.command('/settings')).toEqual(before);
  });
});
