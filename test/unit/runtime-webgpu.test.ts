import { describe, expect, it } from 'vitest';
import { cpuDevice } from '../../src/runtime/index.node.ts';
import * as t from '../../src/tensor/index.ts';
import { trainTiny } from '../browser/page/tiny-training.ts';
import { openGpu } from '../golden/software-gpu.ts';

const gpu = await openGpu();

if ('missing' in gpu) {
  describe('values on a GPU', () => {
    it.skip(`no adapter: ${gpu.missing}`, () => {});
  });
} else {
  const { strict: device } = gpu;

  describe('values on a GPU', () => {
    it('go there and come back, whatever their type and rank', async () => {
      const values = {
        floats: { data: Float32Array.of(1, -2, 3.5), shape: [3] },
        halves: { data: Uint16Array.of(0x3c00, 0x3800), shape: [1, 2] },
        integers: { data: Int32Array.of(7, -7), shape: [2, 1] },
        long: { data: BigInt64Array.of(1n << 40n), shape: [1] },
        flags: { data: Uint8Array.of(1, 0), shape: [2] },
        one: { data: Float32Array.of(9), shape: [] },
      };
      const uploaded = await device.upload(values);
      for (const [name, { data, shape }] of Object.entries(values)) {
        expect(uploaded[name]!.shape).toEqual(shape);
        expect(await uploaded[name]!.read()).toEqual(data);
        uploaded[name]!.dispose();
        uploaded[name]!.dispose();
      }
    });

    it('stay there from run to run, and outlive the program that made them', async () => {
      const x = t.input('x', [256]);
      const counter = await device.compile({ next: t.add(x, t.scalar(1)) }, { keepOnDevice: ['next'] });
      let { x: state } = await device.upload({ x: { data: new Float32Array(256), shape: [256] } });
      for (let i = 0; i < 50; i++) {
        const { next } = await counter.run({ x: state! });
        state!.dispose();
        state = next;
      }
      await counter.dispose();
      expect(Array.from(await state!.read(), Number)).toEqual(new Array(256).fill(50));
      state!.dispose();
    });
  });

  describe('a transformer with its optimizer', () => {
    it('trains on the GPU alone, with the losses of the CPU', async () => {
      const [onGpu, onCpu] = [await trainTiny(device, 8), await trainTiny(cpuDevice({ numThreads: 1 }), 8)];
      onGpu.forEach((loss, i) => {
        expect(Math.abs(loss - onCpu[i]!)).toBeLessThan(1e-3);
      });
      expect(onGpu.at(-1)).toBeLessThan(onGpu[0]!);
    });
  });
}
