import { describe, expect, it } from 'vitest';
import { operatorCase } from './operator-cases.ts';
import { expectGolden, leavesGpu, NEEDS_HALF, runCase, runs } from './operator-suite.ts';
import { openGpu } from './software-gpu.ts';

const gpu = await openGpu();
/** Drivers compute sin and cos to about 2^-11. */
const TOLERANCE = 1e-3;

if ('missing' in gpu) {
  describe('operators on WebGPU', () => {
    it.skip(`no adapter: ${gpu.missing}`, () => {});
  });
} else {
  describe("operators on WebGPU alone: value and gradient are PyTorch's", () => {
    for (const { label, name, integers } of runs) {
      if (leavesGpu.has(label) || name === NEEDS_HALF) continue;
      it(label, () => expectGolden(gpu.strict, name, integers, TOLERANCE, 1));
    }
  });

  describe('operators that leave the GPU are right, and refused where that is forbidden', () => {
    for (const { label, name, integers } of runs) {
      if (!leavesGpu.has(label)) continue;
      it(label, async () => {
        await expectGolden(gpu.lenient, name, integers, TOLERANCE, 1);
        await expect(runCase(gpu.strict, operatorCase(name, integers, 1))).rejects.toMatchObject({
          code: 'runtime',
        });
      });
    }
  });

  it('half precision is right, or refused by name', async () => {
    try {
      await expectGolden(gpu.lenient, NEEDS_HALF, 'int64', TOLERANCE, 1);
    } catch (error) {
      expect(error).toMatchObject({ code: 'runtime', message: expect.stringContaining('f16') });
    }
  });
}
