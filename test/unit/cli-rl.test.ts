/** `plinth rl`: options, results, and what a second call of the same command does. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { rlCommand } from '../../src/cli/commands/rl.ts';
import { formatJsonLines } from '../../src/core/json-lines.ts';
import { tinyInputs } from '../fixtures/training/tiny-reinforcement.ts';

let root: string;
let model: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'plinth-cli-rl-'));
  ({ model } = await tinyInputs(root));
  await writeFile(
    join(root, 'sums.jsonl'),
    formatJsonLines([{ prompt: '1+1=', answer: '2' }, { prompt: '1+2=' }]),
  );
});
afterAll(() => rm(root, { recursive: true, force: true }));

async function run(...more: string[]): Promise<Record<string, unknown>> {
  let out = '';
  const write = vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    out += String(text);
    return true;
  });
  try {
    const shared = [
      '--model',
      model,
      '--out',
      join(root, 'out'),
      '--threads',
      '1',
      '--max-tokens',
      '6',
      '--json',
    ];
    const sizes = ['--prompts-per-step', '2', '--group-size', '2', '--steps', '2'];
    await rlCommand().parseAsync([...shared, ...sizes, ...more], { from: 'user' });
  } finally {
    write.mockRestore();
  }
  return JSON.parse(out) as Record<string, unknown>;
}

const prompts = () => ['--data', join(root, 'prompts.jsonl')];

test('trains, reports, and finds a finished training finished', async () => {
  const aside = ['--validation-data', join(root, 'prompts.jsonl')];
  const words = [
    ...prompts(),
    ...aside,
    '--reward',
    'length:3- - 0.1*tokens',
    '--kl',
    '0.1',
    '--clip',
    '0.1',
  ];
  const first = await run(...words, '--method', 'ppo', '--critic', 'head', '--minibatches', '1');
  expect(first).toMatchObject({ steps: 4, modelFolder: join(root, 'out', 'model') });
  const { settings, iterations, validations, reward } = JSON.parse(
    await readFile(join(root, 'out', 'report.json'), 'utf8'),
  );
  expect(settings).toMatchObject({
    method: 'ppo',
    critic: 'head',
    klWeight: 0.1,
    clip: { low: 0.1, high: 0.1 },
    epochs: 2,
  });
  expect(reward).toBe('length:3- - 0.1*tokens');
  expect(iterations.map(({ step }: { step: number }) => step)).toEqual([2, 4]);
  expect(iterations[0].reward).toBe(first.firstReward);
  expect(validations[0].step).toBe(0);
  const again = await run(...words, '--method', 'ppo', '--critic', 'head', '--minibatches', '1');
  expect(again.lastReward).toBe(first.lastReward);
  await expect(run(...words)).rejects.toThrow(/other settings .*method: "ppo" before, "grpo" now/s);
});

test('an adapter is trained and saved instead of the model', async () => {
  const words = [...prompts(), '--reward', 'finished', '--lora-rank', '2', '--fresh'];
  const { adapterFolder } = await run(...words);
  expect(adapterFolder).toBe(join(root, 'out', 'adapter'));
});

test('chats can be mixed into every update', async () => {
  const chats = join(root, 'chats.jsonl');
  const messages = [
    { role: 'user', content: 'a' },
    { role: 'assistant', content: 'b' },
  ];
  await writeFile(chats, formatJsonLines([{ messages }]));
  await run(...prompts(), '--reward', 'finished', '--mix-data', chats, '--mix-weight', '0.5', '--fresh');
  const log = await readFile(join(root, 'out', 'metrics.jsonl'), 'utf8');
  expect(log.match(/"pretrainingLoss":\d/g)).toHaveLength(2);
});

test('options that do not fit are refused with what to do', async () => {
  const reward = ['--reward', 'finished'];
  await expect(run(...prompts(), ...reward, '--critic', 'head')).rejects.toThrow(
    /--critic is for --method ppo/,
  );
  await expect(run(...prompts(), ...reward, '--method', 'ppo', '--resample-rounds', '1')).rejects.toThrow(
    /--resample-rounds is for --method grpo/,
  );
  await expect(run(...prompts(), ...reward, '--mix-weight', '1')).rejects.toThrow(/--mix-data/);
  await expect(run(...prompts(), ...reward, '--max-tokens', '48')).rejects.toThrow(/maxTokens is 48/);
  await expect(run(...prompts(), '--reward', 'exact')).rejects.toThrow(/exact-match/);
  await expect(run('--data', join(root, 'sums.jsonl'), '--reward', 'exact-match', '--fresh')).rejects.toThrow(
    /lacks the field "answer"/,
  );
});
