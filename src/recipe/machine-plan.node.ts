/**
 * A plan for the machine at hand, without any data: measures its matrix products and a few training steps on random
 * tokens, and chooses size, tokens, batch and rates for a budget. `runRecipe` and `pretrainOnFiles` plan by the same
 * rules with their own texts.
 */
import { ConfigError } from '../core/errors.ts';
import { KeyedRandom } from '../core/random.ts';
import { type BatchSource, MemoryTokenDataset, WindowBatches } from '../data/index.ts';
import type { Device } from '../runtime/device.ts';
import {
  type ChosenPlan,
  chooseSize,
  type DataLaw,
  type Machine,
  type PlanRequest,
  planSize,
  type SizePlan,
  type SizeTradeOff,
  shapeForParameters,
  sizeTradeOff,
} from '../scaling/plan/index.ts';
import { availableMemoryBytes } from './machine.node.ts';
import {
  type Dial,
  LIMITS,
  modelConfig,
  type PlannedSettings,
  planModel,
  planRequest,
  planSteps,
} from './plan.ts';
import type { RecipeOverrides } from './recipe.ts';
import { planOnMachine } from './stages/plan-on-machine.ts';

export interface MachinePlanOptions {
  /** Computes the measurement; left out, `gflops` must be given. */
  readonly device?: Device;
  /** The machine's SGEMM rate, given instead of measured. */
  readonly gflops?: number;
  readonly memoryBytes?: number;
  /** Exactly one. Minutes and FLOPs are of the whole run; tokens and loss of pre-training. */
  readonly budget:
    | { readonly minutes: number }
    | { readonly flops: number }
    | { readonly tokens: number }
    | { readonly loss: number };
  /** Number of parameters to aim at; the best for the budget when left out. */
  readonly params?: number;
  readonly law: DataLaw;
  readonly uniqueTokens?: number;
  readonly overrides?: RecipeOverrides;
  /** A recipe's run: finetuning and evaluation with so many questions take their share of the budget. */
  readonly finetuning?: { readonly numQuestions: number };
  /** Tokens that the model will serve: adds the trade-off with smaller, longer trained sizes. */
  readonly servedTokens?: number;
  readonly signal?: AbortSignal;
}

export interface MachinePlan {
  readonly machine: Machine & { readonly isMeasured: boolean };
  readonly law: DataLaw;
  readonly settings: PlannedSettings;
  /** Pre-training at the chosen size. */
  readonly chosen: SizePlan;
  /** The same budget at the other sizes. */
  readonly sizes: ChosenPlan['sizes'];
  readonly numTooLarge: number;
  /** 0 without finetuning. */
  readonly finetuningSteps: number;
  /** Of everything: texts, training, evaluation, report. */
  readonly seconds: number;
  readonly tradeOff?: SizeTradeOff;
}

/** Without a better one, what a dial that has no minutes assumes. */
const DIAL_MINUTES = 5;

/** Throws ConfigError for a budget or settings out of range, or a machine that is neither given nor measurable. */
export async function planForMachine(options: MachinePlanOptions): Promise<MachinePlan> {
  const { budget, law, uniqueTokens, finetuning, servedTokens, params } = options;
  const overrides = options.overrides ?? {};
  const pretrainShare = finetuning ? undefined : 1;
  const dial: Dial = {
    minutes: 'minutes' in budget ? budget.minutes : DIAL_MINUTES,
    ...('flops' in budget && { flops: budget.flops }),
    ...(params !== undefined && { params }),
  };
  const contextOf = (machine: Machine) => ({
    machine,
    law,
    ...(uniqueTokens !== undefined && { uniqueTokens }),
  });
  const requestOf = (machine: Machine): PlanRequest => {
    const request = planRequest(dial, overrides, contextOf(machine));
    return 'tokens' in budget || 'loss' in budget ? { ...request, budget } : request;
  };
  const settingsOf = (machine: Machine): PlannedSettings => {
    // A width given by hand leaves no size to choose.
    if ('minutes' in budget || 'flops' in budget || overrides.hiddenSize !== undefined) {
      return planModel(dial, overrides, contextOf(machine));
    }
    const request = requestOf(machine);
    const wanted =
      params === undefined
        ? {}
        : { shapes: [shapeForParameters(params, request.vocabSize, LIMITS.parameters)] };
    const { shape, batchSize } = chooseSize({ ...request, ...wanted }).chosen;
    return planModel(dial, { ...shape, batchSize, ...overrides });
  };
  const memoryBytes = options.memoryBytes ?? availableMemoryBytes();
  const { settings, machine, secondsPerStep } = await measured(options, settingsOf, memoryBytes);
  const request = requestOf(machine);
  const { hiddenSize, numLayers, numHeads, numKvHeads, intermediateSize } = settings;
  const shape = { hiddenSize, numLayers, numHeads, numKvHeads, intermediateSize };
  const own: PlanRequest = { ...request, batchSize: settings.batchSize };
  const first = planSize(shape, own);
  if (first === undefined) {
    throw new ConfigError(
      `The size asked for never reaches a loss of ${'loss' in budget ? budget.loss : ''}. Leave the size to the plan, or ask for a higher loss.`,
    );
  }
  const { sizes, numTooLarge } = chooseSize(request);
  if (!('minutes' in budget || 'flops' in budget)) {
    return finished(first, 0, first.seconds);
  }
  const steps = planSteps(
    dial,
    {
      secondsPerStep: secondsPerStep ?? first.secondsPerStep,
      flopsPerStep: first.flops / first.numSteps,
      numEvaluationQuestions: finetuning?.numQuestions ?? 0,
      secondsSoFar: 0,
    },
    overrides,
    pretrainShare,
  );
  const tokens = steps.pretrainSteps * settings.batchSize * settings.contextLength;
  const chosen = planSize(shape, { ...own, budget: { tokens } })!;
  return finished(chosen, steps.sftSteps, steps.plannedSeconds);

  function finished(chosen: SizePlan, finetuningSteps: number, seconds: number): MachinePlan {
    return {
      machine: { ...machine, isMeasured: options.gflops === undefined },
      law,
      settings,
      chosen,
      sizes,
      numTooLarge,
      finetuningSteps,
      seconds,
      ...(servedTokens !== undefined && { tradeOff: sizeTradeOff(request, chosen, servedTokens) }),
    };
  }
}

async function measured(
  { device, gflops, signal }: MachinePlanOptions,
  plan: (machine: Machine) => PlannedSettings,
  memoryBytes: number,
): Promise<{ settings: PlannedSettings; machine: Machine; secondsPerStep?: number }> {
  if (gflops !== undefined) {
    const machine = { gflops, memoryBytes };
    return { settings: plan(machine), machine };
  }
  if (!device) throw new ConfigError('A plan needs a device to measure, or gflops instead.');
  const {
    settings,
    machine,
    measured: step,
  } = await planOnMachine({
    device,
    plan,
    config: (sizes) => modelConfig(sizes, { vocabSize: sizes.vocabSize, endOfTextId: 0, endOfTurnId: 0 }),
    batches: randomBatches,
    memoryBytes,
    ...(signal && { signal }),
  });
  return { settings, machine, secondsPerStep: step.secondsPerStep };
}

const RANDOM_WINDOWS = 4;

/** Batches of random tokens: a step takes as long on them as on text. */
export function randomBatches({ vocabSize, batchSize, contextLength, seed }: PlannedSettings): BatchSource {
  const random = new KeyedRandom(seed).fork('tokens for measuring');
  const numTokens = RANDOM_WINDOWS * batchSize * (contextLength + 1);
  const tokens = Int32Array.from({ length: numTokens }, (_, i) => random.integer(i, vocabSize));
  return new WindowBatches(new MemoryTokenDataset([{ tokens }], vocabSize), {
    batchSize,
    sequenceLength: contextLength,
    seed,
    documentSegments: true,
  });
}
