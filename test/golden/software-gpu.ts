/**
 * WebGPU in Node for tests: Chromium's software Vulkan driver where it is installed, unless a driver is
 * chosen from outside. Without an adapter the caller shows its tests as skipped, with the reason; with
 * PLINTH_REQUIRE_WEBGPU=1 that is a failure instead.
 */
import { existsSync } from 'node:fs';
import { env } from 'node:process';
import { messageOf } from '../../src/core/errors.ts';
import { type Device, webgpuDevice } from '../../src/runtime/index.node.ts';

const SWIFTSHADER = '/usr/lib/chromium/vk_swiftshader_icd.json';

export interface GpuDevices {
  /** Operators without a GPU kernel run on the CPU. */
  readonly lenient: Device;
  /** Such operators are an error. */
  readonly strict: Device;
}

export async function openGpu(): Promise<GpuDevices | { missing: string }> {
  if (!env.VK_ICD_FILENAMES && existsSync(SWIFTSHADER)) env.VK_ICD_FILENAMES = SWIFTSHADER;
  try {
    return { lenient: await webgpuDevice(), strict: await webgpuDevice({ strict: true }) };
  } catch (error) {
    if (env.PLINTH_REQUIRE_WEBGPU === '1') throw error;
    return { missing: messageOf(error) };
  }
}
