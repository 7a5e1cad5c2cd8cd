/** Sweeps, with files. */
export * from './index.ts';
export { runSweep, type SweepOptions, type SweepResult } from './run-sweep.node.ts';
