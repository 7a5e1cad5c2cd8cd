/** Duplicates found from shards on disk: the same whatever the shards, the memory and the interruptions. */
import { mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { CancelledError, DataError, FormatError, LimitError } from '../../src/core/errors.ts';
import { KeyedRandom } from '../../src/core/random.ts';
import {
  type DedupMethod,
  type DuplicateSet,
  findDuplicates,
  findDuplicatesInMemory,
  openDuplicateSet,
  SignatureShardWriter,
  saveDuplicateSet,
} from '../../src/data/dedup/index.node.ts';

const folders: string[] = [];
async function newFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'plinth-dedup-'));
  folders.push(folder);
  return folder;
}
afterAll(() => Promise.all(folders.map((folder) => rm(folder, { recursive: true, force: true }))));

/** Texts from few lines, so that documents, paragraphs, lines and shingles meet again. */
function corpus(numDocuments: number, seed: number): string[] {
  const random = new KeyedRandom(seed);
  const vocabulary = Array.from({ length: 30 }, (_, i) => `word${String.fromCharCode(97 + i)}`);
  let draw = 0;
  const pick = (limit: number): number => random.integer(draw++, limit);
  const sentence = (): string =>
    Array.from({ length: 1 + pick(9) }, () => vocabulary[pick(vocabulary.length)]).join(' ');
  const sentences = Array.from({ length: 3 * Math.ceil(Math.sqrt(numDocuments)) }, sentence);
  return Array.from({ length: numDocuments }, () =>
    Array.from({ length: pick(6) }, () => sentences[pick(sentences.length)] ?? '').join(
      pick(2) === 0 ? '\n' : '\n\n',
    ),
  );
}

/** Signs `texts` in shards that begin at the given places. */
async function sign(
  folder: string,
  texts: readonly string[],
  borders: readonly number[],
  method: DedupMethod,
): Promise<void> {
  const starts = [0, ...[...borders].sort((a, b) => a - b)];
  for (const [shard, start] of starts.entries()) {
    const writer = new SignatureShardWriter(folder, shard, start, method);
    for (const text of texts.slice(start, starts[shard + 1])) writer.add({ text });
    await writer.finish();
  }
}

function asPlain(set: DuplicateSet): unknown {
  const { numDocuments, numDuplicates, numClusters, numUnits, numDuplicateUnits, numLeaderless } = set;
  return {
    counts: { numDocuments, numDuplicates, numClusters, numUnits, numDuplicateUnits, numLeaderless },
    documents: Array.from({ length: numDocuments }, (_, i) => [
      set.isDuplicate(i),
      set.representativeOf(i),
      set.duplicateUnits(i),
    ]),
  };
}

const methods: DedupMethod[] = [
  { kind: 'exact', unit: 'document' },
  { kind: 'exact', unit: 'paragraph' },
  { kind: 'exact', unit: 'line' },
  { kind: 'minhash', shingle: { unit: 'word', size: 2 }, numBands: 6, rowsPerBand: 2 },
  { kind: 'minhash', shingle: { unit: 'word', size: 2 }, numBands: 6, rowsPerBand: 2, keep: 'longest' },
  { kind: 'minhash', shingle: { unit: 'word', size: 1 }, numBands: 9, rowsPerBand: 1, minSimilarity: 0.6 },
];
/** With the lowest bound that is enough: far below what a table of all keys takes, so there are many ranges. */
async function findWithLittleMemory(folder: string, method: DedupMethod): Promise<DuplicateSet> {
  for (let memoryBytes = 3500; ; memoryBytes += 500) {
    try {
      return await findDuplicates(folder, method, { memoryBytes });
    } catch (error) {
      if (!(error instanceof LimitError) || memoryBytes > 20_000) throw error;
    }
  }
}

describe.each(methods.map((method) => [JSON.stringify(method), method] as const))('%s', (_, method) => {
  test('does not depend on shards or memory, and is what memory alone gives', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 0, max: 700 }),
        fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 5 }),
        fc.integer({ min: 0, max: 1000 }),
        async (numDocuments, places, seed) => {
          const texts = corpus(numDocuments, seed);
          const expected = asPlain(
            findDuplicatesInMemory(
              texts.map((text) => ({ text })),
              method,
            ),
          );
          const folder = await newFolder();
          const borders = places.map((place) => Math.floor(place * numDocuments));
          await sign(folder, texts, borders, method);
          expect(asPlain(await findDuplicates(folder, method))).toEqual(expected);
          expect(asPlain(await findWithLittleMemory(folder, method))).toEqual(expected);
        },
      ),
      { numRuns: 4 },
    );
  });

  test('finds something in the test data, and not everything', () => {
    const set = findDuplicatesInMemory(
      corpus(700, 1).map((text) => ({ text })),
      method,
    );
    expect(set.numDuplicateUnits).toBeGreaterThan(20);
    expect(set.numDuplicateUnits).toBeLessThan(set.numUnits);
  });

  test('is saved and opened again', async () => {
    const path = join(await newFolder(), 'set.duplicates');
    const set = findDuplicatesInMemory(
      corpus(101, 7).map((text) => ({ text })),
      method,
    );
    await saveDuplicateSet(path, set);
    expect(asPlain(await openDuplicateSet(path))).toEqual(asPlain(set));
    await truncate(path, (await readFile(path)).length - 1);
    await expect(openDuplicateSet(path)).rejects.toThrow(FormatError);
  });
});

describe('a folder of signatures', () => {
  const method: DedupMethod = { kind: 'minhash', minSimilarity: 0.5 };
  const texts = corpus(90, 3);

  test('goes on after a shard was lost or cut', async () => {
    const folder = await newFolder();
    await sign(folder, texts, [30, 60], method);
    const whole = asPlain(await findDuplicates(folder, method));
    const names = await readdir(folder);
    expect(names.sort()).toEqual([0, 1, 2].map((i) => `shard-0000${i}.signatures`));
    const second = join(folder, names[1]!);
    await truncate(second, (await readFile(second)).length - 3);
    await expect(findDuplicates(folder, method)).rejects.toThrow(/shard-00001.*sign the shard again/);
    await rm(second);
    await expect(findDuplicates(folder, method)).rejects.toThrow(DataError);
    // What a killed writer leaves is under another name and is not read.
    await writeFile(join(folder, '.shard-00001.signatures.plinth-tmp-1-0000000000000000'), 'half');
    const writer = new SignatureShardWriter(folder, 1, 30, method);
    for (const text of texts.slice(30, 60)) writer.add({ text });
    await writer.finish();
    expect(asPlain(await findDuplicates(folder, method))).toEqual(whole);
  });

  test('of other settings is refused', async () => {
    const folder = await newFolder();
    await sign(folder, texts, [], method);
    await expect(findDuplicates(folder, { kind: 'minhash', seed: 2 })).rejects.toThrow(/other settings/);
    await expect(findDuplicates(folder, { kind: 'exact', unit: 'line' })).rejects.toThrow(FormatError);
    // What is done with pairs is not a matter of signatures.
    await findDuplicates(folder, { ...method, minSimilarity: 0.9, keep: 'longest' });
  });

  test('that is missing, a bound that is too low and a stop are told', async () => {
    const folder = await newFolder();
    await expect(findDuplicates(join(folder, 'none'), method)).rejects.toThrow(DataError);
    await expect(findDuplicates(folder, method)).rejects.toThrow(/no signatures/);
    await sign(folder, texts, [10], method);
    await expect(findDuplicates(folder, method, { memoryBytes: 1000 })).rejects.toThrow(LimitError);
    await expect(findDuplicates(folder, method, { signal: AbortSignal.abort() })).rejects.toThrow(
      CancelledError,
    );
  });
});
