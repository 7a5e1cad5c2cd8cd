/**
 * Laws that the same experiment could as well have given: fits to resamples of the points, or to the fitted law with
 * its residuals drawn anew. Draws are keyed by (seed, resample), so more resamples extend a list and never change it.
 */
import { KeyedRandom } from '../../core/random.ts';
import { numDistinct } from './check-points.ts';
import { HuberObjective, type ObjectiveInput } from './huber-objective.ts';
import { type LawConstants, lossOf } from './loss-law.ts';
import { minimise } from './quasi-newton.ts';

export interface BootstrapInput extends ObjectiveInput {
  /** Fits to all points, best first; every resample is descended from each of them (at most three). */
  readonly laws: readonly LawConstants[];
  readonly residuals: readonly number[];
  readonly numFree: number;
  readonly numResamples: number;
  readonly seed: number;
  readonly kind: 'points' | 'residuals';
}

const MAX_STARTS = 3;
/** A draw of points with too few different sizes is drawn again, at most so often. */
const MAX_DRAWS = 50;

export function bootstrapLaws(input: BootstrapInput): LawConstants[] {
  const { laws, numResamples, kind, seed, points } = input;
  const objective = new HuberObjective(input);
  const starts = laws.slice(0, MAX_STARTS).map((law) => objective.unknownsOf(law));
  const random = new KeyedRandom(seed).fork(`bootstrap of ${kind}`);
  const draw = kind === 'points' ? pointDraw(input, objective) : residualDraw(input, objective);
  return Array.from({ length: numResamples }, (_, r) => {
    draw(random, r * points.length * MAX_DRAWS);
    const ends = starts.map((start) => minimise(objective, start, { maxSteps: 200, tolerance: 1e-7 }));
    return objective.lawOf(ends.reduce((best, end) => (end.value < best.value ? end : best)).unknowns);
  });
}

type Draw = (random: KeyedRandom, from: number) => void;

/** As many points as there are, with replacement. */
function pointDraw({ points, weights, fixed }: BootstrapInput, objective: HuberObjective): Draw {
  const numPoints = points.length;
  const drawn = new Float64Array(numPoints);
  const needed = { params: fixed.alpha === undefined ? 3 : 2, tokens: fixed.beta === undefined ? 3 : 2 };
  return (random, from) => {
    for (let attempt = 0; attempt < MAX_DRAWS; attempt++) {
      drawn.fill(0);
      for (let i = 0; i < numPoints; i++) {
        drawn[random.integer(from + attempt * numPoints + i, numPoints)]! += 1;
      }
      if (numPoints > 100) break;
      const chosen = points.filter((_, i) => drawn[i]! > 0);
      const enough =
        numDistinct(chosen.map(({ params }) => params)) >= needed.params &&
        numDistinct(chosen.map(({ tokens }) => tokens)) >= needed.tokens;
      if (enough) break;
    }
    for (let i = 0; i < numPoints; i++) drawn[i]! *= weights[i]!;
    objective.setWeights(drawn);
  };
}

/** The fitted losses with residuals that are drawn with replacement, widened for the constants that were fitted. */
function residualDraw({ points, laws, residuals, numFree }: BootstrapInput, objective: HuberObjective): Draw {
  const numPoints = points.length;
  const fitted = points.map((point) => Math.log(lossOf(laws[0]!, point)));
  const wider = widening(numPoints, numFree);
  const losses = new Float64Array(numPoints);
  return (random, from) => {
    for (let i = 0; i < numPoints; i++) {
      losses[i] = fitted[i]! + wider * residuals[random.integer(from + i, numPoints)]!;
    }
    objective.setLogLosses(losses);
  };
}

/**
 * How much wider than the residuals the scatter of runs is: a fit with p constants shrinks residuals by about
 * sqrt((n - p) / n), and with few of them the scatter itself is uncertain, which Student's t over the normal
 * distribution at 97.5 % allows for (Cornish & Fisher's expansion).
 */
export function widening(numPoints: number, numFree: number): number {
  const freedom = Math.max(1, numPoints - numFree);
  const z = 1.959964;
  const student =
    z + (z ** 3 + z) / (4 * freedom) + (5 * z ** 5 + 16 * z ** 3 + 3 * z) / (96 * freedom * freedom);
  return (Math.sqrt(numPoints / freedom) * student) / z;
}
