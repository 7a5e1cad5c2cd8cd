/** `plinth data clean`: applies rule sets to documents and says what each rule removed. */
import { Command } from 'commander';
import { ConfigError, messageOf } from '../../core/errors.ts';
import { formatBytes, formatDuration } from '../../core/units.ts';
import type { RuleSetSpec } from '../../data/clean/index.ts';
import type { CleanReport } from '../../data/pipeline/index.node.ts';
import {
  addJobOptions,
  INPUTS_HELP,
  type JobFlags,
  openJobInputs,
  textTable,
  withDataSession,
} from '../data-session.ts';
import { nameList } from '../option-values.ts';

interface CleanFlags extends JobFlags {
  rules: string[];
  out: string;
  keepDropped: boolean;
}

const HELP = `
Rule sets: RULE_SETS. A name that ends in .json is a file with a set of your own:
{"name": "mine", "extends": ["gopher"], "rules": [{"rule": "gopher-word-count", "minWords": 20}]}.
Sets are applied in the order given; a dropped document names its rule.

The folder of --out gets documents/ (what is kept), dropped/ (what is not, with its rule), report.json and report.html.
Ctrl-C stops cleanly; the same command goes on from there. "plinth data inspect" pages through the documents.

Examples:
  $ plinth data clean crawl/*.warc.wet.gz --rules fineweb --out clean
  $ plinth data clean notes/ --rules gopher,c4 --out clean --json`;

export function cleanCommand(): Command {
  const command = new Command('clean')
    .summary('drop documents and lines by named rules')
    .description('Drop documents and lines by named rule sets, with counts for every rule.')
    .argument('<inputs...>', INPUTS_HELP)
    .requiredOption('--rules <names>', 'comma-separated rule sets, or .json files', nameList)
    .requiredOption('--out <folder>', 'where documents and counts go')
    .option('--no-keep-dropped', 'keep only counts of what was dropped');
  return addJobOptions(command)
    .addHelpText('after', () => HELP.replace('RULE_SETS', ruleSetNames))
    .action(clean);
}

/** Written out, so that --help loads no rules; a test holds it to the list. */
export const ruleSetNames =
  'c4, mc4, gopher, gopher-repetition, fineweb, fineweb-quality, cc-net, nemo, massive-text';

async function clean(paths: string[], flags: CleanFlags): Promise<void> {
  const [{ cleanDocuments }, { writeCleanPage }] = await Promise.all([
    import('../../data/pipeline/index.node.ts'),
    import('../../recipe/report/data-pages.node.ts'),
  ]);
  const ruleSets = await readRuleSets(flags.rules);
  const report = await withDataSession('plinth data clean', async ({ onEvent, signal }) => {
    const { inputs, inputSettings } = await openJobInputs(paths, flags, onEvent);
    return cleanDocuments({
      inputs,
      inputSettings,
      ruleSets,
      folder: flags.out,
      keepDropped: flags.keepDropped,
      fresh: flags.fresh ?? false,
      ...(flags.workers !== undefined && { numWorkers: flags.workers }),
      onEvent,
      signal,
    });
  });
  await writeCleanPage(flags.out, report);
  process.stdout.write(
    flags.json ? `${JSON.stringify({ out: flags.out, ...report })}\n` : cleanText(report, flags.out),
  );
}

/** Names as they are; `.json` files as the sets that they hold. */
export async function readRuleSets(names: readonly string[]): Promise<(string | RuleSetSpec)[]> {
  const { readFile } = await import('node:fs/promises');
  return Promise.all(
    names.map(async (name) => {
      if (!name.endsWith('.json')) return name;
      try {
        return JSON.parse(await readFile(name, 'utf8')) as RuleSetSpec;
      } catch (error) {
        throw new ConfigError(`The rule set ${name} could not be read: ${messageOf(error)}.`, {
          cause: error,
        });
      }
    }),
  );
}

function cleanText(report: CleanReport, out: string): string {
  const { documents, bytes, lines, read } = report;
  const rows = [
    ['rule', 'documents in', 'dropped', 'lines dropped'],
    ...report.rules
      .filter((rule) => rule.documentsIn !== rule.documentsOut || rule.linesDropped > 0)
      .map((rule) => [rule.rule, rule.documentsIn, rule.documentsIn - rule.documentsOut, rule.linesDropped]),
  ];
  const skipped = read.numSkipped > 0 ? `${read.numSkipped} records could not be read.\n` : '';
  return (
    `${rows.length > 1 ? `${textTable(rows)}\n\n` : 'No rule dropped anything.\n'}` +
    `${documents.out} of ${documents.in} documents kept, ${formatBytes(bytes.out)} of ${formatBytes(bytes.in)}, ` +
    `${lines.in - lines.out} of ${lines.in} lines dropped.\n${skipped}` +
    `${formatDuration(report.seconds)}, ${formatBytes(report.bytesPerSecond)}/s. Documents and report in ${out}\n`
  );
}
