/** `plinth new`: a recipe drafted from a table, as a file to read and edit. */
import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { Command } from 'commander';
import { ConfigError, PlinthError } from '../../core/errors.ts';
import { shownPath } from '../model-folder.ts';
import { nameList, quantity } from '../option-values.ts';

interface NewFlags {
  from: string;
  key?: string;
  columns?: string[];
  noun?: string;
  minutes: number;
  force?: boolean;
  json?: boolean;
}

const HELP = `
Writes recipes/NAME.ts in this folder: which column names the rows, which columns become facts, and every sentence
and question a fact is written as. The phrasings are general; the more natural you make them, the better the model.

Examples:
  $ plinth new fruit --from fruit.csv
  $ plinth new staff --from staff.parquet --key name --columns department,office,phone --minutes 3`;

export function newCommand(): Command {
  return new Command('new')
    .summary('draft a recipe from a table')
    .description('Draft a recipe from a table: every row becomes facts that a model can learn.')
    .argument('<name>', 'name of the recipe')
    .requiredOption('--from <file>', 'csv, tsv, jsonl, ndjson (each also .gz), json or parquet')
    .option('--key <column>', 'column with the name of each row (default: found by uniqueness)')
    .option('--columns <names>', 'columns to learn, separated by commas (default: the useful ones)', nameList)
    .option('--noun <word>', 'what one row is, in the singular: country')
    .option('--minutes <number>', 'how long a run may take', quantity, 5)
    .option('--force', 'replace a recipe of this name')
    .option('--json', 'print the result as one line of JSON')
    .addHelpText('after', HELP)
    .action(draft);
}

async function draft(name: string, flags: NewFlags): Promise<void> {
  if (!/^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/.test(name)) {
    throw new PlinthError(
      'usage',
      `Recipe name "${name}": use 1-64 letters, digits, "-" or "_", starting with a letter or digit.`,
    );
  }
  const path = resolve('recipes', `${name}.ts`);
  if (existsSync(path) && !flags.force) {
    throw new ConfigError(
      `${shownPath(path)} exists already. Choose another name, or replace it with --force.`,
    );
  }
  const [{ readTable }, { draftFactSheet, collectFacts }, { recipeSource }, { writeFileAtomic }] =
    await Promise.all([
      import('../../data/index.node.ts'),
      import('../../recipe/facts/index.ts'),
      import('../recipe-source.ts'),
      import('../../core/atomic-file.node.ts'),
    ]);
  const tablePath = resolve(flags.from);
  const { table, report } = await readTable(tablePath);
  const { sheet, skippedColumns } = draftFactSheet(table, {
    name,
    ...(flags.key !== undefined && { keyColumn: flags.key }),
    ...(flags.columns !== undefined && { columns: flags.columns }),
    ...(flags.noun !== undefined && { noun: flags.noun }),
  });
  const { facts, leftOut } = collectFacts({ table, sheet });
  const source = recipeSource({
    name,
    minutes: flags.minutes,
    tableUrl: tableUrl(dirname(path), tablePath),
    tableName: shownPath(tablePath),
    sheet,
  });
  await mkdir(join('.', 'recipes'), { recursive: true });
  await writeFileAtomic(path, source);

  const result = {
    path,
    key: sheet.entity.key,
    columns: sheet.attributes.map(({ column }) => column),
    numRows: table.rows.length,
    numSkippedRows: report.numSkipped,
    numFacts: facts.length,
    numLeftOut: leftOut.length,
    skippedColumns,
  };
  if (flags.json) {
    process.stdout.write(`${JSON.stringify(result)}\n`);
    return;
  }
  const lines = [
    `${shownPath(path)}: ${result.numFacts} facts about ${result.numRows} rows, named by "${result.key}".`,
    `Columns learned: ${result.columns.join(', ')}.`,
    ...skippedColumns.map(({ column, reason }) => `Not learned: ${column} (${reason}).`),
    ...(result.numLeftOut > 0 ? [`${result.numLeftOut} empty, long or ambiguous values were left out.`] : []),
    ...(result.numSkippedRows > 0
      ? [
          `${result.numSkippedRows} rows could not be read; the first, ${report.skipped[0]?.position}: ${report.skipped[0]?.reason}.`,
        ]
      : []),
    `\nRead and edit the phrasings, then:\n  plinth run ${name}`,
  ];
  process.stdout.write(`${lines.join('\n')}\n`);
}

/** The table's place seen from the recipe, as the text of a relative URL. */
function tableUrl(folder: string, tablePath: string): string {
  const path = relative(folder, tablePath).split(sep).map(encodeURIComponent).join('/');
  return path.startsWith('.') ? path : `./${path}`;
}
