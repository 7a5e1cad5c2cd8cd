/**
 * The import directions between the folders of src/: a folder imports only from the folders listed for it.
 * Also: code that needs node: modules sits in *.node.ts files, and nothing else imports those.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { describe, expect, test } from 'vitest';

const root = resolve(import.meta.dirname, '..', 'src');

const below = (...folders: string[]) => new Set(folders);
const foundation = [
  'core',
  'tensor',
  'runtime',
  'tokenizer',
  'data',
  'scaling',
  'structured',
  'sampling',
  'model',
];
const MAY_IMPORT: Record<string, Set<string>> = {
  core: below(),
  tensor: below('core'),
  runtime: below('core', 'tensor'),
  tokenizer: below('core'),
  data: below('core', 'tokenizer'),
  scaling: below('core'),
  structured: below('core', 'tokenizer'),
  sampling: below('core'),
  model: below('core', 'tensor', 'tokenizer'),
  train: below('core', 'tensor', 'runtime', 'data', 'model', 'scaling'),
  decode: below('core', 'tensor', 'runtime', 'model', 'tokenizer', 'sampling', 'structured'),
  align: below(...foundation, 'train', 'decode'),
  search: below(...foundation, 'decode'),
  reliability: below(...foundation, 'decode', 'search'),
  evaluate: below(...foundation, 'decode', 'search'),
  recipe: below(...foundation, 'train', 'decode', 'align', 'search', 'reliability', 'evaluate'),
  server: below(...foundation, 'train', 'decode', 'align', 'search', 'reliability', 'evaluate', 'recipe'),
  cli: below(
    ...foundation,
    'train',
    'decode',
    'align',
    'search',
    'reliability',
    'evaluate',
    'recipe',
    'server',
  ),
};
const FRONT_DOOR = '(front door)';
MAY_IMPORT[FRONT_DOOR] = below(...Object.keys(MAY_IMPORT));
/** Folders whose programs run in Node only. */
const NODE_FOLDERS = new Set(['cli', 'server']);

interface Import {
  from: string;
  specifier: string;
  target: string | undefined;
}

function* sourceFiles(folder: string): Generator<string> {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) yield* sourceFiles(path);
    else if (entry.name.endsWith('.ts')) yield path;
  }
}

function importsOf(path: string): Import[] {
  const text = readFileSync(path, 'utf8').replaceAll(/\/\*[\s\S]*?\*\//g, '');
  const pattern =
    /(?:^|\n)\s*(?:import|export)\s[^'";]*?from\s*'([^']+)'|(?:^|\n)\s*import\s*'([^']+)'|import\(\s*'([^']+)'\s*\)/g;
  return [...text.matchAll(pattern)].map((match) => {
    const specifier = (match[1] ?? match[2] ?? match[3])!;
    const target = specifier.startsWith('.') ? relative(root, resolve(dirname(path), specifier)) : undefined;
    return { from: relative(root, path), specifier, target };
  });
}

const files = [...sourceFiles(root)];
const imports = files.flatMap(importsOf);
/** Files directly in src/ are the front door and may import everything. */
const folderOf = (path: string) => (path.includes(sep) ? path.split(sep)[0]! : FRONT_DOOR);

describe('the house', () => {
  test('there are files and imports to check', () => {
    expect(files.length).toBeGreaterThan(50);
    expect(imports.length).toBeGreaterThan(200);
  });

  test('every folder of src/ is in the table', () => {
    const folders = new Set(files.map((path) => folderOf(relative(root, path))));
    expect([...folders].filter((folder) => !(folder in MAY_IMPORT))).toEqual([]);
  });

  test('folders import only from the floors below', () => {
    const wrong = imports.filter(({ from, target }) => {
      if (target === undefined || target.startsWith('..')) return target?.startsWith('..') === true;
      const own = folderOf(from);
      const other = folderOf(target);
      return own !== other && !MAY_IMPORT[own]!.has(other);
    });
    expect(wrong.map(({ from, specifier }) => `${from} imports ${specifier}`)).toEqual([]);
  });

  test('node: modules are used in *.node.ts files only', () => {
    const wrong = imports.filter(
      ({ from, specifier }) =>
        (specifier.startsWith('node:') || specifier === 'onnxruntime-node') &&
        !from.endsWith('.node.ts') &&
        !NODE_FOLDERS.has(folderOf(from)),
    );
    expect(wrong.map(({ from, specifier }) => `${from} imports ${specifier}`)).toEqual([]);
  });

  test('browser-safe files do not import *.node.ts', () => {
    const wrong = imports.filter(
      ({ from, specifier }) =>
        specifier.endsWith('.node.ts') && !from.endsWith('.node.ts') && !NODE_FOLDERS.has(folderOf(from)),
    );
    expect(wrong.map(({ from, specifier }) => `${from} imports ${specifier}`)).toEqual([]);
  });
});
