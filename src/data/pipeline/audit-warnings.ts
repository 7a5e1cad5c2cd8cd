/** What an audit warns of, in sentences that say what to do. */
import { formatBytes } from '../../core/units.ts';
import type { AuditReport } from './audit-report.ts';

const MAX_DUPLICATE_SHARE = 0.1;
const MAX_UNKNOWN_SHARE = 0.1;
const MAX_SKIPPED_SHARE = 0.01;
const SMALL_BYTES = 100_000;

export function auditWarnings(report: Omit<AuditReport, 'warnings'>): string[] {
  const warnings = report.gaps.map(({ message }) => message);
  for (const [name, { share, bytes }] of Object.entries(report.duplicates)) {
    if (share <= MAX_DUPLICATE_SHARE) continue;
    const method = name === 'exact' ? 'exact' : 'minhash';
    warnings.push(
      `${percent(share)} of the documents are ${name} duplicates of earlier ones (${formatBytes(bytes)}): ` +
        `plinth data dedup --method ${method} removes them.`,
    );
  }
  const unknown = report.languages.unknown?.share ?? 0;
  if (unknown > MAX_UNKNOWN_SHARE) {
    warnings.push(
      `The language of ${percent(unknown)} of the text is unknown: code, tables, or a language the model does not know.`,
    );
  }
  const { numRead, numSkipped, skipped } = report.read;
  if (numSkipped > MAX_SKIPPED_SHARE * (numRead + numSkipped)) {
    const first = skipped[0];
    warnings.push(
      `${numSkipped} of ${numRead + numSkipped} records could not be read; the first, ` +
        `${first?.source}, ${first?.position}: ${first?.reason}.`,
    );
  }
  if (report.bytes < SMALL_BYTES) {
    warnings.push(`There is little text here: ${formatBytes(report.bytes)}.`);
  }
  return warnings;
}

function percent(share: number): string {
  return `${(share * 100).toFixed(share < 0.1 ? 1 : 0)} %`;
}
