/** Batches: every token in its place, nothing crosses between conversations, and a step number is enough to resume. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type BatchSource,
  ConversationBatches,
  MemoryTokenDataset,
  packBestFit,
  WindowBatches,
} from '../../src/data/index.ts';

const counting = (numTokens: number, documentLength = numTokens) => {
  const documents = [];
  for (let start = 0; start < numTokens; start += documentLength) {
    const length = Math.min(documentLength, numTokens - start);
    documents.push({ tokens: Array.from({ length }, (_, i) => start + i) });
  }
  return new MemoryTokenDataset(documents, numTokens);
};

/** Conversation c has tokens 1000c, 1000c+1 ...; the mask opens from `promptLength` on. */
const conversations = (lengths: readonly number[], promptLength = 1) =>
  new MemoryTokenDataset(
    lengths.map((length, c) => ({
      tokens: Array.from({ length }, (_, i) => 1000 * c + i),
      lossMask: Array.from({ length }, (_, i) => Number(i >= promptLength)),
    })),
    1000 * lengths.length,
  );

function expectResume(make: () => BatchSource) {
  const once = make();
  const steps = [0, 1, 2, 3, 4, 5, 6, 7];
  const inOrder = steps.map((step) => once.batch(step));
  for (const step of [7, 2, 5]) expect(make().batch(step)).toEqual(inOrder[step]);
  expect(once.batch(3)).toEqual(inOrder[3]);
}

describe('pre-training windows', () => {
  it('predict every token of the cut exactly once an epoch', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 5, max: 200 }),
        fc.integer({ min: 1, max: 4 }),
        fc.nat(),
        (numTokens, batchSize, seed) => {
          const source = new WindowBatches(counting(numTokens), { batchSize, sequenceLength: 4, seed });
          const targets: number[] = [];
          const numSteps = Math.ceil(source.rowsPerEpoch / batchSize);
          for (let step = 0; step < numSteps; step++) {
            const batch = source.batch(step);
            const numRows = Math.min(batchSize, source.rowsPerEpoch - step * batchSize);
            for (let i = 0; i < numRows * 4; i++) {
              expect(batch.targets[i]).toBe(batch.inputIds[i]! + 1);
              targets.push(batch.targets[i]!);
            }
          }
          targets.sort((a, b) => a - b);
          const first = targets[0]!;
          expect(targets).toEqual(Array.from({ length: 4 * source.rowsPerEpoch }, (_, i) => first + i));
          expect(targets.at(-1)).toBeLessThan(numTokens);
        },
      ),
    );
  });

  it('change order with the epoch and the seed', () => {
    const first = (seed: number, step: number) =>
      new WindowBatches(counting(401), { batchSize: 10, sequenceLength: 4, seed }).batch(step).inputIds;
    expect(first(1, 0)).not.toEqual(first(2, 0));
    expect(first(1, 0)).not.toEqual(first(1, 10));
  });

  it('resume from the step number alone, across epochs', () => {
    expectResume(() => new WindowBatches(counting(50), { batchSize: 5, sequenceLength: 4, seed: 3 }));
    const source = new WindowBatches(counting(50), { batchSize: 5, sequenceLength: 4, seed: 3 });
    expect(source.rowsPerEpoch).toBe(12);
    expect(source.cursorAt(5)).toEqual({ epoch: 2, position: 1 });
  });

  it('keep documents apart when asked: own segments, own positions, no prediction across the border', () => {
    const source = new WindowBatches(counting(31, 7), {
      batchSize: 2,
      sequenceLength: 10,
      seed: 1,
      documentSegments: true,
    });
    for (let step = 0; step < 6; step++) {
      const batch = source.batch(step);
      for (let i = 0; i < 20; i++) {
        const isBorder = Math.floor(batch.inputIds[i]! / 7) !== Math.floor(batch.targets[i]! / 7);
        expect(batch.lossMask[i]).toBe(isBorder ? 0 : 1);
        if (i % 10 === 0) expect([batch.segmentIds[i], batch.positions[i]]).toEqual([1, 0]);
        else {
          const sameDocument = Math.floor(batch.inputIds[i]! / 7) === Math.floor(batch.inputIds[i - 1]! / 7);
          expect(batch.segmentIds[i]! - batch.segmentIds[i - 1]!).toBe(sameDocument ? 0 : 1);
          expect(batch.positions[i]).toBe(sameDocument ? batch.positions[i - 1]! + 1 : 0);
        }
      }
      expect(batch.numTargets).toBe(batch.lossMask.reduce((a, b) => a + b, 0));
    }
  });

  it('say what is missing when the text is shorter than a window', () => {
    const make = () => new WindowBatches(counting(4), { batchSize: 1, sequenceLength: 4, seed: 0 });
    expect(make).toThrow('at least 5; this one has 4');
  });
});

describe('packed conversations', () => {
  it('appear whole, once an epoch, each in one segment, with no target from a neighbour', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 2, max: 17 }), { minLength: 1, maxLength: 40 }),
        fc.integer({ min: 1, max: 4 }),
        fc.nat(),
        (lengths, batchSize, seed) => {
          const source = new ConversationBatches(conversations(lengths), {
            batchSize,
            sequenceLength: 16,
            seed,
            padId: 5,
          });
          const seen = new Map<number, number>();
          let numTargets = 0;
          const numSteps = Math.ceil(source.rowsPerEpoch / batchSize);
          for (let step = 0; step < numSteps; step++) {
            const batch = source.batch(step);
            const numRows = Math.min(batchSize, source.rowsPerEpoch - step * batchSize);
            for (let i = 0; i < numRows * 16; i++) {
              if (batch.segmentIds[i] === 0) {
                expect([batch.inputIds[i], batch.lossMask[i], batch.positions[i]]).toEqual([5, 0, 0]);
                continue;
              }
              const c = Math.floor(batch.inputIds[i]! / 1000);
              expect(batch.targets[i]).toBe(batch.inputIds[i]! + 1);
              expect(batch.positions[i]).toBe(batch.inputIds[i]! % 1000);
              const sameRow = i % 16 > 0;
              if (sameRow && batch.segmentIds[i] === batch.segmentIds[i - 1]) {
                expect(Math.floor(batch.inputIds[i - 1]! / 1000)).toBe(c);
              }
              seen.set(c, (seen.get(c) ?? 0) + 1);
              numTargets += batch.lossMask[i]!;
            }
          }
          expect(Object.fromEntries(seen)).toEqual(
            Object.fromEntries(lengths.map((length, c) => [c, length - 1])),
          );
          expect(numTargets).toBe(source.targetsPerEpoch);
        },
      ),
      { numRuns: 60 },
    );
  });

  it('count in the loss exactly the masked-in tokens', () => {
    const source = new ConversationBatches(conversations([6], 3), {
      batchSize: 1,
      sequenceLength: 8,
      seed: 0,
    });
    expect([...source.batch(0).lossMask]).toEqual([0, 0, 1, 1, 1, 0, 0, 0]);
    expect(source.batch(0).numTargets).toBe(3);
  });

  it('are cut, left out or refused when too long, and counted', () => {
    const make = (tooLong: 'truncate' | 'leave-out' | 'error') =>
      new ConversationBatches(conversations([4, 30, 5], 2), {
        batchSize: 1,
        sequenceLength: 8,
        seed: 0,
        tooLong,
      });
    expect(make('truncate').report).toMatchObject({ numPacked: 3, numTruncated: 1, numTooLong: 0 });
    expect(make('leave-out').report).toMatchObject({ numPacked: 2, numTruncated: 0, numTooLong: 1 });
    expect(() => make('error')).toThrow('Conversation 1 has 30 tokens; rows hold 9');
    // Cutting before the answer leaves nothing to learn.
    const cutInAnswer = new ConversationBatches(conversations([4, 30], 2), {
      batchSize: 1,
      sequenceLength: 3,
      seed: 0,
      tooLong: 'truncate',
    });
    expect(cutInAnswer.report.numWithoutTargets).toBe(0);
    const longPrompt = () =>
      new ConversationBatches(conversations([30], 20), {
        batchSize: 1,
        sequenceLength: 8,
        seed: 0,
        tooLong: 'truncate',
      });
    expect(longPrompt).toThrow('1 have no token to predict');
  });

  it('resume from the step number alone', () => {
    expectResume(
      () =>
        new ConversationBatches(conversations([3, 9, 4, 4, 12, 7, 2, 2]), {
          batchSize: 2,
          sequenceLength: 12,
          seed: 8,
        }),
    );
  });
});

describe('best-fit decreasing', () => {
  it('fills rows within capacity and opens none that another had room for', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 100 }), { minLength: 1, maxLength: 200 }), (lengths) => {
        const rows = packBestFit(
          lengths,
          lengths.map((_, i) => i),
          100,
        );
        expect(rows.flat().sort((a, b) => a - b)).toEqual(lengths.map((_, i) => i));
        const sums = rows.map((row) => row.reduce((sum, i) => sum + lengths[i]!, 0));
        expect(Math.max(...sums)).toBeLessThanOrEqual(100);
        // Any two rows together hold more than one row's worth, else one would not have been opened.
        const [least = 100, second = 100] = sums.sort((a, b) => a - b);
        if (rows.length > 1) expect(least + second).toBeGreaterThan(100);
      }),
    );
  });

  it('packs a set that fits exactly without waste', () => {
    expect(packBestFit([6, 4, 7, 3, 5, 5], [0, 1, 2, 3, 4, 5], 10)).toHaveLength(3);
  });
});
