/** Conversations over a model that answers with what it was shown: what it sees, and what happens when that is too much. */
import { describe, expect, test } from 'vitest';
import { type Answer, ChatSession, type LeftOut } from '../../src/cli/chat-session.ts';
import type { ChatSettings } from '../../src/cli/chat-settings.ts';
import { LimitError, PlinthError } from '../../src/core/errors.ts';
import type { Completion, GenerateOptions, LanguageModel, Prompt } from '../../src/decode/language-model.ts';
import { type ChatMessage, chatMl, encodeChat, trainBpe } from '../../src/tokenizer/index.ts';

/** One token a byte. */
const bytes = trainBpe([], { vocabSize: 259 });

interface Call {
  messages: readonly ChatMessage[];
  ids: readonly number[] | undefined;
  options: GenerateOptions;
}

interface Fake {
  contextLength?: number;
  hasTokenizer?: boolean;
  /** Refuses more messages than this, as a model behind an endpoint does. */
  mostMessages?: number;
  finishReason?: Completion['finishReason'];
}

/** Answers with the number of messages it was shown; to token ids with "more". */
function fake(
  calls: Call[],
  { contextLength = 1000, hasTokenizer = true, mostMessages = 1e9, finishReason = 'stop' }: Fake,
) {
  const stream = (prompt: Prompt, options: GenerateOptions = {}) => {
    const ids = Array.isArray(prompt) ? (prompt as number[]) : undefined;
    const messages = ids ? [] : (prompt as { messages: readonly ChatMessage[] }).messages;
    const text = ids ? ' more' : `seen ${messages.length}`;
    const fits = messages.length <= mostMessages;
    if (fits) calls.push({ messages, ids, options });
    const promptTokens =
      ids?.length ?? encodeChat(bytes, chatMl, messages, { addGenerationPrompt: true }).ids.length;
    const completion: Completion = {
      text,
      tokens: bytes.encode(text),
      finishReason: options.signal?.aborted ? 'cancelled' : finishReason,
      usage: { promptTokens, completionTokens: text.length },
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
  const capabilities = { chat: true, tokens: hasTokenizer, sampling: new Set(['minTokens']) };
  const tokenizer = hasTokenizer ? bytes : undefined;
  return { chatFormat: chatMl, tokenizer, contextLength, capabilities, stream } as unknown as LanguageModel;
}

function session(settings: Partial<ChatSettings> = {}, model: Fake = {}) {
  const calls: Call[] = [];
  const chat = new ChatSession(fake(calls, model), settings);
  const pieces: string[] = [];
  const left: LeftOut[] = [];
  const listener = (signal = new AbortController().signal) => ({
    signal,
    onText: (text: string) => pieces.push(text),
    onLeftOut: (one: LeftOut) => left.push(one),
  });
  const ask = (text: string, signal?: AbortSignal): Promise<Answer> => chat.ask(text, listener(signal));
  const said = () => chat.messages.map(({ content }) => content);
  const seen = (call = -1) => calls.at(call)?.messages.map(({ content }) => content);
  return { chat, calls, pieces, left, listener, ask, said, seen };
}

describe('a conversation', () => {
  test('shows the model all turns when history is on, the question alone when off', async () => {
    const on = session();
    await on.ask('a');
    await on.ask('b');
    expect(on.seen()).toEqual(['a', 'seen 1', 'b']);
    const off = session({ history: false, system: 'Be brief.' });
    await off.ask('a');
    await off.ask('b');
    expect(off.calls[1]?.messages).toEqual([
      { role: 'system', content: 'Be brief.' },
      { role: 'user', content: 'b' },
    ]);
    expect(off.said()).toEqual(['a', 'seen 2', 'b', 'seen 2']);
  });

  test('streams pieces and gives the whole text', async () => {
    const { ask, pieces } = session();
    expect((await ask('a')).completion.text).toBe('seen 1');
    expect(pieces).toEqual(['seen', '1']);
  });

  test('says when it was stopped, and keeps what was said', async () => {
    const controller = new AbortController();
    controller.abort();
    const { ask, said } = session();
    expect((await ask('a', controller.signal)).completion.finishReason).toBe('cancelled');
    expect(said()).toEqual(['a', 'seen 1']);
  });

  test('a model without a chat format is refused', () => {
    const model = { capabilities: { chat: false } } as unknown as LanguageModel;
    expect(() => new ChatSession(model)).toThrow(PlinthError);
  });

  test('generates with the settings of the moment', async () => {
    const { chat, ask, calls } = session({
      flags: { temperature: 0.7, dialect: 'llamacpp', dry: 0.8, dryBase: 2 },
    });
    await ask('a');
    chat.settings = { ...chat.settings, flags: { topK: 5 }, probabilities: true };
    await ask('b');
    expect(calls[0]?.options).toMatchObject({ temperature: 0.7, dry: { multiplier: 0.8, base: 2 } });
    expect(calls[0]?.options.logprobs).toBeUndefined();
    expect(calls[1]?.options).toMatchObject({ topK: 5, logprobs: 4 });
    expect(calls[1]?.options.temperature).toBeUndefined();
  });
});

describe('a conversation longer than the context', () => {
  // A turn of ChatML costs 2 control tokens, its role, two line breaks and the content, a token a byte.
  const cost = (...messages: [ChatMessage['role'], string][]) =>
    messages.reduce((sum, [role, content]) => sum + 2 + role.length + 2 + content.length, 0);
  const header = 1 + 'assistant\n'.length;

  test('leaves the oldest turns out until question and answer fit, and says so once', async () => {
    const three = cost(['user', 'a'], ['assistant', 'seen 1'], ['user', 'b']) + header;
    const { ask, seen, left, said, chat } = session(
      { flags: { maxTokens: 10 } },
      { contextLength: three + 10 },
    );
    for (const text of ['a', 'b', 'c', 'd']) await ask(text);
    expect(seen(1)).toEqual(['a', 'seen 1', 'b']);
    expect(seen(2)).toEqual(['b', 'seen 3', 'c']);
    expect(seen(3)).toEqual(['c', 'seen 3', 'd']);
    expect(left.map(({ numMessages }) => numMessages)).toEqual([2, 4]);
    expect(left[0]).toEqual({
      numMessages: 2,
      numTokens: three + cost(['assistant', 'seen 3'], ['user', 'c']),
      reserve: 10,
    });
    expect(chat.numLeftOut).toBe(4);
    expect(said()).toHaveLength(8);
  });

  test('is refused with both numbers and the ways out when it may not be cut', async () => {
    const { ask, said } = session({ trim: 'error' }, { contextLength: 40 });
    await ask('a');
    await expect(ask('b')).rejects.toThrow(/has \d+ tokens; .* context is 40.*trim oldest.*undo/);
    expect(said()).toEqual(['a', 'seen 1']);
  });

  test('a message too long by itself is refused and changes nothing', async () => {
    const { ask, said, calls } = session({}, { contextLength: 30 });
    await expect(ask('a question of many words')).rejects.toBeInstanceOf(LimitError);
    expect(said()).toEqual([]);
    expect(calls).toEqual([]);
  });

  test('is cut by trial where tokens cannot be counted', async () => {
    const { ask, left, seen } = session({}, { hasTokenizer: false, mostMessages: 3 });
    for (const text of ['a', 'b', 'c']) await ask(text);
    expect(seen()).toEqual(['b', 'seen 3', 'c']);
    expect(left).toEqual([{ numMessages: 2, numTokens: undefined, reserve: 250 }]);
    const strict = session({ trim: 'error' }, { hasTokenizer: false, mostMessages: 1 });
    await strict.ask('a');
    await expect(strict.ask('b')).rejects.toThrow('does not fit');
  });
});

describe('answers again', () => {
  test('retry replaces the last answer; a fixed seed gives another choice each time', async () => {
    const { ask, chat, listener, calls, said } = session({ flags: { seed: 3, temperature: 1 } });
    await ask('a');
    await chat.retry(listener());
    await chat.retry(listener());
    expect(calls.map(({ options }) => [options.seed, options.choice])).toEqual([
      [3, undefined],
      [3, 1],
      [3, 2],
    ]);
    expect(said()).toEqual(['a', 'seen 1']);
  });

  test('retry says why nothing changed when nothing is drawn', async () => {
    const { ask, chat, listener } = session();
    await expect(chat.retry(listener())).rejects.toThrow('no question yet');
    await ask('a');
    expect((await chat.retry(listener())).note).toContain('temperature');
    chat.settings = { ...chat.settings, flags: { temperature: 1 } };
    expect((await chat.retry(listener())).note).toBeUndefined();
  });

  test('edit of a question forgets what followed and answers; of an answer it waits', async () => {
    const { ask, chat, listener, said } = session();
    await ask('a');
    await ask('b');
    expect((await chat.edit(1, 'A', listener()))?.completion.text).toBe('seen 1');
    expect(said()).toEqual(['A', 'seen 1']);
    expect(await chat.edit(2, 'my own words', listener())).toBeUndefined();
    await ask('c');
    expect(said()).toEqual(['A', 'my own words', 'c', 'seen 3']);
    await expect(chat.edit(9, 'x', listener())).rejects.toThrow('1 to 4');
  });

  test('undo takes back a question with its answer', async () => {
    const { ask, chat, said } = session();
    await ask('a');
    await ask('b');
    expect(chat.undo()).toBe(true);
    expect(said()).toEqual(['a', 'seen 1']);
    expect([chat.undo(), chat.undo()]).toEqual([true, false]);
  });

  test('continue goes on from the tokens of the answer and joins the texts', async () => {
    const { ask, chat, listener, calls, said } = session();
    await expect(chat.continue(listener())).rejects.toThrow('no answer yet');
    await ask('a');
    const begun = encodeChat(bytes, chatMl, [{ role: 'user', content: 'a' }], {
      addGenerationPrompt: true,
    }).ids;
    await chat.continue(listener());
    expect(calls[1]?.ids).toEqual([...begun, ...bytes.encode('seen 1')]);
    expect(calls[1]?.options.minTokens).toBe(1);
    await chat.continue(listener());
    expect(calls[2]?.ids).toEqual([...begun, ...bytes.encode('seen 1 more')]);
    expect(said()).toEqual(['a', 'seen 1 more more']);
  });

  test('an answer cut by its length may stop anywhere when continued', async () => {
    const { ask, chat, listener, calls } = session({}, { finishReason: 'length' });
    expect((await ask('a')).note).toContain('/continue');
    await chat.continue(listener());
    expect(calls[1]?.options.minTokens).toBeUndefined();
  });

  test('a model that takes whole messages only cannot continue', async () => {
    const { ask, chat, listener } = session({}, { hasTokenizer: false });
    await ask('a');
    await expect(chat.continue(listener())).rejects.toThrow('whole messages');
  });
});
