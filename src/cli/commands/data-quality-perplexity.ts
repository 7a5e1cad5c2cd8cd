/** `plinth data quality train-perplexity`: learn from good texts what to be surprised by. */
import { Command, InvalidArgumentError } from 'commander';
import { DataError } from '../../core/errors.ts';
import { addInputOptions, INPUTS_HELP, type InputFlags, withDataSession } from '../data-session.ts';
import { positiveInteger, quantity } from '../option-values.ts';
import { type DocumentCounts, qualityDocuments } from './data-quality-documents.ts';

interface PerplexityFlags extends InputFlags {
  out: string;
  symbols: 'bytes' | number;
  order: number;
  heldOut: boolean;
  maxBytes: number;
  maxNodes?: number;
  json?: boolean;
}

/** Every so many documents is measured instead of learned from. */
const HELD_OUT_STEP = 20;

export function trainPerplexityCommand(): Command {
  const command = new Command('train-perplexity')
    .summary('train an n-gram model on good texts')
    .description(
      'Train an n-gram model on good texts: documents are then sorted by how much it is surprised.',
    )
    .argument('<inputs...>', INPUTS_HELP)
    .requiredOption('--out <file>', 'where the model goes')
    .option('--symbols <number>', 'size of its BPE vocabulary, or "bytes"', symbolsOf, 8192)
    .option('--order <number>', 'longest n-gram, 1 to 8', positiveInteger, 5)
    .option('--no-held-out', 'learn from all documents; otherwise every 20th is kept for measuring')
    .option('--max-bytes <number>', 'read about so much text at most (200M, 1G)', quantity, 100e6)
    .option('--max-nodes <number>', 'n-grams held in memory, 40 bytes each (default: 8000000)', quantity)
    .option('--json', 'print the result as one line of JSON');
  return addInputOptions(command)
    .addHelpText(
      'after',
      '\nExample:\n  $ plinth data quality train-perplexity wikipedia/ --out perplexity.bin',
    )
    .action(trainPerplexity);
}

function symbolsOf(text: string): 'bytes' | number {
  if (text === 'bytes') return text;
  const number = positiveInteger(text);
  if (number < 257) throw new InvalidArgumentError('Expected "bytes" or a whole number of at least 257.');
  return number;
}

async function trainPerplexity(paths: string[], flags: PerplexityFlags): Promise<void> {
  const { savePerplexityModel, trainPerplexityModel } = await import('../../data/quality/index.node.ts');
  const result = await withDataSession('plinth data quality train-perplexity', async ({ onEvent }) => {
    const counts: DocumentCounts = { numRead: 0, numSkipped: 0 };
    const texts: string[] = [];
    const heldOut: string[] = [];
    for await (const { text } of qualityDocuments(paths, flags, onEvent, counts, flags.maxBytes)) {
      const isHeldOut = flags.heldOut && counts.numRead % HELD_OUT_STEP === 0;
      (isHeldOut ? heldOut : texts).push(text);
    }
    if (texts.length === 0) throw new DataError(`No text in ${paths.join(', ')}. Check the files.`);
    const { model, report } = trainPerplexityModel(texts, {
      symbols: flags.symbols,
      order: flags.order,
      ...(flags.maxNodes !== undefined && { maxNodes: flags.maxNodes }),
    });
    await savePerplexityModel(flags.out, model);
    let bits = 0;
    let numBytes = 0;
    let numSymbols = 0;
    for (const text of heldOut) {
      const measured = model.measure(text);
      bits += measured.bits;
      numBytes += measured.numBytes;
      numSymbols += measured.numSymbols;
    }
    return {
      out: flags.out,
      ...report,
      numSkipped: counts.numSkipped,
      numHeldOut: heldOut.length,
      bitsPerByte: numBytes === 0 ? null : bits / numBytes,
      perplexity: numSymbols === 0 ? null : 2 ** (bits / numSymbols),
    };
  });
  const { numTexts, numNgrams, numPruned, numHeldOut, bitsPerByte, perplexity } = result;
  const lines = [
    `${numNgrams} n-grams from ${numTexts} texts${numPruned === 0 ? '' : `, ${numPruned} dropped for lack of memory (--max-nodes)`}; written to ${flags.out}`,
    bitsPerByte === null
      ? 'Nothing was held out to measure on.'
      : `On ${numHeldOut} held-out texts: ${bitsPerByte.toFixed(3)} bits a byte, perplexity ${perplexity!.toFixed(1)}.`,
  ];
  process.stdout.write(flags.json ? `${JSON.stringify(result)}\n` : `${lines.join('\n')}\n`);
}
