/** `plinth data decontaminate`: takes evaluation items out of training data. */
import { Command, Option } from 'commander';
import { formatBytes, formatDuration } from '../../core/units.ts';
import type { DecontaminationAction, DecontaminationReport } from '../../data/dedup/index.node.ts';
import {
  addJobOptions,
  INPUTS_HELP,
  type JobFlags,
  openJobInputs,
  textTable,
  withDataSession,
} from '../data-session.ts';
import { nameList, positiveInteger } from '../option-values.ts';

interface DecontaminateFlags extends JobFlags {
  against: string[];
  againstColumn?: string[];
  out: string;
  ngram: number;
  minWords: number;
  action: DecontaminationAction;
  keepDropped: boolean;
}

const HELP = `
A document is contaminated when it shares --ngram words in a row with an evaluation item, whatever case, punctuation,
accents and numbers. Items of fewer words are looked for as a whole if they have --min-words; shorter ones are counted.
Characters of scripts without spaces count as words. drop removes the document; remove-passage removes the words and
200 characters on each side, and keeps pieces of 200 characters or more (at most 10, else the document is dropped).

The folder of --out gets documents/, dropped/ (with the item and the words found) and report.json. Ctrl-C stops
cleanly; the same command goes on from there.

Examples:
  $ plinth data decontaminate unique --against test.jsonl --out train
  $ plinth data decontaminate unique --against gsm8k.jsonl --against-column question,answer --out train --json`;

export function decontaminateCommand(): Command {
  const command = new Command('decontaminate')
    .summary('remove what an evaluation asks for')
    .description('Remove documents or passages that hold items of an evaluation.')
    .argument('<inputs...>', INPUTS_HELP)
    .requiredOption('--against <files...>', 'evaluation data, read like the inputs')
    .requiredOption('--out <folder>', 'where documents and counts go')
    .option(
      '--against-column <names>',
      'fields of the evaluation data to look for, comma-separated (default: text, else content)',
      nameList,
    )
    .option('--ngram <number>', 'words in a row that count as a match', positiveInteger, 12)
    .option('--min-words <number>', 'least words of a shorter item that is looked for', positiveInteger, 8)
    .addOption(
      new Option('--action <name>', 'what is done with a contaminated document')
        .choices(['drop', 'remove-passage'])
        .default('drop'),
    )
    .option('--no-keep-dropped', 'keep only counts of what was dropped');
  return addJobOptions(command).addHelpText('after', HELP).action(decontaminate);
}

async function decontaminate(paths: string[], flags: DecontaminateFlags): Promise<void> {
  const { decontaminateDocuments } = await import('../../data/dedup/index.node.ts');
  const report = await withDataSession('plinth data decontaminate', async ({ onEvent, signal }) => {
    const { inputs, inputSettings } = await openJobInputs(paths, flags, onEvent);
    const root = flags.root !== undefined && { root: flags.root };
    const evaluation = await Promise.all(
      (flags.againstColumn ?? [undefined]).map(async (textColumn) => {
        const column = textColumn !== undefined && { textColumn };
        return (await openJobInputs(flags.against, { ...root, ...column }, onEvent)).inputs;
      }),
    );
    return decontaminateDocuments({
      inputs,
      inputSettings: { ...(inputSettings as object), againstColumn: flags.againstColumn ?? null },
      evaluation,
      n: flags.ngram,
      minWords: flags.minWords,
      action: flags.action,
      folder: flags.out,
      keepDropped: flags.keepDropped,
      fresh: flags.fresh ?? false,
      ...(flags.workers !== undefined && { numWorkers: flags.workers }),
      onEvent,
      signal,
    });
  });
  process.stdout.write(
    flags.json
      ? `${JSON.stringify({ out: flags.out, ...report })}\n`
      : decontaminationText(report, flags.out),
  );
}

function decontaminationText(report: DecontaminationReport, out: string): string {
  const { documents, bytes, contaminated, evaluation, dropped, read } = report;
  const rows = [
    ['evaluation item', 'documents'],
    ...evaluation.mostFound.map(({ item, documents: count }) => [item, count]),
  ];
  const others = Object.entries(dropped)
    .filter(([rule, count]) => rule !== 'contaminated' && count > 0)
    .map(([rule, count]) => `${rule}: ${count} dropped.\n`);
  const tooShort =
    evaluation.tooShortItems > 0
      ? `${evaluation.tooShortItems} of them are too short to be looked for (see --min-words).\n`
      : '';
  const skipped = read.numSkipped > 0 ? `${read.numSkipped} records could not be read.\n` : '';
  return (
    `${evaluation.items} evaluation items, ${evaluation.found} found in the documents.\n${tooShort}` +
    `${evaluation.mostFound.length > 0 ? `\n${textTable(rows)}\n\n` : ''}` +
    `${contaminated.documents} documents contaminated: ${contaminated.dropped} dropped, ${contaminated.shortened} ` +
    `shortened by ${contaminated.passages} passages.\n${others.join('')}${skipped}` +
    `${documents.out} of ${documents.in} documents kept, ${formatBytes(bytes.out)} of ${formatBytes(bytes.in)}.\n` +
    `${formatDuration(report.seconds)}, ${formatBytes(report.bytesPerSecond)}/s. Documents and report in ${out}\n`
  );
}
