/** Writes a sweep's report as a page and as data. */
import { writeFileAtomic } from '../../core/atomic-file.node.ts';
import { renderSweepReport } from './html-sweep.ts';
import type { SweepFolder } from './sweep-folder.node.ts';
import type { SweepReport } from './sweep-report.ts';

export async function writeSweepReport(folder: SweepFolder, report: SweepReport): Promise<void> {
  await writeFileAtomic(folder.file('report.html'), renderSweepReport(report));
  // Last of all: a report.json says that the sweep is complete.
  await folder.writeJson('report.json', report);
}
