/** Token sets: what is written comes back, from disk as from memory, and damage is noticed. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { openTokenShards, readTokenSetEntries, writeTokenShards } from '../../src/data/index.node.ts';
import {
  MemoryTokenDataset,
  type TokenDataset,
  type TokenDocument,
  tokenizeText,
} from '../../src/data/index.ts';
import { documentAt } from '../../src/data/tokens/token-dataset.ts';

const root = mkdtempSync(join(tmpdir(), 'plinth-shards-'));
let numFolders = 0;
const newFolder = (): string => join(root, String(numFolders++));
afterAll(() => rmSync(root, { recursive: true }));

const documentsOf = (vocabSize: number) =>
  fc.array(
    fc.array(fc.record({ id: fc.nat(vocabSize - 1), counts: fc.boolean() }), { minLength: 1, maxLength: 40 }),
    { minLength: 1, maxLength: 12 },
  );

function everything(dataset: TokenDataset) {
  return {
    tokens: [...dataset.readTokens(0, dataset.numTokens)],
    mask: [...dataset.readLossMask(0, dataset.numTokens)],
    starts: Array.from({ length: dataset.numDocuments + 1 }, (_, i) => dataset.documentStart(i)),
  };
}

describe.each([
  ['uint16', 300],
  ['uint32', 100_000],
])('shards of %s', (dtype, vocabSize) => {
  it('give back tokens, mask and document borders, also across shards and with a cache of one piece', async () => {
    await fc.assert(
      fc.asyncProperty(
        documentsOf(vocabSize),
        fc.integer({ min: 1, max: 50 }),
        async (raw, tokensPerShard) => {
          const documents: TokenDocument[] = raw.map((document) => ({
            tokens: document.map(({ id }) => id),
            lossMask: document.map(({ counts }) => Number(counts)),
          }));
          const folder = newFolder();
          const entry = await writeTokenShards(folder, 'train', documents, { vocabSize, tokensPerShard });
          const onDisk = await openTokenShards(folder, 'train', { cacheSizeBytes: 1 });
          const inMemory = new MemoryTokenDataset(documents, vocabSize);
          try {
            expect(entry.dtype).toBe(dtype);
            expect(everything(onDisk)).toEqual(everything(inMemory));
            expect(everything(inMemory).tokens).toEqual(
              documents.flatMap(({ tokens }) => Array.from(tokens)),
            );
            expect(entry.numTargets).toBe(raw.flat().filter(({ counts }) => counts).length);
            for (let i = 0; i < onDisk.numTokens; i += 7) {
              const length = Math.min(5, onDisk.numTokens - i);
              expect([...onDisk.readTokens(i, length)]).toEqual([...inMemory.readTokens(i, length)]);
              const document = documentAt(onDisk, i);
              expect(onDisk.documentStart(document)).toBeLessThanOrEqual(i);
              expect(onDisk.documentStart(document + 1)).toBeGreaterThan(i);
            }
          } finally {
            onDisk.close();
          }
        },
      ),
      { numRuns: 10 },
    );
  });
});

describe('a token set on disk', () => {
  const documents = [{ tokens: [1, 2, 3], source: 'a' }, { tokens: [] }, { tokens: [4, 5], source: 'b' }];

  it('stores uint16 little-endian and counts by source', async () => {
    const folder = newFolder();
    await writeTokenShards(folder, 'train', documents, { vocabSize: 600, endOfTextId: 5 });
    expect([...readFileSync(join(folder, 'train-00000.tokens'))]).toEqual([1, 0, 2, 0, 3, 0, 4, 0, 5, 0]);
    const { train } = await readTokenSetEntries(folder);
    expect(train).toMatchObject({ numDocuments: 2, numTokens: 5, endOfTextId: 5 });
    expect(train!.sources).toEqual({
      a: { numDocuments: 1, numTokens: 3 },
      b: { numDocuments: 1, numTokens: 2 },
    });
  });

  it('is replaced as a whole and leaves other sets alone', async () => {
    const folder = newFolder();
    await writeTokenShards(folder, 'train', documents, { vocabSize: 600, tokensPerShard: 1 });
    await writeTokenShards(folder, 'validation', documents, { vocabSize: 600 });
    await writeTokenShards(folder, 'train', [{ tokens: [9] }], { vocabSize: 600 });
    expect(readdirSync(folder).sort()).toEqual([
      'documents.json',
      'train-00000.tokens',
      'train.lengths',
      'validation-00000.tokens',
      'validation.lengths',
    ]);
  });

  it('is not listed when writing stopped half way', async () => {
    const folder = newFolder();
    await writeTokenShards(folder, 'train', documents, { vocabSize: 600 });
    function* breaking() {
      yield { tokens: [1, 2, 3] };
      throw new Error('the source broke');
    }
    const options = { vocabSize: 600, tokensPerShard: 2 };
    await expect(writeTokenShards(folder, 'train', breaking(), options)).rejects.toThrow('the source broke');
    await expect(openTokenShards(folder, 'train')).rejects.toThrow("no finished token set 'train'");
  });

  it('is refused when a file was cut, and when an id is outside the vocabulary', async () => {
    const folder = newFolder();
    await writeTokenShards(folder, 'train', documents, { vocabSize: 600 });
    const path = join(folder, 'train-00000.tokens');
    writeFileSync(path, new Uint8Array([1, 0, 2, 0, 255, 255, 4, 0, 5, 0]));
    const dataset = await openTokenShards(folder, 'train');
    expect(() => dataset.readTokens(0, 5)).toThrow('Token 2 has id 65535');
    dataset.close();
    truncateSync(path, 9);
    await expect(openTokenShards(folder, 'train')).rejects.toThrow('has 9 bytes, documents.json lists 10');
  });

  it('refuses ids outside the vocabulary, reads outside the data and names with a path', async () => {
    const folder = newFolder();
    await expect(writeTokenShards(folder, 'train', [{ tokens: [7] }], { vocabSize: 7 })).rejects.toThrow(
      'id 7 is outside',
    );
    await expect(writeTokenShards(folder, '../x', documents, { vocabSize: 600 })).rejects.toThrow(
      'cannot name a token set',
    );
    await expect(writeTokenShards(folder, 'train', [], { vocabSize: 600 })).rejects.toThrow('No document');
    const dataset = new MemoryTokenDataset(documents, 600);
    expect(() => dataset.readTokens(3, 3)).toThrow('tokens 0 to 5');
    expect(() => dataset.documentStart(3)).toThrow('2 documents');
  });
});

describe('tokenizing a document', () => {
  it('ends it with the end-of-text token', () => {
    const tokenizer = { encode: (text: string) => [...text].map((char) => char.charCodeAt(0)) };
    const document = tokenizeText('ab', tokenizer as Parameters<typeof tokenizeText>[1], 256);
    expect(document.tokens).toEqual([97, 98, 256]);
  });
});
