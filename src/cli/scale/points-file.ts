/**
 * Training runs from a table: csv, tsv, jsonl or json, with columns for parameters, tokens or FLOPs, and loss under
 * any of their usual names. A row that cannot be read is an error with its line; nothing is skipped in silence.
 */
import { DataError } from '../../core/errors.ts';
import type { ScalingPoint } from '../../scaling/laws/index.ts';

export interface PointColumns {
  readonly params?: string;
  readonly tokens?: string;
  readonly flops?: string;
  readonly loss?: string;
}

type Quantity = keyof PointColumns;

export interface PointTable {
  readonly points: ScalingPoint[];
  /** Which column gave what, for people. */
  readonly description: string;
}

/** Names without case, spaces and marks; the first that a table has is taken. */
const NAMES: Record<Quantity, readonly string[]> = {
  params:
    'params parameters n modelsize numparams nparams numparameters nparameters parametercount modelparams totalparams size'.split(
      ' ',
    ),
  tokens:
    'tokens d trainingtokens traintokens numtokens ntokens tokensseen totaltokens numtraintokens datasettokens datasetsize'.split(
      ' ',
    ),
  flops: 'flops flop c compute trainingflop trainingflops trainflops totalflops trainingcompute'.split(' '),
  loss: 'loss l finalloss validationloss valloss evalloss testloss heldoutloss trainloss trainingloss'.split(
    ' ',
  ),
};
const EXAMPLE = 'params,tokens,loss\n10M,200M,3.91\n20M,400M,3.62';
const MAX_SHOWN_COLUMNS = 20;

interface Row {
  /** "line 3". */
  readonly position: string;
  readonly cells: Readonly<Record<string, unknown>>;
}

/**
 * Reads the points of a file. `chosen` names columns that the usual names do not find.
 * @throws DataError for a file without rows or columns, and for a cell that is no number above 0, with its line
 */
export async function readScalingPoints(path: string, chosen: PointColumns = {}): Promise<PointTable> {
  const rows = await rowsOf(path);
  const [first] = rows;
  if (first === undefined) throw new DataError(`${path} has no rows. Expected a table such as:\n${EXAMPLE}`);
  const available = [...new Set(rows.flatMap(({ cells }) => Object.keys(cells)))];
  const params = columnOf('params', available, chosen, path);
  const loss = columnOf('loss', available, chosen, path);
  const flops = columnOf('flops', available, chosen, path, 'optional');
  const tokens = columnOf('tokens', available, chosen, path, flops === undefined ? 'needed' : 'optional');
  const points = rows.map((row) => {
    const at = `${path}, ${row.position}`;
    const size = positive(row.cells[params!], `${at}: '${params}'`);
    return {
      params: size,
      tokens:
        tokens === undefined
          ? positive(row.cells[flops!], `${at}: '${flops}'`) / (6 * size)
          : positive(row.cells[tokens], `${at}: '${tokens}'`),
      loss: positive(row.cells[loss!], `${at}: '${loss}'`),
    };
  });
  return {
    points,
    description:
      `${points.length} runs of ${path}: parameters from '${params}', tokens from ` +
      `${tokens === undefined ? `'${flops}' / (6 x parameters)` : `'${tokens}'`}, loss from '${loss}'`,
  };
}

function columnOf(
  quantity: Quantity,
  available: readonly string[],
  chosen: PointColumns,
  path: string,
  need: 'needed' | 'optional' = 'needed',
): string | undefined {
  const shown = available.slice(0, MAX_SHOWN_COLUMNS).join(', ');
  const wanted = chosen[quantity];
  if (wanted !== undefined) {
    if (available.includes(wanted)) return wanted;
    throw new DataError(`${path} has no column '${wanted}'. It has: ${shown}.`);
  }
  for (const name of NAMES[quantity]) {
    const same = available.filter((column) => plainName(column) === name);
    if (same.length > 1) {
      throw new DataError(
        `${path} has ${same.length} columns for ${quantity}: ${same.join(', ')}. Name one with --${quantity}-column.`,
      );
    }
    if (same[0] !== undefined) return same[0];
  }
  if (need === 'optional') return undefined;
  throw new DataError(
    `${path} has no column for ${quantity}${quantity === 'tokens' ? ' or FLOPs' : ''}. It has: ${shown}. ` +
      `Name it with --${quantity}-column, or call it '${NAMES[quantity][0]}'. Example:\n${EXAMPLE}`,
  );
}

const plainName = (column: string) =>
  column
    .replace(/\(.*?\)/g, '')
    .toLowerCase()
    .replace(/[^a-z]/g, '');

function positive(value: unknown, where: string): number {
  const number = typeof value === 'number' ? value : numberOf(String(value ?? ''));
  if (number > 0 && Number.isFinite(number)) return number;
  const got = value === undefined || value === '' || value === null ? 'empty' : JSON.stringify(value);
  throw new DataError(
    `${where} is ${got?.slice(0, 80)}; expected a number above 0, such as 1e9, 125M or 7B. ` +
      'Leave out runs that diverged or did not finish.',
  );
}

function numberOf(text: string): number {
  const match = /^([+]?\d[\d_,]*(?:\.\d+)?(?:e[+-]?\d+)?|\.\d+)\s*([kMBGTP])?$/i.exec(text.trim());
  if (!match) return Number.NaN;
  const scales: Record<string, number> = { k: 1e3, m: 1e6, b: 1e9, g: 1e9, t: 1e12, p: 1e15 };
  return Number(match[1]!.replace(/[_,]/g, '')) * (match[2] ? scales[match[2].toLowerCase()]! : 1);
}

async function rowsOf(path: string): Promise<Row[]> {
  const [{ formatOf, extensionOf }, { ReadReport }] = await Promise.all([
    import('../../data/readers/file-format.ts'),
    import('../../data/document.ts'),
  ]);
  const format = formatOf(path);
  const report = new ReadReport(path);
  const rows: Row[] = [];
  if (format === 'csv' || format === 'tsv') {
    const { csvRecords } = await import('../../data/readers/csv-records.node.ts');
    for await (const { columns, fields, position } of csvRecords(path, report)) {
      rows.push({ position, cells: Object.fromEntries(columns.map((column, i) => [column, fields[i]])) });
    }
  } else if (format === 'jsonl') {
    const { jsonlRecords } = await import('../../data/readers/jsonl-reader.node.ts');
    for await (const { record, position } of jsonlRecords(path, report)) {
      rows.push({ position, cells: record });
    }
  } else if (extensionOf(path) === 'json') {
    rows.push(...(await jsonRows(path)));
  } else {
    throw new DataError(
      `${path} is not a table of runs that can be read here. Expected .csv, .tsv, .jsonl or .json, such as:\n${EXAMPLE}`,
    );
  }
  const [skipped] = report.skipped;
  if (skipped)
    throw new DataError(`${path}, ${skipped.position}: ${skipped.reason}. Correct or delete the line.`);
  return rows;
}

/** A list of objects, or an object with such a list as 'points' (a law file has one). */
async function jsonRows(path: string): Promise<Row[]> {
  const { readJsonFile } = await import('../../core/json-file.node.ts');
  const value = await readJsonFile(path, 'Expected JSON with a list of runs.');
  if (value === undefined) throw new DataError(`There is no file ${path}.`);
  const list = Array.isArray(value) ? value : (value as { points?: unknown } | null)?.points;
  if (!Array.isArray(list)) {
    throw new DataError(
      `${path} holds no runs. Expected [{"params": 1e7, "tokens": 2e8, "loss": 3.91}, ...] or {"points": [...]}.`,
    );
  }
  return list.map((cells, i) => {
    if (typeof cells === 'object' && cells !== null && !Array.isArray(cells)) {
      return { position: `item ${i + 1}`, cells: cells as Record<string, unknown> };
    }
    throw new DataError(
      `${path}, item ${i + 1}: expected an object such as {"params": 1e7, "tokens": 2e8, "loss": 3.91}.`,
    );
  });
}
