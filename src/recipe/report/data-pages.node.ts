/** Pages of cleaning and auditing, written beside their JSON. */
import { basename, join, resolve } from 'node:path';
import { writeFileAtomic } from '../../core/atomic-file.node.ts';
import { packageVersion } from '../../core/package-root.node.ts';
import type { AuditReport, CleanReport } from '../../data/pipeline/index.node.ts';
import { renderAuditPage } from './html-audit.ts';
import { renderCleanPage } from './html-clean.ts';

/** Writes `report.html` into the job's folder. */
export async function writeCleanPage(folder: string, report: CleanReport): Promise<void> {
  const page = renderCleanPage(report, basename(resolve(folder)), packageVersion());
  await writeFileAtomic(join(folder, 'report.html'), page);
}

export async function writeAuditPage(
  path: string,
  report: AuditReport,
  paths: readonly string[],
): Promise<void> {
  await writeFileAtomic(path, renderAuditPage({ report, paths, plinthVersion: packageVersion() }));
}
