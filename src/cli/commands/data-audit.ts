/** `plinth data audit`: what documents cover, what is double, and what is missing for a job. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { formatBytes } from '../../core/units.ts';
import type { AmountShare, AuditReport } from '../../data/pipeline/index.node.ts';
import {
  addJobOptions,
  INPUTS_HELP,
  type JobFlags,
  openJobInputs,
  textTable,
  withDataSession,
} from '../data-session.ts';
import { nameList, quantity } from '../option-values.ts';
import { readRuleSets } from './data-clean.ts';

interface AuditFlags extends JobFlags {
  for?: string[];
  rules?: string[];
  tokenizer?: string;
  domainColumn?: string;
  qualityModel?: string;
  near: string | false;
  memory: number;
  out?: string;
  html?: string;
}

const HELP = `
Language is identified for every document (176 languages, "mixed", "unknown"). The domain is the field "domain",
"category" or "topic", else the host of the field "url", else the first folder below a folder that was named, else the
file's name. Quality is graded by what "plinth data quality" trained: a classifier, or an n-gram model of good text.

Examples:
  $ plinth data audit corpus/ --json
  $ plinth data audit corpus/ --for questions.jsonl --rules fineweb --tokenizer my-tokenizer --html coverage.html`;

export function auditCommand(): Command {
  const command = new Command('audit')
    .summary('count languages, domains, quality, duplicates; warn of gaps')
    .description('Count documents by language, domain, quality and length; find duplicates; warn of gaps.')
    .argument('<inputs...>', INPUTS_HELP)
    .option('--for <files...>', 'evaluation data: warn where it has no training data behind it')
    .option('--rules <names>', 'rule sets to try: what would they drop?', nameList)
    .option('--tokenizer <folder>', 'count tokens with this tokenizer.json')
    .option('--domain-column <name>', 'field that holds the domain')
    .option('--quality-model <file>', 'grade quality with a classifier or a perplexity model')
    .option(
      '--near <preset>',
      'how near duplicates are found: datatrove, text-dedup, nemo, refinedweb',
      'datatrove',
    )
    .option('--no-near', 'leave near duplicates out')
    .option('--memory <bytes>', 'memory for finding duplicates', quantity, 256e6)
    .option('--out <folder>', 'keep the work and report.json here; a stopped audit goes on from there')
    .option('--html <file>', 'write the report as a page');
  return addJobOptions(command).addHelpText('after', HELP).action(audit);
}

async function audit(paths: string[], flags: AuditFlags): Promise<void> {
  const [{ auditDocuments, cleanReportOf, REPORT_FILE }, { writeFileAtomic }, { writeAuditPage }] =
    await Promise.all([
      import('../../data/pipeline/index.node.ts'),
      import('../../core/atomic-file.node.ts'),
      import('../../recipe/report/data-pages.node.ts'),
    ]);
  const rules = flags.rules && { ruleSets: await readRuleSets(flags.rules) };
  const folder = flags.out ?? (await mkdtemp(join(tmpdir(), 'plinth-audit-')));
  let report: AuditReport;
  try {
    report = await withDataSession('plinth data audit', async ({ onEvent, signal }) => {
      const { inputs, inputSettings } = await openJobInputs(paths, flags, onEvent);
      const evaluation = flags.for && (await openJobInputs(flags.for, flags, onEvent)).inputs;
      return auditDocuments({
        inputs,
        inputSettings,
        roots: paths,
        folder,
        nearDuplicates: flags.near === false ? null : flags.near,
        memoryBytes: flags.memory,
        ...(rules ? { rules } : { cleaned: await cleanReportOf(paths) }),
        ...(flags.qualityModel !== undefined && { quality: { path: flags.qualityModel } }),
        ...(evaluation && { evaluation }),
        ...(flags.tokenizer !== undefined && { tokenizer: flags.tokenizer }),
        ...(flags.domainColumn !== undefined && { domainColumn: flags.domainColumn }),
        ...(flags.workers !== undefined && { numWorkers: flags.workers }),
        fresh: flags.fresh ?? false,
        onEvent,
        signal,
      });
    });
    if (flags.out) await writeFileAtomic(join(folder, REPORT_FILE), `${JSON.stringify(report, null, 2)}\n`);
  } finally {
    if (!flags.out) await rm(folder, { recursive: true, force: true });
  }
  if (flags.html) await writeAuditPage(flags.html, report, paths);
  process.stdout.write(flags.json ? `${JSON.stringify(report)}\n` : auditText(report));
}

const MAX_ROWS = 20;

function auditText(report: AuditReport): string {
  const total =
    `${report.documents} documents, ${formatBytes(report.bytes)}` +
    `${report.tokens === null ? '' : `, ${report.tokens} tokens`}\n`;
  const tables = [
    facetTable('language', report.languages),
    facetTable('domain', report.domains),
    ...(Object.keys(report.qualities).length > 1 ? [facetTable('quality', report.qualities)] : []),
    facetTable('characters', report.lengths),
  ];
  const duplicates = Object.entries(report.duplicates).map(
    ([name, { documents, bytes, method }]) =>
      `${name} duplicates: ${documents} documents, ${formatBytes(bytes)} (${method})`,
  );
  const removed = report.removed;
  const rules = removed
    ? [
        `The rules would keep ${removed.documents.out} of ${removed.documents.in} documents:`,
        ...Object.entries(removed.dropped).map(([rule, count]) => `  ${rule}: ${count} dropped`),
      ]
    : [];
  const warnings = report.warnings.map((text) => `Warning: ${text}`);
  return `${[total, ...tables.map((table) => `${table}\n`), ...duplicates, ...rules, ...warnings].join('\n')}\n`;
}

function facetTable(title: string, amounts: Readonly<Record<string, AmountShare>>): string {
  const entries = Object.entries(amounts);
  const rows = entries
    .slice(0, MAX_ROWS)
    .map(([name, { documents, bytes, share }]) => [
      name,
      documents,
      formatBytes(bytes),
      `${(share * 100).toFixed(1)} %`,
    ]);
  const rest =
    entries.length > MAX_ROWS ? `\n... and ${entries.length - MAX_ROWS} more (--json has all)` : '';
  return textTable([[title, 'documents', 'text', 'share'], ...rows]) + rest;
}
