/**
 * All documents of the inputs, written one a line to a single file in the order they are read, with their places and
 * sizes in memory (about 28 bytes a document, texts never held). The lines are what the mixture's files will
 * hold, so writing a mixture is copying bytes. Groups the documents into the sources of a mixture on the way.
 */
import { type FileHandle, open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { createTemporaryFolder } from '../../core/atomic-file.node.ts';
import { ConfigError, messageOf, PlinthError } from '../../core/errors.ts';
import { type EventSink, ignoreEvents } from '../../core/events.ts';
import type { Tokenizer } from '../../tokenizer/index.ts';
import type { Document, Reader, SkippedRecord } from '../document.ts';
import { NumberColumn } from './number-column.ts';
import type { MixtureSource } from './plan-mixture.ts';

export interface MixInput {
  /** Absent: the input only counts through the groups it falls into. */
  readonly name?: string;
  readonly readers: readonly Reader[];
}

export interface SpillOptions {
  /** What a source of the mixture is: an input (default), or a language or domain, within each named input. */
  readonly by?: 'source' | 'language' | 'domain';
  /** Counts tokens. */
  readonly tokenizer?: Tokenizer;
  /** Field of `meta` whose number orders an easy-to-hard curriculum; 'length' without such a field is the bytes. */
  readonly difficultyKey?: string;
  /** Asked for documents without `meta.language` when grouping by language. */
  readonly identifyLanguage?: (document: Document) => string | null;
  readonly onEvent?: EventSink;
  readonly signal?: AbortSignal;
}

export interface SpillCounts {
  numDocuments: number;
  numSkipped: number;
  /** The first ones. */
  skipped: (SkippedRecord & { source: string })[];
  /** Without a language or domain of their own when grouping by it: identified here, or grouped as 'unknown'. */
  numIdentified: number;
  numUnknown: number;
  /** Without the number that orders the curriculum. */
  numWithoutDifficulty: number;
}

export const UNKNOWN_GROUP = 'unknown';
/** Groups are listed in reports and merged over a heap; more means that a field is not a category. */
const MAX_GROUPS = 10_000;
const WRITE_BYTES = 4 * 1024 * 1024;
const MAX_LISTED_SKIPS = 20;
const EVENT_MS = 200;

interface Group {
  name: string;
  part: string;
  offsets: NumberColumn;
  lineBytes: NumberColumn;
  sizeBytes: NumberColumn;
  numTokens: NumberColumn;
  difficulty: NumberColumn;
}

export class DocumentSpill {
  readonly sources: readonly MixtureSource[];
  readonly counts: SpillCounts;
  readonly #groups: readonly Group[];
  readonly #file: FileHandle;
  readonly #folder: string;

  constructor(
    groups: readonly Group[],
    counts: SpillCounts,
    file: FileHandle,
    folder: string,
    has: { tokens: boolean; difficulty: boolean },
  ) {
    this.#groups = groups;
    this.counts = counts;
    this.#file = file;
    this.#folder = folder;
    this.sources = groups.map((group) => ({
      name: group.name,
      part: group.part,
      sizeBytes: group.sizeBytes.values,
      ...(has.tokens && { numTokens: group.numTokens.values }),
      ...(has.difficulty && { difficulty: group.difficulty.values }),
    }));
  }

  /** Bytes of a document's line, its end included. */
  lineBytes(source: number, document: number): number {
    return this.#groups[source]!.lineBytes.values[document]!;
  }

  offset(source: number, document: number): number {
    return this.#groups[source]!.offsets.values[document]!;
  }

  /** Puts `length` bytes from `offset` of the file at `at` of `into`. */
  async copy(offset: number, length: number, into: Uint8Array, at: number): Promise<void> {
    for (let done = 0; done < length; ) {
      const { bytesRead } = await this.#file.read(into, at + done, length - done, offset + done);
      if (bytesRead === 0)
        throw new PlinthError('disk', 'The spill file of the mixture was cut by something else.');
      done += bytesRead;
    }
  }

  /** Deletes the file. */
  async close(): Promise<void> {
    await this.#file.close().catch(() => {});
    await rm(this.#folder, { recursive: true, force: true });
  }
}

/**
 * Reads all inputs once. The file lies in a temporary folder beside `besidePath`, the folder the mixture will go to.
 * @throws ConfigError for more than 10,000 groups; PlinthError 'disk' when the file cannot be written; what the
 *   readers throw. Nothing is left behind then.
 */
export async function spillDocuments(
  inputs: readonly MixInput[],
  besidePath: string,
  options: SpillOptions = {},
): Promise<DocumentSpill> {
  const folder = await createTemporaryFolder(besidePath);
  let file: FileHandle | undefined;
  try {
    file = await open(join(folder, 'spill.jsonl'), 'wx+');
    const { groups, counts } = await spill(inputs, file, options);
    return new DocumentSpill(groups, counts, file, folder, {
      tokens: options.tokenizer !== undefined,
      difficulty: options.difficultyKey !== undefined,
    });
  } catch (error) {
    await file?.close().catch(() => {});
    await rm(folder, { recursive: true, force: true }).catch(() => {});
    throw error;
  }
}

async function spill(
  inputs: readonly MixInput[],
  file: FileHandle,
  options: SpillOptions,
): Promise<{ groups: Group[]; counts: SpillCounts }> {
  const { by = 'source', tokenizer, difficultyKey, signal, onEvent = ignoreEvents } = options;
  const groups = new Map<string, Group>();
  const counts: SpillCounts = {
    numDocuments: 0,
    numSkipped: 0,
    skipped: [],
    numIdentified: 0,
    numUnknown: 0,
    numWithoutDifficulty: 0,
  };
  const buffer = Buffer.allocUnsafe(WRITE_BYTES);
  let filled = 0;
  let offset = 0;
  const flush = async (): Promise<void> => {
    await writeAll(file, buffer.subarray(0, filled));
    filled = 0;
  };
  const startedAt = performance.now();
  let reportedAt = startedAt;
  const report = (): void => {
    const ratePerSecond = (1000 * counts.numDocuments) / Math.max(1, performance.now() - startedAt);
    const { numDocuments: done } = counts;
    onEvent({
      type: 'progress',
      stage: 'read',
      done,
      total: Number.NaN,
      unit: 'documents',
      ratePerSecond,
      secondsLeft: Number.NaN,
    });
  };
  // An input without a document is a source all the same: an empty one, so that it is reported.
  if (by === 'source') for (const { name } of inputs) groupOf(groups, name ?? 'all', name ?? 'all');
  for (const input of inputs) {
    for (const reader of input.readers) {
      for await (const document of reader.read()) {
        signal?.throwIfAborted();
        counts.numDocuments++;
        const category = by === 'source' ? undefined : categoryOf(document, by, options, counts);
        const name = groupName(input.name, category);
        const group = groupOf(groups, name, input.name ?? name);
        const line = lineOf(document, name, by === 'language' ? category : undefined);
        const length = Buffer.byteLength(line);
        if (filled + length > WRITE_BYTES) await flush();
        if (length > WRITE_BYTES) await writeAll(file, Buffer.from(line));
        else filled += buffer.write(line, filled);
        group.offsets.push(offset);
        group.lineBytes.push(length);
        offset += length;
        const sizeBytes = Buffer.byteLength(document.text);
        group.sizeBytes.push(sizeBytes);
        if (tokenizer) group.numTokens.push(tokenizer.encode(document.text).length);
        if (difficultyKey !== undefined) {
          const value = document.meta[difficultyKey] ?? (difficultyKey === 'length' ? sizeBytes : undefined);
          if (typeof value !== 'number') counts.numWithoutDifficulty++;
          group.difficulty.push(typeof value === 'number' ? value : Number.NaN);
        }
        if (performance.now() - reportedAt < EVENT_MS) continue;
        reportedAt = performance.now();
        report();
      }
      const { report: read } = reader;
      counts.numSkipped += read.numSkipped;
      for (const skip of read.skipped) {
        if (counts.skipped.length < MAX_LISTED_SKIPS) counts.skipped.push({ ...skip, source: read.source });
      }
    }
  }
  await flush();
  report();
  return { groups: [...groups.values()].sort((a, b) => (a.name < b.name ? -1 : 1)), counts };
}

function categoryOf(
  document: Document,
  by: 'language' | 'domain',
  { identifyLanguage }: SpillOptions,
  counts: SpillCounts,
): string {
  const own = document.meta[by];
  if (typeof own === 'string' && own.trim() !== '') return own.trim();
  const found = by === 'language' ? identifyLanguage?.(document) : null;
  if (found) {
    counts.numIdentified++;
    return found;
  }
  counts.numUnknown++;
  return UNKNOWN_GROUP;
}

function groupName(input: string | undefined, category: string | undefined): string {
  if (category === undefined) return input ?? 'all';
  return input === undefined ? category : `${input}/${category}`;
}

function groupOf(groups: Map<string, Group>, name: string, part: string): Group {
  let group = groups.get(name);
  if (group) return group;
  if (groups.size === MAX_GROUPS) {
    throw new ConfigError(
      `More than ${MAX_GROUPS} groups came up (the last: '${name}'). Group by a field with fewer values.`,
    );
  }
  group = {
    name,
    part,
    offsets: new NumberColumn('float64'),
    lineBytes: new NumberColumn('uint32'),
    sizeBytes: new NumberColumn('uint32'),
    numTokens: new NumberColumn('uint32'),
    difficulty: new NumberColumn('float64'),
  };
  groups.set(name, group);
  return group;
}

/** Ends with the meta object, which is never empty: `writeMixture` adds to it. */
function lineOf(document: Document, mixSource: string, language: string | undefined): string {
  const { id, text, source } = document;
  const { mixEpoch: _, ...kept } = document.meta;
  const known = language === undefined || language === UNKNOWN_GROUP ? {} : { language };
  return `${JSON.stringify({ id, text, source, meta: { ...kept, ...known, mixSource } })}\n`;
}

async function writeAll(file: FileHandle, bytes: Uint8Array): Promise<void> {
  try {
    for (let done = 0; done < bytes.length; ) done += (await file.write(bytes, done)).bytesWritten;
  } catch (error) {
    throw new PlinthError(
      'disk',
      `Could not write the mixture's spill file: ${messageOf(error)}. It takes as much space as the input and lies ` +
        'beside the output: free some space there, or choose another --out.',
      { cause: error },
    );
  }
}
