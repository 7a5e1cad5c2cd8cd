/**
 * Devices of Node: the CPU (default), WebGPU through the Dawn inside onnxruntime-node, and CUDA where its
 * libraries are installed (untested).
 */
import { readFile, rm } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { pid } from 'node:process';
import type { InferenceSession } from 'onnxruntime-common';
import * as ort from 'onnxruntime-node';
import { messageOf, PlinthError } from '../core/errors.ts';
import { input, neg } from '../tensor/index.ts';
import type { Device } from './device.ts';
import { ortDevice } from './ort-device.ts';
import { operatorTimes } from './profile.ts';

ort.env.logLevel = 'error';

export interface NodeDeviceOptions {
  /** Threads of one run; all cores when left out. */
  numThreads?: number;
}

function nodeDevice(
  name: 'cpu' | 'webgpu' | 'cuda',
  provider: InferenceSession.SessionOptions,
  options: NodeDeviceOptions,
): Device {
  const numThreads = options.numThreads ?? availableParallelism();
  let numProfiles = 0;
  return ortDevice({
    name,
    target: name === 'webgpu' ? 'webgpu' : 'cpu',
    numThreads,
    keepsBuffers: name === 'webgpu',
    createSession: (model, sessionOptions) =>
      ort.InferenceSession.create(model, {
        intraOpNumThreads: numThreads,
        logSeverityLevel: 3,
        ...provider,
        ...sessionOptions,
      }),
    createTensor: (dtype, data, shape) =>
      new ort.Tensor(dtype as 'float32', data as Float32Array, shape as number[]) as unknown as ort.Tensor,
    profileOptions: () => ({
      enableProfiling: true,
      profileFilePrefix: join(tmpdir(), `plinth-profile-${pid}-${numProfiles++}`),
    }),
    readProfile: async (session) => {
      const path = await endProfile(session, join(tmpdir(), `plinth-profile-${pid}-`));
      const text = await readFile(path, 'utf8');
      await rm(path, { force: true });
      return operatorTimes(text);
    },
  });
}

/** ONNX Runtime adds a time to the prefix; the newest file with it is the one just written. */
async function endProfile(session: InferenceSession, prefix: string): Promise<string> {
  session.endProfiling();
  const { readdir } = await import('node:fs/promises');
  const folder = tmpdir();
  const names = (await readdir(folder)).filter((name) => join(folder, name).startsWith(prefix)).sort();
  const newest = names.at(-1);
  if (!newest) throw new PlinthError('runtime', `No profile was written to ${folder}; is there space left?`);
  return join(folder, newest);
}

/** The machine's CPU. */
export function cpuDevice(options: NodeDeviceOptions = {}): Device {
  return nodeDevice('cpu', { executionProviders: ['cpu'] }, options);
}

/**
 * A GPU through WebGPU. Refuses (PlinthError `device-unavailable`) when there is no adapter. `strict` fails
 * when any operator of a program would fall back to the CPU.
 */
export async function webgpuDevice(options: NodeDeviceOptions & { strict?: boolean } = {}): Promise<Device> {
  const extra = options.strict ? { extra: { session: { disable_cpu_ep_fallback: '1' } } } : {};
  const device = nodeDevice('webgpu', { executionProviders: ['webgpu'], ...extra }, options);
  await probe(device, 'WebGPU found no usable adapter');
  return device;
}

/** NVIDIA GPUs, where onnxruntime-node finds CUDA's libraries. Not covered by tests. */
export async function cudaDevice(options: NodeDeviceOptions = {}): Promise<Device> {
  const device = nodeDevice('cuda', { executionProviders: ['cuda'] }, options);
  await probe(device, 'CUDA is not available');
  return device;
}

async function probe(device: Device, complaint: string): Promise<void> {
  try {
    const executable = await device.compile({ y: neg(input('x', [1])) });
    const { y } = await executable.run({ x: Float32Array.of(1) });
    if ((await y!.read())[0] !== -1) throw new Error('a negation came out wrong');
    await executable.dispose();
  } catch (error) {
    throw new PlinthError(
      'device-unavailable',
      `${complaint} (${messageOf(error)}). Use cpuDevice(), or install a driver.`,
      {
        cause: error,
      },
    );
  }
}

/** Picks a device by name, as the CLI's --device does. */
export async function nodeDeviceByName(name: string, options: NodeDeviceOptions = {}): Promise<Device> {
  switch (name) {
    case 'cpu':
      return cpuDevice(options);
    case 'webgpu':
      return webgpuDevice(options);
    case 'cuda':
      return cudaDevice(options);
    default:
      throw new PlinthError('usage', `Unknown device "${name}". Choose cpu, webgpu or cuda.`);
  }
}
