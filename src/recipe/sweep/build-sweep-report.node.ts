/** Puts a sweep's results together as a `SweepReport`. */
import { packageVersion } from '../../core/package-root.node.ts';
import type { LossLawFit } from '../../scaling/index.ts';
import type { OptimizerSettings } from '../../train/optimizer.ts';
import { describeMachine } from '../machine.node.ts';
import { bestSizeFor, type HeldBackPrediction, tokensPerParameterAt } from './extrapolate.ts';
import type { HeldOutBatches } from './held-out.ts';
import type { SweepOptions } from './run-sweep.node.ts';
import { SWEEP_PARAMETERS, type SweepPoint, type SweepSettings, shapeName } from './sweep.ts';
import type { SweepFolder } from './sweep-folder.node.ts';
import { emergenceOf, type LawReport, type SweepReport } from './sweep-report.ts';

export interface SweepReportInput {
  readonly options: SweepOptions;
  readonly folder: SweepFolder;
  readonly settings: SweepSettings;
  readonly vocabSize: number;
  readonly heldOut: HeldOutBatches;
  readonly points: readonly SweepPoint[];
  readonly heldOutFit: LossLawFit;
  readonly fit: LossLawFit;
  readonly backtestMiss: number | undefined;
  readonly heldBack: readonly HeldBackPrediction[];
  /** One for each size. */
  readonly optimizers: readonly OptimizerSettings[];
}

/** Minutes for which the best size is told, beside the sweep's own. */
const MINUTES_AHEAD = [60, 240, 1440] as const;
/** Held-out losses should be known better than this. */
const MAX_RELATIVE_ERROR = 0.004;
/** Below so many steps, warm-up and start-up still show in the loss. */
const FEW_STEPS = 200;
/** Passes beyond which a token read again is worth clearly less than a new one (Muennighoff et al. 2023). */
const MANY_EPOCHS = 4;

export function buildSweepReport(input: SweepReportInput): SweepReport {
  const { options, folder, settings, points, heldOutFit, fit, heldOut } = input;
  const resolved = folder.resolved!;
  const tokensPerStep = settings.batchSize * settings.contextLength;
  const largestCompute = Math.max(...points.map(({ params, tokens }) => 6 * params * tokens));
  const { sizes, numTrainTokens } = resolved;
  const machine = { sizes, tokensPerStep, numTrainTokens, largestCompute };
  const ahead = [options.minutes, ...MINUTES_AHEAD.filter((one) => one > options.minutes)];
  const report = {
    kind: 'sweep' as const,
    plinthVersion: packageVersion(),
    startedAt: folder.clock.startedAt,
    wallSeconds: folder.clock.seconds,
    peakRssBytes: folder.clock.peakRssBytes,
    machine: describeMachine(options.device, resolved.sgemmGflops),
    data: {
      files: options.files ?? [options.tokens!.identity],
      vocabSize: input.vocabSize,
      numTrainTokens,
      numHeldOutTokens: heldOut.numTargets,
      relativeError: Math.max(...points.map(({ loss, standardError }) => standardError / loss)),
    },
    budget: { minutes: options.minutes, plannedSeconds: resolved.plannedSeconds },
    settings: {
      seed: settings.seed,
      batchSize: settings.batchSize,
      contextLength: settings.contextLength,
      schedule: resolved.schedule,
      optimizer: optimizerText(input.optimizers),
      parametrisation: settings.parametrisation?.kind ?? 'standard',
    },
    parameters: SWEEP_PARAMETERS,
    sizes,
    points,
    heldOutLaw: lawReport(heldOutFit),
    law: lawReport(fit),
    backtestMiss: input.backtestMiss,
    heldBack: input.heldBack,
    tokensPerParameter: tokensPerParameterAt(fit, largestCompute),
    bestSizes: ahead.map((minutes) => bestSizeFor(minutes, fit, machine)),
    emergence: emergenceOf(points),
  };
  return { ...report, notes: notesOf(report) };
}

function lawReport({ law, numPoints, warnings, residuals }: LossLawFit): LawReport {
  const worst = Math.max(...residuals.map((residual) => Math.abs(Math.expm1(residual))));
  return { ...law, numPoints, worstResidual: worst, warnings };
}

function optimizerText(optimizers: readonly OptimizerSettings[]): string {
  const rates = [...new Set(optimizers.map(({ learningRate }) => Number(learningRate.toPrecision(3))))];
  return `${optimizers[0]!.name}, rate ${rates.length === 1 ? rates[0] : `${rates[0]} to ${rates.at(-1)}`}`;
}

/** What a reader has to know before believing the figures. */
function notesOf(report: Omit<SweepReport, 'notes'>): string[] {
  const notes: string[] = [];
  const { data, points, law, sizes } = report;
  if (data.relativeError > MAX_RELATIVE_ERROR) {
    notes.push(
      `The held-out loss is known to ${(100 * data.relativeError).toFixed(1)} % only (one standard error; ${data.numHeldOutTokens} tokens). ` +
        'All sizes read the same held-out text, so differences between them are known better than that. More text helps.',
    );
  }
  const epochs = Math.max(...points.map((point) => point.epochs));
  if (epochs > 1) {
    notes.push(
      `Training went through the text up to ${epochs.toFixed(1)} times. Tokens read again count as new ones in the law, which up to ${MANY_EPOCHS} times is nearly true.`,
    );
  }
  const most = Math.max(...points.map(({ steps }) => steps));
  const longest = points.filter(({ steps }) => steps === most);
  const worse = longest.filter((point, i) => i > 0 && point.loss > longest[i - 1]!.loss);
  if (worse.length > 0) {
    notes.push(
      `${worse.map(shapeName).join(', ')} ended with a higher loss than the size below: in so few steps a larger model is no better. Give more minutes.`,
    );
  }
  if (most < FEW_STEPS) {
    notes.push(
      `The longest training has only ${most} steps; so early, losses follow a law less well. More minutes or a smaller batch size (--batch-size) help.`,
    );
  }
  if (law.E < 0.05 * Math.min(...points.map(({ loss }) => loss))) {
    notes.push(
      'The points do not bend enough to tell the irreducible loss E from 0; far extrapolations lean on the published exponents.',
    );
  }
  notes.push(
    ...law.warnings,
    `Sizes span a factor of ${(sizes.at(-1)!.total / sizes[0]!.total).toFixed(1)} in N. A law holds for this text, tokenizer, context and schedule only.`,
  );
  return notes;
}
