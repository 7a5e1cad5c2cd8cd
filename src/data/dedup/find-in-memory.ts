/** Duplicates among documents that fit in memory. The same result as through files. */
import type { Document } from '../document.ts';
import { type DedupMethod, resolveMethod } from './dedup-method.ts';
import { DuplicateFinding } from './duplicate-finding.ts';
import type { DuplicateSet } from './duplicate-set.ts';
import { KeyLinker, slotsFor } from './key-linker.ts';
import { SignatureTable } from './signature-table.ts';

/**
 * @param documents in input order; their position is their ordinal.
 * @throws ConfigError for a bad method; LimitError above 2^32 - 1 documents or units.
 */
export function findDuplicatesInMemory(
  documents: Iterable<Pick<Document, 'text'>>,
  method: DedupMethod,
): DuplicateSet {
  const table = new SignatureTable(resolveMethod(method));
  for (const { text } of documents) table.add(text);
  const finding = new DuplicateFinding(table.method, table);
  const { sketches, perDocument } = table;
  const linker = new KeyLinker(
    slotsFor(table.numItems, Number.POSITIVE_INFINITY),
    finding.hooks((ordinal) => sketches.subarray(ordinal * table.sketchBytes)),
  );
  for (let column = 0; column < table.numColumns; column++) {
    linker.begin(0, 2 ** 32);
    const keys = table.column(column);
    linker.add(keys, 0);
    finding.numLeaderless += linker.numLeaderless;
    finding.noteKeyless(keys, 0);
  }
  finding.addPerDocument(perDocument, 0);
  return finding.finish();
}
