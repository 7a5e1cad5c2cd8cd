/** Processes that are killed with SIGKILL, at random moments and before chosen file operations. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { KeyedRandom } from '../../src/core/random.ts';
import { cpuDevice } from '../../src/runtime/index.node.ts';
import { outcomeOf, tinyRun } from '../fixtures/training/tiny-run.ts';

const CHILD = fileURLToPath(new URL('../fixtures/training/tiny-run-child.ts', import.meta.url));
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'plinth-kill-'));
});
afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

/** Runs the child; true when it ended by itself, false when it was killed. */
async function runChild(
  path: string,
  kill: { afterMs?: number; beforeOperation?: number },
): Promise<boolean> {
  const operation = kill.beforeOperation === undefined ? [] : [String(kill.beforeOperation)];
  const child = spawn(process.execPath, ['--import', 'tsx', CHILD, path, ...operation], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = once(child, 'exit') as Promise<[number | null, string | null]>;
  if (kill.afterMs !== undefined) {
    await Promise.race([once(child.stdout!, 'data'), ended]);
    const timer = setTimeout(() => child.kill('SIGKILL'), kill.afterMs);
    ended.then(() => clearTimeout(timer));
  }
  const [code, signal] = await ended;
  if (signal === 'SIGKILL') return false;
  expect(code).toBe(0);
  return true;
}

test('killed again and again, the run ends bit for bit like one that was left alone', async () => {
  const random = new KeyedRandom(1).fork('kills');
  const path = join(folder, 'killed');
  let numKills = 0;
  for (const kill of [
    { beforeOperation: 30 },
    { beforeOperation: 60 + random.integer(0, 60) },
    { beforeOperation: 150 + random.integer(1, 150) },
    { afterMs: 50 + random.integer(2, 300) },
    { afterMs: 100 + random.integer(3, 400) },
  ]) {
    if (await runChild(path, kill)) break;
    numKills++;
  }
  // The first three come long before the end, whatever the machine.
  expect(numKills).toBeGreaterThanOrEqual(3);
  while (!(await runChild(path, {})));
  const reference = join(folder, 'reference');
  await tinyRun(reference, cpuDevice({ numThreads: 1 }));
  expect(await outcomeOf(path)).toEqual(await outcomeOf(reference));
  // What the killed processes left half-written is gone.
  for (const part of ['.', 'checkpoints/pretrain', 'checkpoints/sft']) {
    const names = await readdir(join(path, part));
    expect(names.filter((name) => name.includes('plinth-'))).toEqual([]);
  }
});
