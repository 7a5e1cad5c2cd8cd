/** `plinth tokenizer premium`: what the same meaning costs in tokens, by language and tokenizer. */
import { Command } from 'commander';
import { PlinthError } from '../../core/errors.ts';
import type { PremiumReport } from '../../tokenizer/premium.ts';
import { collect, nameList, notNegative, positiveInteger, quantity, wholeNumber } from '../option-values.ts';
import type { ParallelTexts } from '../premium-texts.ts';
import { cutText, padText, plainLine, textWidth } from '../terminal/text-width.ts';

interface PremiumFlags {
  tokenizer?: string[];
  text?: string;
  languages?: string[];
  all?: boolean;
  reference: string;
  pricePerMillion: number;
  tokensPerSecond: number;
  context: number;
  resamples: number;
  seed: number;
  html?: string;
  json?: boolean;
}

const DEFAULT_TOKENIZERS = ['cl100k_base', 'o200k_base'];
const NAME_CELLS = 30;

const HELP = `
Tokenizers: a folder with tokenizer.json, such a file, an encoding of the package gpt-tokenizer (r50k_base, p50k_base,
cl100k_base, o200k_base, o200k_harmony; needs "npm install gpt-tokenizer"), bytes, characters.

Text: the Universal Declaration of Human Rights in 532 languages, or --text: a table (jsonl, csv, tsv, parquet) with a
column for each language, or a folder with <language>.txt files that say the same line by line.

Examples:
  $ plinth tokenizer premium
  $ plinth tokenizer premium --tokenizer my-tokenizer --tokenizer o200k_base --languages en,my,hi,shn
  $ plinth tokenizer premium --text sentences.tsv --price-per-million 2 --html premium.html`;

export function premiumCommand(): Command {
  return new Command('premium')
    .summary('tokens for the same meaning, by language')
    .description(
      'Tokens for the same meaning by language, relative to English: premium, price, latency, context.',
    )
    .option(
      '--tokenizer <name>',
      `a tokenizer; several times (default: ${DEFAULT_TOKENIZERS.join(', ')})`,
      collect,
    )
    .option('--text <path>', 'parallel text of your own')
    .option('--languages <tags>', 'comma-separated, such as en,my,hi', nameList)
    .option('--all', 'every language of the declaration')
    .option('--reference <tag>', 'what the premium is relative to', 'en')
    .option('--price-per-million <number>', 'price of a million tokens', notNegative, 0.5)
    .option('--tokens-per-second <number>', 'decoding speed', quantity, 100)
    .option('--context <tokens>', 'size of the context window', positiveInteger, 8192)
    .option('--resamples <number>', 'resamples of the 95 % intervals; 0 for none', wholeNumber, 1000)
    .option('--seed <number>', 'seed of the resamples', wholeNumber, 1)
    .option('--html <file>', 'write charts and tables as a page')
    .option('--json', 'print every number as one line of JSON')
    .addHelpText('after', HELP)
    .action(premium);
}

async function premium(flags: PremiumFlags): Promise<void> {
  if (flags.all && (flags.languages || flags.text)) {
    throw new PlinthError(
      'usage',
      'Give --all, --languages or --text; --all means every language of the declaration.',
    );
  }
  const [{ tokenPremium }, { openTokenCounter }, { declarationTexts, ownTexts }] = await Promise.all([
    import('../../tokenizer/premium.ts'),
    import('../../tokenizer/premium-counters.node.ts'),
    import('../premium-texts.ts'),
  ]);
  const source =
    flags.text === undefined
      ? await declarationTexts(flags.all ? 'all' : flags.languages, flags.reference)
      : await ownTexts(flags.text, flags.languages && [...new Set([flags.reference, ...flags.languages])]);
  const tokenizers = await Promise.all((flags.tokenizer ?? DEFAULT_TOKENIZERS).map(openTokenCounter));
  const report = tokenPremium(source.texts, tokenizers, {
    reference: flags.reference,
    pricePerMillion: flags.pricePerMillion,
    tokensPerSecond: flags.tokensPerSecond,
    contextTokens: flags.context,
    numResamples: flags.resamples,
    seed: flags.seed,
  });
  if (flags.html) {
    const [{ writeFileAtomic }, { premiumPage }] = await Promise.all([
      import('../../core/atomic-file.node.ts'),
      import('../premium-page.ts'),
    ]);
    await writeFileAtomic(flags.html, premiumPage(report, source));
  }
  const { names, description, notes } = source;
  process.stdout.write(
    flags.json
      ? `${JSON.stringify({ text: description, names, notes, ...report })}\n`
      : premiumText(report, source) + (flags.html ? `The page is ${flags.html}\n` : ''),
  );
}

/** A table by descending premium of the first tokenizer, with what figures of the first one mean in use. */
function premiumText(report: PremiumReport, { names, description, notes }: ParallelTexts): string {
  const { tokenizers, texts, reference } = report;
  const first = tokenizers[0]!.languages;
  const order = texts.map((_, i) => i).sort((a, b) => first[b]!.premium - first[a]!.premium);
  const detailed = tokenizers.at(-1)!;
  const header = [
    'language',
    ...tokenizers.flatMap(({ tokenizer }) => [tokenizer, '95 %']),
    'tokens/word',
    'price/1k words',
    's/1k tokens',
    'context',
  ];
  const rows = order.map((i) => {
    const { language } = texts[i]!;
    const figures = detailed.languages[i]!;
    return [
      cutText(plainLine(names[language] ? `${names[language]} (${language})` : language), NAME_CELLS),
      ...tokenizers.flatMap(({ languages }) => {
        const { premium: value, interval } = languages[i]!;
        return [value.toFixed(2), interval ? `${interval[0].toFixed(2)}-${interval[1].toFixed(2)}` : '-'];
      }),
      figures.tokensPerWord.toFixed(2),
      figures.costPer1000ReferenceWords === null ? '-' : figures.costPer1000ReferenceWords.toPrecision(3),
      figures.secondsPer1000ReferenceTokens.toFixed(1),
      `${(100 * figures.contextShare).toFixed(0)} %`,
    ];
  });
  const partial = texts.filter(({ numMissingUnits }) => numMissingUnits > 0);
  const remarks = [
    ...notes,
    ...(partial.length > 0
      ? [
          `Compared on the units they have, of ${texts.find(({ language }) => language === reference)!.numUnits}: ${partial
            .map(({ language, numUnits }) => `${language} ${numUnits}`)
            .join(', ')}.`,
        ]
      : []),
  ];
  return (
    `${description}. Tokens relative to '${reference}'.\n\n${aligned([header, ...rows])}\n\n` +
    `The last four columns are of ${detailed.tokenizer}: the price of what takes 1,000 words and the seconds for what takes 1,000 ` +
    `tokens in '${reference}' at ${report.pricePerMillion} a million tokens and ${report.tokensPerSecond} tokens/s, and the share of a ` +
    `context window that is left of what it holds in '${reference}'.\n${remarks.map((remark) => `${remark}\n`).join('')}`
  );
}

function aligned(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]!.map((_, i) => Math.max(...rows.map((row) => textWidth(row[i]!))));
  return rows
    .map((row) =>
      row.map((cell, i) => (i === 0 ? padText(cell, widths[i]!) : cell.padStart(widths[i]!))).join('  '),
    )
    .join('\n');
}
