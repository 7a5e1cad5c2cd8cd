/**
 * Products with quantised weights beside float32 ones, on one thread: microseconds a product and GB/s of weights.
 * `npx tsx bench/quantized-products.ts`
 *
 * One JSON line. Weights are constants, blocks have 32 values; `int8` rounds the left sides to 8 bits, as decoding does.
 */
import { quantizedBytes, quantizeMatrix } from '../src/model/quantize/quantize-matrix.ts';
import { cpuDevice } from '../src/runtime/index.node.ts';
import {
  constant,
  input,
  linear,
  quantizedConstant,
  quantizedMatmul,
  type Tensor,
} from '../src/tensor/index.ts';

const SIZES = [
  [4096, 1024],
  [1024, 4096],
  [384, 128],
] as const;
const ROWS = [1, 8, 32, 128];
const device = cpuDevice({ numThreads: 1 });
const results: Record<string, unknown>[] = [];
for (const [out, width] of SIZES) {
  const data = Float32Array.from({ length: out * width }, (_, i) => Math.sin(i * 1.7));
  const weight = { shape: [out, width], data };
  const x = input('x', ['rows', width]);
  const quantized = ([8, 4] as const).map((bits) => quantizeMatrix(weight, { bits }));
  const forms: [string, Tensor, number][] = [
    ['float32', linear(x, constant(data, [out, width], 'float32')), data.byteLength],
    ...quantized.map((one): [string, Tensor, number] => [
      `${one.bits} bits`,
      quantizedMatmul(x, quantizedConstant(one)),
      quantizedBytes(one),
    ]),
  ];
  for (const [form, y, bytes] of forms) {
    const program = await device.compile({ y });
    for (const rows of ROWS) {
      const feeds = { x: { data: new Float32Array(rows * width).fill(0.3), shape: [rows, width] } };
      const times: number[] = [];
      const repeats = Math.max(15, Math.min(300, Math.ceil(4e8 / (out * width * rows))));
      for (let i = 0; i < repeats + 3; i++) {
        const start = performance.now();
        await program.run(feeds);
        if (i >= 3) times.push(performance.now() - start);
      }
      const median = times.sort((a, b) => a - b)[Math.floor(times.length / 2)]!;
      results.push({
        weights: `${out} x ${width}`,
        rows,
        form,
        microseconds: Math.round(1000 * median),
        GBps: Number((bytes / 1e6 / median).toPrecision(3)),
      });
    }
    await program.dispose();
  }
}
console.log(JSON.stringify({ bench: 'quantized-products', results }));
process.exit(0);
