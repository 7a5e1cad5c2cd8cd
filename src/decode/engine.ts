/**
 * Continuous batching: sequences wait in a queue, take a slot of the cache, have their prompt read in chunks
 * and then go on together, one token a step; a slot that ends is filled from the queue. What a sequence gives
 * never depends on its company: rows do not see each other, and every sequence chooses its own tokens. The
 * engine knows token ids and scores only, neither text nor sampling.
 */
import { LimitError, PlinthError } from '../core/errors.ts';
import type { Decoder } from './decoder.ts';
import { KeyValueCache } from './key-value-cache.ts';

/** A text being generated. The engine calls it in order and never again after it ended. */
export interface Sequence {
  readonly prompt: Int32Array;
  /** At most so many tokens follow; with the prompt they fit the model's context. */
  readonly maxTokens: number;
  /** Nobody waits for it any more; it ends before the next run. */
  readonly isCancelled: boolean;
  /** Takes the scores of the next token [vocabSize] and returns it, or undefined when the sequence ended. */
  next(logits: Float32Array): number | undefined;
  /** It was cancelled and ends here. */
  cancel(): void;
  fail(error: unknown): void;
}

export interface EngineLimits {
  /** Sequences decoded together. */
  readonly maxBatchSize: number;
  /** Bytes of the cache of keys and values. */
  readonly maxCacheBytes: number;
  /** Positions of a prompt that are read in one run. */
  readonly chunkLength: number;
}

interface Running {
  readonly sequence: Sequence;
  /** Prompt and tokens at most. */
  readonly finalLength: number;
  lastToken: number;
}

/** Lengths that prompts are padded to, so that few programs serve all. */
const BUCKETS = [8, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048];
/** Padded tokens of one prefill run; bounds its memory together with `chunkLength`. */
const MAX_PREFILL_TOKENS = 4096;
/** An idle engine keeps a cache of this size for the next request. */
const KEEP_BYTES = 64 * 2 ** 20;
/** How long the loop goes on before timers and other tasks get a turn. */
const TURN_MS = 50;

export class DecodeEngine {
  readonly #decoder: Decoder;
  readonly #limits: EngineLimits;
  readonly #cache: KeyValueCache;
  readonly #vocabSize: number;
  readonly #queue: Sequence[] = [];
  /** By slot. */
  readonly #running: Running[] = [];
  readonly #ids: Int32Array;
  readonly #positions: BigInt64Array;
  /** The same memory: the low words (all devices are little-endian) are written without making BigInts. */
  readonly #positionWords: Int32Array;
  #loop: Promise<void> | undefined;
  #disposed = false;

  constructor(decoder: Decoder, limits: EngineLimits) {
    this.#decoder = decoder;
    this.#limits = limits;
    this.#cache = new KeyValueCache(decoder.config, limits.maxCacheBytes);
    this.#vocabSize = decoder.config.vocabSize;
    this.#ids = new Int32Array(limits.maxBatchSize);
    this.#positions = new BigInt64Array(limits.maxBatchSize);
    this.#positionWords = new Int32Array(this.#positions.buffer);
  }

  /** Bytes of one position of one sequence in the cache. */
  get bytesPerPosition(): number {
    return this.#cache.bytesPerPosition;
  }

  /** Queues sequences; each is told of its own end. */
  submit(sequences: readonly Sequence[]): void {
    if (this.#disposed) {
      for (const sequence of sequences) sequence.fail(disposedError());
      return;
    }
    for (const sequence of sequences) this.#queue.push(sequence);
    this.#loop ??= this.#run();
  }

  /** Ends everything that runs or waits with an error, and frees the model. */
  async dispose(): Promise<void> {
    this.#disposed = true;
    await this.#loop;
    this.#cache.release();
    await this.#decoder.dispose();
  }

  async #run(): Promise<void> {
    // What is submitted in one go starts in one batch.
    await Promise.resolve();
    let turnEnd = performance.now() + TURN_MS;
    while (this.#queue.length > 0 || this.#running.length > 0) {
      try {
        this.#dropEnded();
        const admitted = this.#admit();
        if (admitted > 0) await this.#start(this.#running.length - admitted);
        else if (this.#running.length > 0) await this.#step();
      } catch (error) {
        this.#failFrom(0, error);
      }
      if (performance.now() > turnEnd) {
        await new Promise((resolve) => setTimeout(resolve));
        turnEnd = performance.now() + TURN_MS;
      }
    }
    if (this.#cache.sizeBytes > KEEP_BYTES) this.#cache.release();
    this.#loop = undefined;
  }

  #failFrom(first: number, error: unknown): void {
    for (let slot = this.#running.length - 1; slot >= first; slot--) {
      const { sequence } = this.#running[slot]!;
      this.#remove(slot, true);
      sequence.fail(error);
    }
  }

  /** Takes out what was cancelled; after `dispose`, everything. */
  #dropEnded(): void {
    if (this.#disposed) {
      this.#failFrom(0, disposedError());
      for (const sequence of this.#queue.splice(0)) sequence.fail(disposedError());
      return;
    }
    for (let slot = this.#running.length - 1; slot >= 0; slot--) {
      const { sequence } = this.#running[slot]!;
      if (!sequence.isCancelled) continue;
      // Its prompt may be half read: nobody has looked at its numbers yet.
      this.#remove(slot, true);
      sequence.cancel();
    }
    if (this.#queue.some((sequence) => sequence.isCancelled)) {
      const waiting = this.#queue.splice(0);
      this.#queue.push(...waiting.filter((sequence) => !sequence.isCancelled));
      for (const sequence of waiting) if (sequence.isCancelled) sequence.cancel();
    }
  }

  /** Gives free slots to waiting sequences, in order; returns how many. */
  #admit(): number {
    const { maxBatchSize, maxCacheBytes } = this.#limits;
    const free = maxBatchSize - this.#running.length;
    // A full batch is refilled by several at once: one run reads many prompts as fast as one.
    const worthwhile = Math.min(this.#queue.length, Math.ceil(maxBatchSize / 4));
    if (free === 0 || (this.#running.length > 0 && free < worthwhile)) return 0;
    let longest = this.#running.reduce((length, one) => Math.max(length, one.finalLength), 0);
    if (this.#running.length > 0) longest = Math.max(longest, this.#cache.capacity);
    let admitted = 0;
    while (admitted < free && admitted < this.#queue.length) {
      const sequence = this.#queue[admitted]!;
      const finalLength = sequence.prompt.length + sequence.maxTokens;
      const slots = this.#running.length + 1;
      const capacity = KeyValueCache.capacityFor(Math.max(longest, finalLength));
      const needed = slots * capacity * this.bytesPerPosition;
      if (needed > maxCacheBytes) {
        if (this.#running.length > 0) break;
        this.#queue.splice(admitted, 1);
        sequence.fail(
          new LimitError(
            `A prompt of ${sequence.prompt.length} tokens with maxTokens ${sequence.maxTokens} needs a cache of ` +
              `${needed} bytes; the limit is ${maxCacheBytes} (maxCacheBytes). Lower maxTokens or raise the limit.`,
          ),
        );
        continue;
      }
      longest = Math.max(longest, finalLength);
      this.#running.push({ sequence, finalLength, lastToken: 0 });
      admitted++;
    }
    this.#queue.splice(0, admitted);
    return admitted;
  }

  /** Starts the sequences in the slots from `first` on; a failure ends only them. */
  async #start(first: number): Promise<void> {
    try {
      await this.#prefill(first);
    } catch (error) {
      this.#failFrom(first, error);
    }
  }

  /** Reads the prompts of the slots from `first` on and chooses their first tokens. */
  async #prefill(first: number): Promise<void> {
    const { chunkLength } = this.#limits;
    const numSlots = this.#running.length;
    const longest = this.#running.reduce((length, one) => Math.max(length, one.sequence.prompt.length), 0);
    const current = this.#longestRunning(first);
    this.#cache.reserve(numSlots, Math.max(longest, current) + 1);
    const scores = new Map<number, Float32Array>();
    const promptOf = (slot: number) => this.#running[slot]!.sequence.prompt;
    const slots = Array.from({ length: numSlots - first }, (_, i) => first + i);
    slots.sort((a, b) => promptOf(a).length - promptOf(b).length);
    for (let at = 0; at < slots.length; ) {
      // Sorted by length: as many as share a bucket and fit one run.
      const bucket = this.#bucketFor(promptOf(slots[at]!).length);
      const most = Math.max(1, Math.floor(MAX_PREFILL_TOKENS / bucket));
      let end = at + 1;
      while (
        end < slots.length &&
        end - at < most &&
        this.#bucketFor(promptOf(slots[end]!).length) === bucket
      )
        end++;
      await this.#readChunk(slots.slice(at, end), bucket, scores);
      at = end;
    }
    for (const slot of slots) {
      while (this.#cache.lengthOf(slot) < promptOf(slot).length && !this.#stopped(slot)) {
        const rest = promptOf(slot).length - this.#cache.lengthOf(slot);
        await this.#readChunk([slot], this.#bucketFor(Math.min(rest, chunkLength)), scores);
      }
    }
    // From the last slot down, because a removal moves the last slot into the gap.
    for (let slot = numSlots - 1; slot >= first; slot--) {
      const logits = scores.get(slot);
      if (logits && this.#cache.lengthOf(slot) === promptOf(slot).length) this.#choose(slot, logits);
    }
  }

  #stopped(slot: number): boolean {
    return this.#disposed || this.#running[slot]!.sequence.isCancelled;
  }

  #longestRunning(numSlots: number): number {
    let longest = 0;
    for (let slot = 0; slot < numSlots; slot++) longest = Math.max(longest, this.#cache.lengthOf(slot));
    return longest;
  }

  #bucketFor(length: number): number {
    const { chunkLength } = this.#limits;
    const wanted = Math.min(length, chunkLength);
    return Math.min(BUCKETS.find((bucket) => bucket >= wanted) ?? chunkLength, chunkLength);
  }

  /** Reads the next `length` or fewer prompt tokens of slots that are equally far; keeps the last one's scores. */
  async #readChunk(
    slots: readonly number[],
    length: number,
    scores: Map<number, Float32Array>,
  ): Promise<void> {
    const numRows = slots.length;
    const start = this.#cache.lengthOf(slots[0]!);
    const ids = new Int32Array(numRows * length);
    const positions = new BigInt64Array(numRows * length);
    const positionWords = new Int32Array(positions.buffer);
    const last = new Int32Array(numRows);
    const counts = slots.map((slot, row) => {
      const { prompt } = this.#running[slot]!.sequence;
      const chunk = prompt.subarray(start, start + length);
      ids.set(chunk, row * length);
      for (let t = 0; t < length; t++) positionWords[2 * (row * length + t)] = start + t;
      last[row] = row * length + chunk.length - 1;
      return chunk.length;
    });
    await this.#decoder.ensurePositions(start + length);
    const { logits, present } = await this.#decoder.run({
      numRows,
      length,
      ids,
      positions,
      ...(length > 1 && { last }),
      ...(start > 0 && { past: this.#cache.feeds(slots[0]!, 1) }),
    });
    slots.forEach((slot, row) => {
      this.#cache.append(slot, present, numRows, row, counts[row]!);
      scores.set(slot, logits.subarray(row * this.#vocabSize, (row + 1) * this.#vocabSize));
    });
  }

  /** One token for every running sequence. */
  async #step(): Promise<void> {
    const numRows = this.#running.length;
    let longest = 0;
    for (let slot = 0; slot < numRows; slot++) {
      const length = this.#cache.lengthOf(slot);
      this.#ids[slot] = this.#running[slot]!.lastToken;
      this.#positionWords[2 * slot] = length;
      longest = Math.max(longest, length);
    }
    this.#cache.reserve(numRows, longest + 1);
    await this.#decoder.ensurePositions(longest + 1);
    const { logits, present } = await this.#decoder.run({
      numRows,
      length: 1,
      ids: this.#ids.subarray(0, numRows),
      positions: this.#positions.subarray(0, numRows),
      past: this.#cache.feeds(0, numRows),
    });
    for (let slot = 0; slot < numRows; slot++) this.#cache.append(slot, present, numRows, slot, 1);
    for (let slot = numRows - 1; slot >= 0; slot--) {
      this.#choose(slot, logits.subarray(slot * this.#vocabSize, (slot + 1) * this.#vocabSize));
    }
  }

  /** Lets a slot's sequence choose; an ended one leaves its slot to the last. */
  #choose(slot: number, logits: Float32Array): void {
    const running = this.#running[slot]!;
    try {
      const token = running.sequence.next(logits);
      if (token === undefined) this.#remove(slot);
      else running.lastToken = token;
    } catch (error) {
      this.#remove(slot, true);
      running.sequence.fail(error);
    }
  }

  #remove(slot: number, wipe = false): void {
    const last = this.#running.length - 1;
    this.#cache.clear(slot, wipe);
    if (slot !== last) {
      this.#running[slot] = this.#running[last]!;
      this.#cache.move(last, slot);
    }
    this.#running.pop();
  }
}

function disposedError(): PlinthError {
  return new PlinthError('usage', 'This language model was disposed; load it again to generate.');
}
