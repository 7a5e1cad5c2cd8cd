/** Loss without training: the forward half of an objective, for validation. */
import type { Device, Executable, Feed } from '../runtime/device.ts';
import { input } from '../tensor/index.ts';
import type { Objective } from './objective.ts';
import { metricOutputs, type ParameterSpec, type TrainingState, takeTold } from './training-step.ts';

export interface EvaluatedLoss {
  readonly loss: number;
  readonly metrics: Readonly<Record<string, number>>;
  readonly numItems: number;
}

export class LossEvaluator<Batch> {
  readonly #executable: Executable;
  readonly #objective: Objective<Batch>;
  readonly #names: readonly string[];

  private constructor(executable: Executable, objective: Objective<Batch>, names: readonly string[]) {
    this.#executable = executable;
    this.#objective = objective;
    this.#names = names;
  }

  static async compile<Batch>(
    device: Device,
    objective: Objective<Batch>,
    specs: readonly ParameterSpec[],
  ): Promise<LossEvaluator<Batch>> {
    const names = specs.map(({ name }) => `parameter/${name}`);
    const parameters = Object.fromEntries(
      specs.map(({ name, shape }) => [name, input(`parameter/${name}`, shape)]),
    );
    const lossScale = input('lossScale', []);
    const { loss, inputs, metrics = {} } = objective.build(parameters, lossScale);
    const executable = await device.compile(
      { loss, ...metricOutputs(metrics) },
      { inputs: [...Object.values(parameters), ...inputs, lossScale] },
    );
    return new LossEvaluator(executable, objective, names);
  }

  /** Means per item over the batches: the loss (nats per token for a language model) and the objective's metrics. */
  async run(state: TrainingState, batches: Iterable<Batch>): Promise<EvaluatedLoss> {
    const parameters: Record<string, Feed> = {};
    for (const name of this.#names) parameters[name] = state.get(name)!;
    let total = 0;
    let numItems = 0;
    const sums: Record<string, number> = {};
    for (const batch of batches) {
      const results = await this.#executable.run({
        ...parameters,
        ...this.#objective.feeds(batch),
        lossScale: Float32Array.of(1),
      });
      const { loss, metrics } = await takeTold(results);
      total += loss;
      for (const [name, value] of Object.entries(metrics)) sums[name] = (sums[name] ?? 0) + value;
      numItems += this.#objective.numItems(batch);
    }
    const mean = (sum: number) => (numItems > 0 ? sum / numItems : Number.NaN);
    const metrics = Object.fromEntries(Object.entries(sums).map(([name, sum]) => [name, mean(sum)]));
    return { loss: mean(total), metrics, numItems };
  }

  async dispose(): Promise<void> {
    await this.#executable.dispose();
  }
}
