/**
 * Continuous batching: sequences wait in a queue, take a slot of the cache, have their prompt read in chunks
 * and then go on together, one token a step; a slot that ends is filled from the queue. What a sequence gives
 * never depends on its company: rows do not see each other, and every sequence chooses its own tokens. The
 * engine knows token ids and scores only, neither text nor sampling.
 */
import { LimitError } from '../core/errors.ts';
import { type BatchRow, BatchRows } from './batch-rows.ts';
import type { Decoder } from './decoder.ts';
import { DecoderBatch } from './decoder-batch.ts';
import { KeyValueCache } from './key-value-cache.ts';
import { disposedError } from './language-model-calls.ts';
import { PrefixCache } from './prefix-cache.ts';
import { type BranchingSequence, type BranchRow, isBranching, type Sequence } from './sequence.ts';
import { type CheckedRow, type DraftOptions, type Guesses, Speculation } from './speculation.ts';

export interface EngineLimits {
  /** Sequences decoded together. */
  readonly maxBatchSize: number;
  /** Sequences that may wait; one more is refused. */
  readonly maxQueueLength: number;
  /** Bytes of the cache of keys and values of what runs. */
  readonly maxCacheBytes: number;
  /** Bytes of keys and values kept of texts that were read, for prompts that begin alike; 0: none. */
  readonly prefixCacheBytes: number;
  /** Prompt tokens read between two steps of what is being generated. */
  readonly chunkLength: number;
}

/** What the engine is doing, for monitors and tests. */
export interface EngineUse {
  readonly numRunning: number;
  readonly numWaiting: number;
  readonly cacheBytes: number;
  readonly prefixCacheBytes: number;
  /** Prompt tokens found in the prefix cache so far. */
  readonly prefixTokensSaved: number;
  readonly numSteps: number;
}

/** Padded tokens of one run that reads prompts while nothing is generated, and new tokens of a row in it. */
const MAX_READ_TOKENS = 4096;
const MAX_READ_LENGTH = 512;
/** Numbers in the largest tensor of such a run: attention over a long context, scores of every token of a prompt. */
const MAX_READ_NUMBERS = 2 ** 26;
/** An idle engine keeps a cache of this size for the next request. */
const KEEP_BYTES = 64 * 2 ** 20;
/** How long the loop goes on before timers and other tasks get a turn. */
const TURN_MS = 50;
/** Prompts that share so many unread tokens wait for the first of them to be read. */
const WORTH_SHARING = 16;

export class DecodeEngine {
  readonly #decoder: Decoder;
  readonly #limits: EngineLimits;
  readonly #cache: KeyValueCache;
  readonly #prefixes: PrefixCache;
  readonly #batch: DecoderBatch;
  readonly #speculation: Speculation | undefined;
  /** That of the model, and of the draft model with the same slots. */
  readonly #caches: readonly KeyValueCache[];
  readonly #queue: (Sequence | BranchingSequence)[] = [];
  readonly #rows: BatchRows;
  #loop: Promise<void> | undefined;
  #numSteps = 0;
  #numRounds = 0;
  #disposed = false;

  constructor(decoder: Decoder, limits: EngineLimits, draft?: DraftOptions) {
    this.#decoder = decoder;
    this.#limits = limits;
    this.#cache = new KeyValueCache(decoder.config, limits.maxCacheBytes);
    this.#prefixes = new PrefixCache(limits.prefixCacheBytes);
    this.#batch = new DecoderBatch(decoder, this.#cache);
    this.#speculation = draft && new Speculation(draft, limits.maxCacheBytes);
    this.#caches = this.#speculation ? [this.#cache, this.#speculation.cache] : [this.#cache];
    this.#rows = new BatchRows(this.#caches);
  }

  get use(): EngineUse {
    return {
      numRunning: this.#rows.count,
      numWaiting: this.#queue.length,
      cacheBytes: this.#cache.sizeBytes,
      prefixCacheBytes: this.#prefixes.use.sizeBytes,
      prefixTokensSaved: this.#prefixes.use.tokensSaved,
      numSteps: this.#numSteps,
    };
  }

  /** Queues sequences; each is told of its own end. Those for whom the queue has no room fail. */
  submit(sequences: readonly (Sequence | BranchingSequence)[]): void {
    const { maxQueueLength, maxBatchSize } = this.#limits;
    for (const sequence of sequences) {
      if (this.#disposed) sequence.fail(disposedError());
      else if (this.#queue.length >= maxQueueLength) {
        sequence.fail(
          new LimitError(
            `${this.#queue.length} requests are waiting, as many as the queue takes (maxQueueLength). ` +
              'Try again later, or raise the limit.',
          ),
        );
      } else if (isBranching(sequence) && sequence.width > maxBatchSize) {
        sequence.fail(
          new LimitError(
            `A search over ${sequence.width} rows does not fit into batches of ${maxBatchSize} (maxBatchSize). ` +
              'Search with fewer, or raise the limit.',
          ),
        );
      } else this.#queue.push(sequence);
    }
    if (!this.#disposed) this.#loop ??= this.#run();
  }

  /** Forgets the texts read so far. */
  clearPrefixCache(): void {
    this.#prefixes.clear();
  }

  /** Ends everything that runs or waits with an error, and frees the model. */
  async dispose(): Promise<void> {
    this.#disposed = true;
    await this.#loop;
    this.#cache.release();
    this.#prefixes.clear();
    await this.#speculation?.dispose();
    await this.#decoder.dispose();
  }

  async #run(): Promise<void> {
    // What is submitted in one go starts in one batch.
    await Promise.resolve();
    let turnEnd = performance.now() + TURN_MS;
    while (this.#queue.length > 0 || this.#rows.count > 0) {
      try {
        this.#dropEnded();
        this.#admit();
        await this.#advance();
      } catch (error) {
        this.#failAll(error);
      }
      if (performance.now() > turnEnd) {
        // A timer would sleep for a millisecond or more.
        await new Promise((resolve) => (globalThis.setImmediate ?? setTimeout)(resolve));
        turnEnd = performance.now() + TURN_MS;
      }
    }
    this.#batch.release();
    if (this.#cache.sizeBytes > KEEP_BYTES) for (const cache of this.#caches) cache.release();
    this.#loop = undefined;
  }

  /** One chunk of the prompts that are still being read, then one step of everything else. */
  async #advance(): Promise<void> {
    if (this.#rows.numGenerating < this.#rows.count) await this.#read();
    if (this.#rows.numGenerating > 0) await this.#step();
  }

  #failAll(error: unknown): void {
    for (const sequence of new Set(this.#rows.all.map((one) => one.sequence))) {
      this.#rows.removeAll(sequence);
      sequence.fail(error);
    }
  }

  /** Takes out what was cancelled; after `dispose`, everything. */
  #dropEnded(): void {
    if (this.#disposed) {
      this.#failAll(disposedError());
      for (const sequence of this.#queue.splice(0)) sequence.fail(disposedError());
      return;
    }
    for (const sequence of new Set(this.#rows.all.map((one) => one.sequence))) {
      if (!sequence.isCancelled) continue;
      this.#rows.removeAll(sequence);
      sequence.cancel();
    }
    // Those that wait hold no memory: a look now and then will do.
    if (this.#numRounds++ % 16 === 0 && this.#queue.some((sequence) => sequence.isCancelled)) {
      const waiting = this.#queue.splice(0);
      this.#queue.push(...waiting.filter((sequence) => !sequence.isCancelled));
      for (const sequence of waiting) if (sequence.isCancelled) sequence.cancel();
    }
    if (this.#cache.sizeBytes > KEEP_BYTES) {
      for (const cache of this.#caches) cache.shrink(Math.max(1, this.#rows.count));
    }
  }

  /** Gives free slots to waiting sequences, in order. */
  #admit(): void {
    if (this.#queue.length === 0) return;
    const { maxBatchSize, maxCacheBytes } = this.#limits;
    const widthOf = (sequence: Sequence | BranchingSequence) => (isBranching(sequence) ? sequence.width : 1);
    const sequences = new Set(this.#rows.all.map((one) => one.sequence));
    let numRows = 0;
    for (const sequence of sequences) numRows += widthOf(sequence);
    let longest = this.#rows.count > 0 ? this.#cache.capacity : 0;
    for (const { prompt, maxTokens } of sequences) longest = Math.max(longest, prompt.length + maxTokens);
    for (let at = 0; at < this.#queue.length && numRows < maxBatchSize; ) {
      const sequence = this.#queue[at]!;
      if (sequence.isCancelled) {
        this.#queue.splice(at, 1);
        sequence.cancel();
        continue;
      }
      const width = widthOf(sequence);
      if (numRows + width > maxBatchSize) break;
      const finalLength = sequence.prompt.length + sequence.maxTokens;
      if (this.#rows.count === 0) this.#fitCaches(finalLength);
      const capacity = KeyValueCache.capacityFor(Math.max(longest, finalLength));
      const needed = (numRows + width) * capacity * this.#cache.bytesPerPosition;
      if (needed > maxCacheBytes) {
        if (this.#rows.count > 0) break;
        this.#queue.splice(at, 1);
        sequence.fail(
          new LimitError(
            `A prompt of ${sequence.prompt.length} tokens with maxTokens ${sequence.maxTokens} needs a cache of ` +
              `${needed} bytes; the limit is ${maxCacheBytes} (maxCacheBytes). Lower maxTokens or raise the limit.`,
          ),
        );
        continue;
      }
      // What another prompt is reading just now will be found in the prefix cache soon.
      if (this.#prefixes.isOn && this.#sharesUnread(sequence)) {
        at++;
        continue;
      }
      this.#queue.splice(at, 1);
      longest = Math.max(longest, finalLength);
      numRows += width;
      this.#begin(sequence);
    }
  }

  /** Room kept from a longer text would cost every run time, and memory that was not counted, times the slots. */
  #fitCaches(length: number): void {
    for (const cache of this.#caches) {
      if (cache.capacity > KeyValueCache.capacityFor(length)) cache.release();
    }
  }

  #sharesUnread(sequence: Sequence | BranchingSequence): boolean {
    if (sequence.readsPrompt) return false;
    for (let slot = this.#rows.numGenerating; slot < this.#rows.count; slot++) {
      const { prompt } = this.#rows.all[slot]!.sequence;
      const most = Math.min(prompt.length, sequence.prompt.length - 1);
      let shared = 0;
      while (shared < most && prompt[shared] === sequence.prompt[shared]) shared++;
      // Only what is not read yet is worth waiting for.
      if (shared - this.#cache.lengthOf(slot) >= WORTH_SHARING) return true;
    }
    return false;
  }

  /** Takes the next slot; what is known of the prompt is copied into it. */
  #begin(sequence: Sequence | BranchingSequence): void {
    const { prompt } = sequence;
    const usesPrefix = this.#prefixes.isOn && !sequence.readsPrompt;
    const match = usesPrefix ? this.#prefixes.match(prompt, prompt.length - 1) : undefined;
    let row: BatchRow;
    try {
      row = this.#rows.add(sequence, match ? match.length + 1 : 1);
    } catch (error) {
      sequence.fail(error);
      return;
    }
    const slot = this.#rows.slotOf(row);
    for (const { rows, count } of match?.blocks ?? []) this.#cache.restore(slot, rows, count);
    if (this.#cache.lengthOf(slot) >= row.numTokens - 1) this.#rows.beginGenerating(row);
  }

  /** Reads the next chunk of as many prompts as fit a run. */
  async #read(): Promise<void> {
    const first = this.#rows.numGenerating;
    const budget = this.#readBudget(first);
    const longest = Math.min(budget, MAX_READ_LENGTH);
    const chunks: Int32Array[] = [];
    let length = 0;
    let total = 0;
    for (let slot = first; slot < this.#rows.count; slot++) {
      const { tokens, numTokens } = this.#rows.all[slot]!;
      const start = this.#cache.lengthOf(slot);
      const chunk = tokens.subarray(start, Math.min(numTokens, start + longest));
      const padded = (chunks.length + 1) * Math.max(length, chunk.length);
      // Padding is work too: rows of very different lengths are read apart.
      const fits = padded <= budget && padded <= 1.5 * (total + chunk.length) + 64;
      if (chunks.length > 0 && !fits) break;
      chunks.push(chunk);
      length = Math.max(length, chunk.length);
      total += chunk.length;
    }
    const rows = this.#rows.all.slice(first, first + chunks.length);
    const readsAll = rows.some(({ sequence }) => sequence.readsPrompt);
    const readsHidden = rows.some(({ sequence }) => isBranching(sequence) && sequence.readsPrompt);
    const wanted = readsAll ? 'all' : 'last';
    const output = await this.#batch.read(first, this.#rows.count, chunks, wanted, readsHidden);
    const { vocabSize, hiddenSize } = this.#decoder.config;
    let place = 0;
    const ends: number[] = [];
    chunks.forEach((chunk, row) => {
      this.#batch.accept(first + row, output, chunks.length, row, chunk.length);
    });
    chunks.forEach((chunk, row) => {
      const { sequence, tokens } = rows[row]!;
      const slot = this.#rows.slotOf(rows[row]!);
      const known = this.#cache.lengthOf(slot);
      this.#prefixes.insert(tokens, known, (start, count) => this.#cache.extract(slot, start, count));
      if (sequence.readsPrompt) {
        const numScored = Math.min(known, sequence.prompt.length - 1) - (known - chunk.length);
        this.#guard(sequence, () => {
          for (let at = place; at < place + numScored; at++) {
            const logits = output.logits.subarray(at * vocabSize, (at + 1) * vocabSize);
            if (!isBranching(sequence)) sequence.readPlace?.(logits);
            else {
              const hidden = output.hidden!.subarray(at * hiddenSize, (at + 1) * hiddenSize);
              sequence.readPlace?.({ logits, hidden });
            }
          }
        });
      }
      place += readsAll ? chunk.length : 1;
      ends.push(place - 1);
    });
    // By identity: rows that end or settle change places with others.
    for (const [row, one] of rows.entries()) {
      const slot = this.#rows.slotOf(one);
      if (slot < 0) continue;
      if (this.#cache.lengthOf(slot) < one.numTokens - 1) continue;
      if (isBranching(one.sequence) || this.#cache.lengthOf(slot) < one.numTokens) {
        // Its last token is still to come (or its states are wanted too): the next step runs it.
        this.#rows.truncate(one, one.numTokens - 1);
        this.#rows.beginGenerating(one);
        continue;
      }
      this.#rows.beginGenerating(one);
      const at = ends[row]! * vocabSize;
      this.#choose(one, output.logits.subarray(at, at + vocabSize));
    }
  }

  /** Padded tokens that a run may read: steps of what is generated wait for it, and memory is finite. */
  #readBudget(first: number): number {
    const { numHeads, vocabSize } = this.#decoder.config;
    let perToken = 1;
    for (const { sequence, numTokens } of this.#rows.all.slice(first)) {
      const numPlaces = Math.max(this.#cache.capacity, KeyValueCache.capacityFor(numTokens));
      perToken = Math.max(perToken, numHeads * numPlaces, sequence.readsPrompt ? vocabSize : 0);
    }
    const affordable = Math.max(1, Math.floor(MAX_READ_NUMBERS / perToken));
    return Math.min(affordable, first > 0 ? this.#limits.chunkLength : MAX_READ_TOKENS);
  }

  /** One token for every generating row. */
  async #step(): Promise<void> {
    this.#numSteps++;
    const rows = this.#rows.all.slice(0, this.#rows.numGenerating);
    const branching = rows.some(({ sequence }) => isBranching(sequence));
    const speculation = branching ? undefined : this.#speculation;
    const guesses = speculation && (await this.#guess(speculation, rows));
    if (guesses) return this.#stepAhead(speculation, rows, guesses);
    const { vocabSize, hiddenSize } = this.#decoder.config;
    const start = performance.now();
    const output = await this.#batch.step(
      rows.length,
      this.#rows.count,
      (slot) => rows[slot]!.tokens[rows[slot]!.numTokens - 1]!,
      branching,
    );
    speculation?.toldStep(rows.length, performance.now() - start);
    const searches = new Map<BranchingSequence, BatchRow[]>();
    const logits = rows.map((_, slot) => output.logits.subarray(slot * vocabSize, (slot + 1) * vocabSize));
    const slotOf = new Map(rows.map((one, slot) => [one, slot]));
    for (const [slot, one] of rows.entries()) {
      if (!isBranching(one.sequence)) this.#choose(one, logits[slot]!);
      else searches.set(one.sequence, [...(searches.get(one.sequence) ?? []), one]);
    }
    for (const [sequence, own] of searches) {
      own.sort((a, b) => a.branch - b.branch);
      const seen = own.map((one) => {
        const slot = slotOf.get(one)!;
        return {
          logits: logits[slot]!,
          hidden: output.hidden!.subarray(slot * hiddenSize, (slot + 1) * hiddenSize),
        };
      });
      this.#branch(sequence, own, seen);
    }
  }

  #guess(speculation: Speculation, rows: readonly BatchRow[]): Promise<Guesses | undefined> {
    const guessing = rows.map(({ sequence, tokens, numTokens }) => ({
      sequence: sequence as Sequence,
      tokens: tokens.subarray(0, numTokens),
      numLeft: tokens.length - numTokens,
    }));
    return speculation.propose(guessing, this.#rows.count);
  }

  /** Tokens that a draft model guessed, checked in one run: what is chosen is what one by one would be. */
  async #stepAhead(speculation: Speculation, rows: readonly BatchRow[], guesses: Guesses): Promise<void> {
    const numSlots = this.#rows.count;
    const proposals: (readonly number[])[] = [...guesses.tokens];
    const started = performance.now();
    const chunks = rows.map(({ tokens, numTokens }, row) => {
      const guessed = proposals[row]!;
      return Int32Array.of(tokens[numTokens - 1]!, ...guessed);
    });
    const output = await this.#batch.read(0, numSlots, chunks, 'all');
    // Keys and values first: a row that ends gives its slot to another. What turns out wrong is cut off again.
    for (const [slot, chunk] of chunks.entries()) {
      this.#batch.accept(slot, output, rows.length, slot, chunk.length);
    }
    const checkMs = performance.now() - started;
    const { vocabSize } = this.#decoder.config;
    let start = 0;
    for (const [slot, chunk] of chunks.entries()) {
      if (chunk.length > 1 && this.#cache.isDamaged(slot)) {
        // Numbers of a wrong guess that are not finite reach the places before it, masked or not: once more without.
        this.#cache.truncate(slot, rows[slot]!.numTokens - 1);
        const alone = await this.#batch.read(slot, numSlots, [chunk.subarray(0, 1)], 'last');
        this.#batch.accept(slot, alone, 1, 0, 1);
        output.logits.set(alone.logits, start * vocabSize);
        proposals[slot] = [];
      }
      start += chunk.length;
    }
    start = 0;
    const checked: CheckedRow[] = [];
    for (const [row, one] of rows.entries()) {
      const guessed = proposals[row]!;
      let numRight = 0;
      let token: number | undefined;
      for (; numRight <= guessed.length; numRight++) {
        const at = (start + numRight) * vocabSize;
        token = this.#choose(one, output.logits.subarray(at, at + vocabSize));
        if (token === undefined || token !== guessed[numRight]) break;
      }
      checked.push({ numRight, isEnded: token === undefined });
      start += chunks[row]!.length;
      this.#rows.truncate(one, one.numTokens - 1);
    }
    speculation.toldRound(guesses, checked, checkMs);
  }

  /** Lets a sequence choose; an ended one leaves its slot. Returns its token. */
  #choose(one: BatchRow, logits: Float32Array): number | undefined {
    const sequence = one.sequence as Sequence;
    return this.#guard(sequence, () => {
      const token = sequence.next(logits);
      if (token === undefined) {
        this.#remember(one);
        this.#rows.removeAll(sequence);
      } else one.tokens[one.numTokens++] = token;
      return token;
    });
  }

  /** Runs what a sequence does with its scores; its errors end it alone. */
  #guard<Result>(sequence: Sequence | BranchingSequence, run: () => Result): Result | undefined {
    try {
      return run();
    } catch (error) {
      this.#rows.removeAll(sequence);
      sequence.fail(error);
      return undefined;
    }
  }

  /** Lets a search choose its next rows from those that it has, in their order. */
  #branch(sequence: BranchingSequence, rows: readonly BatchRow[], seen: readonly BranchRow[]): void {
    this.#guard(sequence, () => {
      const branches = sequence.advance(seen);
      if (!branches) {
        this.#rows.removeAll(sequence);
        return;
      }
      const kept = new Set(branches.map(({ parent }) => rows[parent]!));
      // First, so that there are never more slots than rows before or after.
      for (const one of rows) if (!kept.has(one)) this.#rows.remove(one);
      const next = branches.map(({ parent }) => {
        const from = rows[parent]!;
        return kept.delete(from) ? from : this.#rows.fork(from);
      });
      for (const [branch, { token }] of branches.entries()) {
        const one = next[branch]!;
        one.tokens[one.numTokens++] = token;
        one.branch = branch;
      }
    });
  }

  /** Keeps what a sequence that ended well has read and written, for prompts that go on from there. */
  #remember(row: BatchRow): void {
    const slot = this.#rows.slotOf(row);
    const known = Math.min(this.#cache.lengthOf(slot), row.numTokens);
    this.#prefixes.insert(row.tokens, known, (start, count) => this.#cache.extract(slot, start, count));
  }
}
