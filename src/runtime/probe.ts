/** Finds out whether a device works by running one negation, so that callers can fall back in time. */
import { messageOf, PlinthError } from '../core/errors.ts';
import { input, neg } from '../tensor/index.ts';
import type { Device } from './device.ts';

/** Throws PlinthError `device-unavailable` with the complaint, the cause and the advice. */
export async function probe(device: Device, complaint: string, advice: string): Promise<void> {
  try {
    const executable = await device.compile({ y: neg(input('x', [1])) });
    const { y } = await executable.run({ x: Float32Array.of(1) });
    if ((await y!.read())[0] !== -1) throw new Error('a negation came out wrong');
    await executable.dispose();
  } catch (error) {
    throw new PlinthError('device-unavailable', `${complaint} (${messageOf(error)}). ${advice}`, {
      cause: error,
    });
  }
}
