/**
 * Signatures on disk: a work folder with one file for each shard of the input, so that workers write side by side
 * and a killed job has lost the shards under way and nothing else. A file is whole or not there.
 *
 * `shard-00000.signatures`, little-endian: a header of 64 bytes (magic, counts, the method's digest), for each
 * column the keys of all items (uint32 high, uint32 low), one uint32 a document (number of units, or length of the
 * text), then sketches. Column by column, because finding duplicates reads one column of all shards at a time.
 */
import type { FileHandle } from 'node:fs/promises';
import { mkdir, open, readdir, rm } from 'node:fs/promises';
import { endianness } from 'node:os';
import { join } from 'node:path';
import { writeFileAtomic } from '../../core/atomic-file.node.ts';
import { digest } from '../../core/digest.node.ts';
import { ConfigError, DataError, FormatError, messageOf, PlinthError } from '../../core/errors.ts';
import type { Document } from '../document.ts';
import { type DedupMethod, type ResolvedMethod, resolveMethod } from './dedup-method.ts';
import { SignatureTable } from './signature-table.ts';

const MAGIC = 'PLSIG001';
const HEADER_BYTES = 64;
const DIGEST_AT = 40;

export function signatureFile(folder: string, shardIndex: number): string {
  return join(folder, `shard-${String(shardIndex).padStart(5, '0')}.signatures`);
}

/** Signs the documents of one shard. Memory holds their signatures: 116 bytes a document for `datatrove`. */
export class SignatureShardWriter {
  readonly #folder: string;
  readonly #shardIndex: number;
  readonly #firstOrdinal: number;
  readonly #table: SignatureTable;

  /** `firstOrdinal`: position of the shard's first document in the whole input. */
  constructor(folder: string, shardIndex: number, firstOrdinal: number, method: DedupMethod) {
    if (!Number.isSafeInteger(shardIndex) || shardIndex < 0) {
      throw new ConfigError(`shardIndex must be a whole number from 0; got ${shardIndex}.`);
    }
    if (!Number.isSafeInteger(firstOrdinal) || firstOrdinal < 0) {
      throw new ConfigError(`firstOrdinal must be a whole number from 0; got ${firstOrdinal}.`);
    }
    this.#folder = folder;
    this.#shardIndex = shardIndex;
    this.#firstOrdinal = firstOrdinal;
    this.#table = new SignatureTable(resolveMethod(method));
  }

  add(document: Pick<Document, 'text'>): void {
    this.#table.add(document.text);
  }

  /**
   * Writes the file, in the place of an earlier one of this shard.
   * @throws PlinthError `disk`; then there is no new file.
   */
  async finish(): Promise<void> {
    await mkdir(this.#folder, { recursive: true });
    const table = this.#table;
    const header = new DataView(new ArrayBuffer(HEADER_BYTES));
    writeAscii(header, 0, MAGIC);
    header.setFloat64(8, this.#firstOrdinal, true);
    header.setFloat64(16, table.numDocuments, true);
    header.setFloat64(24, table.numItems, true);
    header.setUint32(32, table.numColumns, true);
    header.setUint32(36, table.sketchBytes, true);
    writeAscii(header, DIGEST_AT, methodDigest(table.method));
    function* parts(): Generator<Uint8Array> {
      yield new Uint8Array(header.buffer);
      for (let column = 0; column < table.numColumns; column++) yield littleEndian(table.column(column));
      yield littleEndian(table.perDocument);
      yield table.sketches;
    }
    const path = signatureFile(this.#folder, this.#shardIndex);
    const sizeBytes = sizeOf(table);
    await writeFileAtomic(path, parts(), { sizeBytes });
  }
}

interface Counts {
  readonly numDocuments: number;
  readonly numItems: number;
  readonly numColumns: number;
  readonly sketchBytes: number;
}

function sizeOf({ numDocuments, numItems, numColumns, sketchBytes }: Counts): number {
  return HEADER_BYTES + 8 * numItems * numColumns + numDocuments * (4 + sketchBytes);
}

export interface SignatureShard extends Counts {
  readonly path: string;
  readonly firstOrdinal: number;
  /** Items of the shards before this one. */
  readonly firstItem: number;
}

/**
 * The shards of a folder in input order.
 * @throws DataError when there are none or one is missing; FormatError for a damaged one or one of another method.
 */
export async function listSignatureShards(folder: string, method: ResolvedMethod): Promise<SignatureShard[]> {
  let names: string[];
  try {
    names = await readdir(folder);
  } catch (error) {
    throw new DataError(
      `There are no signatures in ${folder} (${messageOf(error)}). Sign the documents first.`,
      {
        cause: error,
      },
    );
  }
  const wanted = methodDigest(method);
  const shards: SignatureShard[] = [];
  for (const name of names.filter((name) => /^shard-\d+\.signatures$/.test(name))) {
    shards.push(await readHeader(join(folder, name), wanted));
  }
  if (shards.length === 0) {
    throw new DataError(`There are no signatures in ${folder}. Sign the documents first.`);
  }
  // Empty shards come before the one that begins at the same place.
  shards.sort(
    (a, b) =>
      a.firstOrdinal - b.firstOrdinal || a.numDocuments - b.numDocuments || (a.path < b.path ? -1 : 1),
  );
  let ordinal = 0;
  let item = 0;
  return shards.map((shard) => {
    if (shard.firstOrdinal !== ordinal) {
      throw new DataError(
        `${folder} has ${shard.firstOrdinal < ordinal ? 'two shards with' : 'no shard with'} document ` +
          `${Math.min(shard.firstOrdinal, ordinal)}, see ${shard.path}. Sign the missing shards, or all of them ` +
          'into an empty folder.',
      );
    }
    const placed = { ...shard, firstItem: item };
    ordinal += shard.numDocuments;
    item += shard.numItems;
    return placed;
  });
}

async function readHeader(path: string, wantedDigest: string): Promise<SignatureShard> {
  const handle = await openForReading(path);
  try {
    const header = Buffer.alloc(HEADER_BYTES);
    const { bytesRead } = await handle.read(header, 0, HEADER_BYTES, 0);
    const { size } = await handle.stat();
    if (bytesRead < HEADER_BYTES || header.toString('latin1', 0, MAGIC.length) !== MAGIC) {
      throw new FormatError(`${path} is not a file of signatures. Delete it and sign the shard again.`);
    }
    if (header.toString('latin1', DIGEST_AT, DIGEST_AT + 16) !== wantedDigest) {
      throw new FormatError(
        `${path} was signed with other settings. Delete the folder and sign all documents with the same ones.`,
      );
    }
    const shard = {
      path,
      firstOrdinal: header.readDoubleLE(8),
      numDocuments: header.readDoubleLE(16),
      numItems: header.readDoubleLE(24),
      numColumns: header.readUInt32LE(32),
      sketchBytes: header.readUInt32LE(36),
      firstItem: 0,
    };
    if (size !== sizeOf(shard)) {
      throw new FormatError(
        `${path} has ${size} bytes where its header says ${sizeOf(shard)}. Delete it and sign the shard again.`,
      );
    }
    return shard;
  } finally {
    await handle.close();
  }
}

/** A shard with its file open. */
export class SignatureShardReader {
  readonly shard: SignatureShard;
  readonly #handle: FileHandle;

  private constructor(shard: SignatureShard, handle: FileHandle) {
    this.shard = shard;
    this.#handle = handle;
  }

  static async open(shard: SignatureShard): Promise<SignatureShardReader> {
    return new SignatureShardReader(shard, await openForReading(shard.path));
  }

  /** Reads keys of a column into `block` from item `first` of the shard on; returns how many words were read. */
  async readKeys(column: number, first: number, block: Uint32Array): Promise<number> {
    const { numItems } = this.shard;
    const numWords = Math.min(block.length, 2 * (numItems - first));
    await this.#read(block.subarray(0, numWords), HEADER_BYTES + 8 * (column * numItems + first));
    return numWords;
  }

  /** One number for each document of the shard, from document `first` of the shard on. */
  async readPerDocument(first: number, block: Uint32Array): Promise<number> {
    const { numItems, numColumns, numDocuments } = this.shard;
    const numWords = Math.min(block.length, numDocuments - first);
    await this.#read(block.subarray(0, numWords), HEADER_BYTES + 8 * numItems * numColumns + 4 * first);
    return numWords;
  }

  async #read(words: Uint32Array, position: number): Promise<void> {
    const bytes = Buffer.from(words.buffer, words.byteOffset, words.byteLength);
    for (let done = 0; done < bytes.length; ) {
      const { bytesRead } = await this.#handle.read(bytes, done, bytes.length - done, position + done);
      if (bytesRead === 0) {
        throw new FormatError(`${this.shard.path} ends too early. Delete it and sign the shard again.`);
      }
      done += bytesRead;
    }
    if (isBigEndian) bytes.swap32();
  }

  async close(): Promise<void> {
    await this.#handle.close();
  }
}

/** Where the sketch of document `index` of a shard lies in its file. */
export function sketchPosition(shard: SignatureShard, index: number): number {
  const { numItems, numColumns, numDocuments, sketchBytes } = shard;
  return HEADER_BYTES + 8 * numItems * numColumns + 4 * numDocuments + index * sketchBytes;
}

/** Deletes the signatures of a work folder, and the folder if nothing else is in it. */
export async function removeSignatures(folder: string): Promise<void> {
  for (const name of await readdir(folder).catch(() => [] as string[])) {
    if (/^shard-\d+\.signatures$/.test(name)) await rm(join(folder, name), { force: true });
  }
}

async function openForReading(path: string): Promise<FileHandle> {
  try {
    return await open(path, 'r');
  } catch (error) {
    throw new PlinthError('disk', `Could not read ${path}: ${messageOf(error)}.`, { cause: error });
  }
}

/** Signatures depend on these alone, not on what is done with pairs later, save for whether there are sketches. */
function methodDigest(method: ResolvedMethod): string {
  if (method.kind === 'exact') return digest(method);
  const { keep: _, minSimilarity, ...signed } = method;
  return digest({ ...signed, hasSketches: minSimilarity !== null });
}

const isBigEndian = endianness() === 'BE';

export function littleEndian(words: Uint32Array): Uint8Array {
  const bytes = Buffer.from(words.buffer, words.byteOffset, words.byteLength);
  return isBigEndian ? Buffer.from(bytes).swap32() : bytes;
}

function writeAscii(view: DataView, at: number, text: string): void {
  for (let i = 0; i < text.length; i++) view.setUint8(at + i, text.charCodeAt(i));
}
