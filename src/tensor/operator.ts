/**
 * What an operator is: a shape rule, a lowering to ONNX and a gradient rule written with the same traced
 * operators (so that a gradient can be differentiated again). The registry lets tests and the operator
 * table in the docs go over every one of them.
 */
import { PlinthError, ShapeError } from '../core/errors.ts';
import {
  type DType,
  makeNode,
  type Node,
  type Shape,
  Tensor,
  type TensorData,
  type TensorSpec,
} from './tensor.ts';

/** Where a program will run. `webgpu` avoids the operators that its kernels lack or compute wrongly. */
export type Target = 'cpu' | 'wasm' | 'webgpu';

export type OnnxAttribute = number | string | readonly number[] | { readonly float: number };

/** Collects ONNX nodes while a graph is lowered. Names in, names out. */
export interface Lowering {
  readonly target: Target;
  emit(
    type: string,
    inputs: readonly string[],
    attributes?: Readonly<Record<string, OnnxAttribute>>,
    options?: { numOutputs?: number; domain?: string },
  ): string[];
  constant(data: TensorData, shape: readonly number[], dtype: DType): string;
  /**
   * int64 [1]: a named size, or a product of named sizes, as the program's inputs have it at run time; undefined
   * when no input has it.
   */
  dimension(name: string): string | undefined;
  /** Is output `index` of the node being lowered read by anyone? */
  isUsed(index: number): boolean;
}

/** Values of more elements than this are not folded: the program would grow by more than it saves. */
export const FOLD_LIMIT = 65_536;

export interface ConstantValue {
  readonly data: TensorData;
  readonly shape: readonly number[];
}

export interface Operator {
  readonly name: string;
  infer(inputs: readonly Tensor[], attributes: Readonly<Record<string, unknown>>): TensorSpec[];
  lower(context: Lowering, node: Node, inputs: readonly string[]): string[];
  /**
   * Cotangents of the inputs from those of the outputs. `needed[i]` says whether input i's is wanted.
   * Absent on operators whose result is piecewise constant or not differentiable.
   */
  gradient?(
    node: Node,
    cotangents: readonly (Tensor | undefined)[],
    needed: readonly boolean[],
  ): (Tensor | undefined)[];
  /** Why a gradient must not pass here, for operators where a missing one would be taken for zero. */
  readonly gradientRefused?: string;
  /** The value for constant inputs, for folding; absent when folding would not pay. */
  evaluate?(inputs: readonly ConstantValue[], node: Node): TensorData | undefined;
}

const registry = new Map<string, Operator>();

/** All operators by name, in order of definition. */
export const operators: ReadonlyMap<string, Operator> = registry;

export function defineOperator(operator: Operator): Operator {
  if (registry.has(operator.name)) {
    throw new PlinthError('graph', `Operator "${operator.name}" is defined twice; rename one of them.`);
  }
  registry.set(operator.name, operator);
  return operator;
}

/** Makes a node of an operator; its shape rule throws when shapes or dtypes do not fit. */
export function apply(
  operator: Operator,
  inputs: readonly Tensor[],
  attributes: Readonly<Record<string, unknown>> = {},
): Tensor[] {
  const outputs = operator.infer(inputs, attributes);
  const node = makeNode(operator, inputs, attributes, outputs);
  return outputs.map((_, index) => new Tensor(node, index));
}

export function applyOne(
  operator: Operator,
  inputs: readonly Tensor[],
  attributes?: Readonly<Record<string, unknown>>,
): Tensor {
  return apply(operator, inputs, attributes)[0]!;
}

/** " (at file:line:column)" of the first stack frame outside the compiler, or nothing. */
function callerLine(): string {
  const previous = Error.stackTraceLimit;
  Error.stackTraceLimit = 50;
  const stack = new Error().stack ?? '';
  Error.stackTraceLimit = previous;
  for (const line of stack.split('\n').slice(1)) {
    if (/[/\\](src|dist)[/\\]tensor[/\\]/.test(line) || line.includes('node:internal')) continue;
    const match = /\(?((?:file:\/\/)?[^()\s]+:\d+:\d+)\)?$/.exec(line);
    if (match) return ` (at ${match[1]!.replace('file://', '')})`;
  }
  return '';
}

/** Throws a ShapeError that names the operator and the line of the caller's code. */
export function shapeError(operator: string, message: string): never {
  throw new ShapeError(`${operator}: ${message}${callerLine()}`);
}

/** Throws a PlinthError `dtype` that names the operator and the line of the caller's code. */
export function dtypeError(operator: string, message: string): never {
  throw new PlinthError('dtype', `${operator}: ${message}${callerLine()}`);
}

/** NumPy broadcasting of two shapes; named dimensions fit only themselves and 1. */
export function broadcastShapes(operator: string, a: Shape, b: Shape): Shape {
  const rank = Math.max(a.length, b.length);
  const shape: (number | string)[] = [];
  for (let i = 0; i < rank; i++) {
    const left = a[a.length - rank + i] ?? 1;
    const right = b[b.length - rank + i] ?? 1;
    if (left !== right && left !== 1 && right !== 1) {
      shapeError(
        operator,
        `shapes [${a.join(', ')}] and [${b.join(', ')}] do not broadcast: ${left} against ${right}. ` +
          'Counted from the right, sizes must be equal or 1; reshape or transpose one side.',
      );
    }
    shape.push(left === 1 ? right : left);
  }
  return shape;
}

/** Turns a possibly negative axis into 0..rank-1. */
export function resolveAxis(operator: string, axis: number, rank: number): number {
  const resolved = axis < 0 ? axis + rank : axis;
  if (!Number.isInteger(axis) || resolved < 0 || resolved >= rank) {
    shapeError(operator, `axis ${axis} is outside a tensor of rank ${rank}; use ${-rank}..${rank - 1}.`);
  }
  return resolved;
}

export function requireFloat(operator: string, tensor: Tensor): void {
  if (tensor.dtype !== 'float32' && tensor.dtype !== 'float16') {
    dtypeError(operator, `needs floating point, got ${tensor.dtype}. Cast it first: cast(x, 'float32').`);
  }
}

export function requireSameDType(operator: string, a: Tensor, b: Tensor): void {
  if (a.dtype !== b.dtype) {
    dtypeError(operator, `dtypes ${a.dtype} and ${b.dtype} differ. Cast one side: cast(x, '${a.dtype}').`);
  }
}
