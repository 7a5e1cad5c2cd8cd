/** Chats with tools as prompts of `plinth generate`, and as saved talks. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { loadChat, saveChat } from '../../src/cli/chat-file.ts';
import { DEFAULT_CHAT_SETTINGS } from '../../src/cli/chat-settings.ts';
import { readPrompts } from '../../src/cli/generate/prompt-source.ts';
import { completionRequest } from '../../src/decode/openai/completion-request.ts';
import type { ChatMessage } from '../../src/tokenizer/index.ts';

const folder = mkdtempSync(join(tmpdir(), 'plinth-prompts-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const write = (name: string, value: unknown) => {
  const path = join(folder, name);
  writeFileSync(path, typeof value === 'string' ? value : JSON.stringify(value));
  return path;
};

const FILE = {
  messages: [
    { role: 'user', content: 'Time?' },
    { role: 'assistant', tool_calls: [{ function: { name: 'clock', arguments: '{"zone":"UTC"}' } }] },
    { role: 'tool', content: '9' },
  ],
  tools: [{ type: 'function', function: { name: 'clock' } }],
};
const MESSAGES: ChatMessage[] = [
  { role: 'user', content: 'Time?' },
  { role: 'assistant', content: '', toolCalls: [{ name: 'clock', arguments: { zone: 'UTC' } }] },
  { role: 'tool', content: '9' },
];

describe('prompts with tools', () => {
  it('come from --messages and from lines of --prompts', async () => {
    const prompt = { messages: MESSAGES, tools: FILE.tools };
    expect(await readPrompts(undefined, { messages: write('one.json', FILE) })).toEqual({
      kind: 'one',
      prompt,
    });
    const many = await readPrompts(undefined, { prompts: write('many.jsonl', JSON.stringify(FILE)) });
    expect(many).toMatchObject({ prompts: [{ id: 1, prompt }], notes: [] });
  });

  it('are refused with the place of the fault', async () => {
    const bad = write('bad.json', { ...FILE, tools: [{ type: 'function', function: {} }] });
    await expect(readPrompts(undefined, { messages: bad })).rejects.toThrow(/bad\.json: tools\[0\]/);
    const text = write('text.jsonl', JSON.stringify({ prompt: 'x', tools: FILE.tools }));
    await expect(readPrompts(undefined, { prompts: text })).rejects.toThrow('"tools" belong to a chat');
    const call = write('call.json', [
      { role: 'assistant', tool_calls: [{ function: { name: 'f', arguments: '[' } }] },
    ]);
    await expect(readPrompts(undefined, { messages: call })).rejects.toThrow('message 1.tool_calls[0]');
  });

  it('go to endpoints in the form of the API, each call with an id', () => {
    const facts = {
      model: 'm',
      dialect: 'openai',
      contextLength: 100,
      tokenIds: false,
      maxTokensField: 'max_tokens',
    };
    const { body } = completionRequest(
      { messages: MESSAGES, tools: [{ type: 'function', function: { name: 'clock' } }] },
      {},
      { ...facts, dialect: 'openai', tokenizer: undefined },
      1,
    );
    expect(body.tools).toEqual(FILE.tools);
    expect(body.messages).toEqual([
      { role: 'user', content: 'Time?' },
      {
        role: 'assistant',
        content: '',
        tool_calls: [
          { id: 'call_0', type: 'function', function: { name: 'clock', arguments: '{"zone": "UTC"}' } },
        ],
      },
      { role: 'tool', content: '9', tool_call_id: 'call_0' },
    ]);
  });
});

describe('saved talks', () => {
  it('keep calls and results', async () => {
    const path = join(folder, 'talk.json');
    await saveChat(path, { messages: MESSAGES, settings: DEFAULT_CHAT_SETTINGS });
    expect((await loadChat(path, DEFAULT_CHAT_SETTINGS)).messages).toEqual(MESSAGES);
  });
});
