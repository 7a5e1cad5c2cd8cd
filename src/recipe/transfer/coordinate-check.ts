/**
 * The coordinate check (Yang et al. 2022, "Tensor Programs V", appendix D.1): the mean absolute value of every
 * layer's outputs, and of their change since the start, after a few training steps at several sizes. Where a
 * parametrisation is right these do not depend on the size; a slope in log-log says how fast they grow or shrink.
 * It is cheap and shows a mistake in minutes, before a learning rate is swept.
 */
import { ConfigError } from '../../core/errors.ts';
import type { BatchSource, TokenBatch } from '../../data/tokens/token-batch.ts';
import { parameterSpecs, type TransformerConfig } from '../../model/config.ts';
import type { Parametrisation } from '../../model/parametrisation.ts';
import { logits, segmentMask, transformer } from '../../model/transformer.ts';
import type { Device, Executable, Feed } from '../../runtime/device.ts';
import { abs, input, mean, sub, type Tensor, type TensorRecord } from '../../tensor/index.ts';
import type { OptimizerSettings } from '../../train/optimizer.ts';
import type { TrainingState } from '../../train/training-step.ts';
import { logSlope } from './best-rate.ts';
import {
  familyConfig,
  familyObjective,
  type ModelRun,
  runModel,
  type TransferFamily,
} from './transfer-model.ts';

/** A slope of log mean|x| against log size below this counts as flat: a factor 1.23 over four times the size. */
export const FLAT_SLOPE = 0.15;

export interface CoordinateCheckOptions {
  readonly device: Device;
  readonly batches: BatchSource;
  readonly family: TransferFamily;
  readonly parametrisations: readonly Parametrisation[];
  /** One of the two has several sizes: that is what the check is over. */
  readonly widths: readonly number[];
  readonly depths: readonly number[];
  readonly optimizer: OptimizerSettings;
  readonly numSteps: number;
  readonly seeds: readonly number[];
  readonly signal?: AbortSignal | undefined;
  /** Before each model. */
  readonly onModel?: (done: number, total: number) => void;
}

export interface CoordinatePoint {
  readonly size: number;
  /** By step from 0, the mean over the seeds. */
  readonly meanAbsolute: readonly number[];
  /** Mean |x - x at step 0|, by step from 0. */
  readonly meanChange: readonly number[];
}

export interface CoordinateSeries {
  readonly parametrisation: Parametrisation;
  /**
   * `embedding`, `attention` and `mlp` (of the middle block; over the width only), `stream 1/2` (over the depth from
   * 4 layers on), `stream` (after the last block), `logits`.
   */
  readonly layer: string;
  readonly points: readonly CoordinatePoint[];
  /** d log mean|x| / d log size by step from 0. */
  readonly slopes: readonly number[];
  /** The same of the change, by step from 1. */
  readonly changeSlopes: readonly number[];
  readonly verdict: 'flat' | 'grows' | 'shrinks';
}

export interface CoordinateCheck {
  readonly axis: 'width' | 'depth';
  readonly sizes: readonly number[];
  readonly numSteps: number;
  readonly numSeeds: number;
  readonly learningRate: number;
  readonly series: readonly CoordinateSeries[];
}

/** Throws ConfigError unless exactly one of widths and depths has at least two sizes. */
export async function coordinateCheck(options: CoordinateCheckOptions): Promise<CoordinateCheck> {
  const { parametrisations, widths, depths, seeds, numSteps, optimizer } = options;
  if (widths.length > 1 === depths.length > 1 || widths.length === 0 || depths.length === 0) {
    throw new ConfigError(
      `A coordinate check is over several widths at one depth, or over several depths at one width; got ` +
        `${widths.length} widths and ${depths.length} depths.`,
    );
  }
  const axis = widths.length > 1 ? 'width' : 'depth';
  const sizes = axis === 'width' ? widths : depths;
  const series: CoordinateSeries[] = [];
  let done = 0;
  for (const parametrisation of parametrisations) {
    const bySize: Map<string, StepValues>[] = [];
    for (const size of sizes) {
      const config = familyConfig(
        options.family,
        axis === 'width' ? size : widths[0]!,
        axis === 'width' ? depths[0]! : size,
      );
      const values: Map<string, StepValues>[] = [];
      for (const seed of seeds) {
        options.onModel?.(done++, parametrisations.length * sizes.length * seeds.length);
        values.push(await observeModel({ ...options, config, parametrisation, seed }));
      }
      bySize.push(meanOf(values));
    }
    for (const layer of bySize[0]!.keys()) {
      if (axis === 'depth' && !isComparable(layer, depths)) continue;
      series.push(
        seriesOf(
          parametrisation,
          layer,
          sizes,
          bySize.map((values) => values.get(layer)!),
        ),
      );
    }
  }
  return {
    axis,
    sizes,
    numSteps,
    numSeeds: seeds.length,
    learningRate: optimizer.learningRate,
    series,
  };
}

/** Fewest blocks of which a half is more than the first one, which reads nothing but embeddings. */
const LEAST_HALVED_DEPTH = 4;

/** One branch of many adds less the more there are; what counts over the depth is their sum. */
function isComparable(layer: string, depths: readonly number[]): boolean {
  if (layer === 'stream 1/2') return Math.min(...depths) >= LEAST_HALVED_DEPTH;
  return layer !== 'attention' && layer !== 'mlp';
}

interface StepValues {
  readonly meanAbsolute: number[];
  readonly meanChange: number[];
}

function seriesOf(
  parametrisation: Parametrisation,
  layer: string,
  sizes: readonly number[],
  values: readonly StepValues[],
): CoordinateSeries {
  const slopesOf = (kind: keyof StepValues, from: number) =>
    values[0]![kind].slice(from).map((_, i) =>
      logSlope(
        sizes,
        values.map((one) => one[kind][i + from]!),
      ),
    );
  const slopes = slopesOf('meanAbsolute', 0);
  const last = slopes.at(-1)!;
  return {
    parametrisation,
    layer,
    points: sizes.map((size, i) => ({ size, ...values[i]! })),
    slopes,
    changeSlopes: slopesOf('meanChange', 1),
    verdict: Math.abs(last) < FLAT_SLOPE ? 'flat' : last > 0 ? 'grows' : 'shrinks',
  };
}

function meanOf(runs: readonly Map<string, StepValues>[]): Map<string, StepValues> {
  const mean = (layer: string, kind: keyof StepValues) =>
    runs[0]!
      .get(layer)!
      [kind].map((_, step) => runs.reduce((sum, run) => sum + run.get(layer)![kind][step]!, 0) / runs.length);
  return new Map(
    [...runs[0]!.keys()].map((layer) => [
      layer,
      { meanAbsolute: mean(layer, 'meanAbsolute'), meanChange: mean(layer, 'meanChange') },
    ]),
  );
}

async function observeModel(
  options: CoordinateCheckOptions & {
    config: TransformerConfig;
    parametrisation: Parametrisation;
    seed: number;
  },
): Promise<Map<string, StepValues>> {
  const { config, device, batches, optimizer, numSteps, seed, parametrisation, signal } = options;
  const run: ModelRun = {
    config,
    parametrisation,
    optimizer,
    schedule: { kind: 'constant', warmupSteps: 0, decayShare: 0, finalShare: 1, decay: 'linear' },
    clipNorm: Number.POSITIVE_INFINITY,
    numSteps,
    seed,
  };
  const observer = await Observer.compile(device, config, batches);
  // The same texts at every size and step, and none that is trained on before the last one is measured.
  const batch = batches.batch(numSteps);
  const values = new Map<string, StepValues>();
  let initial: Record<string, Feed> = {};
  try {
    await runModel(run, { device, batches, signal }, async (step, state) => {
      if (step === 0) initial = await observer.copyOf(state);
      for (const [layer, [absolute, change]] of await observer.observe(initial, state, batch)) {
        const found = values.get(layer) ?? { meanAbsolute: [], meanChange: [] };
        values.set(layer, found);
        found.meanAbsolute.push(absolute);
        found.meanChange.push(change);
      }
    });
  } finally {
    await observer.dispose();
  }
  return values;
}

/** Mean |x| and mean |x - x0| of the layers' outputs, for two sets of parameters. */
class Observer {
  readonly #executable: Executable;
  readonly #config: TransformerConfig;
  readonly #batches: BatchSource;
  readonly #layers: readonly string[];

  private constructor(
    executable: Executable,
    config: TransformerConfig,
    batches: BatchSource,
    layers: readonly string[],
  ) {
    this.#executable = executable;
    this.#config = config;
    this.#batches = batches;
    this.#layers = layers;
  }

  static async compile(device: Device, config: TransformerConfig, batches: BatchSource): Promise<Observer> {
    const shape = [batches.batchSize, batches.sequenceLength];
    const idsBT = input('inputIds', shape, 'int32');
    const positionsBT = input('positions', shape, 'int64');
    const segmentIdsBT = input('segmentIds', shape);
    const maskTT = segmentMask(segmentIdsBT);
    const traced = (prefix: string) => {
      const parameters = Object.fromEntries(
        parameterSpecs(config).map((spec) => [spec.name, input(`${prefix}/${spec.name}`, spec.shape)]),
      );
      const layers = traceLayers(parameters, config, { idsBT, positionsBT, maskTT }, shape[1]!);
      return { parameters: Object.values(parameters), layers };
    };
    const now = traced('parameter');
    const before = traced('initial');
    const outputs: Record<string, Tensor> = {};
    for (const [layer, tensor] of now.layers) {
      outputs[`absolute/${layer}`] = mean(abs(tensor));
      outputs[`change/${layer}`] = mean(abs(sub(tensor, before.layers.get(layer)!)));
    }
    const executable = await device.compile(outputs, {
      inputs: [...now.parameters, ...before.parameters, idsBT, positionsBT, segmentIdsBT],
    });
    return new Observer(executable, config, batches, [...now.layers.keys()]);
  }

  /** The state's parameters as they are now; steps replace them. */
  async copyOf(state: TrainingState): Promise<Record<string, Feed>> {
    const copies: Record<string, Feed> = {};
    for (const [name, value] of state) {
      if (!name.startsWith('parameter/')) continue;
      const data = 'read' in value ? await value.read() : value.data;
      copies[name.replace('parameter/', 'initial/')] = { shape: value.shape, data: data.slice() };
    }
    return copies;
  }

  async observe(
    initial: Readonly<Record<string, Feed>>,
    state: TrainingState,
    batch: TokenBatch,
  ): Promise<Map<string, [absolute: number, change: number]>> {
    const { inputIds, positions, segmentIds } = familyObjective(this.#config, this.#batches).feeds(batch);
    const parameters = [...state].filter(([name]) => name.startsWith('parameter/'));
    const results = await this.#executable.run({
      ...initial,
      ...Object.fromEntries(parameters),
      inputIds: inputIds!,
      positions: positions!,
      segmentIds: segmentIds!,
    });
    const values = new Map<string, [number, number]>();
    for (const layer of this.#layers) {
      const read = async (kind: string) => Number((await results[`${kind}/${layer}`]!.read())[0]);
      values.set(layer, [await read('absolute'), await read('change')]);
    }
    for (const tensor of Object.values(results)) tensor.dispose();
    return values;
  }

  dispose(): Promise<void> {
    return this.#executable.dispose();
  }
}

/** The layers that models of any depth have. */
function traceLayers(
  parameters: TensorRecord,
  config: TransformerConfig,
  inputs: { idsBT: Tensor; positionsBT: Tensor; maskTT: Tensor },
  length: number,
): Map<string, Tensor> {
  const observed = new Map<string, Tensor>();
  const { hiddenND } = transformer(parameters, config, inputs, {
    maxPositions: length,
    observe: (name, tensor) => observed.set(name, tensor),
  });
  const last = config.numLayers - 1;
  const middle = Math.floor(last / 2);
  return new Map([
    ['embedding', observed.get('embedding')!],
    ['attention', observed.get(`layers.${middle}.attention`)!],
    ['mlp', observed.get(`layers.${middle}.mlp`)!],
    ['stream 1/2', observed.get(`layers.${middle}`)!],
    ['stream', observed.get(`layers.${last}`)!],
    ['logits', logits(parameters, config, hiddenND)],
  ]);
}
