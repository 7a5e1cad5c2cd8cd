/**
 * Symbolic tensors. A `Tensor` is one output of a `Node` in an immutable expression graph; building an
 * expression computes nothing. What always holds: a node's inputs were made before it (ids grow), every
 * shape and dtype is known when a node is made, and no node ever changes. Nothing here knows of ONNX
 * Runtime or of values; `lower.ts` turns a graph into a program and `runtime/` runs it.
 */
import { PlinthError } from '../core/errors.ts';
import type { Operator } from './operator.ts';

/** `uint8` holds packed codes of quantised weights; no arithmetic is defined on it. */
export type DType = 'float32' | 'float16' | 'int32' | 'int64' | 'uint8' | 'bool';

/** A size, or the name of a size that is known only when a program runs (inference graphs). */
export type Dim = number | string;
export type Shape = readonly Dim[];

export interface TensorSpec {
  readonly shape: Shape;
  readonly dtype: DType;
}

/** Values of a constant, row-major. `bool` is kept as 0 and 1 bytes. */
export type TensorData = Float32Array | Uint16Array | Int32Array | BigInt64Array | Uint8Array;

export interface Node {
  readonly id: number;
  readonly operator: Operator;
  readonly inputs: readonly Tensor[];
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly outputs: readonly TensorSpec[];
}

export class Tensor {
  readonly node: Node;
  readonly index: number;

  constructor(node: Node, index: number) {
    this.node = node;
    this.index = index;
  }

  get shape(): Shape {
    return this.node.outputs[this.index]!.shape;
  }

  get dtype(): DType {
    return this.node.outputs[this.index]!.dtype;
  }

  get rank(): number {
    return this.shape.length;
  }

  toString(): string {
    return `${this.node.operator.name}${formatShape(this.shape)}:${this.dtype}`;
  }
}

export function formatShape(shape: Shape): string {
  return `[${shape.join(', ')}]`;
}

/** Number of elements. Throws when a dimension is only named. */
export function sizeOf(shape: Shape): number {
  return staticShape(shape, 'sizeOf').reduce((product, dim) => product * dim, 1);
}

/** The shape as numbers; an error that names the asker when a dimension is only named. */
export function staticShape(shape: Shape, asker: string): readonly number[] {
  for (const dim of shape) {
    if (typeof dim !== 'number') {
      throw new PlinthError(
        'shape',
        `${asker} needs a shape of numbers, got ${formatShape(shape)}: "${dim}" is known only at run time. ` +
          `Trace this graph with a fixed size for "${dim}".`,
      );
    }
  }
  return shape as readonly number[];
}

export function sameShape(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((dim, i) => dim === b[i]);
}

let nextId = 1;

/** Ids handed out so far; every node made later has a larger one. */
export function latestNodeId(): number {
  return nextId - 1;
}

/** Makes a node from already inferred outputs. Operators call this through `apply`. */
export function makeNode(
  operator: Operator,
  inputs: readonly Tensor[],
  attributes: Readonly<Record<string, unknown>>,
  outputs: readonly TensorSpec[],
): Node {
  return { id: nextId++, operator, inputs, attributes, outputs };
}
