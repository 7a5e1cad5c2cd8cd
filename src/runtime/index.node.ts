/** Running programs in Node. */
export * from './index.ts';
export {
  cpuDevice,
  cudaDevice,
  type NodeDeviceOptions,
  nodeDeviceByName,
  webgpuDevice,
} from './node-device.node.ts';
