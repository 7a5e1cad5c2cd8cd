/**
 * One optimizer step as compiled programs. Without accumulation the whole step (forward, backward,
 * clipping, update) is one program; with it, one program adds up gradients and another applies them.
 * State is replaced only after a step came out finite, so a failed step leaves the last good one.
 */
import { ConfigError, NotFiniteError } from '../core/errors.ts';
import type { ParameterScaling } from '../model/parametrisation.ts';
import type { Device, DeviceTensor, Executable, Feed, HostArray, OperatorTime } from '../runtime/device.ts';
import {
  add,
  div,
  grad,
  input,
  matmulFlops,
  minimum,
  scalar,
  scale,
  sqrt,
  square,
  sum,
  type Tensor,
  type TensorRecord,
} from '../tensor/index.ts';
import type { Objective } from './objective.ts';
import {
  checkOptimizer,
  type OptimizerSettings,
  ruleFor,
  STEP_SCALARS,
  stepScalars,
  update,
} from './optimizer.ts';

/** Names in the state: `parameter/NAME`, and `first/NAME` etc. for the optimizer. */
export type StateName = string;
export type TrainingState = Map<StateName, HostArray | DeviceTensor>;

export interface StepSettings {
  readonly optimizer: OptimizerSettings;
  /** Gradients are scaled down to this global norm (Pascanu et al. 2013); Infinity leaves them. */
  readonly clipNorm: number;
  /** Batches whose gradients are added up for one step. */
  readonly accumulate: number;
  readonly profile?: boolean;
  /**
   * Each parameter's factors, from `scalingOf(config, parametrisation)`; left out, all are 1. Gradients count in
   * the norm as those of the papers' parameters, before multipliers are folded in.
   */
  readonly scaling?: ((name: string) => ParameterScaling) | undefined;
}

export interface ParameterSpec {
  readonly name: string;
  readonly shape: readonly number[];
}

export interface StepResult {
  readonly loss: number;
  readonly gradientNorm: number;
  /** What the objective tells beside its loss, means per item. */
  readonly metrics: Readonly<Record<string, number>>;
}

const nextName = (name: string) => `next/${name}`;

/** The compiled step of one objective on one device. */
export class TrainingStep<Batch> {
  /** Floating-point operations of the matrix products of one step. */
  readonly flops: number;
  readonly #objective: Objective<Batch>;
  readonly #settings: StepSettings;
  readonly #stateNames: readonly string[];
  readonly #parameterNames: readonly string[];
  readonly #whole: Executable | undefined;
  readonly #accumulate: Executable | undefined;
  readonly #apply: Executable | undefined;
  readonly #zeros: Map<string, HostArray>;

  private constructor(fields: {
    flops: number;
    objective: Objective<Batch>;
    settings: StepSettings;
    stateNames: readonly string[];
    parameterNames: readonly string[];
    whole?: Executable;
    accumulate?: Executable;
    apply?: Executable;
    zeros: Map<string, HostArray>;
  }) {
    this.flops = fields.flops;
    this.#objective = fields.objective;
    this.#settings = fields.settings;
    this.#stateNames = fields.stateNames;
    this.#parameterNames = fields.parameterNames;
    this.#whole = fields.whole;
    this.#accumulate = fields.accumulate;
    this.#apply = fields.apply;
    this.#zeros = fields.zeros;
  }

  /** Throws ConfigError for settings out of range. */
  static async compile<Batch>(
    device: Device,
    objective: Objective<Batch>,
    specs: readonly ParameterSpec[],
    settings: StepSettings,
  ): Promise<TrainingStep<Batch>> {
    checkStepSettings(settings);
    const parameters = inputsOf('parameter', specs);
    const lossScale = input('lossScale', []);
    const { loss, inputs, metrics = {} } = objective.build(parameters, lossScale);
    const told = metricOutputs(metrics);
    const names = specs.map((spec) => spec.name);
    const gradients = grad(
      loss,
      names.map((name) => parameters[name]!),
    );
    const profile = settings.profile ? { profile: true } : {};
    if (settings.accumulate === 1) {
      const { outputs, keep, scalars } = updateOutputs(specs, parameters, gradients, settings);
      const whole = await device.compile(
        { loss, ...told, ...outputs },
        {
          inputs: [...Object.values(parameters), ...inputs, lossScale, ...scalars],
          keepOnDevice: keep,
          ...profile,
        },
      );
      return new TrainingStep({
        flops: matmulFlops([loss, ...gradients]),
        objective,
        settings,
        stateNames: keep.map((name) => name.slice('next/'.length)),
        parameterNames: names,
        whole,
        zeros: new Map(),
      });
    }
    return TrainingStep.#compileAccumulating(device, objective, specs, settings, {
      parameters,
      loss,
      told,
      gradients,
      inputs: [...inputs, lossScale],
      profile,
    });
  }

  static async #compileAccumulating<Batch>(
    device: Device,
    objective: Objective<Batch>,
    specs: readonly ParameterSpec[],
    settings: StepSettings,
    traced: {
      parameters: TensorRecord;
      loss: Tensor;
      told: Readonly<Record<string, Tensor>>;
      gradients: Tensor[];
      inputs: Tensor[];
      profile: { profile?: boolean };
    },
  ): Promise<TrainingStep<Batch>> {
    const sums = inputsOf('gradient', specs);
    const added = Object.fromEntries(
      specs.map(({ name }, i) => [nextName(`gradient/${name}`), add(sums[name]!, traced.gradients[i]!)]),
    );
    const accumulate = await device.compile(
      { loss: traced.loss, ...traced.told, ...added },
      {
        inputs: [...Object.values(traced.parameters), ...Object.values(sums), ...traced.inputs],
        keepOnDevice: Object.keys(added),
        ...traced.profile,
      },
    );
    const totals = inputsOf('gradient', specs);
    const { outputs, keep, scalars } = updateOutputs(
      specs,
      traced.parameters,
      specs.map(({ name }) => totals[name]!),
      settings,
    );
    const apply = await device.compile(outputs, {
      inputs: [...Object.values(traced.parameters), ...Object.values(totals), ...scalars],
      keepOnDevice: keep,
      ...traced.profile,
    });
    return new TrainingStep({
      flops: settings.accumulate * matmulFlops([traced.loss, ...traced.gradients]),
      objective,
      settings,
      stateNames: keep.map((name) => name.slice('next/'.length)),
      parameterNames: specs.map(({ name }) => name),
      accumulate,
      apply,
      zeros: new Map(
        specs.map(({ name, shape }) => [
          `gradient/${name}`,
          { shape, data: new Float32Array(shape.reduce((a, b) => a * b, 1)) },
        ]),
      ),
    });
  }

  /**
   * Takes step number `step` (1, 2, ...) on `accumulate` batches and replaces the state. Throws
   * NotFiniteError, with the state untouched, when the loss or the gradient norm is not finite.
   */
  async run(
    state: TrainingState,
    batches: readonly Batch[],
    step: number,
    learningRate: number,
  ): Promise<StepResult> {
    if (batches.length !== this.#settings.accumulate) {
      throw new ConfigError(
        `Step ${step} got ${batches.length} batches; it was compiled for ${this.#settings.accumulate} (accumulate).`,
      );
    }
    const items = batches.reduce((total, batch) => total + this.#objective.numItems(batch), 0);
    const lossScale = Float32Array.of(items > 0 ? 1 / items : 0);
    const values = stepScalars(this.#settings.optimizer, step, learningRate);
    const scalars = Object.fromEntries(STEP_SCALARS.map((name) => [name, Float32Array.of(values[name])]));
    const own: Record<string, Feed> = {};
    for (const name of this.#stateNames) own[name] = state.get(name)!;
    const { loss, metrics, results } = this.#whole
      ? await this.#runWhole(this.#whole, own, batches[0]!, lossScale, scalars)
      : await this.#runAccumulating(own, batches, lossScale, scalars);
    const gradientNorm = Number((await results.gradientNorm!.read())[0]);
    results.gradientNorm!.dispose();
    if (!Number.isFinite(loss) || !Number.isFinite(gradientNorm)) {
      for (const tensor of Object.values(results)) tensor.dispose();
      throw new NotFiniteError(
        step,
        `Step ${step}: loss ${loss}, gradient norm ${gradientNorm}. The state before this step is kept. ` +
          'Lower the learning rate or the clip norm, or look at the data of this step.',
      );
    }
    for (const name of this.#stateNames) {
      const previous = state.get(name)!;
      state.set(name, results[nextName(name)]!);
      if ('dispose' in previous) previous.dispose();
    }
    return { loss, gradientNorm, metrics };
  }

  async #runWhole(
    whole: Executable,
    own: Record<string, Feed>,
    batch: Batch,
    lossScale: Feed,
    scalars: Record<string, Feed>,
  ): Promise<Ran> {
    const results = await whole.run({ ...own, ...this.#objective.feeds(batch), lossScale, ...scalars });
    return { ...(await takeTold(results)), results };
  }

  async #runAccumulating(
    own: Record<string, Feed>,
    batches: readonly Batch[],
    lossScale: Feed,
    scalars: Record<string, Feed>,
  ): Promise<Ran> {
    const parameters = Object.fromEntries(
      this.#parameterNames.map((name) => [`parameter/${name}`, own[`parameter/${name}`]!]),
    );
    let sums: Record<string, Feed> = Object.fromEntries(this.#zeros);
    let loss = 0;
    const metrics: Record<string, number> = {};
    for (const batch of batches) {
      const results = await this.#accumulate!.run({
        ...parameters,
        ...sums,
        ...this.#objective.feeds(batch),
        lossScale,
      });
      const told = await takeTold(results);
      loss += told.loss;
      for (const [name, value] of Object.entries(told.metrics)) metrics[name] = (metrics[name] ?? 0) + value;
      disposeAll(sums);
      sums = Object.fromEntries(
        this.#parameterNames.map((name) => [`gradient/${name}`, results[nextName(`gradient/${name}`)]!]),
      );
    }
    const results = await this.#apply!.run({ ...own, ...sums, ...scalars });
    disposeAll(sums);
    return { loss, metrics, results };
  }

  /** Time by operator since the start; the step must have been compiled with `profile`. */
  async endProfiling(): Promise<OperatorTime[]> {
    return (this.#whole ?? this.#accumulate!).endProfiling();
  }

  async dispose(): Promise<void> {
    await this.#whole?.dispose();
    await this.#accumulate?.dispose();
    await this.#apply?.dispose();
  }
}

function checkStepSettings({ optimizer, clipNorm, accumulate }: StepSettings): void {
  checkOptimizer(optimizer);
  if (!(clipNorm > 0)) {
    throw new ConfigError(`clipNorm must be above 0 (Infinity for no clipping), got ${clipNorm}.`);
  }
  if (!(Number.isInteger(accumulate) && accumulate >= 1)) {
    throw new ConfigError(`accumulate must be a whole number of at least 1, got ${accumulate}.`);
  }
}

/** What a run of the programs gave; `results` are the next state and the gradient norm. */
interface Ran {
  readonly loss: number;
  readonly metrics: Record<string, number>;
  readonly results: Record<string, DeviceTensor>;
}

const METRIC = 'metric/';

/** Outputs that tell an objective's metrics. */
export function metricOutputs(metrics: Readonly<Record<string, Tensor>>): Record<string, Tensor> {
  return Object.fromEntries(Object.entries(metrics).map(([name, value]) => [METRIC + name, value]));
}

/** Reads the loss and the metrics of a run and takes them out of its results. */
export async function takeTold(
  results: Record<string, DeviceTensor>,
): Promise<{ loss: number; metrics: Record<string, number> }> {
  const metrics: Record<string, number> = {};
  let loss = Number.NaN;
  for (const [name, tensor] of Object.entries(results)) {
    if (name !== 'loss' && !name.startsWith(METRIC)) continue;
    const value = Number((await tensor.read())[0]);
    if (name === 'loss') loss = value;
    else metrics[name.slice(METRIC.length)] = value;
    tensor.dispose();
    delete results[name];
  }
  return { loss, metrics };
}

function disposeAll(feeds: Readonly<Record<string, Feed>>): void {
  for (const feed of Object.values(feeds)) if ('dispose' in feed) feed.dispose();
}

function inputsOf(kind: string, specs: readonly ParameterSpec[]): TensorRecord {
  return Object.fromEntries(specs.map(({ name, shape }) => [name, input(`${kind}/${name}`, shape)]));
}

/** Clipping and the optimizer on given gradients. */
function updateOutputs(
  specs: readonly ParameterSpec[],
  parameters: TensorRecord,
  gradients: readonly Tensor[],
  settings: StepSettings,
): { outputs: Record<string, Tensor>; keep: string[]; scalars: Tensor[] } {
  const scalars = Object.fromEntries(STEP_SCALARS.map((name) => [name, input(name, [])])) as Record<
    (typeof STEP_SCALARS)[number],
    Tensor
  >;
  const scalings = specs.map(({ name }) => settings.scaling?.(name));
  const squares = gradients.map((gradient, i) => {
    const total = sum(square(gradient));
    const multiplier = scalings[i]?.multiplier ?? 1;
    return multiplier === 1 ? total : scale(total, multiplier ** 2);
  });
  const gradientNorm = sqrt(squares.reduce((total, one) => add(total, one)));
  const clip = Number.isFinite(settings.clipNorm)
    ? minimum(scalar(1), div(scalar(settings.clipNorm), add(gradientNorm, scalar(1e-6))))
    : scalar(1);
  const outputs: Record<string, Tensor> = { gradientNorm };
  specs.forEach(({ name, shape }, i) => {
    const rule = ruleFor(name, shape, settings.optimizer, scalings[i]);
    const state = Object.fromEntries(rule.state.map((kind) => [kind, input(`${kind}/${name}`, shape)]));
    const next = update({
      rule,
      settings: settings.optimizer,
      parameter: parameters[name]!,
      gradient: gradients[i]!,
      state,
      clip,
      scalars,
    });
    outputs[nextName(`parameter/${name}`)] = next.parameter;
    for (const kind of rule.state) outputs[nextName(`${kind}/${name}`)] = next.state[kind]!;
  });
  const keep = Object.keys(outputs).filter((name) => name.startsWith('next/'));
  return { outputs, keep, scalars: Object.values(scalars) };
}

/** State at step 0: given parameters, optimizer state zero. */
export function initialState(
  parameters: ReadonlyMap<string, HostArray>,
  optimizer: OptimizerSettings,
): TrainingState {
  const state: TrainingState = new Map();
  for (const [name, { shape, data }] of parameters) {
    state.set(`parameter/${name}`, { shape, data });
    for (const kind of ruleFor(name, shape, optimizer).state) {
      state.set(`${kind}/${name}`, { shape, data: new Float32Array(data.length) });
    }
  }
  return state;
}

/** Host copies of the parts of the state with a prefix, by bare name. */
export async function readState(
  state: TrainingState,
  prefix: string,
): Promise<Map<string, { shape: readonly number[]; data: Float32Array }>> {
  const values = new Map<string, { shape: readonly number[]; data: Float32Array }>();
  for (const [name, value] of state) {
    if (!name.startsWith(prefix)) continue;
    const data = 'read' in value ? await value.read() : value.data;
    values.set(name.slice(prefix.length), { shape: value.shape, data: data as Float32Array });
  }
  return values;
}
