import { type ChildProcess, spawn } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import {
  commitFolder,
  createTemporaryFolder,
  removeStaleTemporaries,
  writeFileAtomic,
  writeFolderAtomic,
} from '../../src/core/atomic-file.node.ts';
import { DataError, PlinthError } from '../../src/core/errors.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'plinth-atomic-'));
});
afterEach(async () => {
  vi.restoreAllMocks();
  await rm(folder, { recursive: true, force: true });
});

async function rejection(work: Promise<unknown>): Promise<PlinthError> {
  const error = await work.then(
    () => undefined,
    (e: unknown) => e,
  );
  expect(error).toBeInstanceOf(PlinthError);
  return error as PlinthError;
}

function fullDisk(capacityBytes: number) {
  let taken = 0;
  return async (
    handle: { write(bytes: Uint8Array): Promise<{ bytesWritten: number }> },
    bytes: Uint8Array,
  ): Promise<number> => {
    if (taken >= capacityBytes)
      throw Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' });
    const { bytesWritten } = await handle.write(bytes.subarray(0, capacityBytes - taken));
    taken += bytesWritten;
    return bytesWritten;
  };
}

describe('writeFileAtomic', () => {
  test('writes strings, bytes and chunks, and replaces what was there', async () => {
    const path = join(folder, 'a.txt');
    await writeFileAtomic(path, 'grüße');
    expect(await readFile(path, 'utf8')).toBe('grüße');
    await writeFileAtomic(path, new Uint8Array([1, 2, 3]));
    expect([...(await readFile(path))]).toEqual([1, 2, 3]);
    await writeFileAtomic(path, [new Uint8Array([4]), new Uint8Array(0), new Uint8Array([5, 6])]);
    expect([...(await readFile(path))]).toEqual([4, 5, 6]);
    expect(await readdir(folder)).toEqual(['a.txt']);
  });

  test('goes on after writes that take only a part', async () => {
    const path = join(folder, 'parts.bin');
    const data = Uint8Array.from({ length: 1000 }, (_, i) => i % 251);
    await writeFileAtomic(path, data, {
      write: async (handle, bytes) => (await handle.write(bytes.subarray(0, 7))).bytesWritten,
    });
    expect(new Uint8Array(await readFile(path))).toEqual(data);
  });

  test('a full disk leaves the old content and no temporary, and says how much was needed and where', async () => {
    const path = join(folder, 'model.bin');
    await writeFileAtomic(path, 'the old content');
    const error = await rejection(writeFileAtomic(path, new Uint8Array(5000), { write: fullDisk(1234) }));
    expect(error.code).toBe('disk');
    expect(error.message).toContain('5000 bytes');
    expect(error.message).toContain(path);
    expect(error.message).toContain('ENOSPC');
    expect(error.message).toMatch(/are free in/);
    expect(await readFile(path, 'utf8')).toBe('the old content');
    expect(await readdir(folder)).toEqual(['model.bin']);
  });

  test('a device that takes nothing is an error, not an endless loop', async () => {
    const error = await rejection(writeFileAtomic(join(folder, 'x'), 'abc', { write: async () => 0 }));
    expect(error.code).toBe('disk');
    expect(await readdir(folder)).toEqual([]);
  });

  test('an error of the content itself is passed on as it is', async () => {
    const path = join(folder, 'x');
    await writeFileAtomic(path, 'old');
    const chunks = function* (): Generator<Uint8Array> {
      yield new Uint8Array(10);
      throw new DataError('no more rows');
    };
    expect(await rejection(writeFileAtomic(path, chunks()))).toBeInstanceOf(DataError);
    expect(await readFile(path, 'utf8')).toBe('old');
    expect(await readdir(folder)).toEqual(['x']);
  });

  test('a folder that does not exist is named', async () => {
    const error = await rejection(writeFileAtomic(join(folder, 'none', 'x'), 'abc'));
    expect(error.code).toBe('disk');
    expect(error.message).toContain('The folder does not exist');
  });

  test('a target that is a folder is left alone', async () => {
    await mkdir(join(folder, 'sub'));
    await writeFile(join(folder, 'sub', 'kept'), 'kept');
    expect((await rejection(writeFileAtomic(join(folder, 'sub'), 'abc'))).code).toBe('disk');
    expect(await readdir(folder)).toEqual(['sub']);
    expect(await readdir(join(folder, 'sub'))).toEqual(['kept']);
  });

  test('a symbolic link is replaced, not written through', async () => {
    await writeFile(join(folder, 'shared'), 'shared');
    await symlink(join(folder, 'shared'), join(folder, 'link'));
    await writeFileAtomic(join(folder, 'link'), 'own');
    expect(await readFile(join(folder, 'shared'), 'utf8')).toBe('shared');
    expect(await readFile(join(folder, 'link'), 'utf8')).toBe('own');
  });
});

describe('folders', () => {
  test('appear whole, and replace an older one whole', async () => {
    const target = join(folder, 'deep', 'step-1');
    await writeFolderAtomic(target, async (temporary) => {
      await mkdir(join(temporary, 'sub'));
      await writeFile(join(temporary, 'sub', 'a'), 'one');
      expect(await readdir(join(folder, 'deep'))).toHaveLength(1);
    });
    expect(await readFile(join(target, 'sub', 'a'), 'utf8')).toBe('one');
    await writeFolderAtomic(target, async (temporary) => writeFile(join(temporary, 'b'), 'two'));
    expect(await readdir(target)).toEqual(['b']);
    expect(await readdir(join(folder, 'deep'))).toEqual(['step-1']);
  });

  test('a failure while filling leaves the old folder and nothing else', async () => {
    const target = join(folder, 'step-1');
    await writeFolderAtomic(target, async (temporary) => writeFile(join(temporary, 'a'), 'one'));
    const work = writeFolderAtomic(target, async (temporary) => {
      await writeFile(join(temporary, 'b'), 'two');
      await writeFileAtomic(join(temporary, 'c'), new Uint8Array(99), { write: fullDisk(10) });
    });
    expect((await rejection(work)).code).toBe('disk');
    expect(await readdir(folder)).toEqual(['step-1']);
    expect(await readdir(target)).toEqual(['a']);
  });

  test('a commit that cannot happen puts the old folder back', async () => {
    const target = join(folder, 'step-1');
    await mkdir(target);
    await writeFile(join(target, 'a'), 'one');
    const error = await rejection(commitFolder(join(folder, 'was-never-made'), target));
    expect(error.code).toBe('disk');
    expect(await readdir(target)).toEqual(['a']);
    expect(await readdir(folder)).toEqual(['step-1']);
  });
});

/** Runs the writer until it waits, kills it with SIGKILL and waits for its end. */
async function killMidway(what: string, path: string): Promise<void> {
  const script = new URL('../fixtures/checkpoints/killed-writer.ts', import.meta.url).pathname;
  const child: ChildProcess = spawn(process.execPath, ['--import', 'tsx', script, what, path], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const ended = new Promise<NodeJS.Signals | null>((done) => child.on('exit', (_, signal) => done(signal)));
  let errors = '';
  child.stderr!.on('data', (text) => {
    errors += text;
  });
  await new Promise<void>((ready, failed) => {
    child.stdout!.on('data', (text) => String(text).includes('waiting') && ready());
    child.on('exit', () => failed(new Error(`the writer ended early: ${errors}`)));
  });
  child.kill('SIGKILL');
  expect(await ended).toBe('SIGKILL');
}

describe('after kill -9', () => {
  test('a half-written file leaves the old content, and its temporary is found and removed', async () => {
    const path = join(folder, 'model.bin');
    await writeFileAtomic(path, 'the old content');
    await killMidway('file', path);
    expect(await readFile(path, 'utf8')).toBe('the old content');
    const left = (await readdir(folder)).filter((name) => name !== 'model.bin');
    expect(left).toHaveLength(1);
    expect((await readFile(join(folder, left[0]!))).length).toBe(100_000);
    expect(await removeStaleTemporaries(folder)).toEqual({ removed: left, restored: [] });
    expect(await readdir(folder)).toEqual(['model.bin']);
  });

  test('a half-filled folder leaves the old one, and is removed with all in it', async () => {
    const target = join(folder, 'step-1');
    await writeFolderAtomic(target, async (temporary) => writeFile(join(temporary, 'a'), 'one'));
    await killMidway('folder', target);
    expect(await readdir(folder)).toHaveLength(2);
    const { removed, restored } = await removeStaleTemporaries(folder);
    expect([removed.length, restored.length]).toEqual([1, 0]);
    expect(await readdir(folder)).toEqual(['step-1']);
    expect(await readFile(join(target, 'a'), 'utf8')).toBe('one');
  });

  test('a folder caught between the two renames of its replacement is put back', async () => {
    const target = join(folder, 'step-1');
    await writeFolderAtomic(target, async (temporary) => writeFile(join(temporary, 'a'), 'one'));
    await killMidway('between-renames', target);
    expect(await readdir(folder)).not.toContain('step-1');
    const { removed, restored } = await removeStaleTemporaries(folder);
    expect(restored).toEqual(['step-1']);
    expect(removed).toHaveLength(1);
    expect(await readdir(folder)).toEqual(['step-1']);
    expect(await readFile(join(target, 'a'), 'utf8')).toBe('one');
  });
});

describe('removeStaleTemporaries', () => {
  test('keeps what this or another running process is writing, and files that only look alike', async () => {
    const own = await createTemporaryFolder(join(folder, 'step-2'));
    const parent = `.x.plinth-tmp-${process.ppid}-0123456789abcdef`;
    await writeFile(join(folder, parent), '');
    await writeFile(join(folder, '.x.plinth-tmp-abc-0123456789abcdef'), '');
    await writeFile(join(folder, 'x.plinth-tmp-1-0123456789abcdef'), '');
    const before = await readdir(folder);
    expect(await removeStaleTemporaries(folder)).toEqual({ removed: [], restored: [] });
    expect(await readdir(folder)).toEqual(before);
    expect(before).toContain(own.slice(folder.length + 1));
  });

  test('removes what a process that no longer runs left', async () => {
    const name = '.x.plinth-tmp-4194999-0123456789abcdef'; // above the largest process id of Linux
    await writeFile(join(folder, name), 'half');
    expect(await removeStaleTemporaries(folder)).toEqual({ removed: [name], restored: [] });
  });

  test('removes what an earlier process with our own id left', async () => {
    const name = `.x.plinth-tmp-${process.pid}-0123456789abcdef`;
    await writeFile(join(folder, name), 'half');
    expect((await removeStaleTemporaries(folder)).removed).toEqual([]);
    // As if this process had started ten seconds after the file was written.
    vi.spyOn(process, 'uptime').mockReturnValue(-10);
    expect((await removeStaleTemporaries(folder)).removed).toEqual([name]);
  });

  test('removes anything older than a day, because ids are used again', async () => {
    const name = `.x.plinth-tmp-${process.ppid}-0123456789abcdef`;
    await writeFile(join(folder, name), 'half');
    expect((await removeStaleTemporaries(folder)).removed).toEqual([]);
    const inADay = Date.now() + 25 * 3600 * 1000;
    vi.spyOn(Date, 'now').mockReturnValue(inADay);
    expect((await removeStaleTemporaries(folder)).removed).toEqual([name]);
  });

  test('a folder that cannot be listed is a disk error', async () => {
    expect((await rejection(removeStaleTemporaries(join(folder, 'none')))).code).toBe('disk');
  });
});
