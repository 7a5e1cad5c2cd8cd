/** The chat template that is written to tokenizer_config.json in transformers.js: the same text and tokens, with tools. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AutoTokenizer, env } from '@huggingface/transformers';
import { afterAll, describe, expect, it } from 'vitest';
import { wireMessage } from '../../src/tokenizer/chat-wire.ts';
import { saveTokenizer } from '../../src/tokenizer/index.node.ts';
import {
  type ChatMessage,
  chatMl,
  DEFAULT_TOKENIZER_CONFIG,
  encodeChat,
  renderChat,
} from '../../src/tokenizer/index.ts';
import { exportTokenizer } from '../fixtures/models/export-model.ts';

const root = mkdtempSync(join(tmpdir(), 'plinth-chat-template-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));

const TOOLS = [
  {
    type: 'function' as const,
    function: {
      name: 'weather',
      description: 'Weather of a "day"',
      parameters: {
        type: 'object',
        properties: { city: { type: 'string', enum: ['Łódź', 'Oslo'] } },
        required: [],
      },
    },
  },
  { type: 'function' as const, function: { name: 'time' } },
];
const CHAT: ChatMessage[] = [
  { role: 'system', content: 'Be brief.' },
  { role: 'user', content: 'Weather?' },
  {
    role: 'assistant',
    content: 'Looking.',
    toolCalls: [
      { name: 'weather', arguments: { city: 'Łódź', days: [1, 2.5, null, true] } },
      { name: 'time', arguments: {} },
    ],
  },
  { role: 'tool', content: '{"sky": "blue"}' },
  { role: 'tool', content: '12:05' },
  { role: 'assistant', content: 'Blue.' },
  { role: 'user', content: 'And now?' },
];

describe('transformers.js', () => {
  it.each([
    ['tools', CHAT, TOOLS],
    ['tools without a system prompt', CHAT.slice(1), TOOLS],
    ['calls without a list of tools', CHAT, undefined],
    ['no tools', CHAT.filter(({ role, toolCalls }) => role !== 'tool' && !toolCalls), undefined],
  ])('writes and encodes a chat as we do: %s', async (name, messages, tools) => {
    const tokenizer = exportTokenizer();
    const folder = name.replaceAll(' ', '-');
    await saveTokenizer(join(root, folder), tokenizer, DEFAULT_TOKENIZER_CONFIG);
    env.allowRemoteModels = false;
    env.localModelPath = `${root}/`;
    const theirs = await AutoTokenizer.from_pretrained(folder);
    for (const argumentsAsText of [false, true]) {
      const wired = messages.map((message) => wireMessage(message, argumentsAsText)) as never;
      const options = { add_generation_prompt: true, ...(tools && { tools }) };
      expect(theirs.apply_chat_template(wired, { ...options, tokenize: false })).toBe(
        renderChat(chatMl, messages, { tools, addGenerationPrompt: true }),
      );
      expect(
        theirs.apply_chat_template(wired, {
          ...options,
          tokenize: true,
          return_tensor: false,
          return_dict: false,
        }),
      ).toEqual(encodeChat(tokenizer, chatMl, messages, { tools, addGenerationPrompt: true }).ids);
    }
  });
});
