/**
 * Scaling: what a model of any size needs (parameters, FLOPs, memory, money), what is worth training (laws and
 * fits), and a plan for a machine. Pure functions, browser-safe.
 */
export * from './architecture/index.ts';
export * from './cost/index.ts';
export * from './count/index.ts';
export * from './laws/index.ts';
export * from './limits/index.ts';
export * from './plan/index.ts';
