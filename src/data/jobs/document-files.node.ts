/**
 * The files of a job's folder: `documents/` holds what was kept, `dropped/` what was not and why, a file a shard.
 * Each file is wholly there or not at all. Lines are JSON objects that the JSONL reader takes back unchanged.
 */
import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { writeFileAtomic } from '../../core/atomic-file.node.ts';
import type { Document } from '../document.ts';
import { shardName } from './shard-task.ts';

export const DOCUMENTS_FOLDER = 'documents';
export const DROPPED_FOLDER = 'dropped';
/** Dropped text is kept to be looked at, not to be read often. */
const GZIP_LEVEL = 1;

/** Why a document is not among the kept ones. */
export interface Drop {
  readonly document: Document;
  /** Name of the rule, or 'duplicate', 'contaminated' ... */
  readonly rule: string;
  readonly detail: string;
}

export interface ShardFilesOptions {
  readonly folder: string;
  /** Without them only counts remain of what was dropped. */
  readonly keepDropped: boolean;
}

/** Makes the folders; call once before shards are written. */
export async function prepareShardFiles({ folder, keepDropped }: ShardFilesOptions): Promise<void> {
  await mkdir(join(folder, DOCUMENTS_FOLDER), { recursive: true });
  if (keepDropped) await mkdir(join(folder, DROPPED_FOLDER), { recursive: true });
}

/** Writes a shard's two files; a kind that has no document has no file. */
export async function writeShardFiles(
  index: number,
  kept: readonly Document[],
  dropped: readonly Drop[],
  { folder, keepDropped }: ShardFilesOptions,
): Promise<void> {
  if (keepDropped && dropped.length > 0) {
    const lines = dropped.map(({ document, rule, detail }) =>
      documentLine({ ...document, meta: { ...document.meta, droppedBy: rule, droppedBecause: detail } }),
    );
    const path = join(folder, DROPPED_FOLDER, `${shardName(index)}.jsonl.gz`);
    await writeFileAtomic(path, gzipSync(lines.join(''), { level: GZIP_LEVEL }));
  }
  if (kept.length > 0) {
    const path = join(folder, DOCUMENTS_FOLDER, `${shardName(index)}.jsonl`);
    await writeFileAtomic(path, kept.map(documentLine).join(''));
  }
}

/** `{"id","text","source","meta"}` and a line end. */
export function documentLine({ id, text, source, meta }: Document): string {
  return `${JSON.stringify({ id, text, source, meta })}\n`;
}

/** Paths of the kept (or dropped) documents of a job's folder, in order. */
export async function shardFilesOf(folder: string, kind: 'documents' | 'dropped'): Promise<string[]> {
  const path = join(folder, kind === 'documents' ? DOCUMENTS_FOLDER : DROPPED_FOLDER);
  const names = await readdir(path).catch(() => [] as string[]);
  return names
    .filter((name) => /^shard-\d+\.jsonl(\.gz)?$/.test(name))
    .sort((a, b) => a.length - b.length || (a < b ? -1 : 1))
    .map((name) => join(path, name));
}
