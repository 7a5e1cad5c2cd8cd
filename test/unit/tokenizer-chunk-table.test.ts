/** The table of chunks tells chunks apart whatever their hashes. */
import { expect, it } from 'vitest';
import { ChunkTable } from '../../src/tokenizer/chunk-table.ts';
import { TextUnits } from '../../src/tokenizer/text-units.ts';

it('numbers 400,000 different chunks of equal length in order, though some hashes must be equal', () => {
  // 400,000 chunks among 2^32 hashes: 18 pairs are expected to share one.
  const table = new ChunkTable();
  const source = new TextUnits();
  const chunk = (i: number) =>
    `${(i * 2654435761) % 4294967296}`.padStart(10, '0') + String(i).padStart(8, '0');
  for (let i = 0; i < 400_000; i++) {
    source.set(chunk(i));
    if (table.intern(source.units, 0, source.length) !== i) expect.fail(`chunk ${i} was taken for another`);
  }
  for (let i = 0; i < 400_000; i += 997) {
    source.set(chunk(i));
    expect(table.find(source.units, 0, source.length)).toBe(i);
    expect(table.textOf(i)).toBe(source.text);
  }
  table.clear();
  expect(table.find(source.units, 0, source.length)).toBe(-1);
  expect(table.intern(source.units, 0, source.length)).toBe(0);
});
