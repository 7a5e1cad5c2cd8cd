/**
 * Devices of Node: the CPU (default), WebGPU through the Dawn inside onnxruntime-node, and CUDA where its
 * libraries are installed (untested).
 */
import { readdir, readFile, rm } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { env, pid } from 'node:process';
import type { InferenceSession } from 'onnxruntime-common';
import * as ort from 'onnxruntime-node';
import { PlinthError } from '../core/errors.ts';
import type { Device } from './device.ts';
import { ortDevice } from './ort-device.ts';
import { probe } from './probe.ts';
import { operatorTimes } from './profile.ts';

ort.env.logLevel = 'error';

/** Threads when nobody says: the environment's PLINTH_THREADS, else all cores. */
function defaultThreads(): number {
  const wanted = Number(env.PLINTH_THREADS);
  return Number.isInteger(wanted) && wanted > 0 ? wanted : availableParallelism();
}

export interface NodeDeviceOptions {
  /** Threads of one run; when left out PLINTH_THREADS, else all cores. */
  numThreads?: number;
}

function nodeDevice(
  name: 'cpu' | 'webgpu' | 'cuda',
  provider: InferenceSession.SessionOptions,
  options: NodeDeviceOptions & { strict?: boolean },
): Device {
  const numThreads = options.numThreads ?? defaultThreads();
  const profilePrefixes = new WeakMap<InferenceSession, string>();
  return ortDevice({
    name,
    target: name === 'webgpu' ? 'webgpu' : 'cpu',
    numThreads,
    strict: options.strict ?? false,
    keepsBuffers: name === 'webgpu',
    createSession: async (model, sessionOptions) => {
      const session = await ort.InferenceSession.create(model, {
        intraOpNumThreads: numThreads,
        logSeverityLevel: 3,
        ...provider,
        ...sessionOptions,
      });
      const prefix = sessionOptions.profileFilePrefix;
      if (prefix) profilePrefixes.set(session, prefix);
      return session;
    },
    createTensor: (dtype, data, shape) =>
      new ort.Tensor(dtype as 'float32', data as Float32Array, shape as number[]) as unknown as ort.Tensor,
    profileOptions: () => ({
      enableProfiling: true,
      profileFilePrefix: join(tmpdir(), `plinth-profile-${pid}-${numProfiles++}-`),
    }),
    readProfile: async (session) => {
      const path = await endProfile(session, profilePrefixes.get(session));
      const text = await readFile(path, 'utf8');
      await rm(path, { force: true });
      profilePrefixes.delete(session);
      return operatorTimes(text);
    },
  });
}

let numProfiles = 0;

/** Ends recording; ONNX Runtime names the file by the session's own prefix and the time. */
async function endProfile(session: InferenceSession, prefix: string | undefined): Promise<string> {
  if (!prefix) {
    throw new PlinthError(
      'runtime',
      'This program keeps no profile; compile it with { profile: true }, and read the profile once.',
    );
  }
  session.endProfiling();
  const folder = dirname(prefix);
  const name = (await readdir(folder)).find((one) => one.startsWith(basename(prefix)));
  if (!name) throw new PlinthError('runtime', `No profile was written to ${folder}; is there space left?`);
  return join(folder, name);
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
  const device = nodeDevice('webgpu', { executionProviders: ['webgpu'] }, options);
  await probe(device, 'WebGPU found no usable adapter', 'Use cpuDevice(), or install a driver.');
  return device;
}

/** NVIDIA GPUs, where onnxruntime-node finds CUDA's libraries. Not covered by tests. */
export async function cudaDevice(options: NodeDeviceOptions = {}): Promise<Device> {
  const device = nodeDevice('cuda', { executionProviders: ['cuda'] }, options);
  await probe(device, 'CUDA is not available', 'Use cpuDevice(), or install its libraries.');
  return device;
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
