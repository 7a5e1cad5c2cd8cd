/** Walking and rebuilding graphs. Nodes never change; a rewrite makes new ones where something differs. */
import { makeNode, type Node, Tensor } from './tensor.ts';

/** Every node that the outputs need, inputs before users (ids grow along edges). */
export function reachableNodes(outputs: readonly Tensor[]): Node[] {
  const seen = new Set<Node>();
  const stack = outputs.map((output) => output.node);
  while (stack.length > 0) {
    const node = stack.pop()!;
    if (seen.has(node)) continue;
    seen.add(node);
    for (const x of node.inputs) stack.push(x.node);
  }
  return [...seen].sort((a, b) => a.id - b.id);
}

/** Replaces tensors on the way: what `replace` returns stands for the node's outputs; undefined keeps it. */
export type Replace = (node: Node, inputs: readonly Tensor[]) => readonly Tensor[] | undefined;

export class Rewriter {
  readonly #done = new Map<Node, readonly Tensor[]>();
  readonly #replace: Replace;

  constructor(replace: Replace) {
    this.#replace = replace;
  }

  /** Makes `by` stand for every use of `tensor`'s node (all of its outputs). */
  set(node: Node, by: readonly Tensor[]): void {
    this.#done.set(node, by);
  }

  run(outputs: readonly Tensor[]): Tensor[] {
    for (const node of reachableNodes(outputs)) {
      if (this.#done.has(node)) continue;
      const inputs = node.inputs.map((x) => this.#of(x));
      this.#done.set(node, this.#replace(node, inputs) ?? rebuilt(node, inputs));
    }
    return outputs.map((output) => this.#of(output));
  }

  #of(tensor: Tensor): Tensor {
    return this.#done.get(tensor.node)![tensor.index]!;
  }
}

function rebuilt(node: Node, inputs: readonly Tensor[]): Tensor[] {
  const same = inputs.every((x, i) => x.node === node.inputs[i]!.node && x.index === node.inputs[i]!.index);
  const kept = same ? node : makeNode(node.operator, inputs, node.attributes, node.outputs);
  return node.outputs.map((_, index) => new Tensor(kept, index));
}
