/** Hyperparameter transfer: coordinate checks and sweeps of the learning rate over widths. Browser-safe. */
export { type BestRate, bestRate, type RatePoint } from './best-rate.ts';
export {
  type CoordinateCheck,
  type CoordinateCheckOptions,
  type CoordinateSeries,
  coordinateCheck,
} from './coordinate-check.ts';
export { renderTransferReport } from './html-transfer.ts';
export {
  type LearningRateTransfer,
  type LearningRateTransferOptions,
  learningRateTransfer,
  type RateCurve,
  type TransferVerdict,
} from './learning-rate-transfer.ts';
export { familyConfig, type TransferFamily } from './transfer-model.ts';
export type { TransferReport } from './transfer-report.ts';
