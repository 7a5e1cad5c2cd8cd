/**
 * A small training run that is the same on every device: a one-layer transformer learns to continue a
 * repeating sequence, with AdamW inside the program and the state kept where the device keeps it.
 * B batch, T time, D width, H heads, V vocabulary.
 */
import type { Device, DeviceTensor, HostArray } from '../../../src/runtime/index.ts';
import type { Tensor } from '../../../src/tensor/index.ts';
import * as t from '../../../src/tensor/index.ts';

const [B, T, D, H, V] = [4, 16, 32, 2, 11] as const;
const BETA1 = 0.9;
const BETA2 = 0.95;

const parameterShapes = {
  embedding: [V, D],
  normAttention: [D],
  wqkv: [3 * D, D],
  wo: [D, D],
  normMlp: [D],
  wUp: [2 * D, D],
  wDown: [D, 2 * D],
  normOut: [D],
} as const;
type Name = keyof typeof parameterShapes;
const names = Object.keys(parameterShapes) as Name[];

function loss(p: Record<Name, Tensor>, ids: Tensor, positions: Tensor, targets: Tensor): Tensor {
  const angles = Float32Array.from({ length: T * (D / H / 2) }, (_, i) => {
    const half = D / H / 2;
    return Math.floor(i / half) / 10_000 ** ((i % half) / half);
  });
  const table = (f: (angle: number) => number) => t.constant(angles.map(f), [T, D / H / 2], 'float32');
  const heads = (x: Tensor) => t.transpose(t.reshape(x, [B, T, H, D / H]), [0, 2, 1, 3]);
  const mask = t.constant(
    Float32Array.from({ length: T * T }, (_, i) => (i % T > Math.floor(i / T) ? -1e9 : 0)),
    [T, T],
    'float32',
  );
  const x = t.take(p.embedding, ids);
  const [q, k, v] = t.split(t.linear(t.rmsNorm(x, p.normAttention), p.wqkv), [D, D, D], -1).map(heads);
  const turn = (y: Tensor) => t.rotary(y, positions, table(Math.cos), table(Math.sin));
  const scores = t.scale(t.matmul(turn(q!), turn(k!), { transposeB: true }), (D / H) ** -0.5);
  const mixed = t.matmul(t.softmax(t.add(scores, mask)), v!);
  const attended = t.add(x, t.linear(t.reshape(t.transpose(mixed, [0, 2, 1, 3]), [B, T, D]), p.wo));
  const hidden = t.silu(t.linear(t.rmsNorm(attended, p.normMlp), p.wUp));
  const out = t.rmsNorm(t.add(attended, t.linear(hidden, p.wDown)), p.normOut);
  const logits = t.reshape(t.matmul(out, p.embedding, { transposeB: true }), [B * T, V]);
  return t.mean(t.crossEntropy(logits, targets));
}

/** One step: parameters, both moments and the batch in; the loss and the next state out. */
function trainingStep(): Record<string, Tensor> {
  const all = (prefix: string) =>
    Object.fromEntries(
      names.map((name) => [name, t.input(`${prefix}.${name}`, parameterShapes[name])]),
    ) as Record<Name, Tensor>;
  const [parameters, first, second] = [all('p'), all('m'), all('v')];
  const ids = t.input('ids', [B, T], 'int32');
  const positions = t.input('positions', [B, T], 'int64');
  const targets = t.input('targets', [B * T], 'int32');
  const [rate, correction1, correction2] = ['rate', 'correction1', 'correction2'].map((name) =>
    t.input(name, []),
  );
  const { value, gradients } = t.valueAndGrad(loss)(parameters, ids, positions, targets);
  const outputs: Record<string, Tensor> = { loss: value };
  for (const name of names) {
    const g = gradients[name];
    const m = t.add(t.scale(first[name], BETA1), t.scale(g, 1 - BETA1));
    const v = t.add(t.scale(second[name], BETA2), t.scale(t.square(g), 1 - BETA2));
    const update = t.div(t.div(m, correction1!), t.add(t.sqrt(t.div(v, correction2!)), t.scalar(1e-6)));
    const decayed = t.add(update, t.scale(parameters[name], 0.01));
    outputs[`next.p.${name}`] = t.sub(parameters[name], t.mul(decayed, rate!));
    outputs[`next.m.${name}`] = m;
    outputs[`next.v.${name}`] = v;
  }
  return outputs;
}

function initialState(): Record<string, HostArray> {
  const state: Record<string, HostArray> = {};
  names.forEach((name, n) => {
    const shape = parameterShapes[name];
    const size = t.sizeOf(shape);
    const values = Float32Array.from({ length: size }, (_, i) =>
      shape.length === 1 ? 1 : 0.2 * Math.sin(1 + n + 1.37 * i * (1 + 0.01 * i)),
    );
    state[`p.${name}`] = { data: values, shape };
    state[`m.${name}`] = { data: new Float32Array(size), shape };
    state[`v.${name}`] = { data: new Float32Array(size), shape };
  });
  return state;
}

/** Losses of `numSteps` steps on the device. */
export async function trainTiny(device: Device, numSteps: number): Promise<number[]> {
  const outputs = trainingStep();
  const kept = Object.keys(outputs).filter((name) => name !== 'loss');
  const step = await device.compile(outputs, { keepOnDevice: kept });
  let state: Record<string, DeviceTensor> = await device.upload(initialState());
  const losses: number[] = [];
  for (let n = 1; n <= numSteps; n++) {
    const stream = Array.from({ length: B * (T + 1) }, (_, i) => {
      const row = Math.floor(i / (T + 1));
      return (((i % (T + 1)) * (1 + (row % 2)) + row + n) * 3) % V;
    });
    const part = (from: number) =>
      Int32Array.from({ length: B * T }, (_, i) => stream[Math.floor(i / T) * (T + 1) + (i % T) + from]!);
    const results = await step.run({
      ...state,
      ids: part(0),
      positions: BigInt64Array.from({ length: B * T }, (_, i) => BigInt(i % T)),
      targets: part(1),
      rate: Float32Array.of(0.01),
      correction1: Float32Array.of(1 - BETA1 ** n),
      correction2: Float32Array.of(1 - BETA2 ** n),
    });
    losses.push(Number((await results.loss!.read())[0]));
    for (const tensor of Object.values(state)) tensor.dispose();
    state = Object.fromEntries(kept.map((name) => [name.slice('next.'.length), results[name]!]));
  }
  for (const tensor of Object.values(state)) tensor.dispose();
  await step.dispose();
  return losses;
}
