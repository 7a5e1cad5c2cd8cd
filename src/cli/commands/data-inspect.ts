/** `plinth data inspect`: pages through documents, those that a job kept and those that it dropped. */
import { createInterface } from 'node:readline/promises';
import { Command } from 'commander';
import { DataError } from '../../core/errors.ts';
import type { Document } from '../../data/index.node.ts';
import { addInputOptions, INPUTS_HELP, type InputFlags } from '../data-session.ts';
import { positiveInteger, wholeNumber } from '../option-values.ts';
import { styleFor } from '../terminal/style.ts';
import { plainLine, plainText } from '../terminal/text-width.ts';

interface InspectFlags extends InputFlags {
  dropped?: boolean;
  rule?: string;
  match?: string;
  skip: number;
  limit: number;
  full?: boolean;
  json?: boolean;
}

const HELP = `
Of a folder that "plinth data clean" (or dedup, decontaminate) wrote, the kept documents are shown; --dropped shows the
others with the rule that dropped them. On a terminal Enter turns the page and q ends; elsewhere one page is printed.

Examples:
  $ plinth data inspect clean --dropped --rule c4-too-few-sentences
  $ plinth data inspect corpus.jsonl --match "terms of use" --limit 5 --json`;

export function inspectCommand(): Command {
  const command = new Command('inspect')
    .summary('page through kept and dropped documents')
    .description('Page through documents, those that a job kept and those that it dropped.')
    .argument('<inputs...>', INPUTS_HELP)
    .option('--dropped', 'documents that the job dropped')
    .option('--rule <name>', 'only what this rule dropped (implies --dropped)')
    .option('--match <text>', 'only documents whose text contains this, upper and lower case alike')
    .option('--skip <number>', 'pass over so many', wholeNumber, 0)
    .option('--limit <number>', 'documents of a page', positiveInteger, 10)
    .option('--full', 'whole texts instead of their beginnings');
  return addInputOptions(command)
    .option(
      '--json',
      'print {"documents":[...],"next"} as one line of JSON; next is the --skip of the next page',
    )
    .addHelpText('after', HELP)
    .action(inspect);
}

const EXCERPT_CHARACTERS = 600;

async function inspect(paths: string[], flags: InspectFlags): Promise<void> {
  const documents = matching(await readDocuments(paths, flags), flags);
  let position = 0;
  for (; position < flags.skip; position++) if ((await documents.next()).done) break;
  const isPaged = process.stdin.isTTY === true && process.stdout.isTTY === true && !flags.json;
  const terminal = isPaged ? createInterface({ input: process.stdin, output: process.stdout }) : undefined;
  try {
    for (;;) {
      const { page, isLast } = await nextPage(documents, flags.limit);
      if (flags.json) {
        const shown = page.map((document) => ({ ...document, text: textOf(document.text, flags) }));
        const next = isLast ? null : position + page.length;
        process.stdout.write(`${JSON.stringify({ documents: shown, next })}\n`);
        return;
      }
      if (page.length === 0) {
        process.stdout.write(position === 0 ? 'No document fits.\n' : 'No more documents.\n');
        return;
      }
      for (const document of page) process.stdout.write(documentText(document, position++, flags));
      if (isLast || !terminal) return;
      const answer = await terminal.question('Enter for more, q to end ');
      if (answer.trim().toLowerCase() === 'q') return;
    }
  } finally {
    terminal?.close();
    await documents.return(undefined);
  }
}

async function readDocuments(
  paths: readonly string[],
  flags: InspectFlags,
): Promise<AsyncIterable<Document>> {
  const { openInputs } = await import('../../data/readers/open-inputs.node.ts');
  const wantsDropped = flags.dropped || flags.rule !== undefined;
  if (!wantsDropped) {
    const inputs = await openInputs(paths, {
      ...(flags.textColumn !== undefined && { textColumn: flags.textColumn }),
      ...(flags.root !== undefined && { root: flags.root }),
    });
    return inputs.read().read();
  }
  const { shardFilesOf } = await import('../../data/jobs/index.node.ts');
  const { openReader } = await import('../../data/index.node.ts');
  const files = (await Promise.all(paths.map((path) => shardFilesOf(path, 'dropped')))).flat();
  if (files.length === 0) {
    throw new DataError(
      `There are no dropped documents in ${paths.join(', ')}. Name the --out folder of plinth data clean, dedup or ` +
        'decontaminate that ran without --no-keep-dropped; it may also have dropped nothing.',
    );
  }
  return (async function* () {
    for (const file of files) yield* openReader(file).read();
  })();
}

async function* matching(documents: AsyncIterable<Document>, flags: InspectFlags): AsyncGenerator<Document> {
  const wanted = flags.match?.toLowerCase();
  for await (const document of documents) {
    if (flags.rule !== undefined && document.meta.droppedBy !== flags.rule) continue;
    if (wanted !== undefined && !document.text.toLowerCase().includes(wanted)) continue;
    yield document;
  }
}

/** A page, and whether nothing comes after it. */
async function nextPage(
  documents: AsyncGenerator<Document>,
  limit: number,
): Promise<{ page: Document[]; isLast: boolean }> {
  const page: Document[] = [];
  while (page.length < limit) {
    const next = await documents.next();
    if (next.done) return { page, isLast: true };
    page.push(next.value);
  }
  return { page, isLast: false };
}

function textOf(text: string, { full }: InspectFlags): string {
  return full || text.length <= EXCERPT_CHARACTERS
    ? text
    : `${text.slice(0, EXCERPT_CHARACTERS).toWellFormed()}…`;
}

function documentText({ id, source, text, meta }: Document, position: number, flags: InspectFlags): string {
  const style = styleFor(process.stdout, process.env);
  const { droppedBy, droppedBecause, ...others } = meta;
  const title = style.bold(`${position + 1}. ${plainLine(`${source} ${id}`)}`);
  const why = droppedBy ? `\n${style.warn(plainLine(`${droppedBy}: ${droppedBecause ?? ''}`))}` : '';
  const fields = Object.entries(others).map(([key, value]) => plainLine(`${key}: ${String(value)}`));
  const details = fields.length > 0 ? `\n${style.dim(fields.join(' · '))}` : '';
  return `${title}${why}${details}\n${plainText(textOf(text, flags))}\n\n`;
}
