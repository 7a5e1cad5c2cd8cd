/** Jobs over documents that the command line and recipes run: cleaning and auditing. */
export { type AuditOptions, auditDocuments } from './audit-documents.node.ts';
export type { AmountShare, AuditReport, DuplicateCounts } from './audit-report.ts';
export { type CleanOptions, cleanDocuments, cleanReportOf, REPORT_FILE } from './clean-documents.node.ts';
export type { CleanReport } from './clean-report.ts';
export type { QualitySettings } from './quality-grader.node.ts';
export type { CleanSettings, DropExample } from './shard-cleaning.ts';
