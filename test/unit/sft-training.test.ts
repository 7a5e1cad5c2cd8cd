/** `plinth sft` on models of ours and of others: what is trained on, validation, adapters, resuming, inspection. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CancelledError } from '../../src/core/errors.ts';
import type { PlinthEvent } from '../../src/core/events.ts';
import { openTokenShards, readTokenSetEntries } from '../../src/data/index.node.ts';
import { loadCheckpoint } from '../../src/model/index.node.ts';
import { finetuneOnChats } from '../../src/recipe/post-training/finetune-on-chats.node.ts';
import { cpuDevice } from '../../src/runtime/index.node.ts';
import { PLAIN_CHATML_TEMPLATE } from '../../src/tokenizer/chat-format.ts';
import { loadTokenizer } from '../../src/tokenizer/index.node.ts';
import { CHAT_ROLES, CHATML_TEMPLATE, DEFAULT_TOKENIZER_CONFIG } from '../../src/tokenizer/index.ts';
import { plinthInProcess } from '../fixtures/cli/plinth-in-process.ts';
import { temporaryFolder } from '../fixtures/cli/plinth-process.ts';
import { exportModelOf, saveExportModel } from '../fixtures/models/export-model.ts';

const folder = temporaryFolder();
afterAll(() => folder.remove());
const at = (...parts: string[]) => join(folder.path, ...parts);
const run = (...args: string[]) => plinthInProcess(folder.path, args);
const device = cpuDevice({ numThreads: 1 });

const chat = (i: number, answer = `w${i} x`) => ({
  messages: [
    { role: 'user', content: `Word ${i}?` },
    { role: 'assistant', content: answer },
  ],
});
const lines = (records: readonly object[]) => `${records.map((one) => JSON.stringify(one)).join('\n')}\n`;

beforeAll(async () => {
  const small = { hiddenSize: 32, headDim: 8, intermediateSize: 48, numLayers: 1 };
  // Llama with biases on queries, keys and values is what Hugging Face calls qwen2.
  const kinds = {
    llama: { architecture: 'llama' },
    qwen2: { architecture: 'llama', attentionBias: true },
    qwen3: { architecture: 'qwen3' },
  } as const;
  for (const [name, kind] of Object.entries(kinds)) {
    await saveExportModel(at(name), exportModelOf({ ...small, ...kind }));
    const config = JSON.parse(readFileSync(at(name, 'config.json'), 'utf8')) as { model_type: string };
    expect(config.model_type).toBe(name);
  }
  writeFileSync(at('chats.jsonl'), lines(Array.from({ length: 24 }, (_, i) => chat(i))));
  writeFileSync(at('others.jsonl'), lines([chat(100), chat(101)]));
  const call = {
    role: 'assistant',
    tool_calls: [{ id: 'a', type: 'function', function: { name: 'clock', arguments: '{}' } }],
  };
  const tools = [{ type: 'function', function: { name: 'clock' } }];
  const messages = [
    { role: 'user', content: 'Time?' },
    call,
    { role: 'tool', tool_call_id: 'a', content: '9' },
  ];
  writeFileSync(
    at('tools.jsonl'),
    `${lines([{ messages: [...messages, { role: 'assistant', content: 'Nine.' }], tools }])}{"messages":[]}\n`,
  );
});

const finetune = (out: string, options: Partial<Parameters<typeof finetuneOnChats>[0]> = {}) =>
  finetuneOnChats({
    model: at('qwen3'),
    files: [at('chats.jsonl')],
    folder: at(out),
    device,
    steps: 4,
    batchSize: 2,
    length: 48,
    ...options,
  });

describe('finetuning', () => {
  test.each(['llama', 'qwen2', 'qwen3'])('trains a Hugging Face folder of %s', async (name) => {
    const { modelFolder, loss } = await finetune(`out-${name}`, { model: at(name), steps: 12 });
    expect(Number.isFinite(loss)).toBe(true);
    const before = await loadCheckpoint(at(name));
    const after = await loadCheckpoint(modelFolder);
    expect(after.config).toEqual(before.config);
    expect([...after.weights.keys()].sort()).toEqual([...before.weights.keys()].sort());
    const key = 'model.layers.0.self_attn.q_proj.weight';
    expect(after.weights.get(key)!.data).not.toEqual(before.weights.get(key)!.data);
  });

  test('measures the loss on a share of the chats, or on files; a question is never on both sides', async () => {
    const events: PlinthEvent[] = [];
    const twice = [
      ...Array.from({ length: 24 }, (_, i) => chat(i)),
      ...Array.from({ length: 24 }, (_, i) => chat(i, 'no')),
    ];
    writeFileSync(at('twice.jsonl'), lines(twice));
    const outcome = await finetune('share', {
      files: [at('twice.jsonl')],
      validationShare: 0.3,
      onEvent: (event) => events.push(event),
    });
    const told = events.filter((event) => event.type === 'validation');
    expect(told.at(-1)!.loss).toBe(outcome.validationLoss);
    expect(outcome.validationLoss).toBeGreaterThan(0);
    const { sft, validation } = await readTokenSetEntries(at('share', 'data'));
    expect(sft!.numDocuments + validation!.numDocuments).toBe(48);
    // Both answers to a question are on its side.
    expect(validation!.numDocuments % 2).toBe(0);
    const byFile = await finetune('file', { validationFiles: [at('others.jsonl')] });
    expect(byFile.validationLoss).toBeGreaterThan(0);
    await expect(
      finetune('both', { validationFiles: [at('others.jsonl')], validationShare: 0.1 }),
    ).rejects.toThrow('not both');
    await expect(finetune('much', { validationShare: 1 })).rejects.toThrow('validationShare is 1');
  });

  test('keeps who wrote what, and tells how much is learned from', async () => {
    const events: PlinthEvent[] = [];
    await finetune('roles', { onEvent: (event) => events.push(event) });
    const dataset = await openTokenShards(at('roles', 'data'), 'sft');
    const roles = dataset.readRoles(0, dataset.numTokens)!;
    const mask = dataset.readLossMask(0, dataset.numTokens);
    dataset.close();
    expect([...mask].every((one, i) => one === 0 || CHAT_ROLES[roles[i]!] === 'assistant')).toBe(true);
    const done = events.find((event) => event.type === 'stage' && event.state === 'done');
    const share = Math.round((100 * mask.reduce((a, b) => a + b)) / mask.length);
    expect((done as { detail?: string }).detail).toContain(`24 chats, ${share} % of their tokens`);
  });

  test('learns calls of tools, with a model whose chat format can write them', async () => {
    const small = { hiddenSize: 32, headDim: 8, numLayers: 1, maxPositionEmbeddings: 512 };
    const model = exportModelOf(small);
    const tokenizerConfig = { ...DEFAULT_TOKENIZER_CONFIG, chatTemplate: PLAIN_CHATML_TEMPLATE };
    await saveExportModel(at('chatml'), { ...model, tokenizerConfig });
    const notes: string[] = [];
    const { modelFolder } = await finetune('tools', {
      model: at('chatml'),
      files: [at('tools.jsonl')],
      length: 512,
      onEvent: (event) => event.type === 'note' && notes.push(event.message),
    });
    expect(notes).toEqual([
      expect.stringMatching(/tools\.jsonl: 1 lines skipped; the first, line 2.*no list/),
    ]);
    const dataset = await openTokenShards(at('tools', 'data'), 'sft');
    const mask = dataset.readLossMask(0, dataset.numTokens);
    const targets = [...dataset.readTokens(0, dataset.numTokens)].filter((_, t) => mask[t] === 1);
    dataset.close();
    expect(model.tokenizer.decode(targets, { special: 'keep' })).toBe(
      '<tool_call>\n{"name": "clock", "arguments": {}}\n</tool_call><|im_end|>Nine.<|im_end|>',
    );
    const { config } = await loadTokenizer(modelFolder);
    expect(config.chatTemplate).toBe(CHATML_TEMPLATE);
  });

  test('what is trained on is part of the request', async () => {
    const assistant = await finetune('on-assistant');
    const all = await finetune('on-all', { trainOn: 'all' });
    expect(all.loss).not.toBe(assistant.loss);
    await expect(finetune('on-all')).rejects.toThrow('trainOn: "all" before, not given now');
  });

  test('goes on to the same weights after a stop, with an adapter and a validation loss too', async () => {
    const lowRank = { rank: 2, alpha: 4, targets: 'all-linear', merge: true } as const;
    const options = { steps: 8, lowRank, validationShare: 0.3 };
    const controller = new AbortController();
    const stopping = finetune('stopped', {
      ...options,
      signal: controller.signal,
      onEvent: (event) => {
        if (event.type === 'train-step' && event.step === 3) controller.abort();
      },
    });
    await expect(stopping).rejects.toBeInstanceOf(CancelledError);
    const resumed = await finetune('stopped', options);
    const straight = await finetune('straight', options);
    expect(resumed.validationLoss).toBe(straight.validationLoss);
    for (const file of ['model/model.safetensors', 'adapter/adapter_model.safetensors']) {
      expect(readFileSync(at('stopped', file)).equals(readFileSync(at('straight', file)))).toBe(true);
    }
  });
});

describe('plinth sft', () => {
  const flags = ['--model', 'qwen3', '--threads', '1'];

  test('--inspect tells as tables and as JSON, and trains nothing', async () => {
    // The model's own template has no tools.
    const plain = await run('sft', ...flags, '--data', 'tools.jsonl', '--inspect');
    expect(plain.code).toBe(1);
    expect(plain.stderr).toContain('line 1 (byte 0): The chat template leaves out calls of messages[1]');
    expect(plain.stderr).toContain('add_generation_prompt. Expected lines');
    const { code, stdout } = await run(
      'sft',
      ...flags,
      '--data',
      'chats.jsonl',
      '--inspect',
      '--length',
      '20',
    );
    expect(code).toBe(0);
    expect(stdout).toMatch(/^chats +24$/m);
    expect(stdout).toMatch(/^cut at 20 +24 \(100 %\) chats/m);
    expect(stdout).toContain('Warning: 24 chats are few');
    const json = await run('sft', ...flags, '--data', 'chats.jsonl', '--inspect', '--json');
    expect(JSON.parse(json.stdout)).toMatchObject({
      chats: 24,
      duplicates: { exact: 0 },
      tokens: { cutAt: 256 },
    });
  });

  test('says what is missing or too much', async () => {
    const none = await run('sft', ...flags, '--data', 'chats.jsonl');
    expect(none.code).toBe(2);
    expect(none.stderr).toContain('--inspect');
    const both = ['--out', 'x', '--validation-share', '0.1', '--validation', 'others.jsonl'];
    expect((await run('sft', ...flags, '--data', 'chats.jsonl', ...both)).code).toBe(2);
    const lora = await run('sft', ...flags, '--data', 'chats.jsonl', '--out', 'x', '--lora-alpha', '2');
    expect(lora.stderr).toContain('--lora-rank');
  });

  test('trains with its flags', async () => {
    const { code, stdout } = await run(
      ...['sft', ...flags, '--data', 'chats.jsonl', '--out', 'cli', '--steps', '2', '--batch-size', '2'],
      ...['--length', '48', '--train-on', 'last', '--validation-share', '0.2', '--lora-rank', '2', '--json'],
    );
    expect(code).toBe(0);
    const outcome = JSON.parse(stdout) as Record<string, unknown>;
    expect(outcome).toMatchObject({ steps: 2, adapterFolder: at('cli', 'adapter') });
    expect(outcome.validationLoss).toBeGreaterThan(0);
  });
});
