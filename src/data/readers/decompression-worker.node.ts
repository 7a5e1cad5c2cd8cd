/**
 * Zstandard, bzip2 and xz through JavaScript and WebAssembly packages, in a worker thread of their own. Decoders
 * for untrusted bytes can run for ever on crafted input (a Huffman table whose codes take no bits, a run length
 * that overflows), or unpack gigabytes in one call; here the worker waits until its output is taken, and is
 * stopped after a time without an answer. What came out before stays.
 */
import { createRequire } from 'node:module';
import { Worker } from 'node:worker_threads';
import { FormatError } from '../../core/errors.ts';

export type WorkerCompression = 'zst' | 'bz2' | 'xz';

/** Longest wait for the decoder's next sign of life. */
const defaultTimeoutMs = 30_000;
/** Pieces of output that may wait to be taken before the decoder is held up. */
const maxWaitingPieces = 8;
const maxWorkerHeapMb = 1024;

const packages: Record<WorkerCompression, string> = {
  zst: 'fzstd',
  bz2: 'unbzip2-stream',
  xz: 'xz-decompress',
};

/** Runs as CommonJS text: a worker file would have to be found again after bundling. */
const workerSource = `
const { parentPort, workerData } = require('node:worker_threads');
const taken = new Int32Array(workerData.taken);
const library = require(workerData.library);
let sent = 0;
const send = (bytes) => {
  if (bytes.length === 0) return;
  const copy = new Uint8Array(bytes);
  parentPort.postMessage({ bytes: copy }, [copy.buffer]);
  sent++;
  for (let seen; sent - (seen = Atomics.load(taken, 0)) > ${maxWaitingPieces}; ) Atomics.wait(taken, 0, seen);
};
const decoders = {
  zst: () => {
    let decoder = new library.Decompress(send);
    return {
      push: (bytes) => { decoder.push(bytes, false); },
      end: (bytes) => { decoder.push(bytes, true); decoder = new library.Decompress(send); },
    };
  },
  bz2: () => {
    const stream = library();
    let failure = null;
    stream.on('data', send);
    stream.on('error', (error) => { failure = error; });
    const check = () => { if (failure) throw failure; };
    return {
      push: (bytes) => { stream.write(Buffer.from(bytes)); check(); },
      end: (bytes) => { if (bytes.length > 0) stream.write(Buffer.from(bytes)); check(); stream.end(); check(); },
    };
  },
  xz: () => {
    let controller, output, failure, isFinished;
    const start = () => {
      failure = null;
      isFinished = false;
      const input = new ReadableStream({ start: (c) => { controller = c; } });
      const reader = new library.XzReadableStream(input).getReader();
      output = (async () => {
        for (;;) {
          const { done, value } = await reader.read();
          if (done) break;
          send(value);
        }
        isFinished = true;
      })().catch((error) => { failure = error; });
    };
    start();
    const pause = () => new Promise((resolve) => setImmediate(resolve));
    return {
      push: async (bytes) => {
        controller.enqueue(bytes);
        while (controller.desiredSize < 1 && !failure && !isFinished) await pause();
        if (failure) throw failure;
      },
      end: async (bytes) => {
        if (bytes.length > 0) controller.enqueue(bytes);
        controller.close();
        await output;
        if (failure) throw failure;
        start();
      },
    };
  },
};
const decoder = decoders[workerData.compression]();
let queue = Promise.resolve();
parentPort.on('message', ({ bytes, isEnd }) => {
  queue = queue.then(async () => {
    try {
      await (isEnd ? decoder.end(bytes) : decoder.push(bytes));
      parentPort.postMessage({ done: true });
    } catch (error) {
      parentPort.postMessage({ error: String((error && error.message) || error) });
    }
  });
});
`;

type Answer = { bytes: Uint8Array } | { done: true } | { error: string };

export class DecompressionWorker {
  readonly #worker: Worker;
  readonly #taken = new Int32Array(new SharedArrayBuffer(4));
  readonly #timeoutMs: number;
  readonly #answers: Answer[] = [];
  #wake: () => void = () => {};

  constructor(compression: WorkerCompression, timeoutMs = defaultTimeoutMs) {
    this.#timeoutMs = timeoutMs;
    this.#worker = new Worker(workerSource, {
      eval: true,
      execArgv: [],
      workerData: {
        compression,
        library: createRequire(import.meta.url).resolve(packages[compression]),
        taken: this.#taken.buffer,
      },
      resourceLimits: { maxOldGenerationSizeMb: maxWorkerHeapMb },
    });
    const receive = (answer: Answer): void => {
      this.#answers.push(answer);
      this.#wake();
    };
    this.#worker.on('message', receive);
    this.#worker.on('error', (error) => receive({ error: error.message }));
    this.#worker.on('exit', () => receive({ error: 'the decoder stopped' }));
  }

  /**
   * What a piece of the compressed stream unpacks to.
   * @param isEnd the piece is the last of a frame or stream; the next one begins anew.
   * @throws FormatError for damage; the worker is of no use after it.
   */
  async *push(bytes: Uint8Array, isEnd: boolean): AsyncGenerator<Uint8Array> {
    const copy = new Uint8Array(bytes);
    this.#worker.postMessage({ bytes: copy, isEnd }, [copy.buffer]);
    for (;;) {
      const answer = this.#answers.shift() ?? (await this.#next());
      if ('error' in answer) throw new FormatError(answer.error);
      if ('done' in answer) return;
      Atomics.add(this.#taken, 0, 1);
      Atomics.notify(this.#taken, 0);
      yield answer.bytes;
    }
  }

  async close(): Promise<void> {
    await this.#worker.terminate();
  }

  async #next(): Promise<Answer> {
    let timer: NodeJS.Timeout | undefined;
    const isSilent = await new Promise<boolean>((resolve) => {
      timer = setTimeout(() => resolve(true), this.#timeoutMs);
      this.#wake = () => resolve(false);
    });
    clearTimeout(timer);
    this.#wake = () => {};
    if (isSilent) return { error: `the decoder gave no answer for ${this.#timeoutMs} ms` };
    return this.#answers.shift()!;
  }
}
