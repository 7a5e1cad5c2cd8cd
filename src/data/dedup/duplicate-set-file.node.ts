/**
 * A set of duplicates as a file, so that worker threads can open it. A line of JSON with the counts, then
 * little-endian arrays.
 */
import { readFile } from 'node:fs/promises';
import { writeFileAtomic } from '../../core/atomic-file.node.ts';
import { FormatError, messageOf, PlinthError } from '../../core/errors.ts';
import { DocumentDuplicates, type DuplicateSet, UnitDuplicates } from './duplicate-set.ts';
import { littleEndian } from './signature-shards.node.ts';

const FORMAT = 'plinth-duplicates-1';

interface Header {
  format: typeof FORMAT;
  kind: 'documents' | 'units';
  numDocuments: number;
  numUnits: number;
  numLeaderless: number;
}

/** @throws PlinthError `disk`; what was there before is unchanged. */
export async function saveDuplicateSet(path: string, set: DuplicateSet): Promise<void> {
  const { numDocuments, numUnits, numLeaderless } = set;
  const kind = set instanceof UnitDuplicates ? 'units' : 'documents';
  const header: Header = { format: FORMAT, kind, numDocuments, numUnits, numLeaderless };
  const parts: Uint8Array[] = [new TextEncoder().encode(`${JSON.stringify(header)}\n`)];
  if (set instanceof UnitDuplicates) {
    parts.push(littleEndian(set.firstUnits), set.duplicateBits, set.emptyBits);
  } else {
    parts.push(littleEndian((set as DocumentDuplicates).representatives));
  }
  await writeFileAtomic(path, parts, { sizeBytes: parts.reduce((sum, { length }) => sum + length, 0) });
}

/** @throws PlinthError `disk` when it cannot be read; FormatError when it is not such a file or damaged. */
export async function openDuplicateSet(path: string): Promise<DuplicateSet> {
  let bytes: Buffer;
  try {
    bytes = await readFile(path);
  } catch (error) {
    throw new PlinthError('disk', `Could not read ${path}: ${messageOf(error)}.`, { cause: error });
  }
  const lineEnd = bytes.indexOf(10);
  const header = parseHeader(bytes.toString('utf8', 0, Math.max(lineEnd, 0)), path);
  const { numDocuments, numUnits } = header;
  const sizes =
    header.kind === 'documents'
      ? [4 * numDocuments]
      : [4 * (numDocuments + 1), Math.ceil(numUnits / 8), Math.ceil(numDocuments / 8)];
  const expected = sizes.reduce((sum, size) => sum + size, lineEnd + 1);
  if (bytes.length !== expected) {
    throw new FormatError(
      `${path} has ${bytes.length} bytes; its header says ${expected}. Find duplicates again.`,
    );
  }
  let at = lineEnd + 1;
  const arrays = sizes.map((size) => {
    // A copy, because typed arrays of 32 bits must begin at a multiple of four.
    const part = new Uint8Array(size);
    part.set(bytes.subarray(at, at + size));
    at += size;
    return part;
  });
  const words = new Uint32Array(littleEndian(new Uint32Array(arrays[0]!.buffer)).slice().buffer);
  return header.kind === 'documents'
    ? new DocumentDuplicates(words, header.numLeaderless)
    : new UnitDuplicates(words, arrays[1]!, arrays[2]!);
}

function parseHeader(line: string, path: string): Header {
  let header: Partial<Header> | null = null;
  try {
    header = JSON.parse(line) as Partial<Header>;
  } catch {
    // Told below.
  }
  if (header?.format === FORMAT) return header as Header;
  throw new FormatError(`${path} is not a set of duplicates of this version. Find duplicates again.`);
}
