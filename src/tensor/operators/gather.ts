/**
 * Reading and writing by index. Indices are int32 or int64 and are not checked here: on WebGPU an index
 * out of range reads zeros, on CPU it stops the program, so hosts check ids before they feed them.
 * Sums at repeated indices use ScatterElements, which adds in a fixed order; ONNX Runtime's CPU
 * ScatterND adds from several threads at once and loses updates when an index repeats.
 */
import { apply, applyOne, defineOperator, dtypeError, resolveAxis, shapeError } from '../operator.ts';
import { sizeOf, staticShape, type Tensor } from '../tensor.ts';
import { broadcastTo, reshape, transpose } from './shape.ts';
import { full } from './source.ts';

export function requireIndices(operator: string, indices: Tensor): void {
  if (indices.dtype !== 'int32' && indices.dtype !== 'int64') {
    dtypeError(
      operator,
      `indices must be int32 or int64, got ${indices.dtype}. Cast them: cast(x, 'int32').`,
    );
  }
}

const takeOperator = defineOperator({
  name: 'take',
  infer: ([x, indices]) => {
    requireIndices('take', indices!);
    if (x!.rank < 1) shapeError('take', 'needs a tensor of rank 1 or more.');
    return [{ shape: [...indices!.shape, ...x!.shape.slice(1)], dtype: x!.dtype }];
  },
  lower: (context, _node, inputs) => context.emit('Gather', inputs, { axis: 0 }),
  gradient: (node, [g]) => {
    const [x, indices] = node.inputs as [Tensor, Tensor];
    const shape = staticShape(x.shape, "take's gradient");
    const numIndices = sizeOf(indices.shape);
    const width = sizeOf(shape.slice(1));
    const rows = reshape(g!, [numIndices, width]);
    const index = broadcastTo(reshape(indices, [numIndices, 1]), [numIndices, width]);
    const base = full([shape[0]!, width], 0);
    return [reshape(scatterAdd(base, index, rows, 0), shape), undefined];
  },
});

const takeAlongOperator = defineOperator({
  name: 'takeAlong',
  infer: ([x, indices], attributes) => {
    requireIndices('takeAlong', indices!);
    const axis = attributes.axis as number;
    if (x!.rank !== indices!.rank || x!.shape.some((dim, i) => i !== axis && dim !== indices!.shape[i])) {
      shapeError(
        'takeAlong',
        `shapes [${x!.shape.join(', ')}] and [${indices!.shape.join(', ')}] must agree outside axis ${axis}.`,
      );
    }
    return [{ shape: indices!.shape, dtype: x!.dtype }];
  },
  lower: (context, node, inputs) =>
    context.emit('GatherElements', inputs, { axis: node.attributes.axis as number }),
  gradient: (node, [g]) => {
    const [x, indices] = node.inputs as [Tensor, Tensor];
    const base = full(staticShape(x.shape, "takeAlong's gradient"), 0);
    return [scatterAdd(base, indices, g!, node.attributes.axis as number), undefined];
  },
});

const scatterAddOperator = defineOperator({
  name: 'scatterAdd',
  infer: ([base, indices, updates]) => {
    requireIndices('scatterAdd', indices!);
    if (indices!.shape.join() !== updates!.shape.join() || base!.rank !== indices!.rank) {
      shapeError(
        'scatterAdd',
        `indices [${indices!.shape.join(', ')}] and updates [${updates!.shape.join(', ')}] must have one shape ` +
          `and the rank of the base [${base!.shape.join(', ')}].`,
      );
    }
    return [{ shape: base!.shape, dtype: base!.dtype }];
  },
  lower: (context, node, inputs) =>
    context.emit('ScatterElements', inputs, { axis: node.attributes.axis as number, reduction: 'add' }),
  gradient: (node, [g], needed) => {
    const [, indices] = node.inputs as [Tensor, Tensor, Tensor];
    const axis = node.attributes.axis as number;
    return [
      needed[0] ? g : undefined,
      undefined,
      needed[2] ? applyOne(takeAlongOperator, [g!, indices], { axis }) : undefined,
    ];
  },
});

const scatterRowsOperator = defineOperator({
  name: 'scatterRows',
  infer: ([base, indices, updates]) => {
    if (indices!.dtype !== 'int64')
      dtypeError('scatterRows', `indices must be int64, got ${indices!.dtype}.`);
    const depth = indices!.shape.at(-1);
    const fits =
      typeof depth === 'number' &&
      base!.rank === depth + 1 &&
      updates!.rank === indices!.rank &&
      updates!.shape.every(
        (dim, i) => dim === (i < indices!.rank - 1 ? indices!.shape[i] : base!.shape.at(-1)),
      );
    if (!fits || base!.dtype !== updates!.dtype) {
      shapeError(
        'scatterRows',
        `a base [${base!.shape.join(', ')}] takes indices [..., ${base!.rank - 1}] and updates [..., ` +
          `${base!.shape.at(-1)}] of its dtype; got [${indices!.shape.join(', ')}] and [${updates!.shape.join(', ')}].`,
      );
    }
    return [{ shape: base!.shape, dtype: base!.dtype }];
  },
  lower: (context, _node, inputs) => context.emit('ScatterND', inputs),
  gradientRefused:
    'scatterRows has no gradient: it writes into caches. Use scatterAdd where gradients are needed.',
});

const topKOperator = defineOperator({
  name: 'topK',
  infer: ([x], attributes) => {
    const k = attributes.k as number;
    const last = x!.shape.at(-1);
    if (typeof last === 'number' && k > last)
      shapeError('topK', `k ${k} is more than the ${last} values of the last axis.`);
    const shape = [...x!.shape.slice(0, -1), k];
    return [
      { shape, dtype: x!.dtype },
      { shape, dtype: 'int64' },
    ];
  },
  lower: (context, node, [x]) => {
    const k = context.constant(BigInt64Array.of(BigInt(node.attributes.k as number)), [1], 'int64');
    return context.emit('TopK', [x!, k], { axis: -1, largest: 1, sorted: 1 }, { numOutputs: 2 });
  },
  gradient: (node, [g]) => {
    if (!g) return [undefined];
    const x = node.inputs[0]!;
    const [, indices] = topK(x, node.attributes.k as number);
    return [scatterAdd(full(staticShape(x.shape, "topK's gradient"), 0), indices, g, x.rank - 1)];
  },
});

/** Rows of x (axis 0) at integer indices of any shape: [n, ...rest], [...i] -> [...i, ...rest]. */
export function take(x: Tensor, indices: Tensor, axis = 0): Tensor {
  const resolved = resolveAxis('take', axis, x.rank);
  if (resolved === 0) return applyOne(takeOperator, [x, indices]);
  const order = [resolved, ...x.shape.map((_, i) => i).filter((i) => i !== resolved)];
  const taken = applyOne(takeOperator, [transpose(x, order), indices]);
  const numIndexAxes = indices.rank;
  const back: number[] = [];
  for (let i = 0; i < resolved; i++) back.push(numIndexAxes + i);
  for (let i = 0; i < numIndexAxes; i++) back.push(i);
  for (let i = resolved; i < x.rank - 1; i++) back.push(numIndexAxes + i);
  return transpose(taken, back);
}

/** One value per index along `axis`; shapes agree elsewhere (as NumPy's take_along_axis). */
export function takeAlong(x: Tensor, indices: Tensor, axis = -1): Tensor {
  return applyOne(takeAlongOperator, [x, indices], { axis: resolveAxis('takeAlong', axis, x.rank) });
}

/** base with `updates` added at `indices` along `axis`; repeated indices add up, in a fixed order on CPU. */
export function scatterAdd(base: Tensor, indices: Tensor, updates: Tensor, axis = 0): Tensor {
  return applyOne(scatterAddOperator, [base, indices, updates], {
    axis: resolveAxis('scatterAdd', axis, base.rank),
  });
}

/**
 * base with rows of its last axis replaced: `indices` int64 [...i, r - 1] name rows of a base of rank r, `updates`
 * [...i, width] are the new ones. An index that repeats must repeat its row too.
 */
export function scatterRows(base: Tensor, indices: Tensor, updates: Tensor): Tensor {
  return applyOne(scatterRowsOperator, [base, indices, updates]);
}

/** The k largest values of the last axis, descending, and their int64 indices. */
export function topK(x: Tensor, k: number): [values: Tensor, indices: Tensor] {
  return apply(topKOperator, [x], { k }) as [Tensor, Tensor];
}
