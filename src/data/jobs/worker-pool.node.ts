/**
 * Worker threads that each run one task on one shard at a time. A worker loads the task's module by URL: JavaScript
 * in a build; in a checkout one file that is bundled from the TypeScript, since reading it module by module through
 * hooks takes 60 MB a thread and costs hot loops their speed. A worker that dies fails its shard with an error that
 * says so, and the pool is closed by its user.
 */
import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { Worker } from 'node:worker_threads';
import { writeFileAtomic } from '../../core/atomic-file.node.ts';
import { messageOf, PlinthError } from '../../core/errors.ts';
import { packageRoot } from '../../core/package-root.node.ts';
import type { Shard, ShardProcessor, ShardTask, ShardTaskModule } from './shard-task.ts';

/**
 * Heap of one worker. V8 lets a heap grow by factors that follow its bound, so a low bound is what keeps idle
 * memory low; documents are bounded (`maxDocumentCharacters`) so that one shard stays far below it.
 */
const MAX_WORKER_HEAP_MB = 192;
/** Garbage of short life is collected often, for the same reason. */
const YOUNG_GENERATION_MB = 4;

/** Runs as CommonJS text: a worker file would have to be found again after bundling. */
const workerSource = `
const { parentPort, workerData } = require('node:worker_threads');
const ready = (async () => {
  const { openTask } = await import(workerData.module);
  return openTask(workerData.settings);
})();
parentPort.on('message', async (shard) => {
  try {
    parentPort.postMessage({ result: await (await ready).process(shard) });
  } catch (error) {
    parentPort.postMessage({ error: { message: String(error?.message ?? error), code: error?.code, stack: error?.stack } });
  }
});
`;

type Answer = { result: unknown } | { error: { message: string; code?: string; stack?: string } };

export interface ShardWorkers<Result> {
  /** Resolves when a worker can take a shard, at once if one is idle. */
  readonly size: number;
  run(shard: Shard): Promise<Result>;
  close(): Promise<void>;
}

/** In this thread, for small jobs: no worker has to start. */
export async function inThisThread<Result>(task: ShardTask): Promise<ShardWorkers<Result>> {
  const { openTask } = (await import(task.module)) as ShardTaskModule<unknown, Result>;
  const processor: ShardProcessor<Result> = await openTask(task.settings);
  return { size: 1, run: (shard) => processor.process(shard), close: async () => {} };
}

export async function workerPool<Result>(task: ShardTask, numWorkers: number): Promise<ShardWorkers<Result>> {
  const idle: Worker[] = [];
  const waiting: ((worker: Worker) => void)[] = [];
  const all = new Set<Worker>();
  const module = task.module.endsWith('.ts') ? await bundleOf(task.module) : task.module;
  for (let i = 0; i < numWorkers; i++) start();

  function start(): void {
    const worker = new Worker(workerSource, {
      eval: true,
      execArgv: [],
      workerData: { module, settings: task.settings },
      resourceLimits: {
        maxOldGenerationSizeMb: MAX_WORKER_HEAP_MB,
        maxYoungGenerationSizeMb: YOUNG_GENERATION_MB,
      },
    });
    // Told again where a shard is under way.
    worker.on('error', () => {});
    all.add(worker);
    idle.push(worker);
  }

  function free(worker: Worker): void {
    const next = waiting.shift();
    if (next) next(worker);
    else idle.push(worker);
  }

  async function run(shard: Shard): Promise<Result> {
    const worker = idle.shift() ?? (await new Promise<Worker>((resolve) => waiting.push(resolve)));
    const answer = await ask(worker, shard);
    free(worker);
    if ('error' in answer) {
      const { message, code, stack } = answer.error;
      const error = new PlinthError((code as PlinthError['code'] | undefined) ?? 'data', message);
      if (stack) error.stack = stack;
      throw error;
    }
    return answer.result as Result;
  }

  return {
    size: numWorkers,
    run,
    async close() {
      await Promise.all([...all].map((worker) => worker.terminate()));
    },
  };
}

/**
 * A module with all of ours that it imports, as one JavaScript file below node_modules, from where packages are found
 * as they are from here. The same sources give the same name, so a file that is there is right.
 */
async function bundleOf(module: string): Promise<string> {
  const { build } = await import('esbuild');
  const { outputFiles } = await build({
    entryPoints: [fileURLToPath(module)],
    bundle: true,
    packages: 'external',
    platform: 'node',
    format: 'esm',
    target: 'node20.19',
    write: false,
    logLevel: 'silent',
  });
  const { contents, hash } = outputFiles[0]!;
  const folder = fileURLToPath(new URL('node_modules/.cache/plinth/', packageRoot()));
  await mkdir(folder, { recursive: true });
  const path = join(folder, `${hash.replace(/[^A-Za-z0-9]/g, '-')}.mjs`);
  if (!existsSync(path)) await writeFileAtomic(path, contents);
  return pathToFileURL(path).href;
}

function ask(worker: Worker, shard: Shard): Promise<Answer> {
  return new Promise((resolve) => {
    const settle = (answer: Answer): void => {
      worker.off('message', settle);
      worker.off('error', fail);
      worker.off('exit', exited);
      resolve(answer);
    };
    const fail = (error: unknown): void =>
      settle({
        error: { message: `A worker stopped at shard ${shard.index}: ${messageOf(error)}.`, code: 'limit' },
      });
    const exited = (code: number): void => fail(new Error(`exit code ${code}`));
    worker.on('message', settle);
    worker.on('error', fail);
    worker.on('exit', exited);
    worker.postMessage({
      index: shard.index,
      firstOrdinal: shard.firstOrdinal,
      documents: shard.documents,
    });
  });
}
