/**
 * Devices of the browser on onnxruntime-web: the CPU through WebAssembly and the GPU through WebGPU. Each
 * build of onnxruntime-web is imported only when its device is asked for, so a page pays for what it uses.
 * The WebAssembly device also runs in Node, with one thread.
 */
import type { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-common';
import { PlinthError } from '../core/errors.ts';
import type { Device } from './device.ts';
import { ortDevice } from './ort-device.ts';
import { probe } from './probe.ts';

type OrtWeb = typeof import('onnxruntime-web/wasm');

export interface WebDeviceOptions {
  /**
   * Threads of one run; all cores (at most 8) when left out. More than one needs a cross-origin isolated
   * page (COOP and COEP headers). The first device made in a page decides for all.
   */
  numThreads?: number;
  /** Folder or URLs of the .wasm files, where the bundler does not find them by itself. */
  wasmPaths?: string | { wasm?: string; mjs?: string };
}

function configure(ort: OrtWeb, options: WebDeviceOptions): number {
  const isolated = globalThis.crossOriginIsolated === true;
  if (options.numThreads !== undefined && options.numThreads > 1 && !isolated) {
    throw new PlinthError(
      'device-unavailable',
      `numThreads ${options.numThreads} needs a cross-origin isolated page: send the headers ` +
        'Cross-Origin-Opener-Policy: same-origin and Cross-Origin-Embedder-Policy: require-corp, or use 1 thread.',
    );
  }
  const numThreads = isolated
    ? (options.numThreads ?? Math.min(8, globalThis.navigator.hardwareConcurrency))
    : 1;
  ort.env.logLevel = 'error';
  ort.env.wasm.numThreads = numThreads;
  if (options.wasmPaths !== undefined) ort.env.wasm.wasmPaths = options.wasmPaths;
  return numThreads;
}

function webDevice(
  ort: OrtWeb,
  name: 'web-wasm' | 'web-webgpu',
  provider: InferenceSession.SessionOptions,
  options: WebDeviceOptions & { strict?: boolean },
): Device {
  return ortDevice({
    name,
    target: name === 'web-webgpu' ? 'webgpu' : 'wasm',
    numThreads: configure(ort, options),
    strict: options.strict ?? false,
    keepsBuffers: name === 'web-webgpu',
    createSession: (model, sessionOptions) =>
      ort.InferenceSession.create(model, { logSeverityLevel: 3, ...provider, ...sessionOptions }),
    createTensor: (dtype, data, shape) =>
      new ort.Tensor(dtype as 'float32', data as Float32Array, shape as number[]) as OrtTensor,
  });
}

/** The CPU through WebAssembly with SIMD. Throws PlinthError `device-unavailable` when it cannot start. */
export async function wasmDevice(options: WebDeviceOptions = {}): Promise<Device> {
  const ort = await import('onnxruntime-web/wasm');
  const device = webDevice(ort, 'web-wasm', { executionProviders: ['wasm'] }, options);
  await probe(device, 'WebAssembly did not start', 'Check that the .wasm files are served (wasmPaths).');
  return device;
}

/**
 * The GPU through WebGPU. Takes the build for JavaScript promise integration where the browser has it, else
 * the larger one that needs nothing. `strict` fails when an operator would fall back to the CPU. Throws
 * PlinthError `device-unavailable` when there is no adapter.
 */
export async function webWebgpuDevice(
  options: WebDeviceOptions & { strict?: boolean } = {},
): Promise<Device> {
  const gpu = (globalThis.navigator as { gpu?: { requestAdapter(): Promise<unknown> } } | undefined)?.gpu;
  if (!(await gpu?.requestAdapter())) {
    throw new PlinthError('device-unavailable', 'WebGPU found no adapter in this browser. Use wasmDevice().');
  }
  const ort: OrtWeb =
    'Suspending' in WebAssembly
      ? await import('onnxruntime-web/jspi')
      : await import('onnxruntime-web/webgpu');
  const device = webDevice(ort, 'web-webgpu', { executionProviders: ['webgpu'] }, options);
  await probe(device, 'WebGPU did not start', 'Use wasmDevice().');
  return device;
}
