/**
 * Rematerialisation (Chen et al. 2016, "Training deep nets with sublinear memory cost"): a segment whose
 * inner values are not kept for the backward pass but computed again there. Costs one more forward pass of
 * the segment, saves its activations.
 */
import { vjp } from './autodiff.ts';
import { apply, applyOne, defineOperator } from './operator.ts';
import { input } from './operators/source.ts';
import { Rewriter, reachableNodes } from './rewrite.ts';
import { latestNodeId, type Node, Tensor } from './tensor.ts';

interface Segment {
  readonly formals: readonly Tensor[];
  readonly results: readonly Tensor[];
  /** The first formals stand for the arguments, the rest for what the function captured. */
  readonly numArguments: number;
}

const segmentOf = (node: Node) => node.attributes.segment as Segment;

const rematOperator = defineOperator({
  name: 'remat',
  infer: (_, attributes) =>
    (attributes.segment as Segment).results.map(({ shape, dtype }) => ({ shape, dtype })),
  lower: () => {
    throw new TypeError('remat is inlined before lowering.');
  },
  gradient: (node, cotangents, needed) => {
    const { formals, results } = segmentOf(node);
    const used = results.map((_, i) => i).filter((i) => cotangents[i]);
    // The barrier ties the recomputation to the arrival of the cotangent: it can neither be merged with
    // the forward pass nor start early.
    const after = cotangents[used[0]!]!;
    const actuals = node.inputs.map((x) =>
      x.dtype === 'float32' ? applyOne(barrierOperator, [x, after]) : x,
    );
    const again = substitute(results, formals, actuals);
    const wanted = actuals.filter((_, i) => needed[i]);
    const gradients = vjp(
      used.map((i) => again[i]!),
      used.map((i) => cotangents[i]!),
      wanted,
    );
    let next = 0;
    const found = needed.map((need) => (need ? gradients[next++] : undefined));
    // The cotangents that flow on wait for all of the segment's other gradients. Without that a runtime may
    // walk down the whole chain first and keep every segment's recomputed values for its weights' gradients.
    const { numArguments } = segmentOf(node);
    return found.map((gradient, i) => {
      const others = found.filter((other, j) => other && j !== i) as Tensor[];
      const flowsOn = gradient && i < numArguments && others.length > 0;
      return flowsOn ? applyOne(barrierOperator, [gradient, ...others]) : gradient;
    });
  },
});

const barrierOperator = defineOperator({
  name: 'barrier',
  infer: ([x]) => [{ shape: x!.shape, dtype: x!.dtype }],
  // x + 0 * (one value of each other input): runtimes cannot know that it changes nothing.
  lower: (context, _node, [x, ...after]) => {
    const int64 = (value: bigint) => context.constant(BigInt64Array.of(value), [1], 'int64');
    const firsts = after.map((other) => {
      const flat = context.emit('Reshape', [other, int64(-1n)])[0]!;
      return context.emit('Slice', [flat, int64(0n), int64(1n), int64(0n)])[0]!;
    });
    const joined = firsts.length > 1 ? context.emit('Concat', firsts, { axis: 0 })[0]! : firsts[0]!;
    const zeros = context.emit('Mul', [joined, context.constant(Float32Array.of(0), [], 'float32')])[0]!;
    const zero = context.emit('ReduceSum', [zeros, int64(0n)], { keepdims: 0 })[0]!;
    return context.emit('Add', [x!, zero]);
  },
  gradient: (_node, [g]) => [g],
});

function substitute(
  results: readonly Tensor[],
  formals: readonly Tensor[],
  actuals: readonly Tensor[],
): Tensor[] {
  const rewriter = new Rewriter(() => undefined);
  formals.forEach((formal, i) => {
    rewriter.set(formal.node, [actuals[i]!]);
  });
  return rewriter.run(results);
}

/**
 * `fn(...inputs)` whose inner values are computed again in the backward pass. Tensors that `fn` captures
 * from outside (parameters) get their gradients as usual.
 */
export function remat(fn: (...inputs: Tensor[]) => Tensor, ...inputs: Tensor[]): Tensor {
  const before = latestNodeId();
  const formals = inputs.map((x, i) => input(`remat.${i}`, x.shape, x.dtype));
  const body = fn(...formals);
  const captured: Tensor[] = [];
  const seen = new Set<string>();
  const capture = (x: Tensor) => {
    const key = `${x.node.id}.${x.index}`;
    if (x.node.id > before || seen.has(key)) return;
    seen.add(key);
    captured.push(x);
  };
  // The result itself may come from outside.
  capture(body);
  for (const node of reachableNodes([body])) if (node.id > before) node.inputs.forEach(capture);
  // A captured node's outputs are all outside values; several of one node are replaced together.
  const nodes = [...new Set(captured.map((x) => x.node))];
  const extras = nodes.flatMap((node) => node.outputs.map((_, index) => new Tensor(node, index)));
  const extraFormals = extras.map((x, i) => input(`remat.captured.${i}`, x.shape, x.dtype));
  const rewriter = new Rewriter(() => undefined);
  for (const node of nodes) {
    rewriter.set(
      node,
      extraFormals.filter((_, i) => extras[i]!.node === node),
    );
  }
  for (const formal of formals) rewriter.set(formal.node, [formal]);
  const results = rewriter.run([body]);
  return apply(rematOperator, [...inputs, ...extras], {
    segment: {
      formals: [...formals, ...extraFormals],
      results,
      numArguments: formals.length,
    } satisfies Segment,
  })[0]!;
}

/** Puts every remat segment's body in its place. */
export function inlineRemat(outputs: readonly Tensor[]): Tensor[] {
  const rewriter: Rewriter = new Rewriter((node, inputs) => {
    if (node.operator !== rematOperator) return undefined;
    const { formals, results } = segmentOf(node);
    return inlineRemat(substitute(results, formals, inputs));
  });
  return rewriter.run(outputs);
}
