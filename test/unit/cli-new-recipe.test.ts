import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { tableOf } from '../../src/data/index.ts';
import { draftFactSheet, type FactSheet } from '../../src/recipe/facts/index.ts';
import { plinthInProcess as plinth } from '../fixtures/cli/plinth-in-process.ts';
import { temporaryFolder } from '../fixtures/cli/plinth-process.ts';

const TABLE = `name,colour,season,vitamin c mg,notes
Lemon,yellow,winter,53,
Lime,green,all year,29,
Kiwi,green,winter,93,
"Dragon's ""fruit"" {value}",pink,summer,3,
`;

let folder: ReturnType<typeof temporaryFolder>;
beforeEach(() => {
  folder = temporaryFolder();
});
afterEach(() => folder.remove());

interface Loaded {
  name: string;
  minutes: number;
  facts: { entity: string; attribute: string; answer: string }[];
  sheet: FactSheet;
}

const root = resolve(import.meta.dirname, '..', '..');

/** Loads a recipe as the runner does, in a process of its own, since module hooks cannot be taken back. */
function load(recipe: string): Loaded {
  const script = join(root, 'test', 'fixtures', 'cli', 'read-recipe.ts');
  const tsx = pathToFileURL(join(root, 'node_modules', 'tsx', 'dist', 'loader.mjs')).href;
  const text = execFileSync(process.execPath, ['--import', tsx, script, recipe, folder.path], {
    encoding: 'utf8',
  });
  return JSON.parse(text) as Loaded;
}

function write(path: string, text: string): void {
  mkdirSync(dirname(join(folder.path, path)), { recursive: true });
  writeFileSync(join(folder.path, path), text);
}

describe('a drafted recipe', () => {
  // The package.json around a recipe must not matter, nor that plinth is not installed beside it.
  test.each([
    ['no package.json', undefined],
    ['an ES module package', '{"type":"module"}'],
    ['a CommonJS package', '{"type":"commonjs"}'],
  ])('runs in a folder with %s and holds the facts of its table', async (_, packageJson) => {
    write('data/my fruit.csv', TABLE);
    if (packageJson) write('package.json', packageJson);
    const drafted = await plinth(folder.path, [
      'new',
      'fruit',
      '--from',
      'data/my fruit.csv',
      '--minutes',
      '3',
    ]);
    expect(drafted.stderr).toBe('');
    expect(drafted.code).toBe(0);
    expect(drafted.stdout).toContain('plinth run fruit');
    expect(drafted.stdout).toContain('notes');
    const { name, minutes, facts } = load('fruit');
    expect([name, minutes]).toEqual(['fruit', 3]);
    expect(facts).toContainEqual({ entity: 'Kiwi', attribute: 'vitamin c mg', answer: '93' });
    expect(facts).toContainEqual({ entity: `Dragon's "fruit" {value}`, attribute: 'colour', answer: 'pink' });
    expect(facts.filter(({ attribute }) => attribute === 'season')).toHaveLength(4);
  });

  test('is text to edit: phrasings stand in it, one a line, and an edit counts', async () => {
    write('fruit.csv', TABLE);
    await plinth(folder.path, [
      'new',
      'fruit',
      '--from',
      'fruit.csv',
      '--columns',
      'colour',
      '--noun',
      'fruit',
    ]);
    const path = join(folder.path, 'recipes', 'fruit.ts');
    const source = readFileSync(path, 'utf8');
    expect(source).toContain("        'What is the colour of {entity}?',\n");
    expect(source.length).toBeLessThan(4000);
    writeFileSync(path, source.replace('What is the colour of {entity}?', 'Which hue has {entity}?'));
    expect(load('fruit').sheet.attributes[0]?.questions).toContain('Which hue has {entity}?');
  });

  test('says in JSON what it learned and what it left', async () => {
    write('fruit.csv', TABLE);
    const { stdout } = await plinth(folder.path, ['new', 'f', '--from', 'fruit.csv', '--json']);
    expect(JSON.parse(stdout)).toMatchObject({
      key: 'name',
      numRows: 4,
      numFacts: 12,
      skippedColumns: [{ column: 'notes' }],
    });
  });

  test('replaces nothing without --force', async () => {
    write('fruit.csv', TABLE);
    write('recipes/fruit.ts', 'mine');
    const refused = await plinth(folder.path, ['new', 'fruit', '--from', 'fruit.csv']);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain('--force');
    expect(readFileSync(join(folder.path, 'recipes/fruit.ts'), 'utf8')).toBe('mine');
    expect((await plinth(folder.path, ['new', 'fruit', '--from', 'fruit.csv', '--force'])).code).toBe(0);
    expect(load('fruit').name).toBe('fruit');
  });

  test('names a column that is not there, and the others', async () => {
    write('fruit.csv', TABLE);
    const { code, stderr } = await plinth(folder.path, [
      'new',
      'fruit',
      '--from',
      'fruit.csv',
      '--key',
      'title',
    ]);
    expect(code).toBe(1);
    expect(stderr).toContain("'title'");
    expect(stderr).toContain('colour');
    expect(existsSync(join(folder.path, 'recipes'))).toBe(false);
  });

  test('holds hostile column names as text', async () => {
    // biome-ignore lint/suspicious/noTemplateCurlyInString: a placeholder that must stay text.
    const column = 'it\'s `${process.exit(9)}` \\ " */ \u2028 end';
    write('odd.json', JSON.stringify(['a', 'b', 'c'].map((name, i) => ({ name, [column]: `value ${i}` }))));
    expect((await plinth(folder.path, ['new', 'odd', '--from', 'odd.json'])).code).toBe(0);
    const { sheet } = load('odd');
    const records = ['a', 'b', 'c'].map((name, i) => ({ name, [column]: `value ${i}` }));
    expect(sheet).toEqual(
      JSON.parse(JSON.stringify(draftFactSheet(tableOf(records), { name: 'odd' }).sheet)),
    );
  });
});

test('a recipe that ships with Plinth loads from any folder', () => {
  const { name, facts } = load('atlas');
  expect(name).toBe('atlas');
  expect(facts).toContainEqual({ entity: 'Kenya', attribute: 'capital', answer: 'Nairobi' });
});
