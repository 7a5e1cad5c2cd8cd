/** Hyperparameter transfer, with files. */
export * from './index.ts';
export { type RunTransferOptions, type RunTransferResult, runTransfer } from './run-transfer.node.ts';
