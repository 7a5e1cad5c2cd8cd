/** Moving values without computing: reshape, transpose, broadcast, slice, concat, pad, flip, split. */
import {
  apply,
  applyOne,
  type ConstantValue,
  defineOperator,
  type Lowering,
  resolveAxis,
  shapeError,
} from '../operator.ts';
import { type Dim, type Shape, sameShape, staticShape, type Tensor, type TensorData } from '../tensor.ts';
import { sumTo } from './binary.ts';
import { full } from './source.ts';

const int64 = (context: Lowering, values: readonly number[]) =>
  context.constant(BigInt64Array.from(values, BigInt), [values.length], 'int64');

const reshapeOperator = defineOperator({
  name: 'reshape',
  infer: ([x], attributes) => [{ shape: attributes.shape as Shape, dtype: x!.dtype }],
  lower: (context, node, [x]) => {
    const to = node.attributes.shape as Shape;
    const target = reshapeTarget(context, node.inputs[0]!.shape, to);
    // An empty tensor has a size of 0 that means 0, not "as in the input".
    return context.emit('Reshape', [x!, target], to.includes(0) ? { allowzero: 1 } : {});
  },
  gradient: (node, [g]) => [reshape(g!, node.inputs[0]!.shape)],
  evaluate: ([x]) => (x as ConstantValue).data,
});

/**
 * ONNX's spelling: 0 keeps the input's size at that place, one -1 is worked out at run time. Further named sizes
 * are read from the program's inputs.
 */
function reshapeTarget(context: Lowering, from: Shape, to: Shape): string {
  const named = to.filter((dim) => typeof dim === 'string');
  if (named.length === 0 || to.includes(0))
    return int64(context, staticShape(to, 'reshape of an empty tensor'));
  const target = to.map((dim, axis) => (typeof dim === 'number' ? dim : from[axis] === dim ? 0 : -1));
  const numUnknown = target.filter((dim) => dim === -1).length;
  if (numUnknown <= 1) return int64(context, target);
  let numOpen = 0;
  const sizes = target.map((size, axis) => {
    const known = size === -1 ? context.dimension(to[axis] as string) : int64(context, [size]);
    if (known === undefined) numOpen++;
    return known ?? int64(context, [-1]);
  });
  if (numOpen <= 1) return context.emit('Concat', sizes, { axis: 0 })[0]!;
  return shapeError(
    'reshape',
    `from [${from.join(', ')}] to [${to.join(', ')}] moves more than one named size; reshape in two steps.`,
  );
}

const transposeOperator = defineOperator({
  name: 'transpose',
  infer: ([x], attributes) => {
    const order = attributes.order as readonly number[];
    return [{ shape: order.map((axis) => x!.shape[axis]!), dtype: x!.dtype }];
  },
  lower: (context, node, [x]) => context.emit('Transpose', [x!], { perm: node.attributes.order as number[] }),
  gradient: (node, [g]) => {
    const order = node.attributes.order as readonly number[];
    return [
      transpose(
        g!,
        order.map((_, axis) => order.indexOf(axis)),
      ),
    ];
  },
});

const broadcastOperator = defineOperator({
  name: 'broadcastTo',
  infer: ([x], attributes) => {
    const shape = attributes.shape as Shape;
    const extra = shape.length - x!.rank;
    if (extra < 0 || x!.shape.some((dim, i) => dim !== 1 && dim !== shape[i + extra])) {
      shapeError(
        'broadcastTo',
        `[${x!.shape.join(', ')}] cannot become [${shape.join(', ')}]; only sizes of 1 stretch.`,
      );
    }
    return [{ shape, dtype: x!.dtype }];
  },
  lower: (context, node, [x]) =>
    context.emit('Expand', [x!, int64(context, staticShape(node.attributes.shape as Shape, 'broadcastTo'))]),
  gradient: (node, [g]) => [sumTo(g!, node.inputs[0]!)],
});

interface SliceAttributes {
  readonly axis: number;
  readonly start: number;
  /** null: to the end of an axis whose size is only named. */
  readonly end: number | null;
}

/** The name of what is left of a named size; concatenation writes `1+n` for a place before n others. */
function withoutFirst(dim: Dim, start: number): Dim {
  if (typeof dim === 'number') return dim - start;
  const before = `${start}+`;
  return dim.startsWith(before) ? dim.slice(before.length) : `${dim}-${start}`;
}

const sliceOperator = defineOperator({
  name: 'slice',
  infer: ([x], attributes) => {
    const { axis, start, end } = attributes as unknown as SliceAttributes;
    const shape = [...x!.shape];
    shape[axis] = end === null ? withoutFirst(x!.shape[axis]!, start) : end - start;
    return [{ shape, dtype: x!.dtype }];
  },
  lower: (context, node, [x]) => {
    const { axis, start, end } = node.attributes as unknown as SliceAttributes;
    return context.emit('Slice', [
      x!,
      int64(context, [start]),
      int64(context, [end ?? Number.MAX_SAFE_INTEGER]),
      int64(context, [axis]),
    ]);
  },
  gradient: (node, [g]) => {
    const { axis, start, end } = node.attributes as { axis: number; start: number; end: number };
    const length = node.inputs[0]!.shape[axis] as number;
    return [pad(g!, axis, start, length - end)];
  },
});

const padOperator = defineOperator({
  name: 'pad',
  infer: ([x], attributes) => {
    const { axis, before, after } = attributes as { axis: number; before: number; after: number };
    const shape = [...x!.shape];
    shape[axis] = (shape[axis] as number) + before + after;
    return [{ shape, dtype: x!.dtype }];
  },
  lower: (context, node, [x]) => {
    const { axis, before, after } = node.attributes as { axis: number; before: number; after: number };
    const { rank } = node.inputs[0]!;
    const pads = new Array<number>(2 * rank).fill(0);
    pads[axis] = before;
    pads[axis + rank] = after;
    return context.emit('Pad', [x!, int64(context, pads)], { mode: 'constant' });
  },
  gradient: (node, [g]) => {
    const { axis, before } = node.attributes as { axis: number; before: number };
    return [slice(g!, axis, before, before + (node.inputs[0]!.shape[axis] as number))];
  },
});

const flipOperator = defineOperator({
  name: 'flip',
  infer: ([x]) => [{ shape: x!.shape, dtype: x!.dtype }],
  lower: (context, node, [x]) => {
    const axis = node.attributes.axis as number;
    const steps = int64(context, [-1]);
    return context.emit('Slice', [x!, steps, int64(context, [-(2 ** 31)]), int64(context, [axis]), steps]);
  },
  gradient: (node, [g]) => [flip(g!, node.attributes.axis as number)],
});

const concatOperator = defineOperator({
  name: 'concat',
  infer: (inputs, attributes) => {
    const axis = attributes.axis as number;
    const first = inputs[0]!;
    const shape: Dim[] = [...first.shape];
    let total: Dim | undefined;
    for (const x of inputs) {
      const fits = x.rank === first.rank && x.shape.every((dim, i) => i === axis || dim === first.shape[i]);
      if (!fits || x.dtype !== first.dtype) {
        shapeError(
          'concat',
          `along axis ${axis} needs equal shapes elsewhere, got ` +
            `${inputs.map((one) => `[${one.shape.join(', ')}] ${one.dtype}`).join(' and ')}.`,
        );
      }
      const dim: Dim = x.shape[axis]!;
      if (total === undefined) total = dim;
      else total = typeof total === 'number' && typeof dim === 'number' ? total + dim : `${total}+${dim}`;
    }
    shape[axis] = total!;
    return [{ shape, dtype: first.dtype }];
  },
  lower: (context, node, inputs) => context.emit('Concat', inputs, { axis: node.attributes.axis as number }),
  gradient: (node, [g], needed) => {
    const axis = node.attributes.axis as number;
    let start = 0;
    return node.inputs.map((x, i) => {
      const length = staticShape([x.shape[axis]!], "concat's gradient")[0]!;
      start += length;
      return needed[i] ? slice(g!, axis, start - length, start) : undefined;
    });
  },
  // Along the first axis values follow each other: matrices of weights become one.
  evaluate: (inputs, node) =>
    node.attributes.axis === 0 ? joined(inputs.map(({ data }) => data)) : undefined,
});

function joined(parts: readonly TensorData[]): TensorData {
  const length = parts.reduce((total, part) => total + part.length, 0);
  const Data = parts[0]!.constructor as new (length: number) => TensorData;
  const data = new Data(length);
  let at = 0;
  for (const part of parts) {
    data.set(part as never, at);
    at += part.length;
  }
  return data;
}

interface SplitAttributes {
  readonly axis: number;
  readonly sizes: readonly number[];
}

const splitOperator = defineOperator({
  name: 'split',
  infer: ([x], attributes) => {
    const { axis, sizes } = attributes as unknown as SplitAttributes;
    return sizes.map((size) => ({ shape: x!.shape.with(axis, size), dtype: x!.dtype }));
  },
  lower: (context, node, [x]) => {
    const { axis, sizes } = node.attributes as unknown as SplitAttributes;
    return context.emit('Split', [x!, int64(context, sizes)], { axis }, { numOutputs: sizes.length });
  },
  gradient: (node, cotangents) => {
    const parts = node.outputs.map(
      ({ shape, dtype }, i) => cotangents[i] ?? full(staticShape(shape, "split's gradient"), 0, dtype),
    );
    return [concat(parts, node.attributes.axis as number)];
  },
});

/** Same values in another shape of the same size. One size may be -1: it is worked out. */
export function reshape(x: Tensor, shape: Shape): Tensor {
  const resolved = resolveReshape(x.shape, shape);
  return sameShape(x.shape, resolved) ? x : applyOne(reshapeOperator, [x], { shape: resolved });
}

/** The number of values as a product: its number and its names in order, as in "6*batch*length". */
function sizeFactors(shape: Shape): string {
  const factors = shape.flatMap((dim) => (typeof dim === 'string' ? dim.split('*') : [String(dim)]));
  const isNumber = (factor: string) => /^\d+$/.test(factor);
  const product = factors.filter(isNumber).reduce((total, factor) => total * Number(factor), 1);
  return [product, ...factors.filter((factor) => !isNumber(factor)).sort()].join('*');
}

function resolveReshape(from: Shape, to: Shape): Shape {
  const unknown = to.indexOf(-1);
  const named = (shape: Shape) => shape.filter((dim) => typeof dim === 'string').sort();
  const product = (shape: Shape) =>
    shape.reduce<number>((total, dim) => (typeof dim === 'number' && dim !== -1 ? total * dim : total), 1);
  const fail = (why: string) =>
    shapeError('reshape', `[${from.join(', ')}] cannot become [${to.join(', ')}]: ${why}.`);
  if (unknown !== to.lastIndexOf(-1)) return fail('only one size may be -1');
  const missing = named(from).filter((name) => !to.includes(name));
  if (unknown < 0) {
    if (sizeFactors(from) === sizeFactors(to)) return to;
    if (missing.length > 0 || named(to).some((name) => !from.includes(name))) {
      // A product such as batch*length under a new name is the caller's claim; it is checked at run time.
      const fresh = named(to).filter((name) => !from.includes(name));
      if (named(from).length > 0 && (fresh.length === 1 || named(to).length === 1)) return to;
      return fail('named sizes differ');
    }
    if (product(from) !== product(to)) return fail(`${product(from)} values do not fill ${product(to)}`);
    return to;
  }
  const rest = product(to) === 0 ? 0 : product(from) / product(to);
  if (!Number.isInteger(rest)) return fail(`${product(from)} values do not divide by ${product(to)}`);
  const resolved =
    missing.length === 0 ? rest : rest === 1 ? missing.join('*') : `${missing.join('*')}*${rest}`;
  return to.map((dim, i) => (i === unknown ? resolved : dim));
}

/** Axes in a new order; without `order` the last two are swapped. */
export function transpose(x: Tensor, order?: readonly number[]): Tensor {
  const axes =
    order ??
    x.shape.map((_, axis) => (axis === x.rank - 1 ? axis - 1 : axis === x.rank - 2 ? axis + 1 : axis));
  if (axes.length !== x.rank || [...axes].sort((a, b) => a - b).some((axis, i) => axis !== i)) {
    shapeError(
      'transpose',
      `order [${axes.join(', ')}] is not a permutation of the ${x.rank} axes of [${x.shape.join(', ')}].`,
    );
  }
  return axes.every((axis, i) => axis === i) ? x : applyOne(transposeOperator, [x], { order: axes });
}

/** Stretches sizes of 1 (and adds leading axes) to `shape`. */
export function broadcastTo(x: Tensor, shape: Shape): Tensor {
  return sameShape(x.shape, shape) ? x : applyOne(broadcastOperator, [x], { shape });
}

/**
 * Elements start..end-1 along one axis; negative positions count from the end. An axis whose size is only named
 * can be cut from the front: `start` of 0 or more, with an `end` of at least that or to the end.
 */
export function slice(x: Tensor, axis: number, start: number, end?: number): Tensor {
  const resolved = resolveAxis('slice', axis, x.rank);
  if (typeof x.shape[resolved] === 'string' && start >= 0 && (end === undefined || end >= start)) {
    return applyOne(sliceOperator, [x], { axis: resolved, start, end: end ?? null });
  }
  const [length] = staticShape([x.shape[resolved]!], 'slice') as [number];
  const from = start < 0 ? start + length : start;
  const to = end === undefined ? length : end < 0 ? end + length : end;
  if (!(from >= 0 && from <= to && to <= length)) {
    shapeError('slice', `${start}..${end ?? length} is outside axis ${axis} of [${x.shape.join(', ')}].`);
  }
  return from === 0 && to === length
    ? x
    : applyOne(sliceOperator, [x], { axis: resolved, start: from, end: to });
}

/** Zeros before and after along one axis. */
export function pad(x: Tensor, axis: number, before: number, after: number): Tensor {
  if (before === 0 && after === 0) return x;
  if (before < 0 || after < 0)
    shapeError('pad', `needs amounts >= 0, got ${before} and ${after}; use slice to cut.`);
  return applyOne(padOperator, [x], { axis: resolveAxis('pad', axis, x.rank), before, after });
}

/** Reverses the order along one axis. */
export function flip(x: Tensor, axis: number): Tensor {
  return applyOne(flipOperator, [x], { axis: resolveAxis('flip', axis, x.rank) });
}

/** Joins tensors along an axis. */
export function concat(tensors: readonly Tensor[], axis: number): Tensor {
  if (tensors.length === 0) shapeError('concat', 'needs at least one tensor.');
  if (tensors.length === 1) return tensors[0]!;
  return applyOne(concatOperator, tensors, { axis: resolveAxis('concat', axis, tensors[0]!.rank) });
}

/** Cuts one axis into pieces of the given sizes. */
export function split(x: Tensor, sizes: readonly number[], axis: number): Tensor[] {
  const resolved = resolveAxis('split', axis, x.rank);
  const total = sizes.reduce((sumOfSizes, size) => sumOfSizes + size, 0);
  if (total !== x.shape[resolved]) {
    shapeError(
      'split',
      `sizes [${sizes.join(', ')}] add up to ${total}, axis ${axis} of [${x.shape.join(', ')}] has ${x.shape[resolved]}.`,
    );
  }
  if (sizes.length === 1) return [x];
  return apply(splitOperator, [x], { axis: resolved, sizes });
}

/** New axis of size n from equal shapes. */
export function stack(tensors: readonly Tensor[], axis = 0): Tensor {
  return concat(
    tensors.map((x) => {
      const shape: Dim[] = [...x.shape];
      shape.splice(axis < 0 ? axis + x.rank + 1 : axis, 0, 1);
      return reshape(x, shape);
    }),
    axis,
  );
}
