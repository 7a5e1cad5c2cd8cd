/** Deduplication and decontamination with files: signatures, duplicates of inputs of any size. */

export { openContaminationIndex, saveContaminationIndex } from './contamination-index-file.node.ts';
export {
  type DecontaminateOptions,
  type DecontaminationReport,
  decontaminateDocuments,
} from './decontaminate-documents.node.ts';
export {
  type DeduplicateOptions,
  type DedupReport,
  deduplicateDocuments,
} from './deduplicate-documents.node.ts';
export { openDuplicateSet, saveDuplicateSet } from './duplicate-set-file.node.ts';
export { type FindDuplicatesOptions, findDuplicates } from './find-duplicates.node.ts';
export * from './index.ts';
export { removeSignatures, SignatureShardWriter } from './signature-shards.node.ts';
