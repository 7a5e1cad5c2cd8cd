/** `plinth data mix`: documents of several sources in one order, by weights or by temperature. */
import { readFile, stat } from 'node:fs/promises';
import { basename, resolve } from 'node:path';
import { Command, InvalidArgumentError } from 'commander';
import { ConfigError, DataError, messageOf, PlinthError } from '../../core/errors.ts';
import { formatCount, formatDuration } from '../../core/units.ts';
import type {
  MixInput,
  MixJobResult,
  MixtureOptions,
  MixtureOrder,
  MixtureStage,
  MixtureUnit,
} from '../../data/mix/index.node.ts';
import {
  addInputOptions,
  INPUTS_HELP,
  type InputFlags,
  noteSkippedFiles,
  textTable,
  withDataSession,
} from '../data-session.ts';
import { collect, notNegative, quantity, wholeNumber } from '../option-values.ts';
import type { Session } from '../session.ts';

interface MixFlags extends InputFlags {
  source?: string[];
  by: string;
  temperature?: number;
  alpha?: number;
  maxEpochs?: number;
  budget?: number;
  unit: string;
  tokenizer?: string;
  order: MixtureOrder;
  stages?: string;
  seed: number;
  out: string;
  fresh?: boolean;
  json?: boolean;
}

interface NamedSource {
  name?: string;
  paths: string[];
  weight?: number;
}

const UNITS: readonly MixtureUnit[] = ['bytes', 'tokens', 'documents'];
const GROUPINGS = ['source', 'language', 'domain'] as const;
const MAX_ROWS = 40;
/** Files of one source that are left out and told by name. */

const HELP = `
Shares: with weights, a source gets weight / sum of weights; without, size^alpha / sum. --alpha 1 (default) keeps the
sizes' proportions, .3 is what XLM-R and mT5 use for languages, 0 makes all equal; --temperature T is alpha 1/T. With
--by language or domain the groups inside each weighted source share its weight by size^alpha.
What a source cannot give within --max-epochs goes to the others in proportion. Asked and achieved shares stand side
by side in mix.json.

Orders: shuffled; easy-to-hard:KEY by the number in a field (easy-to-hard:perplexity), easy-to-hard:-KEY from large to
small (easy-to-hard:-quality), easy-to-hard:length by the length. --stages FILE has phases:
[{"name":"main","share":0.9},{"name":"anneal","share":0.1,"weights":{"web":1,"books":3},"alpha":0.5}]

Examples:
  $ plinth data mix --source web=crawl/:3 --source books=books.jsonl:1 --budget 100M --out mixed
  $ plinth data mix clean/ --by language --alpha 0.3 --max-epochs 4 --budget 1G --out mixed`;

export function mixCommand(): Command {
  const command = new Command('mix')
    .summary('mix sources by weight or temperature')
    .description('Mix sources by weights or temperature, with caps on repetition, in a reproducible order.')
    .argument('[inputs...]', `${INPUTS_HELP}; each is a source named after it, or use --source`)
    .option('--source <name=path[:weight]>', 'a source with a name; several times', collect)
    .option('--by <group>', `what is mixed: ${GROUPINGS.join(', ')}`, 'source')
    .option('--temperature <T>', 'shares by size^(1/T)', quantity)
    .option('--alpha <number>', 'shares by size^alpha (default: 1)', notNegative)
    .option('--max-epochs <number>', 'repeat no document more often (default: no cap)', quantity)
    .option('--budget <number>', 'size of the mixture, such as 100M (default: that of all sources)', quantity)
    .option('--unit <unit>', `what budget and shares count: ${UNITS.join(', ')}`, 'bytes')
    .option('--tokenizer <folder>', 'count tokens with this tokenizer.json')
    .option('--order <order>', 'shuffled or easy-to-hard:KEY', orderOf, { kind: 'shuffled' } as MixtureOrder)
    .option('--stages <file>', 'phases one after the other, as JSON')
    .option('--seed <number>', 'same seed, same mixture', wholeNumber, 1)
    .requiredOption('--out <folder>', 'where documents/ and mix.json go');
  return addInputOptions(command)
    .option('--fresh', 'replace another mixture in the folder')
    .option('--json', 'print the result as one line of JSON, progress on stderr')
    .addHelpText('after', HELP)
    .action(mix);
}

async function mix(paths: string[], flags: MixFlags): Promise<void> {
  const by = oneOf('--by', flags.by, GROUPINGS);
  const unit = oneOf('--unit', flags.unit, UNITS);
  if (unit === 'tokens' && flags.tokenizer === undefined) {
    throw new PlinthError('usage', '--unit tokens needs --tokenizer, the folder of a tokenizer.json.');
  }
  const sources = sourcesOf(paths, flags.source ?? [], by);
  const weights = weightsOf(sources);
  const stages = flags.stages === undefined ? undefined : await readStages(flags.stages);
  const orders = [flags.order, ...(stages ?? []).flatMap(({ order }) => (order ? [order] : []))];
  const keys = new Set(orders.flatMap((order) => (order.kind === 'easy-to-hard' ? [order.by] : [])));
  if (keys.size > 1) {
    throw new ConfigError(`One field orders a mixture; the stages name ${[...keys].join(' and ')}.`);
  }
  const [difficultyKey] = keys;
  const mixture: MixtureOptions = {
    unit,
    seed: flags.seed,
    order: flags.order,
    ...(weights && { weights }),
    ...(stages && { stages }),
    ...(flags.alpha !== undefined && { alpha: flags.alpha }),
    ...(flags.temperature !== undefined && { temperature: flags.temperature }),
    ...(flags.maxEpochs !== undefined && { maxEpochs: flags.maxEpochs }),
    ...(flags.budget !== undefined && { budget: flags.budget }),
  };
  const result = await withDataSession('plinth data mix', async (session) => {
    const [{ mixDocuments }, opened] = await Promise.all([
      import('../../data/mix/index.node.ts'),
      openSources(sources, flags, session),
    ]);
    return mixDocuments(opened.inputs, {
      folder: flags.out,
      by,
      mixture,
      files: opened.files,
      inputSettings: {
        ...opened.settings,
        sources,
        ...(flags.tokenizer !== undefined && { tokenizer: resolve(flags.tokenizer) }),
      },
      fresh: flags.fresh ?? false,
      ...(difficultyKey !== undefined && { difficultyKey }),
      ...(flags.tokenizer !== undefined && { tokenizer: await loadTokenizerOf(flags.tokenizer) }),
      ...(by === 'language' && { identifyLanguage: await languageIdentification() }),
      ...session,
    });
  });
  process.stdout.write(
    flags.json ? `${JSON.stringify(jsonOf(result, flags.out))}\n` : textOf(result, flags.out),
  );
}

interface OpenedSources {
  inputs: MixInput[];
  files: { path: string; sizeBytes: number; modified: string }[];
  settings: Record<string, unknown>;
}

/** HTML comes as its main text. */
async function openSources(
  sources: readonly NamedSource[],
  { textColumn, root }: MixFlags,
  { onEvent }: Session,
): Promise<OpenedSources> {
  const { openInputs } = await import('../../data/readers/open-inputs.node.ts');
  const settings = { ...(textColumn !== undefined && { textColumn }), ...(root !== undefined && { root }) };
  const opened: OpenedSources = { inputs: [], files: [], settings };
  for (const { name, paths } of sources) {
    const { files, skippedFiles, reader } = await openInputs(paths, settings);
    noteSkippedFiles(skippedFiles, onEvent);
    opened.inputs.push({ ...(name !== undefined && { name }), readers: files.map(reader) });
    for (const { path, sizeBytes } of files) {
      opened.files.push({ path: resolve(path), sizeBytes, modified: (await stat(path)).mtime.toISOString() });
    }
  }
  return opened;
}

async function loadTokenizerOf(folder: string) {
  const { loadTokenizer } = await import('../../tokenizer/index.node.ts');
  return (await loadTokenizer(folder)).tokenizer;
}

async function languageIdentification(): Promise<(document: { text: string }) => string | null> {
  const { loadLanguageIdentifier, UNKNOWN_LANGUAGE } = await import('../../data/language/index.node.ts');
  const identifier = await loadLanguageIdentifier();
  return ({ text }) => {
    const { language } = identifier.identifyDocument(text);
    return language === UNKNOWN_LANGUAGE ? null : language;
  };
}

/** Plain paths are sources of their own when sources are mixed; else one input whose groups are mixed. */
function sourcesOf(
  paths: readonly string[],
  named: readonly string[],
  by: (typeof GROUPINGS)[number],
): NamedSource[] {
  const sources: NamedSource[] = named.map(namedSource);
  if (by === 'source')
    for (const path of paths) sources.push({ name: basename(resolve(path)), paths: [path] });
  else if (paths.length > 0 && named.length > 0) {
    throw new PlinthError('usage', 'Give all inputs with --source, or all without.');
  } else if (paths.length > 0) sources.push({ paths: [...paths] });
  if (sources.length === 0) {
    throw new PlinthError(
      'usage',
      'Nothing to mix: name files or folders, or --source NAME=PATH. See --help.',
    );
  }
  // A name given again adds a path to the source.
  const byName = new Map<string | undefined, NamedSource>();
  for (const source of sources) {
    const known = byName.get(source.name);
    if (!known) byName.set(source.name, source);
    else if (known.weight === source.weight && named.length > 0) known.paths.push(...source.paths);
    else {
      throw new PlinthError(
        'usage',
        `Two sources are named '${source.name}'. Give them names of their own with --source NAME=PATH.`,
      );
    }
  }
  return [...byName.values()];
}

function namedSource(text: string): NamedSource {
  const match = /^([^=]+)=(.+?)(?::(\d+(?:\.\d*)?|\.\d+))?$/.exec(text);
  if (!match) {
    throw new PlinthError(
      'usage',
      `--source '${text}' is not NAME=PATH or NAME=PATH:WEIGHT, such as web=crawl/:3.`,
    );
  }
  const [, name, path, weight] = match;
  return {
    name: name!.trim(),
    paths: [path!],
    ...(weight !== undefined && { weight: Number(weight) }),
  };
}

function weightsOf(sources: readonly NamedSource[]): Record<string, number> | undefined {
  const weighted = sources.filter(({ weight }) => weight !== undefined);
  if (weighted.length === 0) return undefined;
  const lacking = sources.find(({ weight }) => weight === undefined);
  if (lacking) {
    throw new PlinthError(
      'usage',
      `Source '${lacking.name}' has no weight and others have. Give all one, or none.`,
    );
  }
  return Object.fromEntries(weighted.map(({ name, weight }) => [name!, weight!]));
}

function orderOf(text: string): MixtureOrder {
  if (text === 'shuffled') return { kind: 'shuffled' };
  const match = /^easy-to-hard:(-?)(.+)$/.exec(text);
  if (match) return { kind: 'easy-to-hard', by: match[2]!, ...(match[1] === '-' && { descending: true }) };
  throw new InvalidArgumentError('Expected shuffled, easy-to-hard:KEY or easy-to-hard:-KEY.');
}

const STAGE_FIELDS = ['name', 'share', 'weights', 'alpha', 'temperature', 'order'];

/** Stages as JSON; an order is written as on the command line. Values are checked where they are used. */
async function readStages(path: string): Promise<MixtureStage[]> {
  let value: unknown;
  try {
    value = JSON.parse(await readFile(path, 'utf8'));
  } catch (error) {
    throw new DataError(`${path} could not be read as JSON: ${messageOf(error)}.`, { cause: error });
  }
  if (!Array.isArray(value))
    throw new ConfigError(`${path} must hold a list of stages: [{"name","share",...}].`);
  return value.map((stage: Record<string, unknown> | null, i) => {
    const where = `${path}, stage ${i + 1}`;
    const unknown = Object.keys(stage ?? {}).find((key) => !STAGE_FIELDS.includes(key));
    if (unknown)
      throw new ConfigError(`${where}: unknown field '${unknown}'. Known: ${STAGE_FIELDS.join(', ')}.`);
    if (typeof stage?.name !== 'string' || typeof stage.share !== 'number') {
      throw new ConfigError(`${where}: "name" must be text and "share" a number.`);
    }
    const { order, ...rest } = stage;
    try {
      return {
        ...rest,
        ...(order !== undefined && { order: orderOf(String(order)) }),
      } as unknown as MixtureStage;
    } catch (error) {
      throw new ConfigError(`${where}, order: ${messageOf(error)}`);
    }
  });
}

function oneOf<T extends string>(flag: string, value: string, known: readonly T[]): T {
  const found = known.find((one) => one === value);
  if (found !== undefined) return found;
  throw new PlinthError('usage', `${flag} is '${value}'; expected ${known.join(', ')}.`);
}

function jsonOf({ mixture, counts, seconds, worked }: MixJobResult, out: string) {
  return { out, worked, seconds, read: counts, ...mixture };
}

function textOf({ mixture, counts, seconds, worked }: MixJobResult, out: string): string {
  const percent = (share: number) => `${(100 * share).toFixed(2)} %`;
  const listed = mixture.sources.slice().sort((a, b) => b.share - a.share);
  const rows = [
    ['source', 'documents', 'distinct', 'bytes', 'asked', 'achieved', 'epochs'],
    ...listed
      .slice(0, MAX_ROWS)
      .map((source) => [
        source.name,
        source.documents,
        source.distinctDocuments,
        source.bytes,
        percent(source.askedShare),
        percent(source.share),
        source.epochs.toFixed(2) + (source.atCap ? ' (cap)' : ''),
      ]),
  ];
  const more = listed.length > MAX_ROWS ? `and ${listed.length - MAX_ROWS} more in mix.json\n` : '';
  const notes = [
    ...mixture.notes,
    ...(counts.numSkipped > 0 ? [`${counts.numSkipped} records could not be read.`] : []),
    ...(counts.numUnknown > 0 ? [`${counts.numUnknown} documents are grouped as 'unknown'.`] : []),
    ...(counts.numWithoutDifficulty > 0
      ? [`${counts.numWithoutDifficulty} documents have no number to order by and come last.`]
      : []),
  ];
  const { achieved, asked, unit } = mixture;
  return (
    `${textTable(rows)}\n${more}\n${notes.map((note) => `${note}\n`).join('')}` +
    `${formatCount(achieved.size)} of ${formatCount(asked.budget)} ${unit}, ${achieved.documents} documents, seed ${mixture.seed}.\n` +
    `${worked ? formatDuration(seconds) : 'Already there: nothing was done'}. Documents and mix.json in ${out}\n`
  );
}
