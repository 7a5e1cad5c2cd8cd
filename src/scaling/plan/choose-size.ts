/**
 * Size and tokens for a budget on a machine: of all shapes, the one whose expected loss is lowest after as many
 * steps as the budget pays for; for a loss to reach, the one that reaches it first. Batch and learning rate follow
 * from the tokens. Knows one machine and dense transformers; what a data centre needs is in `laws/` and `cost/`.
 */
import { ConfigError } from '../../core/errors.ts';
import type { LossPrediction } from '../laws/predict-loss.ts';
import { type DataLaw, expectedLoss, tokensToReach } from './data-law.ts';
import { type ModelShape, modelShapes, shapeParameters } from './model-shape.ts';
import { type Machine, type StepShape, secondsPerStep, stepFlops, stepMemoryBytes } from './step-time.ts';

/** Exactly one: time, arithmetic, tokens of a pass given by hand, or a loss to reach. */
export type TrainingBudget =
  | { readonly seconds: number }
  | { readonly flops: number }
  | { readonly tokens: number }
  | { readonly loss: number };

export interface PlanRequest {
  readonly budget: TrainingBudget;
  readonly machine: Machine;
  readonly data: DataLaw;
  /** Different tokens that there are. Left out: always enough. */
  readonly uniqueTokens?: number;
  readonly vocabSize: number;
  readonly contextLength: number;
  readonly optimizer: 'adamw' | 'muon';
  /** Sequences in a step; by the tokens when left out. */
  readonly batchSize?: number;
  /** Shapes to choose from; all when left out. One is no choice. */
  readonly shapes?: readonly ModelShape[];
}

/** One shape trained with the whole budget. */
export interface SizePlan {
  readonly shape: ModelShape;
  readonly params: number;
  readonly batchSize: number;
  readonly numSteps: number;
  readonly tokens: number;
  /** Passes over the data; undefined when its size is not known. */
  readonly epochs: number | undefined;
  readonly secondsPerStep: number;
  readonly seconds: number;
  readonly flops: number;
  readonly memoryBytes: number;
  readonly loss: LossPrediction;
}

export interface ChosenPlan {
  readonly chosen: SizePlan;
  /** Every shape that fits, smallest first, the chosen one among them. */
  readonly sizes: readonly SizePlan[];
  /** Shapes left out because a step would not fit into memory. */
  readonly numTooLarge: number;
}

/** A batch of 32 sequences of 128 tokens is right for this many tokens; it grows with their number to this power. */
const BATCH = { tokens: 4096, atTokens: 3e6, exponent: 0.383, rows: 32 } as const;
const MAX_BATCH_TOKENS = 524_288;
/** Fewer steps teach nothing that a law knows of. */
export const MIN_STEPS = 30;
/** Part of the memory that a training step may take. */
const MEMORY_SHARE = 0.6;

/**
 * Sequences in a batch for a number of tokens: B ~ D^0.383 (nanochat's rule, after Kaplan et al. 2020), at least
 * 4,096 tokens, in steps of 32 sequences so that small changes of the plan change nothing.
 */
export function batchSizeFor(tokens: number, contextLength: number): number {
  const wanted = BATCH.tokens * Math.max(1, tokens / BATCH.atTokens) ** BATCH.exponent;
  const rows = Math.min(MAX_BATCH_TOKENS, wanted) / contextLength;
  const multiple = Math.max(1, Math.round((BATCH.rows * 128) / contextLength));
  return multiple * Math.max(1, Math.round(rows / multiple));
}

/**
 * Chooses. Throws ConfigError for a budget that is not one number above 0, a loss that no shape reaches, or a
 * machine without the memory for the smallest shape.
 */
export function chooseSize(request: PlanRequest): ChosenPlan {
  checkBudget(request.budget);
  const shapes = request.shapes ?? modelShapes();
  const sizes: SizePlan[] = [];
  let numTooLarge = 0;
  for (const shape of shapes) {
    const plan = planSize(shape, request);
    if (plan === undefined) continue;
    if (plan.memoryBytes > memoryLimit(request.machine)) {
      numTooLarge++;
      continue;
    }
    sizes.push(plan);
  }
  if (sizes.length === 0) throw nothingFits(request, numTooLarge);
  const isBetter =
    'loss' in request.budget
      ? (a: SizePlan, b: SizePlan) => a.seconds < b.seconds
      : (a: SizePlan, b: SizePlan) => a.loss.loss < b.loss.loss;
  // Sizes that the budget cannot give MIN_STEPS are taken only when there is nothing else.
  const affordable = sizes.filter((plan) => plan.numSteps > MIN_STEPS);
  const candidates = affordable.length > 0 ? affordable : sizes.slice(0, 1);
  const chosen = candidates.reduce((best, plan) => (isBetter(plan, best) ? plan : best));
  return { chosen, sizes, numTooLarge };
}

/** One shape with the budget; undefined when it never reaches the loss asked for. */
export function planSize(shape: ModelShape, request: PlanRequest): SizePlan | undefined {
  const { budget, machine, contextLength, uniqueTokens } = request;
  const params = shapeParameters(shape, request.vocabSize);
  const amount = { params, ...(uniqueTokens !== undefined && { uniqueTokens }) };
  const tokensWanted = tokensOf(shape, request, amount);
  if (!Number.isFinite(tokensWanted)) return undefined;
  // The batch depends on the tokens, and the time of a step on the batch.
  const batchSize =
    request.batchSize ?? largestBatch(shape, request, batchSizeFor(tokensWanted, contextLength));
  const step: StepShape = { ...request, batchSize };
  const seconds = secondsPerStep(shape, step, machine);
  const flops = stepFlops(shape, step).total;
  const tokensPerStep = batchSize * contextLength;
  const steps =
    'seconds' in budget
      ? Math.floor(budget.seconds / seconds)
      : 'flops' in budget
        ? Math.floor(budget.flops / flops)
        : Math.ceil(tokensWanted / tokensPerStep);
  const numSteps = Math.max(MIN_STEPS, steps);
  const tokens = numSteps * tokensPerStep;
  return {
    shape,
    params,
    batchSize,
    numSteps,
    tokens,
    epochs: uniqueTokens === undefined ? undefined : tokens / uniqueTokens,
    secondsPerStep: seconds,
    seconds: numSteps * seconds,
    flops: numSteps * flops,
    memoryBytes: stepMemoryBytes(shape, step),
    loss: expectedLoss(request.data, { ...amount, tokens }),
  };
}

/** The batch that is wanted, or less where memory is short; never less than what few tokens want. */
function largestBatch(shape: ModelShape, request: PlanRequest, wanted: number): number {
  const least = batchSizeFor(0, request.contextLength);
  let batchSize = wanted;
  const isTooLarge = () => stepMemoryBytes(shape, { ...request, batchSize }) > memoryLimit(request.machine);
  while (batchSize > least && isTooLarge()) batchSize -= least;
  return batchSize;
}

function memoryLimit({ memoryBytes }: Machine): number {
  return MEMORY_SHARE * (memoryBytes ?? Number.POSITIVE_INFINITY);
}

/** Tokens that the budget pays for, before rounding to steps. */
function tokensOf(
  shape: ModelShape,
  request: PlanRequest,
  amount: { readonly params: number; readonly uniqueTokens?: number },
): number {
  const { budget, machine, contextLength } = request;
  const step: StepShape = { ...request, batchSize: request.batchSize ?? batchSizeFor(0, contextLength) };
  const tokensPerStep = step.batchSize * contextLength;
  if ('tokens' in budget) return budget.tokens;
  if ('loss' in budget) return tokensToReach(request.data, budget.loss, amount);
  if ('flops' in budget) return (budget.flops / stepFlops(shape, step).total) * tokensPerStep;
  return (budget.seconds / secondsPerStep(shape, step, machine)) * tokensPerStep;
}

function checkBudget(budget: TrainingBudget): void {
  const [entry, ...others] = Object.entries(budget);
  const [name, value] = entry ?? ['budget', Number.NaN];
  if (others.length === 0 && value > 0 && Number.isFinite(value)) return;
  throw new ConfigError(
    `A plan needs one budget above 0 (seconds, flops, tokens or loss); got ${name} ${String(value)}${others.length > 0 ? ` and ${others.map(([other]) => other).join(', ')}` : ''}.`,
  );
}

function nothingFits({ budget, data, machine }: PlanRequest, numTooLarge: number): ConfigError {
  if (numTooLarge > 0) {
    return new ConfigError(
      `No size that would do fits into ${MEMORY_SHARE * 100} % of ${Math.round((machine.memoryBytes ?? 0) / 2 ** 20)} MB of memory. ` +
        'Give a smaller batchSize or contextLength.',
    );
  }
  const { loss } = budget as { loss: number };
  return new ConfigError(
    `No size reaches a loss of ${loss} by the law "${data.law.name}": its irreducible loss is ${data.law.E.toPrecision(4)}, ` +
      'and repeated text teaches less and less. Ask for a higher loss, or bring more text.',
  );
}
