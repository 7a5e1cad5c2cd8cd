/** The operator table as a test suite, to be run on any device. */
import { expect, it } from 'vitest';
import type { Device, ExecutableOptions } from '../../src/runtime/index.ts';
import { caseNames, hasIntegers, type OperatorCase, operatorCase, worstError } from './operator-cases.ts';

export type IntegerType = 'int64' | 'int32';

/** Every case, with integer inputs of either width. */
export const runs: readonly { label: string; name: string; integers: IntegerType }[] = caseNames.flatMap(
  (name): { label: string; name: string; integers: IntegerType }[] =>
    hasIntegers(name)
      ? [
          { label: `${name} (int64)`, name, integers: 'int64' },
          { label: `${name} (int32)`, name, integers: 'int32' },
        ]
      : [{ label: name, name, integers: 'int64' }],
);

/** What cannot stay on the GPU. Integers of 64 bits have few kernels: programs feed ids as int32. */
export const leavesGpu: ReadonlySet<string> = new Set([
  'cast.fromInteger (int64)',
  'equal (int64)',
  'take (int64)',
  'take.vector (int64)',
  'take.axis (int64)',
  'take.one (int64)',
  'crossEntropy (int64)',
  'oneHot (int64)',
]);

/** Needs a GPU feature (shader-f16) that not every adapter has; refused with a text when it is missing. */
export const NEEDS_HALF = 'cast.half';

/** Compiles one case for a device, runs it once and reads what it returns. */
export async function runCase(
  device: Device,
  { outputs, feeds, inputs }: Pick<OperatorCase, 'outputs' | 'feeds' | 'inputs'>,
  options: ExecutableOptions & { optimize?: boolean } = {},
): Promise<Record<string, ArrayLike<number | bigint>>> {
  const executable = await device.compile(outputs, { inputs, ...options });
  const results = await executable.run(feeds);
  const values: Record<string, ArrayLike<number | bigint>> = {};
  for (const [name, result] of Object.entries(results)) {
    values[name] = (await result.read()).slice();
    result.dispose();
  }
  await executable.dispose();
  return values;
}

export async function expectGolden(
  device: Device,
  name: string,
  integers: IntegerType,
  tolerance: number,
  orders = 2,
): Promise<void> {
  const { expected, ...one } = operatorCase(name, integers, orders);
  const { error, where } = worstError(expected, await runCase(device, one));
  expect(error, where).toBeLessThan(tolerance);
}

/** Values, gradients and second derivatives against the golden numbers: |got - want| / (|want| + 1). */
export function itMatchesPyTorch(device: Device, tolerance: number): void {
  for (const { label, name, integers } of runs) {
    it(label, () => expectGolden(device, name, integers, tolerance));
  }
}
