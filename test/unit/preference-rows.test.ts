/** Answers as rows: what is given, what is an action, and what does not fit. */
import { describe, expect, test } from 'vitest';
import { type AnswerEncoding, answerRow, pairRows } from '../../src/align/preference/preference-rows.ts';
import { numActions } from '../../src/align/sequence-row.ts';
import { type ChatMessage, chatMl, encodeChat, trainBpe } from '../../src/tokenizer/index.ts';

const tokenizer = trainBpe(['the sky is blue and the grass is green'], { vocabSize: 300 });
const encoding: AnswerEncoding = { tokenizer, chatFormat: chatMl, length: 100 };
const user = (content: string): ChatMessage => ({ role: 'user', content });
const assistant = (content: string): ChatMessage => ({ role: 'assistant', content });
const text = (ids: ArrayLike<number>) => tokenizer.decode(Array.from(ids), { special: 'keep' });

describe('rows', () => {
  test('both answers follow the same prompt; all of an answer is an action, with the end of its turn', () => {
    const messages = [user('sky?'), assistant('yes'), user('colour?')];
    const rows = pairRows(
      { messages, chosen: [assistant('blue')], rejected: [assistant('is green')] },
      encoding,
    );
    if (typeof rows === 'string') throw new Error(rows);
    const prompt = encodeChat(tokenizer, chatMl, messages, { addGenerationPrompt: true }).ids;
    for (const [row, answer] of [
      [rows.chosen, 'blue'],
      [rows.rejected, 'is green'],
    ] as const) {
      const tokens = Array.from(row.tokens);
      expect(tokens.slice(0, prompt.length)).toEqual(prompt);
      expect(text(tokens.slice(prompt.length))).toBe(`${answer}<|im_end|>`);
      expect(Array.from(row.actions)).toEqual(tokens.map((_, t) => (t < prompt.length ? 0 : 1)));
    }
  });

  test("of an answer of several messages only the assistant's are actions", () => {
    const answer = [assistant('blue'), user('the sky'), assistant('green')];
    const row = answerRow([user('sky?')], answer, encoding);
    if (typeof row === 'string') throw new Error(row);
    const actions = Array.from(row.tokens).filter((_, t) => row.actions[t] === 1);
    expect(text(actions)).toBe('blue<|im_end|>green<|im_end|>');
  });

  test('tools are part of the prompt, calls of the answer', () => {
    const tools = [{ type: 'function' as const, function: { name: 'sum' } }];
    const call: ChatMessage = {
      role: 'assistant',
      content: '',
      toolCalls: [{ name: 'sum', arguments: { a: 1 } }],
    };
    const wide = { ...encoding, length: 1000 };
    const pair = { messages: [user('1+2?')], tools, chosen: [call], rejected: [assistant('4')] };
    const rows = pairRows(pair, wide);
    if (typeof rows === 'string') throw new Error(rows);
    for (const { tokens, actions } of [rows.chosen, rows.rejected]) {
      const isPrompt = (t: number) => actions[t] === 0;
      expect(text(Array.from(tokens).filter((_, t) => isPrompt(t)))).toContain('"name": "sum"');
    }
    const chosen = Array.from(rows.chosen.tokens).filter((_, t) => rows.chosen.actions[t] === 1);
    expect(text(chosen)).toMatch(/^<tool_call>\n\{"name": "sum".*<\|im_end\|>$/s);
  });

  test('an empty answer is the end of the turn alone', () => {
    const row = answerRow([user('sky?')], [assistant('')], encoding);
    if (typeof row === 'string') throw new Error(row);
    expect(numActions(row)).toBe(1);
    expect(row.tokens[row.tokens.length - 1]).toBe(tokenizer.specialTokens.get('<|im_end|>'));
  });
});

describe('what does not become a row', () => {
  test('a row holds one token more than its inputs, and not two', () => {
    const row = answerRow([user('sky?')], [assistant('blue')], encoding);
    if (typeof row === 'string') throw new Error(row);
    const numTokens = row.tokens.length;
    const at = (length: number) => answerRow([user('sky?')], [assistant('blue')], { ...encoding, length });
    expect(at(numTokens - 1)).toEqual(row);
    expect(at(numTokens - 2)).toBe(`${numTokens} tokens, more than the ${numTokens - 1} of a row`);
  });

  test('a format that refuses a chat says why', () => {
    const strict = {
      ...chatMl,
      segments: () => {
        throw new Error('roles must alternate');
      },
    };
    expect(answerRow([user('a')], [assistant('b')], { ...encoding, chatFormat: strict })).toBe(
      'roles must alternate',
    );
  });

  test('a format whose chats do not begin with the prompt is refused', () => {
    // Such as one that drops what an earlier turn thought.
    const moody: typeof chatMl = {
      ...chatMl,
      segments: (messages, options) =>
        chatMl.segments(options?.addGenerationPrompt ? [user('other'), ...messages] : messages, options),
    };
    const row = answerRow([user('a')], [assistant('b')], { ...encoding, chatFormat: moody });
    expect(row).toMatch(/does not begin the chat with the prompt/);
  });
});
