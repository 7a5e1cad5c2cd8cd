/** What the run's machine is, for the report. */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism, cpus, totalmem } from 'node:os';
import { arch, platform, version } from 'node:process';
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

function packageVersion(name: string): string {
  const path = createRequire(import.meta.url).resolve(`${name}/package.json`);
  return (JSON.parse(readFileSync(path, 'utf8')) as { version: string }).version;
}
