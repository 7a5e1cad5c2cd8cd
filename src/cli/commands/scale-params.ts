/** `plinth scale params`: how many parameters a model has, how many a token uses, and where they are. */
import { Command } from 'commander';
import { PlinthError } from '../../core/errors.ts';
import { formatCount } from '../../core/units.ts';
import type { Architecture } from '../../scaling/architecture/index.ts';
import type { ParameterCount } from '../../scaling/count/index.ts';
import {
  type ArchitectureFlags,
  addArchitectureOptions,
  architectureFromFlags,
  modelFolder,
} from '../scale/architecture-options.ts';
import { columns } from '../terminal/columns.ts';
import { groupedDigits } from '../terminal/grouped-digits.ts';

interface ParamsFlags extends ArchitectureFlags {
  list?: boolean;
  json?: boolean;
}

/** Rows of the table by layer; models whose layers all differ would fill screens. */
const MAX_LAYER_ROWS = 24;

const HELP = `
Counts stored numbers exactly: total, and active for one token (all but the experts it is not sent to). A tied output
head is counted once. Tables that are computed (rotary, ALiBi, masks) are not parameters.

Examples:
  $ plinth scale params --preset mixtral-8x7b
  $ plinth scale params --config config.json --json
  $ plinth scale params --model runs/atlas/model
  $ plinth scale params --list`;

export function paramsCommand(): Command {
  const command = new Command('params')
    .summary('parameters: total, active, by part')
    .description('Parameters of a model of any architecture: total, active, by part and by layer.');
  return addArchitectureOptions(command)
    .option('--list', 'list the presets')
    .option('--json', 'print one line of JSON')
    .addHelpText('after', HELP)
    .action(params);
}

async function params(flags: ParamsFlags): Promise<void> {
  const { countParameters } = await import('../../scaling/count/index.ts');
  if (flags.list) {
    if (flags.preset !== undefined || flags.config !== undefined || flags.model !== undefined) {
      throw new PlinthError(
        'usage',
        'Give --list alone, or one of --preset, --config and --model without it.',
      );
    }
    return list(flags.json ?? false);
  }
  const architecture = await architectureFromFlags(flags);
  const count = countParameters(architecture);
  const stored = flags.model === undefined ? undefined : await storedWeights(await modelFolder(flags.model));
  const published = flags.preset === undefined ? undefined : await publishedTotal(flags.preset);
  if (flags.json) {
    const { name, modelType, hiddenSize, vocabSize, contextLength, notes } = architecture;
    const about = { name, modelType, hiddenSize, vocabSize, contextLength, notes };
    process.stdout.write(`${JSON.stringify({ ...count, ...about, ...published, ...stored })}\n`);
    return;
  }
  const remarks = architecture.notes.map((note) => `Note: ${note}\n`).join('');
  const source = published ? `Source of the sizes: ${published.source}.\n` : '';
  process.stdout.write(
    `${countText(architecture, count)}\n${remarks}${source}${stored ? storedText(stored, count) : ''}`,
  );
}

async function list(json: boolean): Promise<void> {
  const [{ architectureOf, PRESETS }, { countParameters }] = await Promise.all([
    import('../../scaling/architecture/index.ts'),
    import('../../scaling/count/index.ts'),
  ]);
  const presets = PRESETS.map(({ name, published, source }) => {
    const { total, active } = countParameters(architectureOf(name));
    return { name, total, active, published, source };
  });
  if (json) {
    process.stdout.write(`${JSON.stringify({ presets })}\n`);
    return;
  }
  const rows = presets.map(({ name, total, active, published, source }) => [
    name,
    formatCount(total),
    active === total ? '' : formatCount(active),
    published === null ? 'rounded only' : 'to the digit',
    source,
  ]);
  process.stdout.write(
    `${columns([['preset', 'total', 'active', 'published', 'source'], ...rows], 'lrrll')}\n`,
  );
}

async function publishedTotal(name: string): Promise<{ published: number | null; source: string }> {
  const { findPreset } = await import('../../scaling/architecture/index.ts');
  const { published, source } = findPreset(name);
  return { published, source };
}

interface StoredWeights {
  /** Numbers in the safetensors files; null without such files. */
  stored: number | null;
  storedReason?: string;
}

/** What the headers of the weights beside config.json say. Reads no weights. */
async function storedWeights(folder: string): Promise<StoredWeights> {
  const { openWeights } = await import('../../model/checkpoint-folder.node.ts');
  try {
    const weights = await openWeights(folder);
    try {
      let stored = 0;
      for (const { shape } of weights.tensors.values())
        stored += shape.reduce((size, length) => size * length, 1);
      return { stored };
    } finally {
      await weights.close();
    }
  } catch (error) {
    if (error instanceof PlinthError && error.code === 'disk')
      return { stored: null, storedReason: error.message };
    throw error;
  }
}

function storedText({ stored, storedReason }: StoredWeights, { total, byPart }: ParameterCount): string {
  if (stored === null) return `Not compared with stored weights: ${storedReason}\n`;
  if (stored === total) return `The safetensors headers hold as many: ${groupedDigits(stored)}.\n`;
  const more = stored - total;
  const reason =
    more === byPart.embedding
      ? ' The difference is one token table: the tied head may be stored twice.'
      : ' Quantised weights, stored buffers or parts beside the language model are common reasons.';
  return `WARNING: the safetensors headers hold ${groupedDigits(stored)} numbers, ${groupedDigits(Math.abs(more))} ${more > 0 ? 'more' : 'fewer'} than computed.${reason}\n`;
}

function countText(architecture: Architecture, count: ParameterCount): string {
  const { total, active, byPart, activeByPart } = count;
  const isSparse = active !== total;
  const parts = (Object.keys(byPart) as (keyof typeof byPart)[]).filter((part) => byPart[part] > 0);
  const row = (label: string, size: number, used: number) => [
    label,
    groupedDigits(size),
    `${((100 * size) / total).toFixed(1)} %`,
    ...(isSparse ? [groupedDigits(used)] : []),
  ];
  const table = columns(
    [
      ['part', 'parameters', 'share', ...(isSparse ? ['active'] : [])],
      ...parts.map((part) => row(part, byPart[part], activeByPart[part])),
      row('total', total, active),
    ],
    isSparse ? 'lrrr' : 'lrr',
  );
  const kinds = count.byLayer.slice(0, MAX_LAYER_ROWS);
  const layers = columns(
    [
      ['layers', 'each', 'of'],
      ...kinds.map(({ stack, layers: numbers, total: size, description }) => [
        `${architecture.encoder ? `${stack} ` : ''}${numberList(numbers)}`,
        groupedDigits(size),
        description,
      ]),
    ],
    'lrl',
  );
  const more =
    count.byLayer.length > kinds.length
      ? `\n... and ${count.byLayer.length - kinds.length} more kinds of layers`
      : '';
  const activeText = isSparse
    ? `, ${formatCount(active)} active per token (${(100 * count.sparsity).toFixed(1)} % idle)`
    : '';
  return (
    `${architecture.name}: ${formatCount(total)} parameters${activeText}\n\n${table}\n\n` +
    `Embeddings and head: ${groupedDigits(count.embedding)}; without them: ${groupedDigits(count.nonEmbedding)}.\n\n${layers}${more}\n`
  );
}

/** [0,1,2] -> "0-2"; [1,3,5,7,9] -> "1, 3, 5, ... (5)". */
function numberList(numbers: readonly number[]): string {
  const first = numbers[0]!;
  const last = numbers.at(-1)!;
  if (last - first + 1 === numbers.length) return first === last ? String(first) : `${first}-${last}`;
  return numbers.length <= 4
    ? numbers.join(', ')
    : `${numbers.slice(0, 3).join(', ')}, ... (${numbers.length})`;
}
