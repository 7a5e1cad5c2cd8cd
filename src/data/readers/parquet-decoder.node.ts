/**
 * hyparquet in a worker thread of its own. A decoder for untrusted bytes can run for ever or take all memory on
 * a damaged page; here it is stopped after a time without an answer, and the next row group gets a new worker.
 */
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import { Worker } from 'node:worker_threads';
import { FormatError } from '../../core/errors.ts';

/** Rows travel in slices of this many, so that a large row group is not held twice. */
const sliceRows = 8192;
const maxWorkerHeapMb = 4096;

/** Runs as CommonJS text: a worker file would have to be found again after bundling. */
const workerSource = `
const { parentPort, workerData } = require('node:worker_threads');
const ready = (async () => {
  const { asyncBufferFromFile, parquetMetadataAsync, parquetReadObjects } = await import(workerData.hyparquet);
  const { compressors } = await import(workerData.compressors);
  const file = await asyncBufferFromFile(workerData.path);
  const metadata = await parquetMetadataAsync(file);
  return { parquetReadObjects, options: { file, metadata, compressors } };
})();
const answer = async (request) => {
  const { parquetReadObjects, options } = await ready;
  if (request.kind === 'groups') {
    const groups = options.metadata.row_groups.map((group) => ({
      numRows: Number(group.num_rows),
      sizeBytes: Number(group.total_byte_size),
    }));
    return { groups };
  }
  const records = await parquetReadObjects({ ...options, rowStart: request.rowStart, rowEnd: request.rowEnd });
  for (let i = 0; i < records.length; i += ${sliceRows}) parentPort.postMessage({ rows: records.slice(i, i + ${sliceRows}) });
  return { end: true };
};
parentPort.on('message', (request) => {
  answer(request).then(
    (message) => parentPort.postMessage(message),
    (error) => parentPort.postMessage({ error: String((error && error.message) || error) }),
  );
});
`;

export interface RowGroupInfo {
  numRows: number;
  sizeBytes: number;
}

type Answer =
  | { groups: RowGroupInfo[] }
  | { rows: Record<string, unknown>[] }
  | { end: true }
  | { error: string };

type Request = { kind: 'groups' } | { kind: 'rows'; rowStart: number; rowEnd: number };

export class ParquetDecoder {
  readonly #path: string;
  readonly #timeoutMs: number;
  #worker: Worker | null = null;

  /** @param timeoutMs longest wait for one slice of rows. */
  constructor(path: string, timeoutMs: number) {
    this.#path = path;
    this.#timeoutMs = timeoutMs;
  }

  /** @throws FormatError when the footer cannot be read. */
  async rowGroups(): Promise<RowGroupInfo[]> {
    for await (const answer of this.#ask({ kind: 'groups' })) if ('groups' in answer) return answer.groups;
    throw new FormatError('the decoder gave no answer.');
  }

  /** Rows [rowStart, rowEnd) in slices. @throws FormatError for what cannot be decoded, also after some slices. */
  async *rows(rowStart: number, rowEnd: number): AsyncGenerator<Record<string, unknown>[]> {
    for await (const answer of this.#ask({ kind: 'rows', rowStart, rowEnd }))
      if ('rows' in answer) yield answer.rows;
  }

  async close(): Promise<void> {
    const worker = this.#worker;
    this.#worker = null;
    await worker?.terminate();
  }

  async *#ask(request: Request): AsyncGenerator<Answer> {
    const worker = this.#start();
    const answers: Answer[] = [];
    let wake = (): void => {};
    const receive = (answer: Answer): void => {
      answers.push(answer);
      wake();
    };
    const fail = (error: Error): void => receive({ error: error.message });
    worker.on('message', receive);
    worker.on('error', fail);
    worker.ref();
    worker.postMessage(request);
    let isDone = false;
    try {
      for (;;) {
        if (answers.length === 0 && !(await this.#wait((resolve) => (wake = resolve)))) {
          throw new FormatError(`the decoder gave no answer for ${this.#timeoutMs} ms; the data is damaged.`);
        }
        const answer = answers.shift()!;
        if ('error' in answer) throw new FormatError(answer.error);
        isDone = !('rows' in answer);
        yield answer;
        if (isDone) return;
      }
    } finally {
      worker.off('message', receive);
      worker.off('error', fail);
      worker.unref();
      // A worker that was stopped half way may be running still, or send rows nobody waits for.
      if (!isDone) await this.close();
    }
  }

  /** False when the time is over. */
  #wait(start: (resolve: () => void) => void): Promise<boolean> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => resolve(false), this.#timeoutMs);
      start(() => {
        clearTimeout(timer);
        resolve(true);
      });
    });
  }

  #start(): Worker {
    if (this.#worker) return this.#worker;
    const require = createRequire(import.meta.url);
    this.#worker = new Worker(workerSource, {
      eval: true,
      execArgv: [],
      workerData: {
        path: this.#path,
        hyparquet: pathToFileURL(require.resolve('hyparquet')).href,
        compressors: pathToFileURL(require.resolve('hyparquet-compressors')).href,
      },
      resourceLimits: { maxOldGenerationSizeMb: maxWorkerHeapMb },
    });
    // Errors outside a request (after a stop) have nobody to tell.
    this.#worker.on('error', () => {
      this.#worker = null;
    });
    return this.#worker;
  }
}
