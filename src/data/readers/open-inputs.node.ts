/**
 * What a user names as input - files, folders, patterns, lists of paths - as one ordered list of files with their
 * readers. The order is that of the names given, and sorted within a folder or pattern, so that the same inputs
 * give the same documents in the same order. A file that cannot be used is listed with the reason.
 */
import { readdir, readFile, realpath, stat } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { DataError, PlinthError } from '../../core/errors.ts';
import { type Document, type Reader, ReadReport } from '../document.ts';
import { type FileFormat, formatOf, isPathList } from './file-format.ts';
import { globFiles, isGlob } from './glob.node.ts';
import { type OpenReaderOptions, openReader, whyUnknown } from './open-reader.node.ts';
import { readPathList } from './path-list.node.ts';

export interface InputFile {
  path: string;
  sizeBytes: number;
  format: FileFormat;
}

export interface SkippedFile {
  path: string;
  reason: string;
}

export interface InputFiles {
  readonly files: readonly InputFile[];
  /** Named or found, but not read. */
  readonly skippedFiles: readonly SkippedFile[];
  /** The reader of one of `files`. */
  reader(file: Pick<InputFile, 'path'>): Reader;
  /**
   * All files as one. Its report also counts the files that were skipped or found unreadable; when none at all
   * can be read it throws the first one's error.
   */
  read(): Reader;
}

export interface OpenInputsOptions extends OpenReaderOptions {
  /** Where the paths of a list of paths are looked for first. Default: the list's own folder. */
  root?: string;
}

/**
 * @param paths files; folders, read with all folders in them but hidden ones and node_modules; patterns with
 * ** * ? [..] {a,b}; and lists of paths (`.paths`, also compressed). In an output folder of a data job (job.json)
 * only its `documents` are looked at.
 * @throws DataError for a path that is not there, a pattern without matches, and when no file can be used.
 */
export async function openInputs(
  paths: readonly string[],
  options: OpenInputsOptions = {},
): Promise<InputFiles> {
  const { root, ...readerOptions } = options;
  if (paths.length === 0)
    throw new DataError('No input. Name files, folders or patterns such as data/**/*.jsonl.');
  const gathered = new Gathered();
  for (const path of paths) await gather(path, root, gathered);
  const { files, skippedFiles } = gathered;
  if (files.length === 0) throw noUsableFile(paths, skippedFiles);
  const reader = (file: Pick<InputFile, 'path'>): Reader => openReader(file.path, readerOptions);
  return { files, skippedFiles, reader, read: () => readerOfFiles(files, skippedFiles, reader) };
}

class Gathered {
  readonly files: InputFile[] = [];
  readonly skippedFiles: SkippedFile[] = [];
  readonly #named = new Set<string>();
  readonly #pathsByPlace = new Map<string, string>();

  async add(path: string): Promise<void> {
    const absolute = resolve(path);
    if (this.#named.has(absolute)) return;
    this.#named.add(absolute);
    const format = formatOf(path);
    if (format === null) {
      this.skip(path, whyUnknown(path).replace(/\.$/, ''));
      return;
    }
    const info = await stat(path).catch(() => null);
    const place = await realpath(path).catch(() => path);
    const same = this.#pathsByPlace.get(place);
    // Text that is read twice counts twice in all that is learned from it.
    if (same !== undefined) this.skip(path, `it is the same file as ${same}`);
    else this.#pathsByPlace.set(place, path);
    if (same !== undefined) return;
    if (info === null) this.skip(path, 'it cannot be opened');
    else if (info.isFile() && info.size === 0) this.skip(path, 'it is empty');
    else this.files.push({ path, sizeBytes: info.size, format });
  }

  skip(path: string, reason: string): void {
    this.skippedFiles.push({ path, reason });
  }
}

async function gather(path: string, root: string | undefined, gathered: Gathered): Promise<void> {
  const info = await stat(path).catch(() => null);
  if (info?.isDirectory()) {
    await gatherFolder(path, gathered);
  } else if (info !== null) {
    if (isPathList(path)) await gatherList(path, root, gathered);
    else await gathered.add(path);
  } else if (isGlob(path)) {
    const matches = await globFiles(path);
    if (matches.length === 0)
      throw new DataError(`No file matches ${path}. Quote patterns, and check the folder.`);
    for (const match of matches) {
      if (isPathList(match)) await gatherList(match, root, gathered);
      else await gathered.add(match);
    }
  } else {
    throw new DataError(`There is no file or folder ${path}. Check the path.`);
  }
}

async function gatherList(list: string, root: string | undefined, gathered: Gathered): Promise<void> {
  const { paths, missing } = await readPathList(list, root);
  for (const path of paths) await gathered.add(path);
  for (const { path, reason } of missing) gathered.skip(path, reason);
}

async function gatherFolder(
  folder: string,
  gathered: Gathered,
  above: readonly string[] = [],
): Promise<void> {
  // A link to a folder above would be followed for ever.
  const place = await realpath(folder).catch(() => null);
  if (place === null || above.includes(place)) return;
  const isJob = await isJobFolder(folder);
  let names: string[];
  try {
    names = (await readdir(folder)).sort();
  } catch {
    gathered.skip(folder, 'the folder cannot be read');
    return;
  }
  for (const name of names) {
    if (name.startsWith('.') || name === 'node_modules') continue;
    const path = join(folder, name);
    const info = await stat(path).catch(() => null);
    if (info === null) {
      gathered.skip(path, 'it cannot be opened');
    } else if (info.isDirectory()) {
      if (!isJob) await gatherFolder(path, gathered, [...above, place]);
      else if (name === 'documents') await gatherDocuments(path, gathered);
    } else if (isJob) {
      // Counts, journal and settings of a job are no documents.
    } else if (isPathList(path)) {
      gathered.skip(path, 'a list of paths; name it itself to read the files it lists');
    } else {
      await gathered.add(path);
    }
  }
}

/** The documents that a data job wrote, all of them JSON lines. */
async function gatherDocuments(folder: string, gathered: Gathered): Promise<void> {
  for (const name of (await readdir(folder)).sort()) {
    if (!name.startsWith('.') && formatOf(name) === 'jsonl') await gathered.add(join(folder, name));
  }
}

async function isJobFolder(folder: string): Promise<boolean> {
  const path = join(folder, 'job.json');
  const info = await stat(path).catch(() => null);
  if (info === null || info.size > maxJobFileBytes) return false;
  try {
    const job: unknown = JSON.parse(await readFile(path, 'utf8'));
    return typeof job === 'object' && job !== null && (job as { plinth?: unknown }).plinth === 'data-job';
  } catch {
    return false;
  }
}

const maxJobFileBytes = 64 * 1024 * 1024;

function noUsableFile(paths: readonly string[], skippedFiles: readonly SkippedFile[]): DataError {
  const first = skippedFiles[0];
  const why =
    first === undefined
      ? 'There are no files in it'
      : `${skippedFiles.length} were left out; the first, ${basename(first.path)}: ${first.reason}`;
  return new DataError(`No file in ${paths.join(', ')} can be read. ${why}.`);
}

function readerOfFiles(
  files: readonly InputFile[],
  skippedFiles: readonly SkippedFile[],
  readerOf: (file: InputFile) => Reader,
): Reader {
  const source = `${files.length} files`;
  let report = new ReadReport(source);
  async function* read(): AsyncGenerator<Document> {
    const own = new ReadReport(source);
    report = own;
    for (const { path, reason } of skippedFiles) own.skip(path, reason);
    let firstError: PlinthError | null = null;
    let hasRead = false;
    for (const file of files) {
      const reader = readerOf(file);
      try {
        for await (const document of reader.read()) {
          own.numRead++;
          yield document;
        }
        hasRead = true;
      } catch (error) {
        // One file that is not what its name says does not stop the others.
        if (!(error instanceof PlinthError)) throw error;
        firstError ??= error;
        own.skip(file.path, error.message);
      }
      const { numSkipped, skipped } = reader.report;
      for (const { position, reason } of skipped) own.skip(`${file.path}, ${position}`, reason);
      own.numSkipped += numSkipped - skipped.length;
    }
    if (!hasRead && own.numRead === 0 && firstError !== null) throw firstError;
  }
  return {
    get report() {
      return report;
    },
    read,
  };
}
