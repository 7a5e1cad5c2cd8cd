/**
 * Reverse-mode automatic differentiation on expression graphs. Gradients are made of the same operators as
 * everything else, so they can be differentiated again, folded, fused and compiled like any expression.
 */
import { PlinthError } from '../core/errors.ts';
import { add } from './operators/binary.ts';
import { zerosLike } from './operators/composed.ts';
import { full } from './operators/source.ts';
import { formatShape, type Node, sameShape, staticShape, type Tensor } from './tensor.ts';

/**
 * Vector-Jacobian product: cotangents of `wrt` for cotangents of `outputs`. A tensor that the outputs do
 * not depend on gets zeros.
 */
export function vjp(
  outputs: readonly Tensor[],
  cotangents: readonly Tensor[],
  wrt: readonly Tensor[],
): Tensor[] {
  const nodes = nodesBetween(outputs, wrt);
  const targets = new Map<Node, Set<number>>();
  for (const tensor of wrt) {
    const indices = targets.get(tensor.node) ?? new Set<number>();
    targets.set(tensor.node, indices.add(tensor.index));
  }
  const arrived = new Map<Node, (Tensor | undefined)[]>();
  const accumulate = (tensor: Tensor, cotangent: Tensor) => {
    const slots = arrived.get(tensor.node) ?? [];
    const present = slots[tensor.index];
    slots[tensor.index] = present ? add(present, cotangent) : cotangent;
    arrived.set(tensor.node, slots);
  };
  outputs.forEach((output, i) => {
    const cotangent = cotangents[i]!;
    if (!sameShape(output.shape, cotangent.shape)) {
      throw new PlinthError(
        'gradient',
        `vjp: output ${formatShape(output.shape)} got a cotangent ${formatShape(cotangent.shape)}; the shapes must be equal.`,
      );
    }
    if (nodes.has(output.node)) accumulate(output, cotangent);
  });
  for (const node of [...nodes].sort((a, b) => b.id - a.id)) {
    const slots = arrived.get(node);
    if (!slots || node.inputs.length === 0) continue;
    const needed = node.inputs.map((x) => nodes.has(x.node));
    if (!needed.some(Boolean)) continue;
    if (node.operator.gradientRefused !== undefined) {
      throw new PlinthError('gradient', node.operator.gradientRefused);
    }
    if (!node.operator.gradient) continue;
    const results = node.operator.gradient(node, slots, needed);
    node.inputs.forEach((x, i) => {
      const cotangent = results[i];
      if (needed[i] && cotangent) accumulate(x, cotangent);
    });
  }
  return wrt.map((tensor) => arrived.get(tensor.node)?.[tensor.index] ?? zerosLike(tensor));
}

/** Nodes that lie on a path from one of `wrt` to one of `outputs`, both ends included. */
function nodesBetween(outputs: readonly Tensor[], wrt: readonly Tensor[]): Set<Node> {
  const ends = new Set(wrt.map((tensor) => tensor.node));
  const oldest = Math.min(...wrt.map((tensor) => tensor.node.id));
  const depends = new Map<Node, boolean>();
  const stack: Node[] = outputs.map((output) => output.node);
  while (stack.length > 0) {
    const node = stack.at(-1)!;
    if (depends.has(node)) {
      stack.pop();
      continue;
    }
    // Ids grow along edges, so nothing older than every target can depend on one.
    const open = node.id < oldest ? [] : node.inputs.filter((x) => !depends.has(x.node));
    if (open.length > 0) {
      for (const x of open) stack.push(x.node);
      continue;
    }
    depends.set(node, ends.has(node) || (node.id > oldest && node.inputs.some((x) => depends.get(x.node))));
    stack.pop();
  }
  const between = new Set<Node>();
  for (const [node, does] of depends) if (does) between.add(node);
  return between;
}

/** Gradients of one scalar with respect to tensors. Throws PlinthError `gradient` when it is not a scalar. */
export function grad(output: Tensor, wrt: readonly Tensor[]): Tensor[] {
  if (output.shape.some((dim) => dim !== 1)) {
    throw new PlinthError(
      'gradient',
      `grad needs a single value, got shape ${formatShape(output.shape)}. Reduce it first: grad(sum(x), ...) or grad(mean(x), ...).`,
    );
  }
  if (output.dtype !== 'float32')
    throw new PlinthError('gradient', `grad needs float32, got ${output.dtype}.`);
  return vjp([output], [full(staticShape(output.shape, 'grad'), 1)], wrt);
}

/** Named tensors, such as a model's parameters. */
export type TensorRecord = Readonly<Record<string, Tensor>>;

/** Turns a function of named parameters into one that also gives the gradients by the same names. */
export function valueAndGrad<P extends TensorRecord, A extends unknown[]>(
  loss: (parameters: P, ...rest: A) => Tensor,
): (parameters: P, ...rest: A) => { value: Tensor; gradients: { [K in keyof P]: Tensor } } {
  return (parameters, ...rest) => {
    const value = loss(parameters, ...rest);
    const names = Object.keys(parameters);
    const gradients = grad(
      value,
      names.map((name) => parameters[name]!),
    );
    return {
      value,
      gradients: Object.fromEntries(names.map((name, i) => [name, gradients[i]!])) as {
        [K in keyof P]: Tensor;
      },
    };
  };
}
