import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CancelledError } from '../../src/core/errors.ts';
import { pretrainOnFiles } from '../../src/recipe/pretrain-on-files.node.ts';
import { cpuDevice } from '../../src/runtime/index.node.ts';
import { plinthInProcess } from '../fixtures/cli/plinth-in-process.ts';
import { plinth, temporaryFolder } from '../fixtures/cli/plinth-process.ts';

const folder = temporaryFolder();
afterAll(() => folder.remove());
const run = (...args: string[]) => plinthInProcess(folder.path, args);
const at = (...parts: string[]) => join(folder.path, ...parts);

const SIZE = ['--params', '60k', '--batch-size', '4', '--length', '32', '--threads', '1'];
const TRAIN = [
  'train',
  '--data',
  'a.txt',
  'b.jsonl',
  '--tokenizer',
  'tok',
  ...SIZE,
  '--validation-share',
  '0.3',
];
const GREETINGS = ['moin', 'ahoj', 'salut', 'ciao', 'hola', 'hej'];

beforeAll(async () => {
  const licence = readFileSync(new URL('../../LICENSE', import.meta.url), 'utf8');
  writeFileSync(at('a.txt'), licence);
  const lines = licence.split('\n\n').map((text) => JSON.stringify({ text: `${text}\n`.repeat(8) }));
  writeFileSync(at('b.jsonl'), `${lines.join('\n')}\nnot json\n`);
  const chats = GREETINGS.map((word, i) =>
    JSON.stringify({
      messages: [
        { role: 'user', content: `Greeting ${i}?` },
        { role: 'assistant', content: word },
      ],
    }),
  );
  writeFileSync(at('chats.jsonl'), `${chats.join('\n')}\n{"messages":[{"role":"user","content":"alone"}]}\n`);
  const { code } = await run('tokenizer', 'train', 'a.txt', '--vocab-size', '330', '--out', 'tok');
  expect(code).toBe(0);
});

describe('plinth train', () => {
  test('leaves a model that continues text, with its settings and metrics', async () => {
    const { code, stdout, stderr } = await run(...TRAIN, '--out', 'runs/base', '--steps', '12', '--json');
    expect(code).toBe(0);
    const result = JSON.parse(stdout) as { loss: number; steps: number; modelFolder: string };
    expect(result.steps).toBe(12);
    expect(result.loss).toBeLessThan(Math.log(330));
    expect(stderr).toContain('b.jsonl: 1 records skipped');
    const events = readFileSync(at('runs/base/metrics.jsonl'), 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { type: string; step: number });
    expect(events.filter(({ type }) => type === 'train-step').map(({ step }) => step)).toEqual(
      Array.from({ length: 12 }, (_, i) => i + 1),
    );
    expect(events.some(({ type }) => type === 'validation')).toBe(true);

    const generated = await run('generate', '--model', 'base', 'The ', '--max-tokens', '5', '--json');
    const completion = JSON.parse(generated.stdout) as Record<string, unknown>;
    expect(Object.keys(completion)).toEqual(['text', 'tokens', 'finishReason', 'usage']);
    expect(completion.tokens).toHaveLength(5);
    const chat = await run('generate', '--model', 'base', '--chat', 'Hi');
    expect(chat.code).toBe(1);
    expect(chat.stderr).toContain('chat');
  });

  test('a config file and flags give the same training; flags win', async () => {
    const config = {
      data: ['a.txt'],
      tokenizer: 'tok',
      params: 60_000,
      batchSize: 4,
      length: 32,
      steps: 3,
      threads: 1,
    };
    writeFileSync(at('config.json'), JSON.stringify(config));
    const train = async (...args: string[]) =>
      JSON.parse((await run('train', ...args, '--json')).stdout) as { loss: number; steps: number };
    const byFile = await train('--config', 'config.json', '--out', 'f');
    const byFlags = await train(
      '--data',
      'a.txt',
      '--tokenizer',
      'tok',
      ...SIZE,
      '--steps',
      '3',
      '--out',
      'g',
    );
    expect(byFile.loss).toBe(byFlags.loss);
    expect((await train('--config', 'config.json', '--out', 'h', '--steps', '2')).steps).toBe(2);
  });

  test('other settings are refused in a folder that is taken, with the difference named', async () => {
    await run(...TRAIN, '--out', 'taken', '--steps', '2');
    const refused = await run(...TRAIN, '--out', 'taken', '--steps', '2', '--seed', '5');
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain('seed: 1 before, 5 now');
    const fresh = await run(...TRAIN, '--out', 'taken', '--steps', '2', '--seed', '5', '--fresh');
    expect(fresh.code).toBe(0);
  });

  test('Ctrl-C ends with 130 and says that the same command goes on', async () => {
    let isStopping = false;
    const stopped = await plinth(folder.path, [...TRAIN, '--out', 'interrupted', '--steps', '100000'], {
      onStderr: (text, child) => {
        if (isStopping || !text.includes('pretrain (3 of 3)')) return;
        isStopping = true;
        child.kill('SIGINT');
      },
    });
    expect(stopped.code).toBe(130);
    expect(stopped.stderr).toContain('The same command goes on from here.');
    expect(existsSync(at('interrupted/model'))).toBe(false);
  });

  test('a stopped training goes on to the same weights, byte for byte', async () => {
    const train = (name: string, controller: AbortController, stopAt?: number) =>
      pretrainOnFiles({
        files: [at('a.txt')],
        tokenizer: at('tok'),
        folder: at(name),
        device: cpuDevice({ numThreads: 1 }),
        length: { steps: 20 },
        params: 60_000,
        settings: { batchSize: 4, contextLength: 32 },
        onEvent: (event) => {
          if (event.type === 'train-step' && event.step === stopAt) controller.abort();
        },
        signal: controller.signal,
      });
    await expect(train('stopped', new AbortController(), 7)).rejects.toBeInstanceOf(CancelledError);
    expect(readdirSync(at('stopped/checkpoints/pretrain'))).toEqual(['step-000007']);
    expect(existsSync(at('stopped/model'))).toBe(false);
    await train('stopped', new AbortController());
    await train('straight', new AbortController());
    const weights = (name: string) => readFileSync(at(name, 'model', 'model.safetensors'));
    expect(weights('stopped').equals(weights('straight'))).toBe(true);
    const steps = readFileSync(at('stopped/metrics.jsonl'), 'utf8').match(/"train-step"/g);
    expect(steps).toHaveLength(20);
  });
});

describe('plinth sft', () => {
  test('teaches a base model to answer in chat format', async () => {
    await run(...TRAIN, '--out', 'runs/short', '--steps', '3');
    const { code, stderr } = await run(
      ...['sft', '--model', 'short', '--data', 'chats.jsonl', '--out', 'runs/greeter'],
      ...['--steps', '120', '--batch-size', '3', '--length', '32', '--lr', '0.006', '--threads', '1'],
    );
    expect(code).toBe(0);
    expect(stderr).toContain('1 lines skipped');
    for (const [i, word] of GREETINGS.entries()) {
      const answer = await run('generate', '--model', 'greeter', '--chat', `Greeting ${i}?`, '--json');
      expect(JSON.parse(answer.stdout)).toMatchObject({ text: word, finishReason: 'stop' });
    }
  });

  test('refuses data without a chat and says what a line looks like', async () => {
    await run(...TRAIN, '--out', 'runs/short', '--steps', '3');
    writeFileSync(at('bad.jsonl'), '{"text":"x"}\n');
    const { code, stderr } = await run('sft', '--model', 'short', '--data', 'bad.jsonl', '--out', 'x');
    expect(code).toBe(1);
    expect(stderr).toContain('line 1');
    expect(stderr).toContain('{"messages":[');
  });
});

describe('plinth generate', () => {
  test('takes token ids, streams, and repeats itself with the same seed', async () => {
    await run(...TRAIN, '--out', 'runs/short', '--steps', '3');
    const drawn = [
      'generate',
      '--model',
      'short',
      '--prompt-tokens',
      '65,66',
      '--max-tokens',
      '6',
      '--temperature',
      '1',
    ];
    const once = await run(...drawn, '--seed', '3', '--json');
    const streamed = await run(...drawn, '--seed', '3', '--json', '--stream');
    const lines = streamed.stdout.trim().split('\n');
    expect(lines.at(-1)).toBe(once.stdout.trim());
    const pieces = lines.slice(0, -1).flatMap((line) => (JSON.parse(line) as { tokens: number[] }).tokens);
    expect(pieces).toEqual((JSON.parse(once.stdout) as { tokens: number[] }).tokens);
    const other = await run(...drawn, '--seed', '4', '--json');
    expect(other.stdout).not.toBe(once.stdout);
  });
});
