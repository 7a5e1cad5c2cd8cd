/**
 * Does the learning rate that is best for a small model serve a larger one? Sweeps the rate at several widths under
 * several parametrisations, all with the same data, seeds and steps, and compares the best ones. A pure function of
 * its input; runs that were made before can be given back, so that a stopped sweep goes on.
 */
import { CancelledError, ConfigError } from '../../core/errors.ts';
import { numParameters, parameterSpecs, type TransformerConfig } from '../../model/config.ts';
import { type Parametrisation, parameterScaling, STANDARD } from '../../model/parametrisation.ts';
import type { OptimizerSettings } from '../../train/optimizer.ts';
import type { Schedule } from '../../train/schedule.ts';
import { type BestRate, bestRate, lossAt, type RatePoint } from './best-rate.ts';
import {
  familyConfig,
  type ModelRun,
  type ModelRunContext,
  type ModelRunResult,
  runModel,
  type TransferFamily,
} from './transfer-model.ts';

/** A best rate that moves by no more than this factor over all widths has transferred. */
export const TRANSFER_FACTOR = 1.5;
/** How far a sweep goes beyond the rates that were asked for, on either side, to enclose the lowest loss. */
const MAX_EXTENSIONS = 4;

export interface LearningRateTransferOptions extends ModelRunContext {
  readonly family: TransferFamily;
  readonly depth: number;
  readonly widths: readonly number[];
  /** At least two, ascending; peak rates, of the base model where a parametrisation has one. */
  readonly rates: readonly number[];
  readonly parametrisations: readonly Parametrisation[];
  readonly optimizer: OptimizerSettings;
  readonly schedule: Schedule;
  readonly clipNorm: number;
  readonly numSteps: number;
  readonly seeds: readonly number[];
  /** Which loss is compared; validation needs validation data. */
  readonly measure: 'training' | 'validation';
  /** Also try the rates half way between the lowest and its neighbours. Default true. */
  readonly refine?: boolean;
  /** What an earlier call made of the same run. */
  readonly finished?: (run: ModelRun) => StoredRun | undefined;
  /** Called with every run that was trained, to keep it. */
  readonly onRun?: (run: ModelRun, result: StoredRun) => Promise<void>;
  /** Before each model: models so far, and how many there may be in all. */
  readonly onModel?: (done: number, total: number, run: ModelRun) => void;
}

export type StoredRun = Pick<ModelRunResult, 'trainLoss' | 'validationLoss' | 'seconds'>;

export interface SweptRate extends RatePoint {
  /** In the order of the seeds. */
  readonly bySeed: readonly number[];
}

export interface RateCurve {
  readonly parametrisation: Parametrisation;
  readonly width: number;
  readonly numParameters: number;
  /** By ascending rate. */
  readonly points: readonly SweptRate[];
  /** Undefined when every run diverged. */
  readonly best: BestRate | undefined;
}

export interface TransferVerdict {
  readonly parametrisation: Parametrisation;
  /** Largest over smallest of the best rates of all widths, at least 1; NaN where one is not known. */
  readonly factor: number;
  /** Best rate at the largest width over that at the smallest. */
  readonly shift: number;
  /** Undefined where a sweep does not enclose its lowest loss, so that its best rate is not known. */
  readonly transfers: boolean | undefined;
  /** What the largest model loses with the smallest one's best rate, in nats per token. NaN where it diverges. */
  readonly lossOfTransfer: number;
}

export interface LearningRateTransfer {
  readonly depth: number;
  readonly widths: readonly number[];
  readonly numSteps: number;
  readonly numSeeds: number;
  readonly measure: 'training' | 'validation';
  readonly optimizer: OptimizerSettings;
  readonly schedule: Schedule;
  readonly curves: readonly RateCurve[];
  readonly verdicts: readonly TransferVerdict[];
  /** Of training, runs of earlier calls included. */
  readonly seconds: number;
  readonly numRuns: number;
}

/** Throws ConfigError for sizes and rates that make no sweep, CancelledError when the signal fires. */
export async function learningRateTransfer(
  options: LearningRateTransferOptions,
): Promise<LearningRateTransfer> {
  const { widths, parametrisations, depth, numSteps, seeds, measure, optimizer, schedule } = options;
  check(options);
  const sweep = new Sweep(options);
  const curves: RateCurve[] = [];
  // Small models first: what is wrong shows before the dear ones.
  for (const width of [...widths].sort((a, b) => a - b)) {
    for (const parametrisation of parametrisations) curves.push(await sweep.curve(parametrisation, width));
  }
  const verdicts: TransferVerdict[] = [];
  for (const parametrisation of parametrisations) {
    const own = curves.filter((curve) => curve.parametrisation === parametrisation);
    verdicts.push(verdictOf(parametrisation, own, await sweep.transferred(own)));
  }
  return {
    depth,
    widths: [...widths].sort((a, b) => a - b),
    numSteps,
    numSeeds: seeds.length,
    measure,
    optimizer,
    schedule,
    curves,
    verdicts,
    seconds: sweep.seconds,
    numRuns: sweep.numRuns,
  };
}

function check({ widths, rates, seeds, numSteps, measure, validation }: LearningRateTransferOptions): void {
  if (new Set(widths).size !== widths.length || widths.length < 2) {
    throw new ConfigError(`A transfer is between at least two different widths, got ${widths.join(', ')}.`);
  }
  if (rates.length < 2 || rates.some((rate, i) => !(rate > (rates[i - 1] ?? 0)))) {
    throw new ConfigError(`rates must be at least two, above 0 and ascending, got ${rates.join(', ')}.`);
  }
  if (seeds.length === 0) throw new ConfigError('seeds must have at least one.');
  if (!(Number.isInteger(numSteps) && numSteps >= 1)) {
    throw new ConfigError(`numSteps must be a whole number of at least 1, got ${numSteps}.`);
  }
  if (measure === 'validation' && !validation) {
    throw new ConfigError('measure is validation, but there is no validation data; measure training.');
  }
}

/** Runs models, each only once: at its base size a parametrisation is the standard one. */
class Sweep {
  readonly #options: LearningRateTransferOptions;
  readonly #made = new Map<string, StoredRun>();
  seconds = 0;

  constructor(options: LearningRateTransferOptions) {
    this.#options = options;
  }

  get numRuns(): number {
    return this.#made.size;
  }

  /** From the middle of the rates downhill until the lowest loss is enclosed, then between its neighbours. */
  async curve(parametrisation: Parametrisation, width: number): Promise<RateCurve> {
    const { family, depth, rates, seeds, refine = true } = this.#options;
    const config = familyConfig(family, width, depth);
    const canonical = isBase(config, parametrisation) ? STANDARD : parametrisation;
    const points = new Map<number, SweptRate>();
    const spacing = (rates.at(-1)! / rates[0]!) ** (1 / (rates.length - 1));
    const rateAt = (index: number): number => {
      if (!Number.isInteger(index)) return Math.sqrt(rateAt(Math.floor(index)) * rateAt(Math.ceil(index)));
      const beyond = index - (rates.length - 1);
      return rates[index] ?? (beyond > 0 ? rates.at(-1)! * spacing ** beyond : rates[0]! * spacing ** index);
    };
    const measureAt = async (index: number): Promise<number> => {
      const known = points.get(index);
      if (known) return known.loss;
      const learningRate = rateAt(index);
      const bySeed: number[] = [];
      for (const seed of seeds) bySeed.push(await this.#loss(config, canonical, learningRate, seed));
      const loss = bySeed.reduce((sum, one) => sum + one, 0) / bySeed.length;
      points.set(index, { learningRate, loss, bySeed });
      return loss;
    };
    // NaN is the worst loss there is.
    const heightAt = async (index: number) => {
      const loss = await measureAt(index);
      return Number.isFinite(loss) ? loss : Number.POSITIVE_INFINITY;
    };
    let at = Math.floor((rates.length - 1) / 2);
    const [first, last] = [-MAX_EXTENSIONS, rates.length - 1 + MAX_EXTENSIONS];
    for (;;) {
      const here = await heightAt(at);
      // A diverged run says: lower.
      if (at > first && (here === Number.POSITIVE_INFINITY || (await heightAt(at - 1)) < here)) at--;
      else if (at < last && (await heightAt(at + 1)) < here) at++;
      else break;
    }
    if (refine && at > first && at < last) {
      await measureAt(at - 0.5);
      await measureAt(at + 0.5);
    }
    const sorted = [...points.values()].sort((a, b) => a.learningRate - b.learningRate);
    return {
      parametrisation,
      width,
      numParameters: numParameters(config),
      points: sorted,
      best: bestRate(sorted),
    };
  }

  /**
   * The loss of the largest model at the smallest one's best rate: between the rates that were tried, else of one
   * model more. NaN where it diverges or no best rate is known.
   */
  async transferred(curves: readonly RateCurve[]): Promise<number> {
    const { parametrisation, width, points } = curves.at(-1)!;
    const rate = curves[0]!.best?.learningRate;
    if (rate === undefined) return Number.NaN;
    const between = lossAt(points, rate);
    if (Number.isFinite(between)) return between;
    const { family, depth, seeds } = this.#options;
    const config = familyConfig(family, width, depth);
    const canonical = isBase(config, parametrisation) ? STANDARD : parametrisation;
    let total = 0;
    for (const seed of seeds) total += await this.#loss(config, canonical, rate, seed);
    return total / seeds.length;
  }

  async #loss(
    config: TransformerConfig,
    parametrisation: Parametrisation,
    learningRate: number,
    seed: number,
  ): Promise<number> {
    const options = this.#options;
    const { measure, optimizer, schedule, clipNorm, numSteps } = options;
    const run: ModelRun = {
      config,
      parametrisation,
      optimizer: { ...optimizer, learningRate },
      schedule,
      clipNorm,
      numSteps,
      seed,
    };
    const key = JSON.stringify(run);
    let result = this.#made.get(key) ?? options.finished?.(run);
    if (!result) {
      if (options.signal?.aborted) throw new CancelledError('Stopped. The same command goes on from here.');
      options.onModel?.(this.#made.size, this.#numExpected(), run);
      const { trainLoss, validationLoss, seconds } = await runModel(run, options);
      result = { trainLoss, validationLoss, seconds };
      await options.onRun?.(run, result);
    }
    if (!this.#made.has(key)) this.seconds += result.seconds;
    this.#made.set(key, result);
    return measure === 'training' ? result.trainLoss : result.validationLoss;
  }

  /** Five rates a curve are usual: three to enclose the lowest, two between them. */
  #numExpected(): number {
    const { widths, parametrisations, seeds, family, depth } = this.#options;
    const distinct = new Set(
      widths.flatMap((width) =>
        parametrisations.map((one) => {
          const config = familyConfig(family, width, depth);
          return `${width} ${JSON.stringify(isBase(config, one) ? STANDARD : one)}`;
        }),
      ),
    );
    return Math.max(this.#made.size + 1, distinct.size * 5 * seeds.length);
  }
}

/** Whether a parametrisation is the standard one for this model. */
function isBase(config: TransformerConfig, parametrisation: Parametrisation): boolean {
  return parameterSpecs(config).every(
    ({ name }) =>
      JSON.stringify(parameterScaling(name, config, parametrisation)) ===
      JSON.stringify(parameterScaling(name, config)),
  );
}

function verdictOf(
  parametrisation: Parametrisation,
  curves: readonly RateCurve[],
  transferredLoss: number,
): TransferVerdict {
  const rates = curves.map(({ best }) => best?.learningRate ?? Number.NaN);
  const isKnown = curves.every(({ best }) => best?.isBracketed);
  const factor = Math.max(...rates) / Math.min(...rates);
  const largest = curves.at(-1)!;
  return {
    parametrisation,
    factor,
    shift: rates.at(-1)! / rates[0]!,
    transfers: isKnown ? factor <= TRANSFER_FACTOR : undefined,
    lossOfTransfer: Math.max(0, transferredLoss - (largest.best?.loss ?? Number.NaN)),
  };
}
