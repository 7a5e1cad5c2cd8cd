/**
 * What a policy says of its own answers before an update: log-probabilities, entropies, and its critic's values. It
 * reads the training's state where that lies, and traces the same forward pass as the update does: the first update's
 * ratios are 1.
 */
import type { Device, Executable, Feed } from '../../runtime/device.ts';
import { input, mul, reshape, type Tensor } from '../../tensor/index.ts';
import { tokenFeeds, tokenInputs } from '../../train/token-inputs.ts';
import type { Trainable } from '../../train/trainable.ts';
import type { TrainingState } from '../../train/training-step.ts';
import { rowTokenShape, sequenceForward } from '../sequence-logprobs.ts';
import { type RowShape, rowBatch, type SequenceRow } from '../sequence-row.ts';
import { type CriticKind, criticValues } from './critic.ts';
import { entropyOf } from './policy-losses.ts';

/** For each token of a row from the second on; log-probabilities and entropies in nats, 0 where it is no action. */
export interface ScoredRow {
  readonly logprobs: Float32Array;
  readonly entropies: Float32Array;
  /** What was expected just before the token; empty without a critic. */
  readonly values: Float32Array;
}

export interface PolicyScorerOptions {
  readonly shape: RowShape;
  readonly temperature: number;
  readonly critic?: CriticKind | undefined;
}

export class PolicyScorer {
  readonly #executable: Executable;
  readonly #shape: RowShape;
  readonly #names: readonly string[];
  readonly #frozen: Record<string, Feed>;

  private constructor(fields: {
    executable: Executable;
    shape: RowShape;
    names: readonly string[];
    frozen: Record<string, Feed>;
  }) {
    this.#executable = fields.executable;
    this.#shape = fields.shape;
    this.#names = fields.names;
    this.#frozen = fields.frozen;
  }

  /** @param trainable with the critic's tensors among its own. */
  static async compile(
    device: Device,
    trainable: Trainable,
    { shape, temperature, critic }: PolicyScorerOptions,
  ): Promise<PolicyScorer> {
    const { config } = trainable;
    const named = (kind: string, specs: Iterable<readonly [string, readonly number[]]>) =>
      Object.fromEntries(Array.from(specs, ([name, own]) => [name, input(`${kind}/${name}`, own)]));
    const trained = named(
      'parameter',
      trainable.specs.map((spec) => [spec.name, spec.shape] as const),
    );
    const frozen = named(
      'frozen',
      Array.from(trainable.frozen, ([name, value]) => [name, value.shape] as const),
    );
    const parameters = trainable.parameters(trained, frozen);
    const tokens = tokenInputs(rowTokenShape(shape));
    const forward = sequenceForward(parameters, config, tokens, shape, temperature);
    const rows = [shape.batchSize, shape.length];
    const outputs: Record<string, Tensor> = {
      logprobs: forward.logprobBT,
      entropies: reshape(mul(entropyOf(forward.logitsNV), tokens.lossMaskN), rows),
    };
    if (critic) outputs.values = criticValues(parameters, config, critic, forward.hiddenND, tokens, shape);
    return new PolicyScorer({
      executable: await device.compile(outputs, {
        inputs: [...Object.values(trained), ...Object.values(frozen), ...tokens.inputs],
      }),
      shape,
      names: trainable.specs.map(({ name }) => `parameter/${name}`),
      frozen: Object.fromEntries([...trainable.frozen].map(([name, value]) => [`frozen/${name}`, value])),
    });
  }

  /** Throws DataError for sequences that do not fit a row. */
  async score(state: TrainingState, rows: readonly SequenceRow[]): Promise<ScoredRow[]> {
    const { batchSize, length } = this.#shape;
    const parameters = Object.fromEntries(this.#names.map((name) => [name, state.get(name)!]));
    const scored: ScoredRow[] = [];
    for (let at = 0; at < rows.length; at += batchSize) {
      const some = rows.slice(at, at + batchSize);
      const batch = rowBatch(some, this.#shape);
      const results = await this.#executable.run({
        ...parameters,
        ...this.#frozen,
        ...tokenFeeds(batch, { segments: false }),
      });
      const read = async (name: string) => {
        const values = (await results[name]?.read()) as Float32Array | undefined;
        results[name]?.dispose();
        return values ?? new Float32Array(0);
      };
      const [logprobs, entropies, values] = [
        await read('logprobs'),
        await read('entropies'),
        await read('values'),
      ];
      for (const [row, { tokens }] of some.entries()) {
        const [from, to] = [row * length, row * length + tokens.length - 1];
        const cut = (data: Float32Array) => data.slice(from, to);
        scored.push({ logprobs: cut(logprobs), entropies: cut(entropies), values: cut(values) });
      }
    }
    return scored;
  }

  dispose(): Promise<void> {
    return this.#executable.dispose();
  }
}
