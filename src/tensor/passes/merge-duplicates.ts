/** Common subexpressions: nodes with the same operator, attributes and inputs become one. */
import { constantData, isConstant } from '../operators/source.ts';
import { Rewriter } from '../rewrite.ts';
import { makeNode, type Node, Tensor, type TensorData } from '../tensor.ts';

/** Constants up to this many elements are compared by value, larger ones by identity. */
const COMPARE_LIMIT = 256;
const COMMUTATIVE = new Set(['add', 'mul', 'maximum', 'minimum', 'equal', 'and', 'or']);

export function mergeDuplicates(outputs: readonly Tensor[]): Tensor[] {
  const seen = new Map<string, Node>();
  return new Rewriter((node, inputs) => {
    const key = keyOf(node, inputs);
    if (key === undefined) return undefined;
    const twin = seen.get(key);
    if (twin) return twin.outputs.map((_, index) => new Tensor(twin, index));
    // Inputs may have been merged, so the node to remember is the rebuilt one.
    const same = inputs.every((x, i) => x.node === node.inputs[i]!.node);
    if (same) {
      seen.set(key, node);
      return undefined;
    }
    const merged = makeNode(node.operator, inputs, node.attributes, node.outputs);
    seen.set(key, merged);
    return merged.outputs.map((_, index) => new Tensor(merged, index));
  }).run(outputs);
}

function keyOf(node: Node, inputs: readonly Tensor[]): string | undefined {
  if (node.operator.name === 'input') return undefined;
  if (node.operator.name === 'constant') {
    const tensor = new Tensor(node, 0);
    if (!isConstant(tensor)) return undefined;
    const data = constantData(tensor);
    return data.length <= COMPARE_LIMIT
      ? `constant ${tensor.dtype} [${tensor.shape.join()}] ${bytesOf(data).join()}`
      : undefined;
  }
  const names = inputs.map((x) => `${x.node.id}.${x.index}`);
  if (COMMUTATIVE.has(node.operator.name)) names.sort();
  return `${node.operator.name} ${JSON.stringify(node.attributes)} ${names.join(' ')}`;
}

/** Bytes tell 0 from -0 and one NaN from another, which numbers as text do not. */
function bytesOf(data: TensorData): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}
