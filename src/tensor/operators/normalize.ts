/** Normalisations that runtimes have one kernel for: softmax, log-softmax, RMS norm; and rotary embedding. */
import {
  apply,
  applyOne,
  defineOperator,
  type Lowering,
  requireFloat,
  resolveAxis,
  shapeError,
} from '../operator.ts';
import { type Node, sizeOf, staticShape, Tensor } from '../tensor.ts';
import { add, mul, sub } from './binary.ts';
import { requireIndices, scatterAdd } from './gather.ts';
import { sum } from './reduce.ts';
import { concat, reshape, slice } from './shape.ts';
import { full, scalar } from './source.ts';
import { exp, neg } from './unary.ts';

const axisOf = (node: Node) => node.attributes.axis as number;

const softmaxOperator = defineOperator({
  name: 'softmax',
  infer: ([x]) => {
    requireFloat('softmax', x!);
    return [{ shape: x!.shape, dtype: x!.dtype }];
  },
  lower: (context, node, [x]) => context.emit('Softmax', [x!], { axis: axisOf(node) }),
  gradient: (node, [g]) => {
    const y = new Tensor(node, 0);
    const gy = mul(g!, y);
    // y (g - sum g y) = g y - y sum(g y): the product is shared.
    return [sub(gy, mul(y, sum(gy, axisOf(node), true)))];
  },
});

function lowerLogSoftmax(context: Lowering, x: string, axis: number): string {
  if (context.target !== 'webgpu') return context.emit('LogSoftmax', [x], { axis })[0]!;
  // LogSoftmax has no WebGPU kernel.
  const axes = context.constant(BigInt64Array.of(BigInt(axis)), [1], 'int64');
  const shifted = context.emit('Sub', [x, context.emit('ReduceMax', [x, axes], { keepdims: 1 })[0]!])[0]!;
  const total = context.emit('ReduceSum', [context.emit('Exp', [shifted])[0]!, axes], { keepdims: 1 })[0]!;
  return context.emit('Sub', [shifted, context.emit('Log', [total])[0]!])[0]!;
}

const logSoftmaxOperator = defineOperator({
  name: 'logSoftmax',
  infer: ([x]) => {
    requireFloat('logSoftmax', x!);
    return [{ shape: x!.shape, dtype: x!.dtype }];
  },
  lower: (context, node, [x]) => [lowerLogSoftmax(context, x!, axisOf(node))],
  gradient: (node, [g]) => {
    const probabilities = exp(new Tensor(node, 0));
    return [sub(g!, mul(probabilities, sum(g!, axisOf(node), true)))];
  },
});

const crossEntropyOperator = defineOperator({
  name: 'crossEntropy',
  infer: ([logits, targets]) => {
    requireFloat('crossEntropy', logits!);
    requireIndices('crossEntropy', targets!);
    if (logits!.rank !== 2 || targets!.rank !== 1 || targets!.shape[0] !== logits!.shape[0]) {
      shapeError(
        'crossEntropy',
        `needs logits [N, V] and targets [N], got [${logits!.shape.join(', ')}] and [${targets!.shape.join(', ')}].`,
      );
    }
    return [
      { shape: targets!.shape, dtype: logits!.dtype },
      { shape: logits!.shape, dtype: logits!.dtype },
    ];
  },
  lower: (context, _node, [logits, targets]) => {
    const logProbabilities = lowerLogSoftmax(context, logits!, 1);
    const column = context.constant(BigInt64Array.of(-1n, 1n), [2], 'int64');
    const flat = context.constant(BigInt64Array.of(-1n), [1], 'int64');
    // Reshaping integers has a WebGPU kernel for int32 only; int64 targets make this one node run on the host.
    const index = context.emit('Reshape', [targets!, column])[0]!;
    const picked = context.emit('GatherElements', [logProbabilities, index], { axis: 1 })[0]!;
    const loss = context.emit('Reshape', [context.emit('Neg', [picked])[0]!, flat])[0]!;
    return [loss, logProbabilities];
  },
  gradient: (node, [gLoss, gLog], needed) => {
    if (!needed[0]) return [undefined, undefined];
    const [logits, targets] = node.inputs as [Tensor, Tensor];
    const numRows = logits.shape[0]!;
    const probabilities = exp(new Tensor(node, 1));
    let gradient: Tensor | undefined;
    if (gLoss) {
      // d loss / d logits = softmax - one-hot.
      const column = reshape(targets, [numRows, 1]);
      const minusOne = full([...staticShape([numRows], "crossEntropy's gradient"), 1], -1);
      gradient = mul(scatterAdd(probabilities, column, minusOne, 1), reshape(gLoss, [numRows, 1]));
    }
    if (gLog) {
      const part = sub(gLog, mul(probabilities, sum(gLog, 1, true)));
      gradient = gradient ? add(gradient, part) : part;
    }
    return [gradient, undefined];
  },
});

const rmsNormOperator = defineOperator({
  name: 'rmsNorm',
  infer: ([x, weight]) => {
    requireFloat('rmsNorm', x!);
    if (weight!.rank !== 1 || weight!.shape[0] !== x!.shape.at(-1)) {
      shapeError(
        'rmsNorm',
        `weight [${weight!.shape.join(', ')}] must have the size of the last axis of [${x!.shape.join(', ')}].`,
      );
    }
    return [
      { shape: x!.shape, dtype: x!.dtype },
      { shape: [...x!.shape.slice(0, -1), 1], dtype: x!.dtype },
    ];
  },
  lower: lowerRmsNorm,
  gradient: (node, [gy, ginv], needed) => {
    const [x, weight] = node.inputs as [Tensor, Tensor];
    const width = staticShape([x.shape.at(-1)!], "rmsNorm's gradient")[0]!;
    const inverse = new Tensor(node, 1);
    const normalised = mul(x, inverse);
    let gx: Tensor | undefined;
    let gweight: Tensor | undefined;
    if (gy) {
      // y = n w with n = x r: dw = sum g n, dx = r (g w - n mean(g w n)).
      const gn = mul(gy, normalised);
      if (needed[1]) gweight = sum(reshape(gn, [-1, width]), 0);
      if (needed[0]) {
        const projection = mul(sum(mul(gn, weight), -1, true), scalar(1 / width));
        gx = mul(inverse, sub(mul(gy, weight), mul(normalised, projection)));
      }
    }
    if (ginv && needed[0]) {
      // r = (mean x^2 + eps)^(-1/2): dr/dx = -r^3 x / width.
      const cube = mul(inverse, mul(inverse, inverse));
      const part = mul(mul(neg(ginv), mul(cube, scalar(1 / width))), x);
      gx = gx ? add(gx, part) : part;
    }
    return [gx, gweight];
  },
});

function lowerRmsNorm(context: Lowering, node: Node, [x, weight]: readonly string[]): string[] {
  const epsilon = { float: node.attributes.epsilon as number };
  // The kernel's second output (1/rms) is right on CPU and wasm but silently wrong on WebGPU.
  if (context.target !== 'webgpu') {
    if (!context.isUsed(1))
      return [
        ...context.emit('SimplifiedLayerNormalization', [x!, weight!], { axis: -1, epsilon, stash_type: 1 }),
        '',
      ];
    return context.emit(
      'SimplifiedLayerNormalization',
      [x!, weight!],
      { axis: -1, epsilon, stash_type: 1 },
      { numOutputs: 2 },
    );
  }
  const y = context.isUsed(0)
    ? context.emit('SimplifiedLayerNormalization', [x!, weight!], { axis: -1, epsilon, stash_type: 1 })[0]!
    : '';
  if (!context.isUsed(1)) return [y, ''];
  const axes = context.constant(BigInt64Array.of(-1n), [1], 'int64');
  const meanSquare = context.emit('ReduceMean', [context.emit('Mul', [x!, x!])[0]!, axes], {
    keepdims: 1,
  })[0]!;
  const eps = context.constant(Float32Array.of(epsilon.float), [], 'float32');
  const root = context.emit('Sqrt', [context.emit('Add', [meanSquare, eps])[0]!])[0]!;
  return [y, context.emit('Reciprocal', [root])[0]!];
}

const rotaryOperator = defineOperator({
  name: 'rotary',
  infer: ([x, positions, cosTable, sinTable]) => {
    requireFloat('rotary', x!);
    const [batch, , length, width] = x!.shape;
    if (x!.rank !== 4)
      shapeError('rotary', `needs [batch, heads, length, head size], got [${x!.shape.join(', ')}].`);
    if (positions!.dtype !== 'int64' || positions!.shape[0] !== batch || positions!.shape[1] !== length) {
      shapeError(
        'rotary',
        `positions must be int64 [${batch}, ${length}], got ${positions!.dtype} [${positions!.shape.join(', ')}].`,
      );
    }
    if (typeof width !== 'number' || cosTable!.shape[1] !== width / 2 || sinTable!.shape[1] !== width / 2) {
      shapeError(
        'rotary',
        `tables must be [max positions, ${Number(width) / 2}], got [${cosTable!.shape.join(', ')}] and [${sinTable!.shape.join(', ')}].`,
      );
    }
    return [{ shape: x!.shape, dtype: x!.dtype }];
  },
  lower: (context, _node, inputs) =>
    context.emit('RotaryEmbedding', inputs, { interleaved: 0 }, { domain: 'com.microsoft' }),
  // A rotation's transpose is the rotation by the negative angle. Tables and positions are not trained.
  gradient: (node, [g], needed) => {
    const [, positions, cosTable, sinTable] = node.inputs as [Tensor, Tensor, Tensor, Tensor];
    return [needed[0] ? applyOne(rotaryOperator, [g!, positions, cosTable, neg(sinTable)]) : undefined];
  },
});

/** exp(x) / sum exp(x) along an axis, shifted by the maximum. */
export function softmax(x: Tensor, axis = -1): Tensor {
  return applyOne(softmaxOperator, [x], { axis: resolveAxis('softmax', axis, x.rank) });
}

/** log softmax along an axis, without underflow. */
export function logSoftmax(x: Tensor, axis = -1): Tensor {
  return applyOne(logSoftmaxOperator, [x], { axis: resolveAxis('logSoftmax', axis, x.rank) });
}

/** Negative log-likelihood in nats of each row's target: logits [N, V], integer targets [N] -> [N]. */
export function crossEntropy(logits: Tensor, targets: Tensor): Tensor {
  return apply(crossEntropyOperator, [logits, targets])[0]!;
}

/** x / sqrt(mean(x^2) + epsilon) * weight over the last axis (Zhang and Sennrich 2019). */
export function rmsNorm(x: Tensor, weight: Tensor, epsilon = 1e-6): Tensor {
  return apply(rmsNormOperator, [x, weight], { epsilon })[0]!;
}

/**
 * Rotary position embedding (Su et al. 2021) in the rotate-halves layout of Hugging Face.
 * x [batch, heads, length, size], positions int64 [batch, length] (or [batch, 1] offsets are not accepted),
 * tables of cos and sin [max positions, size / 2].
 */
export function rotary(x: Tensor, positions: Tensor, cosTable: Tensor, sinTable: Tensor): Tensor {
  return applyOne(rotaryOperator, [x, positions, cosTable, sinTable]);
}

/** The same rotation by plain operators, from angles' cos and sin broadcastable to [..., length, size / 2]. */
export function rotateHalves(x: Tensor, cosine: Tensor, sine: Tensor): Tensor {
  const half = sizeOf([x.shape.at(-1)!]) / 2;
  const first = slice(x, -1, 0, half);
  const second = slice(x, -1, half);
  return concat([sub(mul(first, cosine), mul(second, sine)), add(mul(second, cosine), mul(first, sine))], -1);
}
