/** `plinth data dedup`: drops duplicate documents, or paragraphs and lines that occur earlier. */
import { Command, Option } from 'commander';
import { PlinthError } from '../../core/errors.ts';
import { formatBytes, formatDuration } from '../../core/units.ts';
import type { DedupMethod, DedupReport, MinHashPreset, TextUnit } from '../../data/dedup/index.node.ts';
import {
  addJobOptions,
  INPUTS_HELP,
  type JobFlags,
  openJobInputs,
  withDataSession,
} from '../data-session.ts';
import { quantity, share } from '../option-values.ts';

interface DedupFlags extends JobFlags {
  out: string;
  method?: 'exact' | 'minhash';
  unit?: TextUnit;
  preset?: MinHashPreset;
  minSimilarity?: number;
  keep?: 'first' | 'longest';
  memory: number;
  keepDropped: boolean;
}

const HELP = `
minhash finds near duplicates among whole documents. Presets: datatrove (default; 5-word shingles, 14 bands of 8 rows:
finds .92 of the pairs of similarity .8), text-dedup (2 words, 50 x 4; give --min-similarity), nemo (24 characters,
20 x 13), refinedweb (5 words, 20 x 450; slow). exact compares documents as they are, paragraphs without case, digits
and cc_net's punctuation, and lines without case. The first in input order stays.

The folder of --out gets documents/, dropped/ (what is not kept, with the document that is) and report.json. Ctrl-C
stops cleanly; the same command goes on from there.

Examples:
  $ plinth data dedup clean --out unique
  $ plinth data dedup clean --unit line --out unique --json`;

export function dedupCommand(): Command {
  const command = new Command('dedup')
    .summary('drop duplicate and near-duplicate documents')
    .description('Drop duplicate and near-duplicate documents, or paragraphs and lines that occur earlier.')
    .argument('<inputs...>', INPUTS_HELP)
    .requiredOption('--out <folder>', 'where documents and counts go')
    .addOption(
      new Option('--method <name>', 'minhash or exact (default: minhash; exact with --unit)').choices([
        'minhash',
        'exact',
      ]),
    )
    .addOption(
      new Option('--unit <name>', 'what exact compares (default: document)').choices([
        'document',
        'paragraph',
        'line',
      ]),
    )
    .addOption(
      new Option('--preset <name>', 'settings of minhash (default: datatrove)').choices([
        'datatrove',
        'text-dedup',
        'nemo',
        'refinedweb',
      ]),
    )
    .option('--min-similarity <share>', 'only pairs with this estimated Jaccard similarity (.8)', share)
    .addOption(
      new Option('--keep <which>', 'document of a minhash cluster that stays (default: first)').choices([
        'first',
        'longest',
      ]),
    )
    .option('--memory <bytes>', 'memory for finding duplicates', quantity, 256e6)
    .option('--no-keep-dropped', 'keep only counts of what was dropped');
  return addJobOptions(command).addHelpText('after', HELP).action(dedup);
}

/** @throws PlinthError `usage` for flags that do not go together. */
export function dedupMethodOf(flags: Omit<DedupFlags, 'out' | 'memory' | 'keepDropped'>): DedupMethod {
  const kind = flags.method ?? (flags.unit === undefined ? 'minhash' : 'exact');
  const { unit, preset, minSimilarity, keep } = flags;
  if (kind === 'exact') {
    const foreign = { '--preset': preset, '--min-similarity': minSimilarity, '--keep': keep };
    const given = Object.entries(foreign).find(([, value]) => value !== undefined);
    if (given) throw new PlinthError('usage', `${given[0]} goes with --method minhash, not with exact.`);
    return { kind, unit: unit ?? 'document' };
  }
  if (unit !== undefined)
    throw new PlinthError('usage', '--unit goes with --method exact, not with minhash.');
  return {
    kind,
    ...(preset !== undefined && { preset }),
    ...(minSimilarity !== undefined && { minSimilarity }),
    ...(keep !== undefined && { keep }),
  };
}

async function dedup(paths: string[], flags: DedupFlags): Promise<void> {
  const method = dedupMethodOf(flags);
  const { deduplicateDocuments } = await import('../../data/dedup/index.node.ts');
  const report = await withDataSession('plinth data dedup', async ({ onEvent, signal }) => {
    const { inputs, inputSettings } = await openJobInputs(paths, flags, onEvent);
    return deduplicateDocuments({
      inputs,
      inputSettings,
      method,
      folder: flags.out,
      keepDropped: flags.keepDropped,
      memoryBytes: flags.memory,
      fresh: flags.fresh ?? false,
      ...(flags.workers !== undefined && { numWorkers: flags.workers }),
      onEvent,
      signal,
    });
  });
  process.stdout.write(
    flags.json ? `${JSON.stringify({ out: flags.out, ...report })}\n` : dedupText(report, flags.out),
  );
}

function dedupText(
  { documents, bytes, duplicates, method, dropped, read, ...rest }: DedupReport,
  out: string,
) {
  const what =
    method.kind === 'minhash'
      ? `${duplicates.documents} near duplicates in ${duplicates.clusters} clusters`
      : method.unit === 'document'
        ? `${duplicates.documents} duplicates in ${duplicates.clusters} groups`
        : `${duplicates.units} of ${duplicates.unitsIn} ${method.unit}s occur earlier: ${duplicates.shortened} documents ` +
          `shortened, ${duplicates.documents} left empty`;
  const others = Object.entries(dropped)
    .filter(([rule, count]) => rule !== 'duplicate' && count > 0)
    .map(([rule, count]) => `${rule}: ${count} dropped.\n`);
  const leaderless =
    duplicates.leaderless > 0
      ? `${duplicates.leaderless} comparisons were cut short after 64 documents of one band.\n`
      : '';
  const skipped = read.numSkipped > 0 ? `${read.numSkipped} records could not be read.\n` : '';
  return (
    `${what}.\n${others.join('')}${leaderless}${skipped}` +
    `${documents.out} of ${documents.in} documents kept, ${formatBytes(bytes.out)} of ${formatBytes(bytes.in)}.\n` +
    `${formatDuration(rest.seconds)}, ${formatBytes(rest.bytesPerSecond)}/s. Documents and report in ${out}\n`
  );
}
