/** What exported graphs need of the compiler: several named sizes in one reshape, read from the program's inputs. */
import { describe, expect, it } from 'vitest';
import { cpuDevice } from '../../src/runtime/index.node.ts';
import {
  compile,
  constant,
  input,
  lowerProgram,
  mul,
  onnxFiles,
  reshape,
  scalar,
} from '../../src/tensor/index.ts';

const numbers = (length: number) => Float32Array.from({ length }, (_, i) => i);

describe('a reshape between several named sizes', () => {
  it('finds them in the inputs at run time, products included', async () => {
    const ids = input('ids', ['batch', 'length']);
    const rows = reshape(input('rows', ['batch*length', 6]), ['batch*length', 6]);
    const doubled = mul(rows, scalar(2));
    const heads = reshape(doubled, ['batch', 'length', 2, 3]);
    const program = await cpuDevice({ numThreads: 1 }).compile(
      { heads, grouped: reshape(heads, ['batch', '2*length', 3]), flat: reshape(heads, ['batch*length', 6]) },
      { inputs: [ids] },
    );
    for (const [batch, length] of [
      [2, 3],
      [1, 5],
    ] as const) {
      const {
        heads: got,
        grouped,
        flat,
      } = await program.run({
        ids: { data: new Float32Array(batch * length), shape: [batch, length] },
        rows: { data: numbers(batch * length * 6), shape: [batch * length, 6] },
      });
      expect(got!.shape).toEqual([batch, length, 2, 3]);
      expect(grouped!.shape).toEqual([batch, 2 * length, 3]);
      expect(flat!.shape).toEqual([batch * length, 6]);
      expect(await got!.read()).toEqual(numbers(batch * length * 6).map((value) => 2 * value));
    }
  });

  it('says so when no input has them', () => {
    const x = reshape(input('x', ['n', 6]), ['a*b', 6]);
    expect(() => compile({ y: reshape(mul(x, scalar(2)), ['a', 'b', 6]) })).toThrow(
      /moves more than one named size/,
    );
    expect(() => reshape(input('x', ['a*b', 6]), ['a', 'b', 5])).toThrow(/named sizes differ/);
  });
});

describe('weights stored in a file', () => {
  const weight = { name: 'w', dtype: 'float32', shape: [2, 2], sizeBytes: 16 } as const;
  const program = lowerProgram({ y: mul(input('x', [2, 2]), input('w', [2, 2])) }).model;

  it('must be inputs of the program, of that type and shape', () => {
    const data = () => [new Uint8Array(16)];
    expect(() => onnxFiles(program, [{ ...weight, name: 'v', data }], { name: 'm.onnx' })).toThrow(
      /no input "v" of float32 \[2, 2\]/,
    );
    expect(() => onnxFiles(program, [{ ...weight, shape: [4], data }], { name: 'm.onnx' })).toThrow(
      /no input "w" of float32 \[4\]/,
    );
  });

  it('that give too few bytes stop the writing', () => {
    const [file] = onnxFiles(program, [{ ...weight, data: () => [new Uint8Array(12)] }], { name: 'm.onnx' });
    expect(() => [...file!.chunks()]).toThrow(/"w" gave 12 bytes instead of 16/);
  });

  it('give the model that has them as constants', async () => {
    const data = Float32Array.from([1, 2, 3, 4]);
    const [file] = onnxFiles(program, [{ ...weight, data: () => [new Uint8Array(data.buffer)] }], {
      name: 'm.onnx',
    });
    const device = cpuDevice({ numThreads: 1 });
    const spec = { shape: [2, 2], dtype: 'float32' } as const;
    const stored = await device.load({
      target: 'cpu',
      inputs: { x: spec },
      outputs: { y: spec },
      onnx: Buffer.concat([...file!.chunks()]),
      numNodes: program.nodes.length,
    });
    const fixed = await device.compile({ y: mul(input('x', [2, 2]), constant(data, [2, 2], 'float32')) });
    const x = Float32Array.from([5, 6, 7, 8]);
    expect(await (await stored.run({ x })).y!.read()).toEqual(await (await fixed.run({ x })).y!.read());
  });
});
