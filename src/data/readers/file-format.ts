/**
 * What a file holds, told by its name: a format, and a compression around it. One table for the choice of
 * readers, for folders and globs, and for the error that lists what is known. Says nothing about the content.
 */

export type Compression = 'gz' | 'zst' | 'bz2' | 'xz' | 'br';

export type FileFormat =
  | 'text'
  | 'markdown'
  | 'html'
  | 'jsonl'
  | 'csv'
  | 'tsv'
  | 'parquet'
  | 'sqlite'
  | 'warc'
  | 'wet';

const compressionExtensions: Record<string, Compression> = {
  gz: 'gz',
  zst: 'zst',
  zstd: 'zst',
  bz2: 'bz2',
  xz: 'xz',
  br: 'br',
};

const formatExtensions: Record<string, FileFormat> = {
  txt: 'text',
  text: 'text',
  md: 'markdown',
  markdown: 'markdown',
  html: 'html',
  htm: 'html',
  xhtml: 'html',
  jsonl: 'jsonl',
  ndjson: 'jsonl',
  csv: 'csv',
  tsv: 'tsv',
  parquet: 'parquet',
  sqlite: 'sqlite',
  sqlite3: 'sqlite',
  db: 'sqlite',
  warc: 'warc',
  wet: 'wet',
};

/** Formats that are read by position, so that a compressed file would have to be unpacked first. */
const randomAccessFormats: ReadonlySet<FileFormat> = new Set(['parquet', 'sqlite']);

/** For error texts. */
export const knownExtensions = `${Object.keys(formatExtensions).join(', ')} (all but parquet and the three of SQLite also with .${Object.keys(compressionExtensions).join(', .')})`;

/** The compression that a path's last extension names, or null. */
export function compressionOf(path: string): Compression | null {
  return compressionExtensions[lastExtension(path)] ?? null;
}

/** The last extension without the compression's, in lower case: 'csv' for `a.CSV.gz`; '' when there is none. */
export function extensionOf(path: string): string {
  return lastExtension(withoutCompression(path));
}

/** The format that a path's name tells, or null for one that no reader knows. */
export function formatOf(path: string): FileFormat | null {
  const extension = extensionOf(path);
  const format = Object.hasOwn(formatExtensions, extension) ? formatExtensions[extension]! : null;
  return format !== null && randomAccessFormats.has(format) && compressionOf(path) !== null ? null : format;
}

/** Whether a path names a list of paths, as Common Crawl's `warc.paths.gz` does. */
export function isPathList(path: string): boolean {
  return extensionOf(path) === 'paths';
}

function withoutCompression(path: string): string {
  const compression = compressionOf(path);
  return compression === null ? path : path.slice(0, path.lastIndexOf('.'));
}

function lastExtension(path: string): string {
  const name = path.slice(Math.max(path.lastIndexOf('/'), path.lastIndexOf('\\')) + 1);
  const dot = name.lastIndexOf('.');
  const extension = dot <= 0 ? '' : name.slice(dot + 1).toLowerCase();
  return /^[a-z0-9]+$/.test(extension) ? extension : '';
}
