/**
 * A slow second opinion: computes expressions in float64 by the definition of each operator, with plain
 * loops and without ONNX. Central differences of what it computes are good to about nine digits, so a
 * gradient rule that is a little wrong shows. Booleans are 0 and 1; integers are exact up to 2^53.
 */
import { inlineRemat } from '../../src/tensor/remat.ts';
import { reachableNodes } from '../../src/tensor/rewrite.ts';
import type { Node, Tensor } from '../../src/tensor/tensor.ts';

export interface Array64 {
  readonly shape: readonly number[];
  readonly data: Float64Array;
}

type Rule = (inputs: Array64[], node: Node) => Array64 | Array64[];

const sizeOf = (shape: readonly number[]) => shape.reduce((product, dim) => product * dim, 1);

/** The array of this shape whose element at `place` is `value(place)`. */
function build(shape: readonly number[], value: (place: readonly number[]) => number): Array64 {
  const data = new Float64Array(sizeOf(shape));
  const place = shape.map(() => 0);
  for (let i = 0; i < data.length; i++) {
    data[i] = value(place);
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      place[axis]! += 1;
      if (place[axis]! < shape[axis]!) break;
      place[axis] = 0;
    }
  }
  return { shape, data };
}

/** Element at a place counted from the last axis; axes of size 1 and missing ones repeat. */
function at(x: Array64, place: readonly number[]): number {
  const extra = place.length - x.shape.length;
  let index = 0;
  x.shape.forEach((dim, axis) => {
    index = index * dim + (dim === 1 ? 0 : place[axis + extra]!);
  });
  return x.data[index]!;
}

const outShape = (node: Node) => node.outputs[0]!.shape as readonly number[];
const attribute = <T>(node: Node, name: string) => node.attributes[name] as T;
const replaced = (place: readonly number[], axis: number, by: number) =>
  place.map((coordinate, i) => (i === axis ? by : coordinate));

const elementwise =
  (f: (...values: number[]) => number): Rule =>
  (inputs, node) =>
    build(outShape(node), (place) => f(...inputs.map((x) => at(x, place))));

function reduction(start: number, f: (total: number, value: number) => number): Rule {
  return ([x], node) => {
    const axes = attribute<number[]>(node, 'axes');
    const kept = x!.shape.map((dim, axis) => (axes.includes(axis) ? 1 : dim));
    const result = { shape: kept, data: new Float64Array(sizeOf(kept)).fill(start) };
    build(x!.shape, (place) => {
      let index = 0;
      kept.forEach((dim, axis) => {
        index = index * dim + (dim === 1 ? 0 : place[axis]!);
      });
      result.data[index] = f(result.data[index]!, at(x!, place));
      return 0;
    });
    return { shape: outShape(node), data: result.data };
  };
}

/** For every line along `axis`: the values to f, its results in their place. */
function alongAxis(x: Array64, axis: number, f: (line: number[]) => number[]): Array64 {
  return build(x.shape, (place) => {
    const line = Array.from({ length: x.shape[axis]! }, (_, i) => at(x, replaced(place, axis, i)));
    return f(line)[place[axis]!]!;
  });
}

function softmaxOf(line: number[]): number[] {
  const top = Math.max(...line);
  const total = line.reduce((sum, value) => sum + Math.exp(value - top), 0);
  return line.map((value) => Math.exp(value - top) / total);
}

function logSoftmaxOf(line: number[]): number[] {
  const top = Math.max(...line);
  const total = line.reduce((sum, value) => sum + Math.exp(value - top), 0);
  return line.map((value) => value - top - Math.log(total));
}

/** The integral of the Gaussian by Simpson's rule. */
function erf(x: number): number {
  const steps = 400;
  const h = x / steps;
  let total = 0;
  for (let i = 0; i <= steps; i++) {
    const weight = i === 0 || i === steps ? 1 : i % 2 === 1 ? 4 : 2;
    total += weight * Math.exp(-((i * h) ** 2));
  }
  return (2 / Math.sqrt(Math.PI)) * (h / 3) * total;
}

const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));

const matmul: Rule = ([a, b], node) => {
  const transposeA = attribute<boolean>(node, 'transposeA');
  const transposeB = attribute<boolean>(node, 'transposeB');
  const inner = a!.shape.at(transposeA ? -2 : -1)!;
  return build(outShape(node), (place) => {
    const batch = place.slice(0, -2);
    const [row, column] = place.slice(-2) as [number, number];
    let total = 0;
    for (let k = 0; k < inner; k++) {
      const left = at(a!, [...batch, ...(transposeA ? [k, row] : [row, k])]);
      total += left * at(b!, [...batch, ...(transposeB ? [column, k] : [k, column])]);
    }
    return attribute<number>(node, 'factor') * total;
  });
};

const rmsNorm: Rule = ([x, weight], node) => {
  const width = x!.shape.at(-1)!;
  const inverse = build(outShape({ ...node, outputs: [node.outputs[1]!] }), (place) => {
    let total = 0;
    for (let i = 0; i < width; i++) total += at(x!, replaced(place, place.length - 1, i)) ** 2;
    return 1 / Math.sqrt(total / width + attribute<number>(node, 'epsilon'));
  });
  return [build(outShape(node), (place) => at(x!, place) * at(inverse, place) * at(weight!, place)), inverse];
};

const rotary: Rule = ([x, positions, cosTable, sinTable], node) =>
  build(outShape(node), (place) => {
    const [batch, , time, i] = place as [number, number, number, number];
    const half = x!.shape[3]! / 2;
    const position = at(positions!, [batch, time]);
    const c = at(cosTable!, [position, i % half]);
    const s = at(sinTable!, [position, i % half]);
    const other = at(x!, replaced(place, 3, i < half ? i + half : i - half));
    return at(x!, place) * c + (i < half ? -other : other) * s;
  });

const scatterAdd: Rule = ([base, indices, updates], node) => {
  const axis = attribute<number>(node, 'axis');
  const data = base!.data.slice();
  build(indices!.shape, (place) => {
    const target = replaced(place, axis, at(indices!, place));
    let index = 0;
    base!.shape.forEach((dim, i) => {
      index = index * dim + target[i]!;
    });
    data[index]! += at(updates!, place);
    return 0;
  });
  return { shape: base!.shape, data };
};

const topK: Rule = ([x], node) => {
  const axis = x!.shape.length - 1;
  const order = alongAxis(x!, axis, (line) =>
    line.map((_, i) => i).sort((i, j) => line[j]! - line[i]! || i - j),
  );
  const indices = build(outShape(node), (place) => at(order, place));
  return [build(outShape(node), (place) => at(x!, replaced(place, axis, at(indices, place)))), indices];
};

const crossEntropy: Rule = ([logits, targets]) => {
  const logs = alongAxis(logits!, 1, logSoftmaxOf);
  return [build(targets!.shape, ([row]) => -at(logs, [row!, at(targets!, [row!])])), logs];
};

export const referenceRules: Readonly<Record<string, Rule>> = {
  neg: elementwise((x) => -x),
  exp: elementwise(Math.exp),
  log: elementwise(Math.log),
  sqrt: elementwise(Math.sqrt),
  reciprocal: elementwise((x) => 1 / x),
  abs: elementwise(Math.abs),
  sign: elementwise(Math.sign),
  floor: elementwise(Math.floor),
  sin: elementwise(Math.sin),
  cos: elementwise(Math.cos),
  tanh: elementwise(Math.tanh),
  sigmoid: elementwise(sigmoid),
  relu: elementwise((x) => Math.max(x, 0)),
  erf: elementwise(erf),
  softplus: elementwise((x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)))),
  silu: (inputs, node) => [
    elementwise((x) => x * sigmoid(x))(inputs, node) as Array64,
    elementwise(sigmoid)(inputs, node) as Array64,
  ],
  gelu: elementwise((x) => 0.5 * x * (1 + erf(x / Math.SQRT2))),
  cast: ([x], node) => {
    const to = attribute<string>(node, 'to');
    if (to === 'float32') return x!;
    if (to === 'bool') return { shape: x!.shape, data: x!.data.map((value) => (value === 0 ? 0 : 1)) };
    if (to === 'float16') return { shape: x!.shape, data: x!.data.map(nearestHalf) };
    return { shape: x!.shape, data: x!.data.map(Math.trunc) };
  },
  stopGradient: ([x]) => x!,
  barrier: ([x]) => x!,
  add: elementwise((a, b) => a! + b!),
  sub: elementwise((a, b) => a! - b!),
  mul: elementwise((a, b) => a! * b!),
  div: elementwise((a, b) => a! / b!),
  pow: elementwise((a, b) => a! ** b!),
  maximum: elementwise(Math.max),
  minimum: elementwise(Math.min),
  where: elementwise((condition, a, b) => (condition ? a! : b!)),
  equal: elementwise((a, b) => Number(a! === b!)),
  less: elementwise((a, b) => Number(a! < b!)),
  greater: elementwise((a, b) => Number(a! > b!)),
  lessEqual: elementwise((a, b) => Number(a! <= b!)),
  greaterEqual: elementwise((a, b) => Number(a! >= b!)),
  and: elementwise((a, b) => Number(a && b)),
  or: elementwise((a, b) => Number(a || b)),
  not: elementwise((a) => Number(!a)),
  reshape: ([x], node) => ({ shape: outShape(node), data: x!.data }),
  transpose: ([x], node) => {
    const order = attribute<number[]>(node, 'order');
    return build(outShape(node), (place) =>
      at(
        x!,
        order.map((_, axis) => place[order.indexOf(axis)]!),
      ),
    );
  },
  broadcastTo: elementwise((x) => x!),
  slice: ([x], node) => {
    const axis = attribute<number>(node, 'axis');
    const start = attribute<number>(node, 'start');
    return build(outShape(node), (place) => at(x!, replaced(place, axis, place[axis]! + start)));
  },
  pad: ([x], node) => {
    const axis = attribute<number>(node, 'axis');
    const before = attribute<number>(node, 'before');
    return build(outShape(node), (place) => {
      const from = place[axis]! - before;
      return from >= 0 && from < x!.shape[axis]! ? at(x!, replaced(place, axis, from)) : 0;
    });
  },
  flip: ([x], node) => {
    const axis = attribute<number>(node, 'axis');
    return build(outShape(node), (place) =>
      at(x!, replaced(place, axis, x!.shape[axis]! - 1 - place[axis]!)),
    );
  },
  concat: (inputs, node) => {
    const axis = attribute<number>(node, 'axis');
    return build(outShape(node), (place) => {
      let position = place[axis]!;
      let i = 0;
      while (position >= inputs[i]!.shape[axis]!) position -= inputs[i++]!.shape[axis]!;
      return at(inputs[i]!, replaced(place, axis, position));
    });
  },
  split: ([x], node) => {
    const axis = attribute<number>(node, 'axis');
    let start = 0;
    return node.outputs.map((output) => {
      const from = start;
      start += output.shape[axis] as number;
      return build(outShape({ ...node, outputs: [output] }), (place) =>
        at(x!, replaced(place, axis, place[axis]! + from)),
      );
    });
  },
  sum: reduction(0, (total, value) => total + value),
  max: reduction(Number.NEGATIVE_INFINITY, Math.max),
  min: reduction(Number.POSITIVE_INFINITY, Math.min),
  argmax: ([x], node) => {
    const axis = attribute<number>(node, 'axis');
    const best = alongAxis(x!, axis, (line) => line.map(() => line.indexOf(Math.max(...line))));
    return build(outShape(node), (place) => at(best, [...place.slice(0, axis), 0, ...place.slice(axis)]));
  },
  cumsum: ([x], node) => {
    const reverse = attribute<boolean>(node, 'reverse');
    return alongAxis(x!, attribute<number>(node, 'axis'), (line) =>
      line.map((_, i) => (reverse ? line.slice(i) : line.slice(0, i + 1)).reduce((a, b) => a + b, 0)),
    );
  },
  matmul,
  take: ([x, indices], node) =>
    build(outShape(node), (place) => {
      const depth = indices!.shape.length;
      return at(x!, [at(indices!, place.slice(0, depth)), ...place.slice(depth)]);
    }),
  takeAlong: ([x, indices], node) =>
    build(outShape(node), (place) =>
      at(x!, replaced(place, attribute<number>(node, 'axis'), at(indices!, place))),
    ),
  scatterAdd,
  topK,
  softmax: ([x], node) => alongAxis(x!, attribute<number>(node, 'axis'), softmaxOf),
  logSoftmax: ([x], node) => alongAxis(x!, attribute<number>(node, 'axis'), logSoftmaxOf),
  crossEntropy,
  rmsNorm,
  rotary,
};

function nearestHalf(value: number): number {
  if (value === 0) return 0;
  const step = 2 ** (Math.max(Math.floor(Math.log2(Math.abs(value))), -14) - 10);
  const rest = value / step - Math.floor(value / step);
  const rounded =
    rest === 0.5 ? 2 * Math.round(Math.floor(value / step) / 2 + 0.25) : Math.round(value / step);
  return rounded * step;
}

/** Values of expressions for values of their inputs (by name). */
export function evaluate(
  outputs: readonly Tensor[],
  feeds: Readonly<Record<string, ArrayLike<number | bigint>>>,
): Array64[] {
  const roots = inlineRemat(outputs);
  const values = new Map<Node, readonly Array64[]>();
  for (const node of reachableNodes(roots)) {
    const spec = node.outputs[0]!;
    const name = node.operator.name;
    if (name === 'input' || name === 'constant') {
      const data =
        name === 'input' ? feeds[attribute<string>(node, 'name')]! : attribute<never>(node, 'data');
      const numbers = Float64Array.from(data as ArrayLike<number | bigint>, Number);
      values.set(node, [{ shape: spec.shape as number[], data: numbers }]);
      continue;
    }
    const rule = referenceRules[name];
    if (!rule) throw new Error(`The reference has no rule for operator "${name}"; add one.`);
    const result = rule(
      node.inputs.map((x) => values.get(x.node)![x.index]!),
      node,
    );
    values.set(node, Array.isArray(result) ? result : [result]);
  }
  return roots.map((root) => values.get(root.node)![root.index]!);
}
