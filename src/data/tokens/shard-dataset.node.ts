/**
 * Reads a token set from its shards by position, with a bounded cache of file pieces. Never loads a shard as
 * a whole; document starts (8 bytes a document) are loaded when first asked for.
 */
import { closeSync, fstatSync, openSync, readFileSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { DataError, FormatError, messageOf } from '../../core/errors.ts';
import { CHAT_ROLES } from '../../tokenizer/chat-format.ts';
import { checkDocumentIndex, checkRange, type TokenDataset } from './token-dataset.ts';
import { checkSetName, readTokenSetEntries, type TokenSetEntry } from './token-shards.node.ts';

const pieceSizeBytes = 65536;

interface OpenFile {
  path: string;
  descriptor: number;
  sizeBytes: number;
}

/**
 * @param options.cacheSizeBytes bound of the cache; default 16 MB.
 * @throws DataError when the set is not listed; FormatError when a file is absent or has not its listed size.
 */
export async function openTokenShards(
  folder: string,
  name: string,
  options: { cacheSizeBytes?: number } = {},
): Promise<TokenDataset> {
  checkSetName(name);
  const entries = await readTokenSetEntries(folder);
  const entry = Object.hasOwn(entries, name) ? entries[name] : undefined;
  if (!entry) {
    const names = Object.keys(entries);
    throw new DataError(
      `${folder} has no finished token set '${name}' (${names.length > 0 ? `it has ${names.join(', ')}` : 'it has none'}). ` +
        'Prepare the data again.',
    );
  }
  return new ShardDataset(folder, entry, options.cacheSizeBytes ?? 16 * 1024 * 1024);
}

class ShardDataset implements TokenDataset {
  readonly vocabSize: number;
  readonly numTokens: number;
  readonly numDocuments: number;
  readonly hasLossMask: boolean;
  readonly #bytesPerToken: number;
  readonly #tokenFiles: OpenFile[] = [];
  readonly #maskFiles: OpenFile[] = [];
  readonly #roleFiles: OpenFile[] = [];
  readonly #hasRoles: boolean;
  /** Token position where each shard starts, and the end. */
  readonly #shardStarts: number[] = [0];
  readonly #cache: PieceCache;
  readonly #lengthsPath: string;
  #documentStarts: Float64Array | null = null;

  constructor(folder: string, entry: TokenSetEntry, cacheSizeBytes: number) {
    this.vocabSize = entry.vocabSize;
    this.numTokens = entry.numTokens;
    this.numDocuments = entry.numDocuments;
    this.hasLossMask = entry.hasLossMask;
    this.#hasRoles = entry.roleTokens !== undefined;
    this.#bytesPerToken = entry.dtype === 'uint16' ? 2 : 4;
    this.#cache = new PieceCache(cacheSizeBytes);
    this.#lengthsPath = join(folder, entry.lengths);
    try {
      for (const shard of entry.shards) {
        this.#tokenFiles.push(openListed(join(folder, shard.file), shard.numTokens * this.#bytesPerToken));
        if (entry.hasLossMask)
          this.#maskFiles.push(openListed(join(folder, shard.mask ?? ''), shard.numTokens));
        if (this.#hasRoles)
          this.#roleFiles.push(openListed(join(folder, shard.roles ?? ''), shard.numTokens));
        this.#shardStarts.push(this.#shardStarts.at(-1)! + shard.numTokens);
      }
      if (this.#shardStarts.at(-1) !== entry.numTokens) {
        throw new FormatError(
          `The shards in ${folder} hold ${this.#shardStarts.at(-1)} tokens, documents.json lists ${entry.numTokens}. ` +
            'Prepare the data again.',
        );
      }
    } catch (error) {
      this.close();
      throw error;
    }
  }

  readTokens(start: number, length: number): Int32Array {
    checkRange(this, start, length);
    const bytes = this.#readBytes(this.#tokenFiles, this.#bytesPerToken, start, length);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const tokens = new Int32Array(length);
    for (let i = 0; i < length; i++) {
      const id = this.#bytesPerToken === 2 ? view.getUint16(2 * i, true) : view.getUint32(4 * i, true);
      if (id >= this.vocabSize) {
        throw new FormatError(
          `Token ${start + i} has id ${id}, outside the vocabulary of ${this.vocabSize}: a shard is damaged ` +
            '(see documents.json for their names). Prepare the data again.',
        );
      }
      tokens[i] = id;
    }
    return tokens;
  }

  readLossMask(start: number, length: number): Uint8Array {
    checkRange(this, start, length);
    if (!this.hasLossMask) return new Uint8Array(length).fill(1);
    const mask = this.#readBytes(this.#maskFiles, 1, start, length);
    // Any other byte is damage; as a weight it would distort the loss unseen.
    if (mask.some((value) => value > 1)) {
      throw new FormatError(
        `The loss mask has other bytes than 0 and 1 near token ${start}. Prepare the data again.`,
      );
    }
    return mask;
  }

  readRoles(start: number, length: number): Uint8Array | undefined {
    checkRange(this, start, length);
    if (!this.#hasRoles) return undefined;
    const roles = this.#readBytes(this.#roleFiles, 1, start, length);
    if (roles.some((role) => role >= CHAT_ROLES.length)) {
      throw new FormatError(
        `The roles near token ${start} have values that are no role. Prepare the data again.`,
      );
    }
    return roles;
  }

  documentStart(index: number): number {
    checkDocumentIndex(this, index);
    this.#documentStarts ??= readStarts(this.#lengthsPath, this.numDocuments, this.numTokens);
    return this.#documentStarts[index]!;
  }

  close(): void {
    for (const files of [this.#tokenFiles, this.#maskFiles, this.#roleFiles]) {
      for (const { descriptor } of files.splice(0)) closeSync(descriptor);
    }
  }

  #readBytes(files: readonly OpenFile[], bytesPerToken: number, start: number, length: number): Uint8Array {
    const out = new Uint8Array(length * bytesPerToken);
    let shard = this.#shardAt(start);
    for (let done = 0; done < length; shard++) {
      const file = files[shard];
      if (!file) throw new DataError('This token set was closed; open it again.');
      const within = start + done - this.#shardStarts[shard]!;
      const count = Math.min(length - done, this.#shardStarts[shard + 1]! - start - done);
      this.#cache.read(
        file,
        within * bytesPerToken,
        out.subarray(done * bytesPerToken, (done + count) * bytesPerToken),
      );
      done += count;
    }
    return out;
  }

  #shardAt(position: number): number {
    let low = 0;
    let high = this.#shardStarts.length - 2;
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if (this.#shardStarts[middle]! <= position) low = middle;
      else high = middle - 1;
    }
    return low;
  }
}

/** Pieces of files, the least recently used dropped first. */
class PieceCache {
  readonly #maxPieces: number;
  readonly #pieces = new Map<string, Uint8Array>();

  constructor(sizeBytes: number) {
    this.#maxPieces = Math.max(1, Math.floor(sizeBytes / pieceSizeBytes));
  }

  read(file: OpenFile, offset: number, out: Uint8Array): void {
    for (let done = 0; done < out.length; ) {
      const position = offset + done;
      const piece = this.#piece(file, Math.floor(position / pieceSizeBytes));
      const within = position % pieceSizeBytes;
      const part = piece.subarray(within, within + out.length - done);
      if (part.length === 0)
        throw new FormatError(`${file.path} became shorter while it was read. Prepare the data again.`);
      out.set(part, done);
      done += part.length;
    }
  }

  #piece(file: OpenFile, number: number): Uint8Array {
    const key = `${file.descriptor}/${number}`;
    let piece = this.#pieces.get(key);
    if (piece) {
      this.#pieces.delete(key);
    } else {
      const start = number * pieceSizeBytes;
      piece = new Uint8Array(Math.max(0, Math.min(pieceSizeBytes, file.sizeBytes - start)));
      const numRead = readSync(file.descriptor, piece, 0, piece.length, start);
      if (numRead < piece.length) piece = piece.subarray(0, numRead);
      if (this.#pieces.size >= this.#maxPieces) this.#pieces.delete(this.#pieces.keys().next().value!);
    }
    this.#pieces.set(key, piece);
    return piece;
  }
}

function openListed(path: string, expectedBytes: number): OpenFile {
  let descriptor: number;
  try {
    descriptor = openSync(path, 'r');
  } catch (error) {
    throw new FormatError(
      `${path} is listed in documents.json but cannot be opened (${messageOf(error)}). Prepare the data again.`,
      {
        cause: error,
      },
    );
  }
  const sizeBytes = fstatSync(descriptor).size;
  if (sizeBytes === expectedBytes) return { path, descriptor, sizeBytes };
  closeSync(descriptor);
  throw new FormatError(
    `${path} has ${sizeBytes} bytes, documents.json lists ${expectedBytes}: the file was cut or replaced. Prepare the data again.`,
  );
}

function readStarts(path: string, numDocuments: number, numTokens: number): Float64Array {
  const file = readFileSync(path);
  if (file.length !== numDocuments * 4) {
    throw new FormatError(
      `${path} has ${file.length} bytes; ${numDocuments} documents need ${numDocuments * 4}. Prepare the data again.`,
    );
  }
  const starts = new Float64Array(numDocuments + 1);
  for (let i = 0; i < numDocuments; i++) starts[i + 1] = starts[i]! + file.readUInt32LE(4 * i);
  if (starts[numDocuments] !== numTokens) {
    throw new FormatError(
      `${path} adds up to ${starts[numDocuments]} tokens, the set has ${numTokens}. Prepare the data again.`,
    );
  }
  return starts;
}
