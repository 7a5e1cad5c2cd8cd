/**
 * Patterns that one kernel computes in one pass:
 * - a product with a transposed operand reads it in place;
 * - x * rsqrt(mean(x^2) + eps) * w, written out by hand, becomes `rmsNorm`;
 * - a sum with rows scattered into zeros scatters into the other summand;
 * - a sum of neighbouring pieces, each padded with zeros (the gradient of cuts), joins the pieces.
 */

import { scatterAdd } from '../operators/gather.ts';
import { matmul } from '../operators/matmul.ts';
import { rmsNorm } from '../operators/normalize.ts';
import { concat, pad } from '../operators/shape.ts';
import { constantData, isConstant, scalarValue } from '../operators/source.ts';
import { Rewriter } from '../rewrite.ts';
import { type Node, sameShape, type Tensor } from '../tensor.ts';

export function fuse(outputs: readonly Tensor[]): Tensor[] {
  return new Rewriter((node, inputs) => {
    const result =
      fuseTransposes(node, inputs) ??
      fuseRmsNorm(node, inputs) ??
      fuseScatter(node, inputs) ??
      fusePads(node, inputs);
    return result && [result];
  }).run(outputs);
}

const nameOf = (x: Tensor) => x.node.operator.name;

/** The operand of a swap of the last two axes. */
function swapped(x: Tensor): Tensor | undefined {
  if (nameOf(x) !== 'transpose') return undefined;
  const order = x.node.attributes.order as readonly number[];
  const n = order.length;
  const isSwap = order.every((axis, i) => axis === (i === n - 1 ? n - 2 : i === n - 2 ? n - 1 : i));
  return isSwap ? x.node.inputs[0] : undefined;
}

function fuseTransposes(node: Node, inputs: readonly Tensor[]): Tensor | undefined {
  if (node.operator.name !== 'matmul') return undefined;
  const [a, b] = inputs as [Tensor, Tensor];
  const plainA = swapped(a);
  const plainB = swapped(b);
  if (!plainA && !plainB) return undefined;
  const flags = node.attributes as { transposeA: boolean; transposeB: boolean; factor: number };
  return matmul(plainA ?? a, plainB ?? b, {
    factor: flags.factor,
    transposeA: plainA ? !flags.transposeA : flags.transposeA,
    transposeB: plainB ? !flags.transposeB : flags.transposeB,
  });
}

/** Both orders of a product's operands. */
function factors(x: Tensor): [Tensor, Tensor][] {
  if (nameOf(x) !== 'mul') return [];
  const [p, q] = x.node.inputs as [Tensor, Tensor];
  return [
    [p, q],
    [q, p],
  ];
}

const is = (a: Tensor, b: Tensor) => a.node === b.node && a.index === b.index;

function fuseRmsNorm(node: Node, inputs: readonly Tensor[]): Tensor | undefined {
  if (node.operator.name !== 'mul') return undefined;
  for (const [normalised, weight] of [inputs, [...inputs].reverse()] as [Tensor, Tensor][]) {
    if (weight.rank !== 1 || !sameShape(normalised.shape, node.outputs[0]!.shape)) continue;
    for (const [x, inverse] of factors(normalised)) {
      const epsilon = rmsEpsilon(x, inverse);
      if (epsilon !== undefined && weight.shape[0] === x.shape.at(-1)) return rmsNorm(x, weight, epsilon);
    }
  }
  return undefined;
}

/** The epsilon if `inverse` is 1 / sqrt(mean(x^2, last axis) + epsilon). */
function rmsEpsilon(x: Tensor, inverse: Tensor): number | undefined {
  if (nameOf(inverse) !== 'reciprocal') return undefined;
  const root = inverse.node.inputs[0]!;
  if (nameOf(root) !== 'sqrt') return undefined;
  const total = root.node.inputs[0]!;
  if (nameOf(total) !== 'add') return undefined;
  const [p, q] = total.node.inputs as [Tensor, Tensor];
  for (const [meanSquare, epsilon] of [
    [p, q],
    [q, p],
  ] as const) {
    const value = scalarValue(epsilon);
    if (value === undefined) continue;
    for (const [summed, factor] of factors(meanSquare)) {
      const width = x.shape.at(-1);
      if (nameOf(summed) !== 'sum' || typeof width !== 'number') continue;
      const axes = summed.node.attributes.axes as readonly number[];
      const squared = summed.node.inputs[0]!;
      const [left, right] = nameOf(squared) === 'mul' ? (squared.node.inputs as [Tensor, Tensor]) : [];
      const fits = axes.length === 1 && axes[0] === x.rank - 1 && summed.node.attributes.keepDims === true;
      const inverseWidth = scalarValue(factor);
      if (fits && left && right && is(left, x) && is(right, x) && inverseWidth === Math.fround(1 / width))
        return value;
    }
  }
  return undefined;
}

function fuseScatter(node: Node, inputs: readonly Tensor[]): Tensor | undefined {
  if (node.operator.name !== 'add') return undefined;
  for (const [scattered, other] of [inputs, [...inputs].reverse()] as [Tensor, Tensor][]) {
    if (nameOf(scattered) !== 'scatterAdd' || !sameShape(scattered.shape, other.shape)) continue;
    const [base, indices, updates] = scattered.node.inputs as [Tensor, Tensor, Tensor];
    const zeros = isConstant(base) && (constantData(base) as Float32Array).every((value) => value === 0);
    if (zeros) return scatterAdd(other, indices, updates, scattered.node.attributes.axis as number);
  }
  return undefined;
}

interface Padding {
  axis: number;
  before: number;
  after: number;
}

/** The pieces that a concatenation along the axis joins; a tensor by itself is one piece. */
function piecesOf(x: Tensor, axis: number): readonly Tensor[] {
  return nameOf(x) === 'concat' && x.node.attributes.axis === axis ? x.node.inputs : [x];
}

function fusePads(node: Node, inputs: readonly Tensor[]): Tensor | undefined {
  if (node.operator.name !== 'add' || inputs.some((x) => nameOf(x) !== 'pad')) return undefined;
  for (const [left, right] of [inputs, [...inputs].reverse()] as [Tensor, Tensor][]) {
    const a = left.node.attributes as unknown as Padding;
    const b = right.node.attributes as unknown as Padding;
    const [first, second] = [left.node.inputs[0]!, right.node.inputs[0]!];
    const meet = a.axis === b.axis && a.before + (first.shape[a.axis] as number) === b.before;
    if (!meet || !sameShape(left.shape, right.shape)) continue;
    const pieces = [...piecesOf(first, a.axis), ...piecesOf(second, a.axis)];
    return pad(concat(pieces, a.axis), a.axis, a.before, b.after);
  }
  return undefined;
}
