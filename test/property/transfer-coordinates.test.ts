/**
 * The coordinate check on widths 16 to 128 and depths 2 to 8: activations of a few steps grow with the size under
 * the standard parametrisation and do not where it is right.
 */
import { describe, expect, test } from 'vitest';
import { WindowBatches } from '../../src/data/index.ts';
import type { Parametrisation } from '../../src/model/index.ts';
import { type CoordinateCheck, coordinateCheck } from '../../src/recipe/transfer/index.ts';
import { cpuDevice } from '../../src/runtime/index.node.ts';
import { DEFAULT_OPTIMIZER } from '../../src/train/index.ts';
import { countingDataset } from '../fixtures/training/tiny-model.ts';

const shape = { sequenceLength: 16, seed: 3, batchSize: 4, documentSegments: true };
const standard: Parametrisation = { kind: 'standard' };

function check(
  parametrisations: readonly Parametrisation[],
  widths: readonly number[],
  depths: readonly number[],
  optimizer: 'adamw' | 'muon' = 'adamw',
  learningRate = 2 ** -6,
): Promise<CoordinateCheck> {
  return coordinateCheck({
    device: cpuDevice({ numThreads: 1 }),
    batches: new WindowBatches(countingDataset(), shape),
    family: {
      vocabSize: 48,
      headDim: 8,
      contextLength: 16,
      mlpRatio: 8 / 3,
      tieWordEmbeddings: true,
      initializerRange: 0.02,
    },
    parametrisations,
    widths,
    depths,
    optimizer: { ...DEFAULT_OPTIMIZER, name: optimizer, weightDecay: 0, learningRate },
    numSteps: 4,
    seeds: [1],
  });
}

const last = ({ series }: CoordinateCheck, kind: string) =>
  Object.fromEntries(
    series
      .filter(({ parametrisation }) => parametrisation.kind === kind)
      .map(({ layer, slopes }) => [layer, slopes.at(-1)!]),
  );

describe('over the width', () => {
  test('standard activations grow, those of muP do not', async () => {
    const found = await check([standard, { kind: 'mup', baseWidth: 16 }], [16, 32, 64], [2]);
    const [grown, flat] = [last(found, 'standard'), last(found, 'mup')];
    for (const layer of ['attention', 'mlp', 'stream 1/2', 'stream']) {
      expect(grown[layer], layer).toBeGreaterThan(1);
      expect(flat[layer], layer).toBeLessThan(0.1);
    }
    expect(Math.abs(flat.stream!)).toBeLessThan(0.15);
    expect(Math.abs(flat.embedding!)).toBeLessThan(0.1);
    expect(grown.logits).toBeGreaterThan(0.5);
    expect(flat.logits).toBeLessThan(0.1);
    // Not by learning nothing: the change of what blocks put out falls no faster than a random part would.
    const { changeSlopes } = found.series.find(
      ({ parametrisation, layer }) => parametrisation.kind === 'mup' && layer === 'attention',
    )!;
    expect(changeSlopes.at(-1)).toBeGreaterThan(-0.5);
    const verdicts = found.series.map(({ parametrisation, verdict }) => [parametrisation.kind, verdict]);
    expect(verdicts).toContainEqual(['standard', 'grows']);
    expect(verdicts).not.toContainEqual(['mup', 'grows']);
  });

  test("Muon's matrices need no smaller rate: muP is flat with it too", async () => {
    const found = await check([{ kind: 'mup', baseWidth: 32 }], [32, 64, 128], [2], 'muon', 2 ** -9);
    for (const [layer, slope] of Object.entries(last(found, 'mup'))) {
      expect(slope, layer).toBeLessThan(0.15);
    }
    expect(Math.abs(last(found, 'mup').stream!)).toBeLessThan(0.1);
  });
});

test('over the depth: CompleteP is flat, standard grows', async () => {
  const found = await check([standard, { kind: 'completep', baseWidth: 16, baseDepth: 2 }], [16], [2, 8]);
  expect(last(found, 'standard').stream).toBeGreaterThan(0.4);
  expect(Object.keys(last(found, 'completep'))).toEqual(['embedding', 'stream', 'logits']);
  for (const [layer, slope] of Object.entries(last(found, 'completep'))) {
    expect(Math.abs(slope), layer).toBeLessThan(0.15);
  }
});

test('sizes of one axis only', async () => {
  await expect(check([standard], [16, 32], [2, 4])).rejects.toThrow(/2 widths and 2 depths/);
  await expect(check([standard], [16], [2])).rejects.toThrow(/1 widths and 1 depths/);
});
