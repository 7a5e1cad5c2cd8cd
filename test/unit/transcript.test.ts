/** Who wrote each token of a conversation with a model, and which of them it chose. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { rowBatch } from '../../src/align/sequence-row.ts';
import { conversationRow } from '../../src/align/sft/conversation-row.ts';
import { DataError } from '../../src/core/errors.ts';
import { createLanguageModel, type LanguageModel } from '../../src/decode/index.ts';
import { continueTranscript, numEvidence, transcriptOf } from '../../src/decode/transcript.ts';
import { cpuDevice } from '../../src/runtime/index.node.ts';
import type { ToolDefinition } from '../../src/tokenizer/chat-tools.ts';
import { CHAT_ROLES, type ChatMessage, chatMl, encodeChat } from '../../src/tokenizer/index.ts';
import { exportModelOf } from '../fixtures/models/export-model.ts';

const { config, weights, tokenizer } = exportModelOf({ maxPositionEmbeddings: 512 });
let model: LanguageModel;
beforeAll(async () => {
  const device = cpuDevice({ numThreads: 1 });
  model = await createLanguageModel({ config, weights, tokenizer, chatFormat: chatMl, device });
});
afterAll(() => model.dispose());

const tools: ToolDefinition[] = [{ type: 'function', function: { name: 'time' } }];
const QUESTION: ChatMessage[] = [{ role: 'user', content: 'What time?' }];
const RESULT: ChatMessage = { role: 'tool', content: '12:05' };
const text = (ids: ArrayLike<number>) => tokenizer.decode(Array.from(ids), { special: 'keep' });

describe('a transcript', () => {
  it('holds what was given as evidence and what was drawn as actions, over several answers', async () => {
    const prompt = { messages: QUESTION, tools };
    const first = await model.generate(prompt, { maxTokens: 5, seed: 1, temperature: 1 });
    const one = transcriptOf(model, prompt, first);
    expect(numEvidence(one)).toBe(first.usage.promptTokens);
    expect([...one.tokens.slice(numEvidence(one))]).toEqual(first.tokens);
    expect([...one.roles.slice(numEvidence(one))]).toEqual(
      first.tokens.map(() => CHAT_ROLES.indexOf('assistant')),
    );

    const messages = [...QUESTION, { role: 'assistant' as const, content: first.text }, RESULT];
    const asked = continueTranscript(model, one, { messages, tools });
    expect([...asked.tokens.slice(0, one.tokens.length)]).toEqual([...one.tokens]);
    // The answer was cut off: the end of its turn is given, and is evidence.
    expect(text(asked.tokens.slice(one.tokens.length))).toBe(
      '<|im_end|>\n<|im_start|>tool\n12:05<|im_end|>\n<|im_start|>assistant\n',
    );
    expect(asked.actions.reduce((a, b) => a + b)).toBe(first.tokens.length);

    const second = await model.generate([...asked.tokens], { maxTokens: 4, seed: 2, temperature: 1 });
    const two = transcriptOf(model, asked, second);
    expect(two.actions.reduce((a, b) => a + b)).toBe(first.tokens.length + second.tokens.length);
    expect(numEvidence(two)).toBe(two.tokens.length - first.tokens.length - second.tokens.length);
    // It is a row for losses as it stands.
    const batch = rowBatch([two], { batchSize: 1, length: two.tokens.length });
    expect(batch.numTargets).toBe(first.tokens.length + second.tokens.length);
  });

  it('counts the token that ended an answer as an action, and does not give it twice', () => {
    const end = tokenizer.specialTokens.get('<|im_end|>')!;
    const answer = { tokens: tokenizer.encode('soon'), stopToken: end };
    const one = transcriptOf(model, { messages: QUESTION }, answer);
    expect(one.actions.at(-1)).toBe(1);
    const messages = [...QUESTION, { role: 'assistant' as const, content: 'soon' }, ...QUESTION];
    const asked = continueTranscript(model, one, { messages });
    expect(text(asked.tokens)).toBe(
      text(encodeChat(tokenizer, chatMl, messages, { addGenerationPrompt: true }).ids),
    );
    expect(() => continueTranscript(model, one, { messages: messages.slice(0, 2) })).toThrow(DataError);
  });

  it('has the actions of the row of the same conversation', () => {
    const end = tokenizer.specialTokens.get('<|im_end|>')!;
    const answer = { tokens: tokenizer.encode('soon'), stopToken: end };
    const given: ChatMessage[] = [...QUESTION, { role: 'assistant', content: 'later' }, ...QUESTION];
    const one = transcriptOf(model, { messages: given }, answer);
    const encoded = encodeChat(tokenizer, chatMl, [...given, { role: 'assistant', content: 'soon' }]);
    const row = conversationRow(encoded, { actions: 'last' });
    // The encoded chat ends with a line break that nobody drew.
    expect(Array.from(row.tokens).slice(0, -1)).toEqual([...one.tokens]);
    expect(Array.from(row.actions).slice(0, -1)).toEqual([...one.actions]);
    const roles = encoded.roles.slice(0, -1);
    expect([...one.roles]).toEqual([...roles]);
  });
});
