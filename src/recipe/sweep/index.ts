/** Sweeps: a ladder of small models, the law they follow, and the loss of the next size. Browser-safe part. */
export { exactMatch, expectedMatch, independentMatch, SpanCounter } from './emergence.ts';
export type { BestSize, HeldBackPrediction, Trust } from './extrapolate.ts';
export { renderSweepReport } from './html-sweep.ts';
export {
  type BatchShape,
  SPAN_LENGTHS,
  type SpanMatch,
  type SweepPoint,
  type SweepSettings,
  type SweepShape,
  type SweepTokens,
} from './sweep.ts';
export type { EmergenceSeries, LawReport, SweepReport } from './sweep-report.ts';
export { sweepSummary } from './text-sweep.ts';
