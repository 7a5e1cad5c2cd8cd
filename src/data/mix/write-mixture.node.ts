/**
 * Writes a planned mixture: `documents/shard-00000.jsonl` ... in the order of the plan and `mix.json` beside them.
 * Copies lines from the spill in batches (reads in the order of the file, output in the order of the plan), so memory
 * holds one batch. The folder it fills is the caller's to put in place.
 */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileAtomic } from '../../core/atomic-file.node.ts';
import { ConfigError } from '../../core/errors.ts';
import { type EventSink, ignoreEvents } from '../../core/events.ts';
import { shardName } from '../jobs/index.ts';
import { describeMixture, type MixtureRecord } from './describe-mixture.ts';
import type { DocumentSpill } from './document-spill.node.ts';
import type { MixtureItem } from './mixture-order.ts';
import type { MixturePlan } from './plan-mixture.ts';

/** A shard is closed before the line that would take it beyond this. */
export const MIX_SHARD_BYTES = 32 * 1024 * 1024;
const BATCH_BYTES = 8 * 1024 * 1024;
/** Reads of the spill that are under way at once. */
const NUM_READS = 16;
/** Ends of a spilled line: the meta object's, the document's, the line's. */
const LINE_END = '}}\n';

export interface WriteMixtureOptions {
  /** Default 32 MiB. */
  shardBytes?: number;
  onEvent?: EventSink;
  signal?: AbortSignal;
}

/**
 * Fills `folder`, which must exist.
 * @throws ConfigError when the plan was made for other sources; PlinthError 'disk' when the device fails.
 */
export async function writeMixture(
  spill: DocumentSpill,
  plan: MixturePlan,
  folder: string,
  options: WriteMixtureOptions = {},
): Promise<MixtureRecord> {
  if (plan.sources !== spill.sources) {
    throw new ConfigError("The plan was not made for these documents. Plan with the spill's own sources.");
  }
  const { shardBytes = MIX_SHARD_BYTES, onEvent = ignoreEvents, signal } = options;
  const documents = join(folder, 'documents');
  await mkdir(documents, { recursive: true });
  const startedAt = performance.now();
  let done = 0;
  const report = (count: number): void => {
    done += count;
    const ratePerSecond = (1000 * done) / Math.max(1, performance.now() - startedAt);
    const total = plan.numDocuments;
    const secondsLeft = ratePerSecond > 0 ? (total - done) / ratePerSecond : 0;
    onEvent({ type: 'progress', stage: 'write', done, total, unit: 'documents', ratePerSecond, secondsLeft });
  };
  const batches = new BatchStream(spill, plan, shardBytes);
  for (let shard = 0; batches.hasMore; shard++) {
    await writeFileAtomic(join(documents, `${shardName(shard)}.jsonl`), batches.ofNextShard(report, signal));
  }
  const record = describeMixture(plan);
  await writeFileAtomic(join(folder, 'mix.json'), `${JSON.stringify(record, null, 2)}\n`);
  return record;
}

/** The plan's documents as bytes, cut into shards and within them into batches. */
class BatchStream {
  readonly #spill: DocumentSpill;
  readonly #items: Generator<MixtureItem>;
  readonly #shardBytes: number;
  #next: MixtureItem | undefined;

  constructor(spill: DocumentSpill, plan: MixturePlan, shardBytes: number) {
    this.#spill = spill;
    this.#items = plan.items();
    this.#shardBytes = shardBytes;
    this.#advance();
  }

  get hasMore(): boolean {
    return this.#next !== undefined;
  }

  #advance(): void {
    const { value, done } = this.#items.next();
    this.#next = done ? undefined : value;
  }

  async *ofNextShard(
    onBatch: (numDocuments: number) => void,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<Uint8Array> {
    let shardSize = 0;
    for (let isOver = false; !isOver; ) {
      signal?.throwIfAborted();
      const reads: { offset: number; length: number; at: number }[] = [];
      const endings: { at: number; text: string }[] = [];
      let size = 0;
      for (;;) {
        const item = this.#next;
        if (item === undefined) {
          isOver = true;
          break;
        }
        const lineBytes = this.#spill.lineBytes(item.source, item.document);
        const ending = endingOf(item);
        const outBytes = lineBytes - LINE_END.length + ending.length;
        if (shardSize + outBytes > this.#shardBytes && shardSize > 0) {
          isOver = true;
          break;
        }
        if (size + outBytes > BATCH_BYTES && size > 0) break;
        const length = lineBytes - LINE_END.length;
        reads.push({ offset: this.#spill.offset(item.source, item.document), length, at: size });
        endings.push({ at: size + length, text: ending });
        size += outBytes;
        shardSize += outBytes;
        this.#advance();
      }
      if (reads.length === 0) return;
      const bytes = Buffer.allocUnsafe(size);
      for (const { at, text } of endings) bytes.write(text, at, 'latin1');
      const numDocuments = reads.length;
      reads.sort((a, b) => a.offset - b.offset);
      const queue = reads.values();
      const work = async (): Promise<void> => {
        for (const { offset, length, at } of queue) await this.#spill.copy(offset, length, bytes, at);
      };
      await Promise.all(Array.from({ length: NUM_READS }, work));
      yield bytes;
      onBatch(numDocuments);
    }
  }
}

/** A repeated document says the how-manieth time it is. */
function endingOf({ epoch }: MixtureItem): string {
  return epoch === 0 ? LINE_END : `,"mixEpoch":${epoch + 1}${LINE_END}`;
}
