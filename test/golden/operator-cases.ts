/**
 * The operator table: for every case of operators.json (golden numbers by PyTorch, see make-operators.py)
 * the same expression in this library. A case's name begins with the operator or function that it is about.
 * Every target runs the same table.
 */
import { readFileSync } from 'node:fs';
import type { DType, Tensor, TensorData } from '../../src/tensor/index.ts';
import * as t from '../../src/tensor/index.ts';

interface GoldenArray {
  readonly dtype: 'float32' | 'int' | 'bool';
  readonly shape: readonly number[];
  readonly data: readonly number[];
}

interface Golden {
  readonly inputs: readonly GoldenArray[];
  readonly value: GoldenArray;
  readonly first?: readonly (readonly number[])[];
  readonly second?: readonly (readonly number[])[];
}

export interface Expectation {
  readonly name: string;
  readonly data: readonly number[];
}

export interface OperatorCase {
  readonly name: string;
  readonly inputs: readonly Tensor[];
  readonly feeds: Readonly<Record<string, TensorData>>;
  /** `value`, `first.i`, `second.i`: what a program for this case returns. */
  readonly outputs: Readonly<Record<string, Tensor>>;
  /** What PyTorch says the outputs are. */
  readonly expected: readonly Expectation[];
}

type Build = (...inputs: Tensor[]) => Tensor;

const half = (x: Tensor) => t.cast(t.cast(x, 'float16'), 'float32');
const row = (...values: number[]) => t.constant(Float32Array.from(values), [values.length], 'float32');
const positions = t.constant(BigInt64Array.from([0, 1, 2, 3, 2, 3, 4, 5], BigInt), [2, 4], 'int64');
const angles = Float32Array.from({ length: 12 }, (_, i) => i * 0.37);
const cosTable = t.constant(angles.map(Math.cos), [6, 2], 'float32');
const sinTable = t.constant(angles.map(Math.sin), [6, 2], 'float32');
const matmulFlags = (a: boolean, b: boolean) => ({ transposeA: a, transposeB: b });
const product =
  (a = false, b = false): Build =>
  (x, y) =>
    t.matmul(x!, y!, matmulFlags(a, b));
const squared =
  (build: Build): Build =>
  (...inputs) =>
    t.square(build(...inputs));

const builds: Record<string, Build> = {
  neg: t.neg,
  exp: t.exp,
  log: t.log,
  sqrt: t.sqrt,
  reciprocal: t.reciprocal,
  'reciprocal.negative': t.reciprocal,
  abs: t.abs,
  'abs.zero': t.abs,
  sign: t.sign,
  floor: t.floor,
  sin: t.sin,
  cos: t.cos,
  tanh: t.tanh,
  'tanh.saturated': t.tanh,
  sigmoid: t.sigmoid,
  'sigmoid.saturated': t.sigmoid,
  relu: t.relu,
  'relu.zero': t.relu,
  erf: t.erf,
  softplus: t.softplus,
  'softplus.far': t.softplus,
  silu: t.silu,
  'silu.far': t.silu,
  gelu: t.gelu,
  'cast.half': half,
  'cast.integer': (x) => t.cast(x!, 'int32'),
  'cast.fromInteger': (x) => t.cast(x!, 'float32'),
  'cast.fromBool': (x) => t.cast(x!, 'float32'),
  stopGradient: (x) => t.mul(x!, t.stopGradient(x!)),
  'input.output': (x) => x!,
  constant: (x) => t.mul(x!, row(1, 2, 3)),
  'constant.large': (x) =>
    t.add(
      x!,
      t.slice(t.slice(t.add(t.full([40, 30], 0.25), t.sum(t.mul(x!, t.scalar(0)))), 0, 0, 2), 1, 0, 3),
    ),
  add: t.add,
  'add.row': (a, b) => t.mul(t.add(a!, b!), a!),
  'add.column': (a, b) => t.mul(t.add(a!, b!), b!),
  'add.scalar': (a, b) => t.mul(t.add(a!, b!), b!),
  'add.outer': (a, b) => t.mul(t.add(a!, b!), a!),
  sub: (a, b) => t.mul(t.sub(a!, b!), b!),
  'sub.outer': (a, b) => t.mul(t.sub(a!, b!), a!),
  mul: t.mul,
  'mul.row': t.mul,
  'mul.middle': t.mul,
  'mul.self': (a) => t.mul(a!, a!),
  div: t.div,
  'div.row': t.div,
  'div.column': t.div,
  pow: t.pow,
  'pow.row': t.pow,
  'pow.constant': (a) => t.pow(a!, t.scalar(3)),
  maximum: t.maximum,
  'maximum.row': t.maximum,
  'maximum.tie': t.maximum,
  minimum: t.minimum,
  'minimum.column': t.minimum,
  'minimum.tie': t.minimum,
  where: (c, a, b) => t.where(c!, t.mul(a!, b!), b!),
  'where.broadcast': squared((c, a, b) => t.where(c!, a!, b!)),
  equal: t.equal,
  'equal.float': t.equal,
  less: t.less,
  greater: t.greater,
  lessEqual: t.lessEqual,
  greaterEqual: t.greaterEqual,
  and: t.and,
  or: t.or,
  not: t.not,
  reshape: squared((a) => t.reshape(a!, [2, 6])),
  'reshape.inferred': squared((a) => t.reshape(a!, [2, -1, 2])),
  'reshape.scalar': squared((a) => t.reshape(a!, [])),
  transpose: squared((a) => t.transpose(a!)),
  'transpose.order': squared((a) => t.transpose(a!, [2, 0, 1])),
  'transpose.four': squared((a) => t.transpose(a!, [0, 2, 1, 3])),
  broadcastTo: squared((a) => t.broadcastTo(a!, [2, 3, 4])),
  'broadcastTo.scalar': squared((a) => t.broadcastTo(a!, [2, 3])),
  slice: squared((a) => t.slice(a!, 1, 1, 3)),
  'slice.negative': squared((a) => t.slice(a!, 0, -2)),
  'slice.overlapping': (a) => t.mul(t.slice(a!, -1, 0, 3), t.slice(a!, -1, 1)),
  pad: squared((a) => t.pad(a!, 0, 2, 1)),
  'pad.last': squared((a) => t.pad(a!, -1, 1, 0)),
  flip: (a) => t.mul(t.flip(a!, 1), a!),
  'flip.first': (a) => t.mul(t.flip(a!, 0), a!),
  concat: squared((a, b) => t.concat([a!, b!], 0)),
  'concat.three': squared((a, b) => t.concat([a!, b!, t.mul(a!, b!)], -1)),
  split: (a) => {
    const [left, right] = t.split(a!, [1, 3], 1);
    return t.mul(left!, right!);
  },
  stack: squared((a, b) => t.stack([a!, b!], 1)),
  'stack.last': squared((a, b) => t.stack([a!, b!], -1)),
  sum: (a) => t.sum(t.mul(a!, a!)),
  'sum.axis': squared((a) => t.sum(a!, 1)),
  'sum.keepDims': squared((a) => t.sum(a!, -1, true)),
  'sum.axes': squared((a) => t.sum(a!, [0, 2])),
  'sum.axesKept': squared((a) => t.sum(a!, [0, -1], true)),
  'sum.none': squared((a) => t.sum(a!, [])),
  mean: squared((a) => t.mean(a!, [1, 2])),
  max: squared((a) => t.max(a!)),
  'max.axis': squared((a) => t.max(a!, 1)),
  'max.axesKept': squared((a) => t.max(a!, [0, 2], true)),
  'max.tie': (a) => t.max(a!, 1),
  min: squared((a) => t.min(a!)),
  'min.axis': squared((a) => t.min(a!, -1)),
  'min.tie': (a) => t.min(a!, 1),
  argmax: (a) => t.argmax(a!),
  'argmax.first': (a) => t.argmax(a!, 0),
  cumsum: squared((a) => t.cumsum(a!, 1)),
  'cumsum.reverse': squared((a) => t.cumsum(a!, 0, { reverse: true })),
  matmul: product(),
  'matmul.a': product(true),
  'matmul.b': product(false, true),
  'matmul.ab': product(true, true),
  'matmul.batch': product(),
  'matmul.batch.a': product(true),
  'matmul.batch.b': product(false, true),
  'matmul.batch.ab': product(true, true),
  'matmul.four': product(false, true),
  'matmul.shared': product(),
  'matmul.shared.b': product(false, true),
  'matmul.shared.a': product(true),
  'matmul.shared.ab': product(true, true),
  'matmul.left': product(),
  'matmul.left.ab': product(true, true),
  'matmul.broadcast': product(),
  'matmul.broadcast.b': product(false, true),
  'matmul.broadcast.a': product(true),
  take: squared((a, i) => t.take(a!, i!)),
  'take.vector': squared((a, i) => t.take(a!, i!)),
  'take.axis': squared((a, i) => t.take(a!, i!, 1)),
  'take.one': squared((a, i) => t.take(a!, i!)),
  takeAlong: squared((a, i) => t.takeAlong(a!, i!)),
  'takeAlong.first': squared((a, i) => t.takeAlong(a!, i!, 0)),
  scatterAdd: squared((b, i, u) => t.scatterAdd(b!, i!, u!)),
  'scatterAdd.last': squared((b, i, u) => t.scatterAdd(b!, i!, u!, -1)),
  topK: squared((a) => t.topK(a!, 2)[0]),
  'topK.indices': (a) => t.topK(a!, 3)[1],
  softmax: (a) => t.softmax(a!),
  'softmax.first': (a) => t.softmax(a!, 0),
  'softmax.middle': (a) => t.softmax(a!, 1),
  'softmax.far': (a) => t.softmax(a!),
  logSoftmax: (a) => t.logSoftmax(a!),
  'logSoftmax.first': (a) => t.logSoftmax(a!, 0),
  'logSoftmax.far': (a) => t.logSoftmax(a!),
  crossEntropy: t.crossEntropy,
  rmsNorm: (a, w) => t.rmsNorm(a!, w!),
  'rmsNorm.three': (a, w) => t.rmsNorm(a!, w!),
  'rmsNorm.epsilon': (a, w) => t.rmsNorm(a!, w!, 0.1),
  rotary: squared((a) => t.rotary(a!, positions, cosTable, sinTable)),
  rotateHalves: t.rotateHalves,
  remat: (a, w) => t.square(t.remat((x, y) => t.sin(t.matmul(x!, y!)), a!, w!)),
  'remat.captured': (a, w) => t.remat((x) => t.exp(t.remat((y) => t.mul(t.sin(t.mul(y!, w!)), w!), x!)), a!),
  square: t.square,
  rsqrt: t.rsqrt,
  logSigmoid: t.logSigmoid,
  logSumExp: (a) => t.logSumExp(a!),
  'logSumExp.first': (a) => t.logSumExp(a!, 0, true),
  layerNorm: (a, w, b) => t.layerNorm(a!, w!, b),
  weightedMean: (a, w) => t.weightedMean(t.square(a!), w!),
  oneHot: (i) => t.oneHot(i!, 4),
  tril: (a) => t.tril(t.square(a!), -1),
  triu: (a) => t.triu(t.square(a!), 1),
  linear: t.linear,
  causalConv: t.causalConv,
  einsum: (a, b) => t.einsum('bthd,bshd->bhts', a!, b!),
  'einsum.transposed': (a, b) => t.einsum('ij,kj->ki', a!, b!),
};

export const goldens = JSON.parse(
  readFileSync(new URL('./operators.json', import.meta.url), 'utf8'),
) as Record<string, Golden>;

export const caseNames: readonly string[] = Object.keys(builds);

/** cos(offset + step * i), the weights that turn a tensor into one number. */
function ramp(x: Tensor, offset: number, step: number): Tensor {
  const data = Float32Array.from({ length: t.sizeOf(x.shape) }, (_, i) => Math.cos(offset + step * i));
  return t.constant(data, x.shape as number[], 'float32');
}

const isFloat = (x: Tensor) => x.dtype === 'float32';

/**
 * A case's expression, its derivatives up to `orders` as far as the golden file has them, and the numbers
 * to meet.
 */
export function operatorCase(name: string, integers: DType = 'int64', orders = 2): OperatorCase {
  const golden = goldens[name];
  const build = builds[name];
  if (!golden || !build) throw new Error(`${name} stands on one side only: operators.json or the table.`);
  const inputs = golden.inputs.map(({ shape, dtype }, i) =>
    t.input(`x${i}`, shape, dtype === 'int' ? integers : dtype),
  );
  const feeds = Object.fromEntries(
    golden.inputs.map(({ data }, i) => [`x${i}`, t.dataOf(inputs[i]!.dtype, data)]),
  );
  const value = build(...inputs);
  const outputs: Record<string, Tensor> = { value };
  const expected: Expectation[] = [{ name: 'value', data: golden.value.data }];
  const trained = inputs.filter(isFloat);
  if (golden.first && orders >= 1) {
    const first = t.grad(t.sum(t.mul(value, ramp(value, 0.3, 0.9))), trained);
    first.forEach((g, i) => {
      outputs[`first.${i}`] = g;
      expected.push({ name: `first.${i}`, data: golden.first![i]! });
    });
    if (golden.second && orders >= 2) {
      const parts = first.map((g, i) => t.sum(t.mul(g, ramp(g, 1.1 + i, 0.4))));
      t.grad(parts.reduce(t.add), trained).forEach((h, i) => {
        outputs[`second.${i}`] = h;
        expected.push({ name: `second.${i}`, data: golden.second![i]! });
      });
    }
  }
  return { name, inputs, feeds, outputs, expected };
}

export const hasIntegers = (name: string) => goldens[name]!.inputs.some(({ dtype }) => dtype === 'int');

/** The largest |got - want| / (|want| + 1) over a case's outputs, and where it stands. */
export function worstError(
  expected: readonly Expectation[],
  got: Readonly<Record<string, ArrayLike<number | bigint>>>,
): { error: number; where: string } {
  let worst = { error: 0, where: '' };
  for (const { name, data } of expected) {
    const values = got[name]!;
    if (values.length !== data.length) return { error: Number.POSITIVE_INFINITY, where: `${name}: length` };
    data.forEach((want, i) => {
      const value = Number(values[i]);
      const error = value === want ? 0 : Math.abs(value - want) / (Math.abs(want) + 1);
      if (!(error <= worst.error)) worst = { error, where: `${name}[${i}]: ${value}, expected ${want}` };
    });
  }
  return worst;
}
