/**
 * Files and folders that are either wholly new or wholly old. Content goes under a temporary name in the
 * same folder, is flushed to the device, and only then renamed into place, so a full disk, a kill -9 or a
 * power cut leaves what was there before. Knows nothing of what the bytes mean.
 *
 * Temporary names are `.<name>.plinth-tmp-<pid>-<random>`; a folder that is being replaced waits for a moment
 * as `.<name>.plinth-old-<pid>-<random>`. `removeStaleTemporaries` recognises both after a crash.
 * A symbolic link at the final path is replaced by the file, never written through.
 */
import { randomBytes } from 'node:crypto';
import { type FileHandle, lstat, mkdir, open, readdir, rename, rm, statfs } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { messageOf, PlinthError } from './errors.ts';
import { formatBytes } from './units.ts';

/** What may be written: all at once, or in pieces that are never held together in memory. */
export type FileContent = string | Uint8Array | Iterable<Uint8Array> | AsyncIterable<Uint8Array>;

/** Writes some or all of `bytes` at the handle's position and says how many were taken. */
export type WriteBytes = (handle: FileHandle, bytes: Uint8Array) => Promise<number>;

export interface WriteFileOptions {
  /** Total size when `data` comes in pieces; only used to say what was needed when the disk is full. */
  sizeBytes?: number;
  /** Replaces the system's write call, to try out what happens when a device fails. */
  write?: WriteBytes;
}

/** One write call takes at most this much, so that a stop is noticed between calls. */
const MAX_WRITE_BYTES = 64 * 1024 * 1024;
/** A temporary this old is stale even if a process with its id runs: ids are used again. */
const MAX_TEMPORARY_AGE_MS = 24 * 60 * 60 * 1000;
/** Slack between the clocks of the file system and of the process. */
const CLOCK_SLACK_MS = 1000;
const TEMPORARY_NAME = /^\.(.+)\.plinth-(tmp|old)-(\d{1,10})-[0-9a-f]{16}$/;

function temporaryPath(finalPath: string, kind: 'tmp' | 'old'): string {
  const name = `.${basename(finalPath)}.plinth-${kind}-${process.pid}-${randomBytes(8).toString('hex')}`;
  return join(dirname(finalPath), name);
}

function systemCode(error: unknown): string {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === 'string' ? code : '';
}

const ADVICE: Record<string, string> = {
  ENOSPC: 'The disk is full: free some space there, or choose another folder.',
  EDQUOT: 'The disk quota is used up: free some space there, or choose another folder.',
  EFBIG: 'The file would pass the size limit of this file system or of this process (ulimit -f).',
  EROFS: 'The file system is read-only: choose another folder.',
  EACCES: 'This user may not write there: change the permissions or choose another folder.',
  EPERM: 'This user may not write there: change the permissions or choose another folder.',
  ENOENT: 'The folder does not exist: create it first.',
  ENOTDIR: 'A part of the path is a file, not a folder.',
};

/** The error for a failed write: how much was needed, where, how much is free, and that nothing was lost. */
async function diskError(path: string, sizeBytes: number | undefined, error: unknown): Promise<PlinthError> {
  const needed = sizeBytes === undefined ? '' : ` ${formatBytes(sizeBytes)} (${sizeBytes} bytes)`;
  let free = '';
  try {
    const { bavail, bsize } = await statfs(dirname(path));
    free = ` ${formatBytes(bavail * bsize)} are free in ${dirname(path)}.`;
  } catch {
    // Only for information; the folder may not even exist.
  }
  const advice = ADVICE[systemCode(error)] ?? 'Check the device and try again.';
  return new PlinthError(
    'disk',
    `Could not write${needed} to ${path}: ${messageOf(error)}.${free} What was there before is unchanged. ${advice}`,
    { cause: error },
  );
}

/** Flushes a folder's entries. Windows cannot open a folder for this and needs no such flush. */
async function syncFolder(folder: string): Promise<void> {
  if (process.platform === 'win32') return;
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function writeAll(handle: FileHandle, bytes: Uint8Array, write: WriteBytes): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const taken = await write(handle, bytes.subarray(done, done + MAX_WRITE_BYTES));
    if (!(taken > 0)) throw new Error(`the device took ${taken} of ${bytes.length - done} bytes`);
    done += taken;
  }
}

const systemWrite: WriteBytes = async (handle, bytes) => (await handle.write(bytes)).bytesWritten;

/**
 * Writes a file in one piece or not at all.
 * @throws PlinthError `disk` on any failure of the device (no space, no permission ...); the temporary file is
 *   gone and the previous content is unchanged. What the iterable itself throws is passed on as it is.
 */
export async function writeFileAtomic(
  path: string,
  data: FileContent,
  options: WriteFileOptions = {},
): Promise<void> {
  const finalPath = resolve(path);
  const content = typeof data === 'string' ? new TextEncoder().encode(data) : data;
  const sizeBytes = content instanceof Uint8Array ? content.length : options.sizeBytes;
  const write = options.write ?? systemWrite;
  const temporary = temporaryPath(finalPath, 'tmp');
  const onDevice = async <T>(work: Promise<T>): Promise<T> => {
    try {
      return await work;
    } catch (error) {
      throw await diskError(finalPath, sizeBytes, error);
    }
  };

  const handle = await onDevice(open(temporary, 'wx'));
  try {
    try {
      for await (const bytes of content instanceof Uint8Array ? [content] : content) {
        await onDevice(writeAll(handle, bytes, write));
      }
      await onDevice(handle.sync());
    } finally {
      await handle.close();
    }
    await onDevice(rename(temporary, finalPath));
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => {});
    throw error;
  }
  await onDevice(syncFolder(dirname(finalPath)));
}

/** An empty folder beside `finalPath`, to be filled and handed to `commitFolder`. Parents are created. */
export async function createTemporaryFolder(finalPath: string): Promise<string> {
  const temporary = temporaryPath(resolve(finalPath), 'tmp');
  try {
    await mkdir(dirname(temporary), { recursive: true });
    await mkdir(temporary);
  } catch (error) {
    throw await diskError(resolve(finalPath), undefined, error);
  }
  return temporary;
}

async function syncTree(folder: string): Promise<void> {
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) await syncTree(path);
    else if (entry.isFile()) {
      const handle = await open(path, 'r+');
      try {
        await handle.sync();
      } finally {
        await handle.close();
      }
    }
  }
  await syncFolder(folder);
}

async function exists(path: string): Promise<boolean> {
  try {
    await lstat(path);
    return true;
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return false;
    throw error;
  }
}

/**
 * Flushes everything in `temporary` and puts the folder at `finalPath` (same file system). A folder already
 * there is replaced as a whole: it is renamed aside, and deleted only once the new one is in place. No call
 * swaps two folders at once in Node, so a kill between the two renames leaves the old folder under its
 * `plinth-old` name, from where `removeStaleTemporaries` puts it back.
 * @throws PlinthError `disk`; the old folder is then in its place and `temporary` still exists.
 */
export async function commitFolder(temporary: string, finalPath: string): Promise<void> {
  const target = resolve(finalPath);
  const aside = temporaryPath(target, 'old');
  let moved = false;
  try {
    await syncTree(temporary);
    if (await exists(target)) {
      await rename(target, aside);
      moved = true;
    }
    await rename(temporary, target);
  } catch (error) {
    // Should even this fail, removeStaleTemporaries puts it back later.
    if (moved) await rename(aside, target).catch(() => {});
    throw await diskError(target, undefined, error);
  }
  try {
    await syncFolder(dirname(target));
  } catch (error) {
    throw await diskError(target, undefined, error);
  }
  if (moved) await rm(aside, { recursive: true, force: true }).catch(() => {});
}

/**
 * Fills a new folder through `fill` and puts it at `finalPath` in one piece. If anything fails, the partial
 * folder is deleted, what was at `finalPath` is unchanged, and the error is passed on.
 */
export async function writeFolderAtomic(
  finalPath: string,
  fill: (temporary: string) => Promise<void>,
): Promise<void> {
  const temporary = await createTemporaryFolder(finalPath);
  try {
    await fill(temporary);
    await commitFolder(temporary, finalPath);
  } catch (error) {
    await rm(temporary, { recursive: true, force: true }).catch(() => {});
    throw error;
  }
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return systemCode(error) === 'EPERM';
  }
}

/** True when the writer of a temporary is gone: dead, or an earlier process with the same id as ours. */
async function isStale(path: string, pid: number): Promise<boolean> {
  const { mtimeMs, ctimeMs } = await lstat(path);
  const touchedMs = Math.max(mtimeMs, ctimeMs);
  if (Date.now() - touchedMs > MAX_TEMPORARY_AGE_MS) return true;
  if (pid === process.pid) return touchedMs < Date.now() - process.uptime() * 1000 - CLOCK_SLACK_MS;
  return !isRunning(pid);
}

/**
 * Clears `folder` (not its subfolders) of what killed processes left: deletes their temporaries, and puts a
 * folder that was being replaced back in its place. What a running process of this machine is writing stays.
 * @returns the names deleted and the names put back.
 */
export async function removeStaleTemporaries(
  folder: string,
): Promise<{ removed: string[]; restored: string[] }> {
  const removed: string[] = [];
  const restored: string[] = [];
  let names: string[];
  try {
    names = (await readdir(folder)).sort();
  } catch (error) {
    throw new PlinthError('disk', `Could not list ${folder}: ${messageOf(error)}.`, { cause: error });
  }
  for (const name of names) {
    const match = TEMPORARY_NAME.exec(name);
    if (match === null) continue;
    const path = join(folder, name);
    try {
      if (!(await isStale(path, Number(match[3])))) continue;
      const original = match[1]!;
      if (match[2] === 'old' && !(await exists(join(folder, original)))) {
        await rename(path, join(folder, original));
        restored.push(original);
      } else {
        await rm(path, { recursive: true, force: true });
        removed.push(name);
      }
    } catch (error) {
      // Another process may be clearing the same folder.
      if (systemCode(error) !== 'ENOENT') throw await diskError(path, undefined, error);
    }
  }
  return { removed, restored };
}
