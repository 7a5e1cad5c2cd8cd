/**
 * Worker threads that each run one task on one shard at a time. A worker loads the task's module by URL; from a
 * checkout it reads TypeScript through tsx, from a build plain JavaScript. A worker that dies fails its shard
 * with an error that says so, and the pool is closed by its user.
 */
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import { Worker } from 'node:worker_threads';
import { messageOf, PlinthError } from '../../core/errors.ts';
import type { Shard, ShardProcessor, ShardTask, ShardTaskModule } from './shard-task.ts';

/**
 * Heap of one worker. V8 lets a heap grow by factors that follow its bound, so a low bound is what keeps idle
 * memory low; documents are bounded (`maxDocumentCharacters`) so that one shard stays far below it.
 */
const MAX_WORKER_HEAP_MB = 256;
/** Garbage of short life is collected often, for the same reason. */
const YOUNG_GENERATION_MB = 4;

/** Runs as CommonJS text: a worker file would have to be found again after bundling. */
const workerSource = `
const { parentPort, workerData } = require('node:worker_threads');
const ready = (async () => {
  if (workerData.tsx) (await import(workerData.tsx)).register({ tsconfig: false });
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

export function workerPool<Result>(task: ShardTask, numWorkers: number): ShardWorkers<Result> {
  const idle: Worker[] = [];
  const waiting: ((worker: Worker) => void)[] = [];
  const all = new Set<Worker>();
  const tsx = task.module.endsWith('.ts') ? tsxUrl() : undefined;
  for (let i = 0; i < numWorkers; i++) start();

  function start(): void {
    const worker = new Worker(workerSource, {
      eval: true,
      execArgv: [],
      workerData: { module: task.module, settings: task.settings, tsx },
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

/** tsx as an ES module: `require.resolve` would find the file for CommonJS, which does not load here. */
function tsxUrl(): string {
  const require = createRequire(import.meta.url);
  const path = require.resolve('tsx/package.json');
  const { exports } = require(path) as { exports: Record<string, { import: { default: string } }> };
  return new URL(exports['./esm/api']!.import.default, pathToFileURL(path)).href;
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
