/** Running programs in the browser. */
export * from './index.ts';
export { type WebDeviceOptions, wasmDevice, webWebgpuDevice } from './web-device.ts';
