/** Loss without training: the forward half of an objective, for validation. */
import type { Device, Executable, Feed } from '../runtime/device.ts';
import { input } from '../tensor/index.ts';
import type { Objective } from './objective.ts';
import type { ParameterSpec, TrainingState } from './training-step.ts';

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
    const { loss, inputs } = objective.build(parameters, lossScale);
    const executable = await device.compile(
      { loss },
      { inputs: [...Object.values(parameters), ...inputs, lossScale] },
    );
    return new LossEvaluator(executable, objective, names);
  }

  /** Mean loss per item over the batches (nats per token for a language model), and the number of items. */
  async run(state: TrainingState, batches: Iterable<Batch>): Promise<{ loss: number; numItems: number }> {
    const parameters: Record<string, Feed> = {};
    for (const name of this.#names) parameters[name] = state.get(name)!;
    let total = 0;
    let numItems = 0;
    for (const batch of batches) {
      const { loss } = await this.#executable.run({
        ...parameters,
        ...this.#objective.feeds(batch),
        lossScale: Float32Array.of(1),
      });
      total += Number((await loss!.read())[0]);
      loss!.dispose();
      numItems += this.#objective.numItems(batch);
    }
    return { loss: numItems > 0 ? total / numItems : Number.NaN, numItems };
  }

  async dispose(): Promise<void> {
    await this.#executable.dispose();
  }
}
