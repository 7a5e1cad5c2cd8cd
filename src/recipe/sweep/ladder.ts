/**
 * Sizes for a sweep: a menu in which depth grows with width, and a choice of rungs from it that are about evenly
 * spaced in log parameters. Pure functions; knows nothing of time.
 */
import { ConfigError } from '../../core/errors.ts';
import { numParameters, type TransformerConfig } from '../../model/config.ts';
import { parameterSpecs } from '../../model/config-parameters.ts';
import { modelConfig, type PlannedSettings, planModel } from '../plan.ts';
import type { SweepSettings, SweepShape } from './sweep.ts';

const LADDER_LIMITS = {
  /** Of a ladder; a law of size needs three sizes beside the one that is held back. */
  minSizes: 4,
  maxSizes: 12,
} as const;

/** Heads of one size on all rungs, so that width is the only thing that grows beside depth. */
const HEAD_SIZE = 16;
/** Layers are width / 32 (as in `planModel`), two at least; 32 wide and one layer deep is the smallest of use. */
const WIDTHS = [32, 48, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 640, 768];
/** Neighbours on a ladder differ by about this factor in parameters of the layers. */
const RUNG_RATIO = 2.2;

/** All shapes, smallest first. */
export function sweepMenu(): SweepShape[] {
  return [
    shapeOf(32, 1),
    ...WIDTHS.map((hiddenSize) => shapeOf(hiddenSize, Math.max(2, Math.round(hiddenSize / 32)))),
  ];
}

function shapeOf(hiddenSize: number, numLayers: number): SweepShape {
  return { hiddenSize, numLayers, numHeads: hiddenSize / HEAD_SIZE };
}

/**
 * `numSizes` different shapes of the menu that end with `menu[largest]`. Throws ConfigError when so many do not fit
 * below it.
 */
export function chooseLadder(menu: readonly SweepShape[], largest: number, numSizes: number): SweepShape[] {
  checkNumSizes(numSizes);
  if (largest < numSizes - 1) {
    throw new ConfigError(
      `A ladder of ${numSizes} sizes cannot end at ${menu[largest]?.hiddenSize ?? 'nothing'}: only ${largest + 1} are that small.`,
    );
  }
  const logs = menu.map((shape) => Math.log(layerParameters(shape)));
  const chosen = [largest];
  for (let rung = 1; rung < numSizes; rung++) {
    const wanted = logs[largest]! - rung * Math.log(RUNG_RATIO);
    const below = chosen[0]! - 1;
    // As many must be left below as rungs are still to come.
    const least = numSizes - 1 - rung;
    let best = below;
    for (let i = below; i >= least; i--) {
      if (Math.abs(logs[i]! - wanted) < Math.abs(logs[best]! - wanted)) best = i;
    }
    chosen.unshift(best);
  }
  return chosen.map((i) => menu[i]!);
}

/** Weights of the layers' matrices alone, whatever the vocabulary. */
function layerParameters({ hiddenSize, numLayers }: SweepShape): number {
  return numLayers * 12 * hiddenSize ** 2;
}

export function checkNumSizes(numSizes: number): void {
  const { minSizes, maxSizes } = LADDER_LIMITS;
  if (Number.isInteger(numSizes) && numSizes >= minSizes && numSizes <= maxSizes) return;
  throw new ConfigError(
    `A sweep has ${minSizes} to ${maxSizes} sizes, got ${numSizes}: a law needs three sizes beside the held-back one.`,
  );
}

/** Given shapes in order of size. Throws ConfigError for two that are alike or none that `planModel` takes. */
export function checkLadder(
  shapes: readonly SweepShape[],
  nonEmbedding: (shape: SweepShape) => number,
): void {
  checkNumSizes(shapes.length);
  shapes.forEach((shape, i) => {
    const before = shapes[i - 1];
    if (!before || nonEmbedding(shape) > 1.05 * nonEmbedding(before)) return;
    throw new ConfigError(
      `Sizes must grow by 5 % or more: ${shape.hiddenSize}x${shape.numLayers} does not follow ${before.hiddenSize}x${before.numLayers}. ` +
        'Give them smallest first.',
    );
  });
}

/** What `planModel` makes of a shape: the same sizes and rates as a recipe's pre-training of this width. */
export function plannedFor(shape: SweepShape, settings: Partial<SweepSettings>): PlannedSettings {
  const { seed, batchSize, contextLength, clipNorm, optimizer } = settings;
  return planModel(
    { minutes: 5 },
    {
      ...shape,
      numKvHeads: shape.numHeads,
      ...(seed !== undefined && { seed }),
      ...(batchSize !== undefined && { batchSize }),
      ...(contextLength !== undefined && { contextLength }),
      ...(clipNorm !== undefined && { clipNorm }),
      ...(optimizer !== undefined && { pretrainOptimizer: optimizer }),
    },
  );
}

export function configOf(
  shape: SweepShape,
  settings: Partial<SweepSettings>,
  tokens: { readonly vocabSize: number; readonly endOfTextId: number },
): TransformerConfig {
  const { vocabSize, endOfTextId } = tokens;
  const planned = plannedFor(shape, settings);
  return {
    ...modelConfig(planned, { vocabSize, endOfTextId, endOfTurnId: endOfTextId }),
    eosTokenIds: [endOfTextId],
  };
}

/** Two counts of a model's weights: all of them, and those outside the embedding (and the head, if it is apart). */
export function parameterCounts(config: TransformerConfig): { total: number; nonEmbedding: number } {
  const outside = parameterSpecs(config)
    .filter(({ name }) => name.includes('embed_tokens') || name.includes('lm_head'))
    .reduce((sum, { shape }) => sum + shape.reduce((product, size) => product * size, 1), 0);
  const total = numParameters(config);
  return { total, nonEmbedding: total - outside };
}
