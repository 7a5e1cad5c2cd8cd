/** Mixtures of sources, with files: reads inputs once, writes the mixture in order. */
export { DocumentSpill, type MixInput, type SpillOptions, spillDocuments } from './document-spill.node.ts';
export * from './index.ts';
export { type MixJobOptions, type MixJobResult, mixDocuments } from './mix-documents.node.ts';
export { writeMixture } from './write-mixture.node.ts';
