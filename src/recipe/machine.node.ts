/** What the run's machine is, for the report. */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism, cpus, totalmem } from 'node:os';
import process, { arch, platform, version } from 'node:process';
import type { Device } from '../runtime/device.ts';
import type { Report } from './report/report.ts';

export function describeMachine(device: Device, sgemmGflops: number): Report['machine'] {
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    numCores: availableParallelism(),
    memoryBytes: totalmem(),
    platform: `${platform} ${arch}`,
    node: version,
    runtime: `onnxruntime-node ${packageVersion('onnxruntime-node')}`,
    device: device.name,
    numThreads: device.numThreads,
    sgemmGflops,
  };
}

/** Memory that a training here may count on, in bytes: what is free, within the container's bound if there is one. */
export function availableMemoryBytes(): number {
  const bound = process.constrainedMemory();
  const total = bound > 0 ? Math.min(bound, totalmem()) : totalmem();
  return Math.min(total, process.availableMemory());
}

function packageVersion(name: string): string {
  const path = createRequire(import.meta.url).resolve(`${name}/package.json`);
  return (JSON.parse(readFileSync(path, 'utf8')) as { version: string }).version;
}
