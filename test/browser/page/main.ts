/** What the browser test calls: a training run on a device of this page. */
import { type Device, wasmDevice, webWebgpuDevice } from '../../../src/runtime/index.web.ts';
import { trainTiny } from './tiny-training.ts';

export interface BrowserRun {
  readonly losses: readonly number[];
  readonly device: string;
  readonly numThreads: number;
  readonly milliseconds: number;
}

async function open(name: 'wasm' | 'webgpu', numThreads: number): Promise<Device> {
  return name === 'wasm' ? wasmDevice({ numThreads }) : webWebgpuDevice({ strict: true });
}

async function run(name: 'wasm' | 'webgpu', numThreads: number, numSteps: number): Promise<BrowserRun> {
  const device = await open(name, numThreads);
  const start = performance.now();
  const losses = await trainTiny(device, numSteps);
  return {
    losses,
    device: device.name,
    numThreads: device.numThreads,
    milliseconds: performance.now() - start,
  };
}

declare global {
  interface Window {
    run: typeof run;
  }
}
window.run = run;
