/** Running programs: the device interface and the browser-safe parts. Node's devices: index.node.ts. */
export type {
  Device,
  DeviceTensor,
  Executable,
  ExecutableOptions,
  Feed,
  HostArray,
  OperatorTime,
} from './device.ts';
export { measureSgemm } from './measure.ts';
export { formatOperatorTimes } from './profile.ts';
