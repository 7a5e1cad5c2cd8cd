/**
 * Token sets on disk. A folder holds for each set `<name>-00000.tokens` ... (ids as little-endian uint16, or
 * uint32 for vocabularies above 65,536), `<name>.lengths` (uint32 for each document), optionally
 * `<name>-00000.mask` and `<name>-00000.roles` ... (one byte a token each), and `documents.json` with the counts. The entry in
 * `documents.json` is taken out before the first file of a set is replaced and put back after the last, so
 * a set that is listed is whole. Writing holds one shard in memory, reading a bounded cache.
 */
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileAtomic } from '../../core/atomic-file.node.ts';
import { ConfigError, DataError, FormatError, messageOf } from '../../core/errors.ts';
import { CHAT_ROLES, type ChatRole } from '../../tokenizer/chat-format.ts';
import { checkTokenDocument, type TokenDocument } from './token-dataset.ts';

export const documentsFile = 'documents.json';

export interface TokenSetEntry {
  vocabSize: number;
  dtype: 'uint16' | 'uint32';
  numTokens: number;
  numDocuments: number;
  hasLossMask: boolean;
  /** Tokens with loss mask 1. */
  numTargets: number;
  /** Tokens of each role, where roles are stored; absent in sets that were written before there were any. */
  roleTokens?: Partial<Record<ChatRole, number>>;
  endOfTextId: number | null;
  shards: { file: string; mask: string | null; roles?: string; numTokens: number }[];
  lengths: string;
  /** Counts by where documents came from. */
  sources: Record<string, { numDocuments: number; numTokens: number }>;
}

export interface TokenShardOptions {
  vocabSize: number;
  /** Default 8,388,608: 16 or 32 MB in memory while writing. */
  tokensPerShard?: number;
  /** Noted for readers; the documents must already end with it. */
  endOfTextId?: number;
  signal?: AbortSignal;
}

export type SourcedTokenDocument = TokenDocument & { source?: string };

const maxDocumentTokens = 0xffffffff;

/**
 * Writes a set from a stream of documents; empty ones are left out. The mask is stored when the first document
 * has one; then documents without one count in full. Roles are stored when the first document has them.
 * @throws DataError for a bad document or an empty stream; PlinthError 'disk' when the device fails.
 */
export async function writeTokenShards(
  folder: string,
  name: string,
  documents: Iterable<SourcedTokenDocument> | AsyncIterable<SourcedTokenDocument>,
  options: TokenShardOptions,
): Promise<TokenSetEntry> {
  const { vocabSize, tokensPerShard = 8_388_608, endOfTextId = null, signal } = options;
  checkSetName(name);
  if (!(Number.isInteger(tokensPerShard) && tokensPerShard >= 1)) {
    throw new ConfigError(`tokensPerShard must be a whole number of at least 1; got ${tokensPerShard}.`);
  }
  await mkdir(folder, { recursive: true });
  await updateEntries(folder, (entries) => delete entries[name]);
  await removeSetFiles(folder, name);
  const dtype = vocabSize <= 65536 ? 'uint16' : 'uint32';
  const bytesPerToken = dtype === 'uint16' ? 2 : 4;
  const tokens = new DataView(new ArrayBuffer(tokensPerShard * bytesPerToken));
  let mask: Uint8Array | null = null;
  let roles: Uint8Array | null = null;
  const roleTokens: Partial<Record<ChatRole, number>> = {};
  const entry: TokenSetEntry = {
    vocabSize,
    dtype,
    numTokens: 0,
    numDocuments: 0,
    hasLossMask: false,
    numTargets: 0,
    endOfTextId,
    shards: [],
    lengths: `${name}.lengths`,
    sources: {},
  };
  const lengths: number[] = [];
  let filled = 0;
  const flush = async (): Promise<void> => {
    const number = String(entry.shards.length).padStart(5, '0');
    const file = `${name}-${number}.tokens`;
    await writeFileAtomic(join(folder, file), new Uint8Array(tokens.buffer, 0, filled * bytesPerToken));
    const maskFile = mask ? `${name}-${number}.mask` : null;
    if (maskFile) await writeFileAtomic(join(folder, maskFile), mask!.subarray(0, filled));
    const rolesFile = roles ? `${name}-${number}.roles` : null;
    if (rolesFile) await writeFileAtomic(join(folder, rolesFile), roles!.subarray(0, filled));
    entry.shards.push({
      file,
      mask: maskFile,
      ...(rolesFile && { roles: rolesFile }),
      numTokens: filled,
    });
    filled = 0;
  };
  for await (const document of documents) {
    signal?.throwIfAborted();
    const length = document.tokens.length;
    if (length === 0) continue;
    checkTokenDocument(document, vocabSize, entry.numDocuments);
    if (length > maxDocumentTokens)
      throw new DataError(`A document has ${length} tokens; the most is ${maxDocumentTokens}.`);
    if (entry.numDocuments === 0 && document.lossMask) mask = new Uint8Array(tokensPerShard);
    if (entry.numDocuments === 0 && document.roles) roles = new Uint8Array(tokensPerShard);
    if ((document.roles === undefined) !== (roles === null)) {
      throw new DataError(
        `Document ${entry.numDocuments} of '${name}' has ${document.roles ? 'roles but the first one had none' : 'no roles but the first one had them'}; give them to all.`,
      );
    }
    if (document.lossMask && !mask) {
      throw new DataError(
        `Document ${entry.numDocuments} of '${name}' has a loss mask but the first one had none; give it to all.`,
      );
    }
    for (let i = 0; i < length; i++) {
      const id = document.tokens[i]!;
      if (bytesPerToken === 2) tokens.setUint16(filled * 2, id, true);
      else tokens.setUint32(filled * 4, id, true);
      const counts = document.lossMask?.[i] ?? 1;
      if (mask) mask[filled] = counts;
      if (roles) {
        const role = document.roles![i]!;
        roles[filled] = role;
        const name = CHAT_ROLES[role]!;
        roleTokens[name] = (roleTokens[name] ?? 0) + 1;
      }
      entry.numTargets += counts;
      if (++filled === tokensPerShard) await flush();
    }
    lengths.push(length);
    entry.numTokens += length;
    entry.numDocuments++;
    const source = document.source ?? '';
    const counts = Object.hasOwn(entry.sources, source)
      ? entry.sources[source]!
      : { numDocuments: 0, numTokens: 0 };
    entry.sources[source] = { numDocuments: counts.numDocuments + 1, numTokens: counts.numTokens + length };
  }
  if (entry.numDocuments === 0) {
    throw new DataError(
      `No document with text reached the set '${name}'; check the input files and the filters.`,
    );
  }
  if (filled > 0) await flush();
  entry.hasLossMask = mask !== null;
  if (roles) entry.roleTokens = roleTokens;
  const lengthBytes = new DataView(new ArrayBuffer(lengths.length * 4));
  lengths.forEach((length, i) => {
    lengthBytes.setUint32(i * 4, length, true);
  });
  await writeFileAtomic(join(folder, entry.lengths), new Uint8Array(lengthBytes.buffer));
  await updateEntries(folder, (entries) => {
    entries[name] = entry;
  });
  return entry;
}

/** The sets listed in a folder. @throws FormatError when `documents.json` is not what this version writes. */
export async function readTokenSetEntries(folder: string): Promise<Record<string, TokenSetEntry>> {
  const path = join(folder, documentsFile);
  if (!existsSync(path)) return {};
  let parsed: unknown;
  try {
    parsed = JSON.parse(await readFile(path, 'utf8'));
  } catch (error) {
    throw new FormatError(`${path} cannot be read (${messageOf(error)}). Prepare the data again.`, {
      cause: error,
    });
  }
  const sets = (parsed as { format?: unknown; sets?: unknown } | null)?.sets;
  if ((parsed as { format?: unknown } | null)?.format !== 1 || typeof sets !== 'object' || sets === null) {
    throw new FormatError(`${path} is not a list of token sets of format 1. Prepare the data again.`);
  }
  return sets as Record<string, TokenSetEntry>;
}

async function updateEntries(
  folder: string,
  change: (entries: Record<string, TokenSetEntry>) => void,
): Promise<void> {
  const entries = await readTokenSetEntries(folder);
  const before = JSON.stringify(entries);
  change(entries);
  if (JSON.stringify(entries) === before) return;
  await writeFileAtomic(
    join(folder, documentsFile),
    `${JSON.stringify({ format: 1, sets: entries }, null, 2)}\n`,
  );
}

/** Shards of an earlier set with this name, which may have been more than the new one has. */
async function removeSetFiles(folder: string, name: string): Promise<void> {
  for (const file of await readdir(folder)) {
    const rest = file.startsWith(`${name}-`) ? file.slice(name.length + 1) : '';
    if (/^\d{5,}\.(tokens|mask|roles)$/.test(rest) || file === `${name}.lengths`)
      await rm(join(folder, file), { force: true });
  }
}

export function checkSetName(name: string): void {
  if (/^[a-z0-9][a-z0-9_.-]{0,63}$/i.test(name)) return;
  throw new ConfigError(
    `'${name}' cannot name a token set: use up to 64 letters, digits, dots, dashes and underscores.`,
  );
}
