/** Deduplication and decontamination, the browser-safe part. */
export { FOLDINGS, type Folding, TextFolder } from './character-folding.ts';
export {
  type ContaminationCounts,
  ContaminationIndex,
  type ContaminationMatch,
  type ContaminationOptions,
  type EvaluationItem,
} from './contamination-index.ts';
export {
  type DecontaminationAction,
  type DecontaminationCounts,
  type DecontaminationVerdict,
  Decontaminator,
  type DecontaminatorOptions,
} from './decontaminator.ts';
export {
  type DedupMethod,
  type ExactMethod,
  MINHASH_PRESETS,
  type MinHashMethod,
  type MinHashPreset,
  type ResolvedMethod,
  resolveMethod,
} from './dedup-method.ts';
export { type DedupCounts, Deduplicator, type DedupVerdict } from './deduplicator.ts';
export { DocumentDuplicates, type DuplicateSet, UnitDuplicates } from './duplicate-set.ts';
export { findDuplicatesInMemory } from './find-in-memory.ts';
export { estimateJaccard, MinHasher } from './minhash.ts';
export { TEXT_UNITS, type TextUnit } from './text-units.ts';
export { UnionFind } from './union-find.ts';
