/**
 * Optimizers against slow references: AdamW against PyTorch (make-optimizer.py), Muon against plain float64
 * loops. The objective is sum(parameter * gradient), so that every gradient is exactly the one given.
 */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { ConfigError } from '../../src/core/errors.ts';
import { KeyedRandom } from '../../src/core/random.ts';
import { cpuDevice } from '../../src/runtime/index.node.ts';
import { add, input, mul, sum, type Tensor } from '../../src/tensor/index.ts';
import {
  DEFAULT_OPTIMIZER,
  initialState,
  type Objective,
  type OptimizerSettings,
  readState,
  TrainingStep,
} from '../../src/train/index.ts';
import { orthogonalise, ruleFor } from '../../src/train/optimizer.ts';

const device = cpuDevice({ numThreads: 1 });
type Gradients = Readonly<Record<string, readonly number[]>>;
type Shapes = Readonly<Record<string, readonly number[]>>;

function givenGradients(shapes: Shapes): Objective<Gradients> {
  const names = Object.keys(shapes);
  return {
    build: (parameters, lossScale) => {
      const gradients = names.map((name) => input(`given/${name}`, shapes[name]!));
      const terms = names.map((name, i): Tensor => sum(mul(parameters[name] as Tensor, gradients[i]!)));
      return {
        loss: mul(
          terms.reduce((a, b) => add(a, b)),
          lossScale,
        ),
        inputs: gradients,
      };
    },
    feeds: (batch) =>
      Object.fromEntries(names.map((name) => [`given/${name}`, Float32Array.from(batch[name]!)])),
    numItems: () => 1,
    numTokens: () => 1,
  };
}

function specsOf(shapes: Shapes) {
  return Object.entries(shapes).map(([name, shape]) => ({ name, shape }));
}

/** Largest difference as a share of the largest expected value. */
function relativeError(actual: ArrayLike<number>, expected: readonly number[]): number {
  expect(actual.length).toBe(expected.length);
  const scale = Math.max(...expected.map(Math.abs));
  return Math.max(...expected.map((value, i) => Math.abs(actual[i]! - value))) / scale;
}

interface Golden {
  settings: { beta1: number; beta2: number; epsilon: number; weightDecay: number; clipNorm: number };
  shapes: Shapes;
  initial: Gradients;
  steps: {
    learningRate: number;
    gradients: Gradients;
    loss: number;
    gradientNorm: number;
    parameters: Gradients;
  }[];
  first: Gradients;
  second: Gradients;
}

const golden = JSON.parse(readFileSync(new URL('optimizer.json', import.meta.url), 'utf8')) as Golden;

describe('AdamW', () => {
  test.each([1, 2])('ten clipped steps equal PyTorch, in %i batch(es) a step', async (accumulate) => {
    const { clipNorm, ...numbers } = golden.settings;
    const optimizer: OptimizerSettings = { ...DEFAULT_OPTIMIZER, ...numbers };
    const step = await TrainingStep.compile(device, givenGradients(golden.shapes), specsOf(golden.shapes), {
      optimizer,
      clipNorm,
      accumulate,
    });
    const initial = new Map(
      Object.entries(golden.shapes).map(([name, shape]) => [
        name,
        { shape, data: Float32Array.from(golden.initial[name]!) },
      ]),
    );
    const state = initialState(initial, optimizer);
    let numClipped = 0;
    for (const [i, expected] of golden.steps.entries()) {
      // Every batch has one item, so the mean over equal batches is the gradient itself.
      const batches = Array.from({ length: accumulate }, () => expected.gradients);
      const { loss, gradientNorm } = await step.run(state, batches, i + 1, expected.learningRate);
      expect(loss).toBeCloseTo(expected.loss, 5);
      expect(gradientNorm).toBeCloseTo(expected.gradientNorm, 5);
      if (gradientNorm > clipNorm) numClipped++;
      for (const [name, { data }] of await readState(state, 'parameter/')) {
        expect(relativeError(data, expected.parameters[name]!), `${name}, step ${i + 1}`).toBeLessThan(2e-6);
      }
    }
    expect(numClipped).toBe(7);
    for (const kind of ['first', 'second'] as const) {
      for (const [name, { data }] of await readState(state, `${kind}/`)) {
        expect(relativeError(data, golden[kind][name]!), `${kind} of ${name}`).toBeLessThan(2e-6);
      }
    }
    await step.dispose();
  });

  test('decays matrices and embeddings, not norms and biases', () => {
    const decays = (name: string, shape: number[]) => ruleFor(name, shape, DEFAULT_OPTIMIZER).decay;
    expect(decays('model.layers.0.mlp.up_proj.weight', [4, 3])).toBe(DEFAULT_OPTIMIZER.weightDecay);
    expect(decays('model.embed_tokens.weight', [4, 3])).toBe(DEFAULT_OPTIMIZER.weightDecay);
    expect(decays('model.norm.weight', [3])).toBe(0);
    expect(decays('model.layers.0.self_attn.q_proj.bias', [4])).toBe(0);
  });

  test.each([
    [{ name: 'adam' as 'adamw' }, /optimizer\.name must be adamw or muon, got "adam"/],
    [{ learningRate: 0 }, /optimizer\.learningRate must be .*, got 0/],
    [{ learningRate: Number.NaN }, /optimizer\.learningRate/],
    [{ beta2: 1 }, /optimizer\.beta2 must be at least 0 and below 1, got 1/],
    [{ weightDecay: -0.1 }, /optimizer\.weightDecay/],
    [{ epsilon: undefined as unknown as number }, /optimizer\.epsilon/],
  ])('impossible settings are refused by name: %o', async (changes, message) => {
    const settings = { optimizer: { ...DEFAULT_OPTIMIZER, ...changes }, clipNorm: 1, accumulate: 1 };
    const shapes = { w: [2, 2] };
    const compiling = TrainingStep.compile(device, givenGradients(shapes), specsOf(shapes), settings);
    await expect(compiling).rejects.toThrow(ConfigError);
    await expect(compiling).rejects.toThrow(message);
  });
});

type Matrix = number[][];
const product = (a: Matrix, b: Matrix): Matrix =>
  a.map((row) => b[0]!.map((_, j) => row.reduce((total, value, k) => total + value * b[k]![j]!, 0)));
const transposed = (a: Matrix): Matrix => a[0]!.map((_, j) => a.map((row) => row[j]!));
const combined = (p: number, a: Matrix, q: number, b: Matrix): Matrix =>
  a.map((row, i) => row.map((value, j) => p * value + q * b[i]![j]!));
const matrixOf = (data: ArrayLike<number>, rows: number, columns: number): Matrix =>
  Array.from({ length: rows }, (_, i) => Array.from({ length: columns }, (_, j) => data[i * columns + j]!));

/** Newton-Schulz as printed in Jordan et al. (2024), written without looking for speed. */
function referenceOrthogonal(matrix: Matrix): Matrix {
  const isTall = matrix.length > matrix[0]!.length;
  let x = isTall ? transposed(matrix) : matrix;
  const norm = Math.sqrt(x.flat().reduce((total, value) => total + value * value, 0)) + 1e-7;
  x = x.map((row) => row.map((value) => value / norm));
  for (let i = 0; i < 5; i++) {
    const gram = product(x, transposed(x));
    const polynomial = combined(-4.775, gram, 2.0315, product(gram, gram));
    x = combined(3.4445, x, 1, product(polynomial, x));
  }
  return isTall ? transposed(x) : x;
}

/** Singular values by Jacobi rotations of the smaller Gram matrix. */
function singularValues(matrix: Matrix): number[] {
  const wide = matrix.length > matrix[0]!.length ? transposed(matrix) : matrix;
  const gram = product(wide, transposed(wide));
  const size = gram.length;
  for (let sweep = 0; sweep < 30; sweep++) {
    for (let p = 0; p < size; p++) {
      for (let q = p + 1; q < size; q++) {
        if (Math.abs(gram[p]![q]!) < 1e-15) continue;
        const angle = 0.5 * Math.atan2(2 * gram[p]![q]!, gram[p]![p]! - gram[q]![q]!);
        const [c, s] = [Math.cos(angle), Math.sin(angle)];
        for (let k = 0; k < size; k++) {
          const [a, b] = [gram[k]![p]!, gram[k]![q]!];
          gram[k]![p] = c * a + s * b;
          gram[k]![q] = c * b - s * a;
        }
        for (let k = 0; k < size; k++) {
          const [a, b] = [gram[p]![k]!, gram[q]![k]!];
          gram[p]![k] = c * a + s * b;
          gram[q]![k] = c * b - s * a;
        }
      }
    }
  }
  return gram.map((row, i) => Math.sqrt(row[i]!));
}

describe('Muon', () => {
  const shapes: Shapes = {
    'model.embed_tokens.weight': [6, 4],
    'model.layers.0.mlp.up_proj.weight': [9, 4],
    'model.layers.0.mlp.down_proj.weight': [4, 9],
    'model.norm.weight': [4],
  };
  const optimizer: OptimizerSettings = { ...DEFAULT_OPTIMIZER, name: 'muon', learningRate: 0.01 };

  test('matrices of layers use Muon; embeddings, norms and the output use AdamW', () => {
    const rules = specsOf(shapes).map(({ name, shape }) => ruleFor(name, shape, optimizer));
    expect(rules.map(({ rule }) => rule)).toEqual(['adamw', 'muon', 'muon', 'adamw']);
    expect(rules.map(({ state }) => state.length)).toEqual([2, 1, 1, 2]);
    expect(ruleFor('lm_head.weight', [6, 4], optimizer).rule).toBe('adamw');
  });

  test('ten steps equal a float64 reference: momentum, Nesterov, Newton-Schulz, scale, decay, clipping', async () => {
    const random = new KeyedRandom(3);
    const draw = (name: string, label: string, scale: number) =>
      random.fork(`${name} ${label}`).normals(
        shapes[name]!.reduce((a, b) => a * b, 1),
        scale,
      );
    const names = Object.keys(shapes);
    const initial = new Map(
      names.map((name) => [name, { shape: shapes[name]!, data: draw(name, 'start', 0.3) }]),
    );
    const state = initialState(initial, optimizer);
    const settings = { optimizer, clipNorm: 2, accumulate: 1 };
    const step = await TrainingStep.compile(device, givenGradients(shapes), specsOf(shapes), settings);
    const muonNames = names.filter((name) => name.includes('mlp'));
    const reference = new Map(
      muonNames.map((name) => {
        const [rows, columns] = shapes[name] as [number, number];
        const zeros = Array.from({ length: rows }, () => new Array<number>(columns).fill(0));
        return [name, { parameter: matrixOf(initial.get(name)!.data, rows, columns), momentum: zeros }];
      }),
    );
    for (let number = 1; number <= 10; number++) {
      const learningRate = 0.01 / number;
      const gradients = Object.fromEntries(
        names.map((name) => [name, [...draw(name, `gradient ${number}`, number % 2 ? 1 : 0.05)]]),
      );
      const { gradientNorm } = await step.run(state, [gradients], number, learningRate);
      const norm = Math.sqrt(
        Object.values(gradients)
          .flat()
          .reduce((total, value) => total + value * value, 0),
      );
      expect(gradientNorm).toBeCloseTo(norm, 4);
      const clip = Math.min(1, 2 / (norm + 1e-6));
      for (const [name, own] of reference) {
        const [rows, columns] = shapes[name] as [number, number];
        const gradient = matrixOf(
          gradients[name]!.map((value) => value * clip),
          rows,
          columns,
        );
        own.momentum = combined(0.95, own.momentum, 1, gradient);
        const direction = referenceOrthogonal(combined(1, gradient, 0.95, own.momentum));
        const rate = learningRate * optimizer.muonFactor * Math.sqrt(Math.max(1, rows / columns));
        own.parameter = combined(1 - learningRate * optimizer.weightDecay, own.parameter, -rate, direction);
        const actual = (await readState(state, 'parameter/')).get(name)!.data;
        expect(relativeError(actual, own.parameter.flat()), `${name}, step ${number}`).toBeLessThan(1e-5);
      }
    }
    for (const [name, { momentum }] of reference) {
      const actual = (await readState(state, 'momentum/')).get(name)!.data;
      expect(relativeError(actual, momentum.flat()), name).toBeLessThan(1e-5);
    }
    await step.dispose();
  });

  test.each([
    [8, 8],
    [6, 20],
    [20, 6],
  ])(
    'orthogonalising a %i x %i matrix brings its singular values near 1 and keeps its directions',
    async (rows, columns) => {
      const x = input('x', [rows, columns]);
      const executable = await device.compile({ y: orthogonalise(x) });
      const data = new KeyedRandom(rows).fork('matrix').normals(rows * columns, 3);
      const { y } = await executable.run({ x: data });
      const out = matrixOf((await y!.read()) as Float32Array, rows, columns);
      const before = singularValues(matrixOf(data, rows, columns));
      const after = singularValues(out);
      // A random square matrix has singular values near 0, which five iterations bring up only part of the way.
      const [low, high] = [Math.min(...after), Math.max(...after)];
      expect(Math.max(...before) / Math.min(...before)).toBeGreaterThan(2);
      expect(high).toBeLessThan(1.3);
      expect(low).toBeGreaterThan(0.5);
      // Same singular vectors: the input's Gram matrix and the output's commute.
      const gram = (a: Matrix) => (rows <= columns ? product(a, transposed(a)) : product(transposed(a), a));
      const [a, b] = [gram(matrixOf(data, rows, columns)), gram(out)];
      const commutator = combined(1, product(a, b), -1, product(b, a)).flat();
      const scale = Math.max(...product(a, b).flat().map(Math.abs));
      expect(Math.max(...commutator.map(Math.abs)) / scale).toBeLessThan(1e-5);
      await executable.dispose();
    },
  );
});
