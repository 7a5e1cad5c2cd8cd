/** Sheets drafted from tables nobody prepared, and the names invented for them. */

import { fileURLToPath } from 'node:url';
import elements from 'periodic-table/data.json' with { type: 'json' };
import { describe, expect, it } from 'vitest';
import { readTable } from '../../src/data/index.node.ts';
import { tableOf } from '../../src/data/index.ts';
import {
  createNameInventor,
  draftFactSheet,
  factSheetSource,
  writeFacts,
} from '../../src/recipe/facts/index.ts';

const odd = fileURLToPath(new URL('../fixtures/data/odd-birds.csv', import.meta.url));

describe('a sheet drafted from an odd CSV', () => {
  it('finds the names, the useful columns and their kinds, and says why others are not used', async () => {
    const { table } = await readTable(odd);
    const { sheet, skippedColumns } = draftFactSheet(table, { name: 'birds' });
    expect(sheet.entity).toEqual({ noun: 'bird', key: 'Bird Name' });
    expect(sheet.attributes.map(({ column, label }) => [column, label])).toEqual([
      ['No.', 'no'],
      ['wing_span_cm', 'wing span cm'],
      ['Diet', 'diet'],
      ['column_5', 'column 5'],
      ['isMigratory', 'is migratory'],
      ['Diet_2', 'diet 2'],
    ]);
    expect(
      sheet.attributes.map(({ list, number, yesNo }) =>
        list ? list.separator : number ? 'number' : yesNo ? 'yes/no' : 'text',
      ),
    ).toEqual(['number', 'number', '|', 'text', 'yes/no', 'text']);
    expect(Object.fromEntries(skippedColumns.map(({ column, reason }) => [column, reason]))).toEqual({
      Notes: 'only 4 of 21 rows have a value',
      link: 'web addresses',
      status: 'all rows have the same value',
    });
  });

  it('gives a corpus with at least five statements and seven questions to each fact', async () => {
    const { table } = await readTable(odd);
    const { sheet } = draftFactSheet(table, { name: 'birds' });
    const corpus = writeFacts([{ table, sheet }], { seed: 4 });
    for (const fact of corpus.facts) {
      if (fact.direction === 'forward') expect(fact.statements.length).toBeGreaterThanOrEqual(5);
      expect(fact.questions.length).toBeGreaterThanOrEqual(7);
    }
    const diet = corpus.facts.filter(({ attribute }) => attribute === 'Diet');
    expect(diet.find(({ entity }) => entity === 'House Sparrow')!.answer).toBe('insects and seeds');
    // Five foods are above the cap of four.
    expect(diet.find(({ entity }) => entity === 'Mute Swan')).toBeUndefined();
    expect(corpus.leftOut).toContainEqual(
      expect.objectContaining({ entity: 'Mute Swan', reason: 'list-too-long' }),
    );
    expect(corpus.leftOut.filter(({ reason }) => reason === 'duplicate-entity')).toHaveLength(1);
    const real = new Set(table.rows.map((row) => row['Bird Name']));
    for (const { entity } of corpus.evaluation.unknown) expect(real.has(entity)).toBe(false);
    expect(corpus.facts.some(({ entity }) => entity === '{value} Bird')).toBe(true);
  });

  it('becomes source text that is the same sheet again', async () => {
    const { table } = await readTable(odd);
    const { sheet } = draftFactSheet(table);
    const source = factSheetSource(sheet);
    expect(source).toContain('entity: {\n');
    const body = source.replace(/^export const sheet: FactSheet = /, '').replace(/;\n$/, '');
    expect(new Function(`return ${body}`)()).toEqual(sheet);
  });
});

describe('a sheet drafted from a real table', () => {
  const table = tableOf(elements as unknown as Record<string, unknown>[]);

  it('takes the name over the symbol as key and gives over a thousand facts', () => {
    const { sheet } = draftFactSheet(table, { name: 'elements' });
    expect(sheet.entity.key).toBe('name');
    const corpus = writeFacts([{ table, sheet }]);
    expect(corpus.facts.length).toBeGreaterThan(1000);
    expect(corpus.facts.find(({ id }) => id === 'elements/symbol/Iron')!.answer).toBe('Fe');
    expect(corpus.facts.find(({ id }) => id === 'elements/meltingPoint/Iron')!.answer).toBe('1811');
  });

  it('follows a named key and named columns', () => {
    const { sheet, skippedColumns } = draftFactSheet(table, {
      keyColumn: 'symbol',
      columns: ['name', 'groupBlock'],
    });
    expect(sheet.entity).toEqual({ noun: 'symbol', key: 'symbol' });
    expect(sheet.attributes.map(({ column }) => column)).toEqual(['name', 'groupBlock']);
    expect(skippedColumns.length).toBe(table.columns.length - 3);
  });
});

describe('tables that make no sheet', () => {
  it.each([
    ['one row', tableOf([{ a: 'x', b: 'y' }]), {}, 'at least 2 rows'],
    [
      'no column of names',
      tableOf([
        { a: 1, b: 2 },
        { a: 2, b: 2 },
      ]),
      {},
      'No column names the rows',
    ],
    [
      'nothing beside the names',
      tableOf([
        { a: 'x', b: 'same' },
        { a: 'y', b: 'same' },
      ]),
      {},
      'all rows have the same value',
    ],
    [
      'an unknown key',
      tableOf([
        { a: 'x', b: 'y' },
        { a: 'z', b: 'w' },
      ]),
      { keyColumn: 'c' },
      'Its columns: a, b',
    ],
  ])('%s', (_, table, options, message) => {
    expect(() => draftFactSheet(table, options)).toThrow(message);
  });
});

describe('invented names', () => {
  const realNames = [
    'Anna Berg',
    'Carl Dorn',
    'Eva Falk',
    'Georg Hahn',
    'Ida Jung',
    'Karl Lang',
    'Maria Nord',
    'Otto Pohl',
  ];
  const many = (names: readonly string[], count: number, seed = 1) => {
    const inventor = createNameInventor({ realNames: names, seed });
    return Array.from({ length: count }, () => inventor.next());
  };

  it('are distinct, reproducible and never within one edit of a real one', () => {
    const names = many(realNames, 500);
    expect(new Set(names).size).toBe(500);
    expect(many(realNames, 500)).toEqual(names);
    for (const name of names) {
      for (const real of realNames)
        expect(editDistance(name.toLowerCase(), real.toLowerCase()), `${name} ~ ${real}`).toBeGreaterThan(1);
    }
  });

  it('have the shape of codes where the names are codes', () => {
    const codes = ['AB-1203', 'CK-8841', 'ZZ-0031', 'QT-5550'];
    for (const code of many(codes, 200)) expect(code).toMatch(/^[A-Z]{2}-\d{4}$/);
    for (const code of many(['Fe', 'Au', 'H', 'Na'], 100)) expect(code).toMatch(/^[A-Z][a-z]?$/);
  });

  it('work for names in other scripts', () => {
    const names = many(
      ['Москва', 'Самара', 'Казань', 'Рязань', 'Саратов', 'Воронеж', 'Тамбов', 'Калуга'],
      50,
    );
    expect(names.every((name) => /^[\p{Script=Cyrillic}\s]+$/u.test(name))).toBe(true);
  });

  it('end in an error that says so when there is no room', () => {
    expect(() => many(['A', 'B', 'C'], 40)).toThrow('No new invented name');
  });
});

function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      next[j] = Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + Number(a[i - 1] !== b[j - 1]));
    }
    row = next;
  }
  return row[b.length]!;
}
