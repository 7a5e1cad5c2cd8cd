/** An index of evaluation n-grams as a file, for worker threads: a line of JSON, then little-endian arrays. */
import { mkdir, readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { writeFileAtomic } from '../../core/atomic-file.node.ts';
import { FormatError, messageOf, PlinthError } from '../../core/errors.ts';
import { ContaminationIndex, type ContaminationParts } from './contamination-index.ts';
import { littleEndian } from './signature-shards.node.ts';

const FORMAT = 'plinth-contamination-1';

/** @throws PlinthError `disk`; what was there before is unchanged. */
export async function saveContaminationIndex(path: string, index: ContaminationIndex): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const { keys1, keys2, items, ...rest } = index.parts;
  const header = JSON.stringify({ format: FORMAT, numSlots: keys1.length, ...rest });
  await writeFileAtomic(path, [
    new TextEncoder().encode(`${header}\n`),
    littleEndian(keys1),
    littleEndian(keys2),
    littleEndian(items),
  ]);
}

/** @throws PlinthError `disk` when it cannot be read; FormatError when it is not such a file or damaged. */
export async function openContaminationIndex(path: string): Promise<ContaminationIndex> {
  let bytes: Buffer;
  try {
    bytes = await readFile(path);
  } catch (error) {
    throw new PlinthError('disk', `Could not read ${path}: ${messageOf(error)}.`, { cause: error });
  }
  const lineEnd = Math.max(bytes.indexOf(10), 0);
  const header = parseHeader(bytes.toString('utf8', 0, lineEnd), path);
  const arrayBytes = 4 * header.numSlots;
  if (bytes.length !== lineEnd + 1 + 3 * arrayBytes) {
    throw new FormatError(`${path} is not whole. Run the command again with --fresh.`);
  }
  const [keys1, keys2, items] = [0, 1, 2].map((i) => {
    const start = lineEnd + 1 + i * arrayBytes;
    const copy = new Uint8Array(bytes.subarray(start, start + arrayBytes));
    return new Uint32Array(littleEndian(new Uint32Array(copy.buffer)).slice().buffer as ArrayBuffer);
  }) as [Uint32Array<ArrayBuffer>, Uint32Array<ArrayBuffer>, Uint32Array<ArrayBuffer>];
  return ContaminationIndex.fromParts({ ...header, keys1, keys2, items });
}

type Header = Omit<ContaminationParts, 'keys1' | 'keys2' | 'items'> & { numSlots: number };

function parseHeader(line: string, path: string): Header {
  try {
    const header = JSON.parse(line) as Header & { format?: unknown };
    if (header.format === FORMAT) return header;
  } catch {
    // Told below.
  }
  throw new FormatError(`${path} is not an index of evaluation items. Run the command again with --fresh.`);
}
