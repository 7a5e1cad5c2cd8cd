/** The machine's speed as training can use it: a large matrix product through the same runtime. */
import { input, matmul, max } from '../tensor/index.ts';
import type { Device } from './device.ts';

/**
 * GFLOP/s of a size x size x size float32 product on the device, the median of `rounds`. The result is
 * reduced to one number so that copying it out does not count.
 */
export async function measureSgemm(
  device: Device,
  options: { size?: number; rounds?: number } = {},
): Promise<number> {
  const size = options.size ?? 1024;
  const rounds = options.rounds ?? 9;
  const a = input('a', [size, size]);
  const b = input('b', [size, size]);
  const executable = await device.compile({ top: max(matmul(a, b)) });
  const values = () => Float32Array.from({ length: size * size }, (_, i) => Math.sin(i));
  const feeds = await device.upload({
    a: { data: values(), shape: [size, size] },
    b: { data: values(), shape: [size, size] },
  });
  const seconds: number[] = [];
  for (let round = 0; round < rounds + 2; round++) {
    const start = performance.now();
    const { top } = await executable.run(feeds);
    await top!.read();
    top!.dispose();
    if (round >= 2) seconds.push((performance.now() - start) / 1000);
  }
  for (const tensor of Object.values(feeds)) tensor.dispose();
  await executable.dispose();
  seconds.sort((x, y) => x - y);
  return (2 * size ** 3) / seconds[Math.floor(seconds.length / 2)]! / 1e9;
}
