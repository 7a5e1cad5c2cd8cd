/** Measuring what a model can do. Browser-safe. */
export { bitsPerByte, targetBytes } from './bits-per-byte.ts';
export { wilsonInterval } from './interval.ts';
