/** Spans under teacher forcing against a slow reference, held-out loss against the training objective's, and the split. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { MemoryTokenDataset, type TokenBatch, WindowBatches } from '../../src/data/index.ts';
import { parameterSpecs, type TransformerConfig } from '../../src/model/config.ts';
import { logits, segmentMask, transformer } from '../../src/model/transformer.ts';
import { exactMatch, expectedMatch, SpanCounter } from '../../src/recipe/sweep/emergence.ts';
import { HeldOutEvaluator, heldOutBatches } from '../../src/recipe/sweep/held-out.ts';
import { chooseHeldOut, cutEnd } from '../../src/recipe/sweep/held-out-split.ts';
import { SPAN_LENGTHS } from '../../src/recipe/sweep/sweep.ts';
import type { Device } from '../../src/runtime/device.ts';
import { cpuDevice } from '../../src/runtime/index.node.ts';
import { input } from '../../src/tensor/index.ts';
import { LossEvaluator, languageModelObjective } from '../../src/train/index.ts';
import type { TrainingState } from '../../src/train/training-step.ts';
import { tinyModel } from '../fixtures/models/random-model.ts';

/** Every window of k positions is looked at on its own. */
function slowSpans(counts: readonly number[], hits: readonly number[], k: number) {
  let spans = 0;
  let matches = 0;
  for (let start = 0; start + k <= counts.length; start++) {
    const window = Array.from({ length: k }, (_, i) => start + i);
    if (!window.every((t) => counts[t] === 1)) continue;
    spans++;
    if (window.every((t) => hits[t] === 1)) matches++;
  }
  return { length: k, matches, spans };
}

/** Counted targets that have the highest score, by all scores of each position. */
async function slowHits(
  device: Device,
  config: TransformerConfig,
  state: TrainingState,
  batches: readonly TokenBatch[],
): Promise<number> {
  const { batchSize: B, sequenceLength: T } = batches[0]!;
  const specs = parameterSpecs(config);
  const parameters = Object.fromEntries(
    specs.map(({ name, shape }) => [name, input(`parameter/${name}`, shape)]),
  );
  const idsBT = input('inputIds', [B, T], 'int32');
  const positionsBT = input('positions', [B, T], 'int64');
  const segmentIdsBT = input('segmentIds', [B, T]);
  const inputs = { idsBT, positionsBT, maskTT: segmentMask(segmentIdsBT) };
  const { hiddenND } = transformer(parameters, config, inputs, { maxPositions: T });
  const executable = await device.compile(
    { scores: logits(parameters, config, hiddenND) },
    { inputs: [...Object.values(parameters), idsBT, positionsBT, segmentIdsBT] },
  );
  let hits = 0;
  for (const batch of batches) {
    const { scores } = await executable.run({
      ...Object.fromEntries(state),
      inputIds: batch.inputIds,
      positions: BigInt64Array.from(batch.positions, BigInt),
      segmentIds: Float32Array.from(batch.segmentIds),
    });
    const values = (await scores!.read()) as Float32Array;
    batch.targets.forEach((target, i) => {
      if (!batch.lossMask[i]) return;
      const row = values.subarray(i * config.vocabSize, (i + 1) * config.vocabSize);
      if (row.indexOf(Math.max(...row)) === target) hits++;
    });
  }
  await executable.dispose();
  return hits;
}

describe('spans', () => {
  test('are counted as by looking at every window', () => {
    const bit = fc.integer({ min: 0, max: 1 });
    const row = fc.array(fc.tuple(fc.oneof({ weight: 9, arbitrary: fc.constant(1) }, bit), bit), {
      maxLength: 40,
    });
    fc.assert(
      fc.property(fc.array(row, { maxLength: 4 }), (rows) => {
        const counter = new SpanCounter(SPAN_LENGTHS);
        const expected = SPAN_LENGTHS.map((length) => ({ length, matches: 0, spans: 0 }));
        for (const pairs of rows) {
          const [counts, hits] = [pairs.map(([count]) => count), pairs.map(([, hit]) => hit)];
          counter.addRow(counts, hits);
          for (const one of expected) {
            const { matches, spans } = slowSpans(counts, hits, one.length);
            one.matches += matches;
            one.spans += spans;
          }
        }
        expect(counter.results()).toEqual(expected);
      }),
    );
  });

  test('the sharp curve stays near nothing while the smooth one falls evenly', () => {
    expect(expectedMatch(1, 2)).toBeCloseTo(Math.exp(-2), 12);
    // From 3 nats to 1 the cross-entropy falls by 2; 8 tokens go from 4e-11 to 3e-4.
    expect(expectedMatch(8, 3)).toBeLessThan(1e-10);
    expect(expectedMatch(8, 1) / expectedMatch(8, 3)).toBeCloseTo(Math.exp(16), -2);
    expect(exactMatch({ length: 4, matches: 0, spans: 0 })).toBeNaN();
    expect(exactMatch({ length: 4, matches: 3, spans: 12 })).toBe(0.25);
  });
});

describe('held-out text', () => {
  test('has the loss that the training objective gives, and the likeliest tokens as hits', async () => {
    const { config, weights } = tinyModel({ tieWordEmbeddings: true });
    const device = await cpuDevice({ numThreads: 1 });
    const documents = [9, 30, 4, 22].map((length, d) => ({
      tokens: Array.from({ length }, (_, i) => (i * 7 + d * 5) % config.vocabSize),
    }));
    const dataset = new MemoryTokenDataset(documents, config.vocabSize);
    const shape = { batchSize: 3, sequenceLength: 8, seed: 1, documentSegments: true };
    const source = new WindowBatches(dataset, shape);
    // 8 rows: two whole batches and one of two, whose third row must not count again.
    expect(source.rowsPerEpoch).toBe(8);
    const heldOut = heldOutBatches(source, 1e6, undefined);
    expect(heldOut.batches).toHaveLength(3);
    const state: TrainingState = new Map(
      [...weights].map(([name, { shape: dims, data }]) => [`parameter/${name}`, { shape: dims, data }]),
    );
    const evaluator = await HeldOutEvaluator.compile(device, config, source);
    const result = await evaluator.run(state, heldOut);
    await evaluator.dispose();
    const objective = languageModelObjective(config, { batchSize: 3, length: 8, segments: true });
    const reference = await LossEvaluator.compile(device, objective, parameterSpecs(config));
    const { loss, numItems } = await reference.run(state, heldOut.batches);
    await reference.dispose();
    expect(result.loss).toBeCloseTo(loss, 5);
    expect(heldOut.numTargets).toBe(numItems);
    expect(result.spans[0]!.spans).toBe(numItems);
    expect(result.standardError).toBeGreaterThan(0);
    expect(result.spans[0]!.matches).toBe(await slowHits(device, config, state, heldOut.batches));
    const counted = new Set<string>();
    for (const batch of heldOut.batches) {
      for (let row = 0; row < 3; row++) {
        const at = row * 8;
        if (batch.lossMask.subarray(at, at + 8).some((value) => value > 0)) {
          counted.add(batch.inputIds.subarray(at, at + 8).join());
        }
      }
    }
    expect(counted.size).toBe(8);
  });

  test('is whole documents where there are many, copies together, about as much as asked for', () => {
    const documents = Array.from({ length: 400 }, (_, i) => ({
      digest: `d${i % 390}`,
      sizeBytes: 500 + (i % 390),
    }));
    const split = chooseHeldOut(documents, 1);
    if (split.kind !== 'documents') throw new Error('expected whole documents');
    const total = documents.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    const held = documents
      .filter(({ digest }) => split.digests.has(digest))
      .reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    expect(held / total).toBeGreaterThan(0.09);
    expect(held / total).toBeLessThan(0.11);
    expect(chooseHeldOut([...documents].reverse(), 1)).toEqual(split);
    const other = chooseHeldOut(documents, 2);
    expect(other).not.toEqual(split);
  });

  test('is the ends of documents where they are few or one is nearly everything', () => {
    expect(chooseHeldOut([{ digest: 'a', sizeBytes: 1e6 }], 1)).toEqual({ kind: 'ends', share: 0.1 });
    const lopsided = [
      { digest: 'a', sizeBytes: 1e6 },
      ...['b', 'c', 'd'].map((d) => ({ digest: d, sizeBytes: 10 })),
    ];
    expect(chooseHeldOut(lopsided, 1).kind).toBe('ends');
  });

  test('a cut falls between words, loses nothing and never splits a character', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'grapheme', maxLength: 200 }),
        fc.double({ min: 0.01, max: 0.9, noNaN: true }),
        (text, share) => {
          const { head, tail } = cutEnd(text, share);
          expect(head + tail).toBe(text);
          if (text.isWellFormed()) expect(head.isWellFormed() && tail.isWellFormed()).toBe(true);
        },
      ),
    );
    expect(cutEnd('one two three four five', 0.3)).toEqual({ head: 'one two three four', tail: ' five' });
  });
});
