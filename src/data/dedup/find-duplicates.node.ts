/**
 * Finds duplicates from signatures on disk within a memory bound. Each column is read once in order if a table of
 * its keys fits, else once for each range of keys; more memory means fewer passes and the same result. Documents
 * need 4 bytes each throughout (12 when the longest of a cluster is kept), units a quarter of a byte.
 */
import { closeSync, openSync, readSync } from 'node:fs';
import { CancelledError, ConfigError, FormatError, LimitError } from '../../core/errors.ts';
import { type EventSink, ignoreEvents } from '../../core/events.ts';
import { formatBytes } from '../../core/units.ts';
import { type DedupMethod, resolveMethod } from './dedup-method.ts';
import { DuplicateFinding } from './duplicate-finding.ts';
import type { DuplicateSet } from './duplicate-set.ts';
import { BYTES_PER_SLOT, KeyLinker, MIN_SLOTS, numRangesFor, slotsFor } from './key-linker.ts';
import {
  listSignatureShards,
  type SignatureShard,
  SignatureShardReader,
  sketchPosition,
} from './signature-shards.node.ts';

export const DEFAULT_MEMORY_BYTES = 256 * 1024 * 1024;
/** Keys read at a time, in bytes; less when memory is scarce. */
const MAX_BLOCK_BYTES = 1024 * 1024;
const MIN_BLOCK_BYTES = 256;
const MIN_WORK_BYTES = MIN_SLOTS * BYTES_PER_SLOT + MIN_BLOCK_BYTES;
/** Files of sketches open at once. */
const MAX_OPEN_SKETCHES = 64;

export interface FindDuplicatesOptions {
  /** Default 256 MiB. Bounds tables and buffers together; Node itself needs about 50 MB more. */
  readonly memoryBytes?: number;
  readonly onEvent?: EventSink;
  readonly signal?: AbortSignal;
}

/**
 * @throws DataError when a shard is missing; FormatError for a damaged one; LimitError when the bound is too low
 * for so many documents; CancelledError on the signal.
 */
export async function findDuplicates(
  folder: string,
  method: DedupMethod,
  options: FindDuplicatesOptions = {},
): Promise<DuplicateSet> {
  const { memoryBytes = DEFAULT_MEMORY_BYTES, onEvent = ignoreEvents, signal } = options;
  if (!(memoryBytes > 0)) throw new ConfigError(`memoryBytes must be positive; got ${memoryBytes}.`);
  const resolved = resolveMethod(method);
  const shards = await listSignatureShards(folder, resolved);
  const last = shards[shards.length - 1]!;
  const counts = {
    numDocuments: last.firstOrdinal + last.numDocuments,
    numItems: last.firstItem + last.numItems,
    sketchBytes: last.sketchBytes,
  };
  const fixedBytes = DuplicateFinding.memoryBytes(resolved, counts);
  if (fixedBytes + MIN_WORK_BYTES > memoryBytes) {
    throw new LimitError(
      `Finding duplicates among ${counts.numDocuments} documents needs ${formatBytes(fixedBytes + MIN_WORK_BYTES)} ` +
        `of memory; the bound is ${formatBytes(memoryBytes)}. Raise memoryBytes (--memory).`,
    );
  }
  const workBytes = memoryBytes - fixedBytes;
  const blockBytes = Math.min(MAX_BLOCK_BYTES, Math.max(MIN_BLOCK_BYTES, workBytes / 8));
  const block = new Uint32Array(2 * Math.floor(blockBytes / 8));
  const numSlots = slotsFor(counts.numItems, workBytes - block.byteLength);
  const finding = new DuplicateFinding(resolved, counts);
  const sketches = new SketchFiles(shards);
  const linker = new KeyLinker(
    numSlots,
    finding.hooks((ordinal) => sketches.read(ordinal)),
  );
  const progress = progressOf(counts.numItems * last.numColumns, onEvent);
  /** Gives all keys of a column to `take`; stops early and returns false when it does. */
  const eachBlock = async (
    column: number,
    take: (keys: Uint32Array, firstItem: number) => boolean,
  ): Promise<boolean> => {
    for (const shard of shards) {
      const reader = await SignatureShardReader.open(shard);
      try {
        for (let first = 0; first < shard.numItems; first += block.length / 2) {
          if (signal?.aborted) throw new CancelledError();
          const numWords = await reader.readKeys(column, first, block);
          if (!take(block.subarray(0, numWords), shard.firstItem + first)) return false;
        }
      } finally {
        await reader.close();
      }
    }
    return true;
  };
  const linkRange = async (column: number, from: number, to: number): Promise<void> => {
    linker.begin(from, to);
    if (await eachBlock(column, (keys, firstItem) => linker.add(keys, firstItem))) {
      finding.numLeaderless += linker.numLeaderless;
      return;
    }
    if (to - from <= 1) {
      throw new LimitError(
        `More keys begin with the same 32 bits than fit in ${formatBytes(memoryBytes)}. Raise memoryBytes (--memory).`,
      );
    }
    const middle = Math.floor((from + to) / 2);
    await linkRange(column, from, middle);
    await linkRange(column, middle, to);
  };
  try {
    const numRanges = numRangesFor(counts.numItems, numSlots);
    const rangeSize = 2 ** 32 / numRanges;
    for (let column = 0; column < last.numColumns; column++) {
      for (let range = 0; range < numRanges; range++) {
        await linkRange(column, range * rangeSize, (range + 1) * rangeSize);
        progress((column + (range + 1) / numRanges) * counts.numItems);
      }
    }
    await eachBlock(0, (keys, firstItem) => {
      finding.noteKeyless(keys, firstItem);
      return true;
    });
    for (const shard of shards) await addPerDocument(finding, shard, block);
  } finally {
    sketches.close();
  }
  return finding.finish();
}

async function addPerDocument(
  finding: DuplicateFinding,
  shard: SignatureShard,
  block: Uint32Array,
): Promise<void> {
  const reader = await SignatureShardReader.open(shard);
  try {
    for (let first = 0; first < shard.numDocuments; first += block.length) {
      const numWords = await reader.readPerDocument(first, block);
      finding.addPerDocument(block.subarray(0, numWords), shard.firstOrdinal + first);
    }
  } finally {
    await reader.close();
  }
}

function progressOf(total: number, onEvent: EventSink): (done: number) => void {
  const start = performance.now();
  return (done) => {
    const seconds = Math.max((performance.now() - start) / 1000, 1e-6);
    onEvent({
      type: 'progress',
      stage: 'find duplicates',
      done: Math.round(done),
      total,
      unit: 'keys',
      ratePerSecond: done / seconds,
      secondsLeft: done > 0 ? ((total - done) * seconds) / done : Number.NaN,
    });
  };
}

/** Reads sketches one at a time by ordinal, two of them at once valid. A few files stay open. */
class SketchFiles {
  readonly #shards: readonly SignatureShard[];
  readonly #open = new Map<SignatureShard, number>();
  readonly #buffers: readonly [Uint8Array, Uint8Array];
  #next: 0 | 1 = 0;

  constructor(shards: readonly SignatureShard[]) {
    this.#shards = shards;
    const { sketchBytes } = shards[0]!;
    this.#buffers = [new Uint8Array(sketchBytes), new Uint8Array(sketchBytes)];
  }

  read(ordinal: number): Uint8Array {
    const shard = this.#shardOf(ordinal);
    const buffer = this.#buffers[this.#next];
    this.#next = this.#next === 0 ? 1 : 0;
    const position = sketchPosition(shard, ordinal - shard.firstOrdinal);
    if (readSync(this.#descriptorOf(shard), buffer, 0, buffer.length, position) < buffer.length) {
      throw new FormatError(`${shard.path} ends too early. Delete it and sign the shard again.`);
    }
    return buffer;
  }

  #shardOf(ordinal: number): SignatureShard {
    let low = 0;
    let high = this.#shards.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.#shards[middle]!.firstOrdinal <= ordinal) low = middle;
      else high = middle - 1;
    }
    return this.#shards[low]!;
  }

  #descriptorOf(shard: SignatureShard): number {
    let descriptor = this.#open.get(shard);
    if (descriptor === undefined) {
      if (this.#open.size === MAX_OPEN_SKETCHES) {
        const [oldest, itsDescriptor] = this.#open.entries().next().value!;
        closeSync(itsDescriptor);
        this.#open.delete(oldest);
      }
      descriptor = openSync(shard.path, 'r');
      this.#open.set(shard, descriptor);
    }
    return descriptor;
  }

  close(): void {
    for (const descriptor of this.#open.values()) closeSync(descriptor);
    this.#open.clear();
  }
}
