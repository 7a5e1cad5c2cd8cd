/**
 * What a training changes of a model: all of its parameters, or a few tensors (low-rank adapters) beside frozen ones.
 * Objectives are written on the model's parameters and work with either.
 */
import { parameterSpecs, type TransformerConfig } from '../model/config.ts';
import type { Weights } from '../model/initialize.ts';
import type { ModelParameters } from '../model/transformer.ts';
import type { Feed } from '../runtime/device.ts';
import { input, type Tensor, type TensorRecord } from '../tensor/index.ts';
import type { Objective } from './objective.ts';
import type { ParameterSpec } from './training-step.ts';

export interface Trainable {
  readonly config: TransformerConfig;
  /** The tensors that are trained. */
  readonly specs: readonly ParameterSpec[];
  /** Their values at the start. */
  readonly initial: Weights;
  /** Tensors that are fed and stay as they are. */
  readonly frozen: Weights;
  /** The model's parameters, by Hugging Face name. */
  parameters(trained: TensorRecord, frozen: TensorRecord): ModelParameters;
  /** The whole model with trained values: exactly the tensors of `parameterSpecs(config)`. */
  merge(trained: Weights): Weights;
}

/** Every parameter is trained. */
export function fullModel(config: TransformerConfig, weights: Weights): Trainable {
  const specs = parameterSpecs(config);
  return {
    config,
    specs,
    initial: weights,
    frozen: new Map(),
    parameters: (trained) => trained,
    merge: (trained) => new Map(specs.map(({ name }) => [name, trained.get(name)!])),
  };
}

/** Tensors beside the model's own that an objective trains too, such as a head; passed through under their names. */
export function withHead(trainable: Trainable, specs: readonly ParameterSpec[], initial: Weights): Trainable {
  const names = specs.map(({ name }) => name);
  return {
    ...trainable,
    specs: [...trainable.specs, ...specs],
    initial: new Map([...trainable.initial, ...initial]),
    parameters: (trained, frozen) => ({
      ...trainable.parameters(trained, frozen),
      ...Object.fromEntries(names.map((name) => [name, trained[name]!])),
    }),
  };
}

const frozenName = (name: string) => `frozen/${name}`;

/** The objective on what is trained; its frozen tensors are fed with every batch. */
export function onTrainable<Batch>(objective: Objective<Batch>, trainable: Trainable): Objective<Batch> {
  const frozenFeeds: Record<string, Feed> = {};
  for (const [name, value] of trainable.frozen) frozenFeeds[frozenName(name)] = value;
  return {
    build: (trained, lossScale) => {
      const frozen: Record<string, Tensor> = {};
      for (const [name, { shape }] of trainable.frozen) frozen[name] = input(frozenName(name), shape);
      const parameters = trainable.parameters(trained as TensorRecord, frozen);
      const built = objective.build(parameters, lossScale);
      return { ...built, inputs: [...built.inputs, ...Object.values(frozen)] };
    },
    feeds: (batch) => ({ ...frozenFeeds, ...objective.feeds(batch) }),
    numItems: (batch) => objective.numItems(batch),
    numTokens: (batch) => objective.numTokens(batch),
    ...(objective.figures && { figures: (batches: readonly Batch[]) => objective.figures!(batches) }),
  };
}
