/**
 * Lists of paths, one a line, as Common Crawl publishes them (`warc.paths.gz`, `wet.paths.gz`: lines such as
 * crawl-data/CC-MAIN-2024-10/segments/.../x.warc.wet.gz): the local files they name.
 */
import { stat } from 'node:fs/promises';
import { basename, dirname, isAbsolute, join } from 'node:path';
import { DataError } from '../../core/errors.ts';
import { fileLines, positionOf } from './byte-lines.node.ts';

export interface ListedPaths {
  paths: string[];
  missing: { path: string; reason: string }[];
}

const maxPathCharacters = 4096;

/**
 * Each line is looked for below `root` (when given), below the list's folder, and by its name alone in both.
 * @throws DataError when the list cannot be read or names nothing.
 */
export async function readPathList(list: string, root?: string): Promise<ListedPaths> {
  const folders = root === undefined ? [dirname(list)] : [root, dirname(list)];
  const paths: string[] = [];
  const missing: ListedPaths['missing'] = [];
  for await (const lines of fileLines(list, maxPathCharacters)) {
    for (const line of lines) {
      if (line.text === null) {
        missing.push({ path: `${list}, ${positionOf(line)}`, reason: line.damage ?? 'damaged' });
        continue;
      }
      const entry = line.text.trim();
      if (entry === '') continue;
      const found = await firstFile(candidatesOf(entry, folders));
      if (found !== null) paths.push(found);
      else
        missing.push({ path: entry, reason: `listed in ${list}, but not found in ${folders.join(' or ')}` });
    }
  }
  if (paths.length === 0 && missing.length === 0) throw new DataError(`${list} names no files.`);
  return { paths, missing };
}

function candidatesOf(entry: string, folders: readonly string[]): string[] {
  if (isAbsolute(entry)) return [entry, ...folders.map((folder) => join(folder, basename(entry)))];
  const relative = entry.replace(/^(?:https?|s3):\/\/[^/]+\//, '');
  return [
    ...folders.map((folder) => join(folder, relative)),
    ...folders.map((folder) => join(folder, basename(relative))),
  ];
}

async function firstFile(paths: readonly string[]): Promise<string | null> {
  for (const path of paths) {
    const info = await stat(path).catch(() => null);
    if (info !== null && !info.isDirectory()) return path;
  }
  return null;
}
