/**
 * Paths that match a pattern: `*` and `?` within a name, `**` for any folders, `[a-z]`, `[!x]` and `{a,b}`. Names
 * that begin with a dot match only where the pattern spells the dot. Knows no escapes: a path that is there as it
 * is written is taken as it is before it is looked at as a pattern.
 */
import type { Dirent } from 'node:fs';
import { readdir, realpath } from 'node:fs/promises';
import { join } from 'node:path';
import { DataError, LimitError } from '../../core/errors.ts';

/** Patterns that one may unfold to by its braces. */
const maxAlternatives = 1000;

export function isGlob(path: string): boolean {
  return /[*?[{]/.test(path);
}

/** Files that match, sorted, each once. @throws LimitError for too many alternatives, DataError for unclosed ones. */
export async function globFiles(pattern: string): Promise<string[]> {
  const found = new Set<string>();
  for (const alternative of expandBraces(pattern)) {
    const segments = alternative.split('/');
    const isAbsolute = alternative.startsWith('/');
    await match(
      isAbsolute ? '/' : '',
      segments.filter((segment) => segment !== ''),
      0,
      found,
      new Set(),
    );
  }
  return [...found].sort();
}

/** `a{b,c}` as `ab` and `ac`; braces may be nested. */
export function expandBraces(pattern: string): string[] {
  const done: string[] = [];
  const open = [pattern];
  while (open.length > 0) {
    const text = open.pop()!;
    if (done.length + open.length > maxAlternatives) {
      throw new LimitError(`The pattern ${pattern} stands for more than ${maxAlternatives}. Use * instead.`);
    }
    const start = text.indexOf('{');
    if (start === -1) {
      done.push(text);
      continue;
    }
    const { end, commas } = closing(text, start, pattern);
    const cuts = [start, ...commas, end];
    for (let i = cuts.length - 2; i >= 0; i--) {
      open.push(text.slice(0, start) + text.slice(cuts[i]! + 1, cuts[i + 1]) + text.slice(end + 1));
    }
  }
  return done;
}

function closing(text: string, start: number, pattern: string): { end: number; commas: number[] } {
  const commas: number[] = [];
  let depth = 0;
  for (let at = start; at < text.length; at++) {
    if (text[at] === '{') depth++;
    else if (text[at] === ',' && depth === 1) commas.push(at);
    else if (text[at] === '}' && --depth === 0) return { end: at, commas };
  }
  throw new DataError(`The pattern ${pattern} has a { without }.`);
}

async function match(
  folder: string,
  segments: readonly string[],
  index: number,
  found: Set<string>,
  above: ReadonlySet<string>,
): Promise<void> {
  const segment = segments[index];
  if (segment === undefined) return;
  const isLast = index === segments.length - 1;
  if (segment === '.' || segment === '..') {
    await match(join(folder, segment), segments, index + 1, found, above);
    return;
  }
  const isDeep = segment === '**';
  const test = isDeep ? null : segmentPattern(segment);
  // `a/**` means every file below a, `a/**/b` also a/b.
  if (isDeep && !isLast) await match(folder, segments, index + 1, found, above);
  // A link back to a folder above would be followed for ever.
  const place = isDeep ? await realpath(folder || '.').catch(() => null) : null;
  if (isDeep && (place === null || above.has(place))) return;
  const inside = place === null ? above : new Set([...above, place]);
  for (const entry of await entriesOf(folder || '.')) {
    const path = folder === '' ? entry.name : join(folder, entry.name);
    const isHidden = entry.name.startsWith('.');
    if (test !== null ? !test.test(entry.name) || (isHidden && !segment.startsWith('.')) : isHidden) continue;
    if (isDeep && entry.name === 'node_modules') continue;
    const isFolder = entry.isDirectory() || (entry.isSymbolicLink() && (await isLinkToFolder(path)));
    if (!isFolder) {
      if (isLast) found.add(path);
    } else if (isDeep) {
      await match(path, segments, index, found, inside);
    } else if (!isLast) {
      await match(path, segments, index + 1, found, inside);
    }
  }
}

async function entriesOf(folder: string): Promise<Dirent[]> {
  try {
    return await readdir(folder, { withFileTypes: true });
  } catch {
    return [];
  }
}

export async function isLinkToFolder(path: string): Promise<boolean> {
  const entries = await readdir(path).catch(() => null);
  return entries !== null;
}

/** One name's pattern as a regular expression. */
export function segmentPattern(segment: string): RegExp {
  let source = '';
  for (let at = 0; at < segment.length; at++) {
    const char = segment[at]!;
    if (char === '*') {
      // Several stars in a row say no more than one, and would backtrack.
      if (segment[at - 1] !== '*') source += '[^/]*';
    } else if (char === '?') {
      source += '[^/]';
    } else if (char === '[') {
      const end = segment.indexOf(']', at + 2);
      if (end === -1) {
        source += '\\[';
        continue;
      }
      const set = segment.slice(at + 1, end).replace(/[\\\]^[]/g, '\\$&');
      source += set.startsWith('!') ? `[^${set.slice(1)}]` : `[${set}]`;
      at = end;
    } else {
      source += char.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
    }
  }
  try {
    return new RegExp(`^${source}$`, 'u');
  } catch {
    throw new DataError(`The pattern ${segment} has a set [..] that means nothing.`);
  }
}
