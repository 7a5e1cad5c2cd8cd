/**
 * The options that every command which generates text has, how they become `GenerateOptions`, and how such a
 * command opens its model. Faults name the flags as they are written.
 */
import { type Command, Option } from 'commander';
import { ConfigError, PlinthError } from '../core/errors.ts';
import type { GenerateOptions, LanguageModel } from '../decode/language-model.ts';
import { chainOf, SAMPLING_SETTINGS, type SamplingSettings } from '../sampling/index.ts';
import { oneOf } from './generate/flag-values.ts';
import {
  type FlagGroup,
  fieldOf,
  GENERATION_FLAGS,
  type GenerationFlag,
  type GenerationFlags,
  GROUP_HEADINGS,
  helpOf,
} from './generate/generation-flags.ts';
import { findAdapter, findModel } from './model-folder.ts';
import { positiveInteger } from './option-values.ts';

export type { GenerationFlags };

export interface DeviceFlags {
  device?: 'cpu' | 'webgpu' | 'cuda';
  threads?: number;
}

const ALL = GENERATION_FLAGS as readonly unknown[] as readonly GenerationFlag[];
const SAMPLING: ReadonlySet<string> = new Set(SAMPLING_SETTINGS);
/** Documented in help: a threshold, and the number of tokens that contrastive search looks at. */
const DEFAULT_XTC_THRESHOLD = 0.1;
const DEFAULT_CONTRASTIVE_TOP_K = 4;

/** @param left groups of flags that the command does not have */
export function addGenerationOptions(command: Command, left: readonly FlagGroup[] = []): Command {
  for (const flag of ALL) {
    const { group, name, value, parse, isRepeatable } = flag;
    if (left.includes(group)) continue;
    const option = new Option(
      value === undefined ? `--${name}` : `--${name} ${value}`,
      helpOf(flag),
    ).helpGroup(GROUP_HEADINGS[group]);
    if (value !== undefined) {
      option.argParser((text: string, before: unknown) => parse(text, isRepeatable ? before : undefined));
    }
    command.addOption(option);
  }
  return command;
}

export function addDeviceOptions(command: Command): Command {
  return command
    .addOption(
      new Option('--device <name>', 'where to compute (default: cpu)').choices(['cpu', 'webgpu', 'cuda']),
    )
    .option('--threads <number>', 'threads of the CPU (default: all cores)', positiveInteger);
}

export interface ModelFlags extends DeviceFlags {
  model: string;
  quantize?: 8 | 4;
  draft?: string;
  adapter?: string;
  determinism?: 'strict' | 'fast';
}

export function addModelOptions(command: Command): Command {
  command
    .requiredOption(
      '--model <folder>',
      "a model's folder, a run's folder or name, a .gguf file, or http(s)://host/v1#name",
    )
    .option('--quantize <bits>', 'hold the weights in 8 or 4 bits', oneOf(8, 4))
    .option('--adapter <folder>', 'a low-rank adapter of the model, or the folder of its training')
    .option(
      '--draft <model>',
      'a smaller model of the same vocabulary that guesses ahead; same answers, sooner',
    )
    .option(
      '--determinism <mode>',
      'strict: to the bit the same, whatever else runs; fast: up to rounding (default: strict)',
      oneOf('strict', 'fast'),
    );
  return addDeviceOptions(command);
}

/** A GGUF file or an endpoint, which `openLanguageModel` takes as it is; anything else means a folder. */
const OTHER_MODEL = { gguf: /\.gguf$/i, endpoint: /^https?:\/\//i };

/** The folder that `--model` means; undefined for a GGUF file or an endpoint. Throws DataError as `findModel` does. */
export async function modelFolder(model: string): Promise<string | undefined> {
  return OTHER_MODEL.gguf.test(model) || OTHER_MODEL.endpoint.test(model) ? undefined : findModel(model);
}

/** Opens what `--model` names, as the other flags ask. Throws DataError that says which models there are. */
export async function openModel(
  flags: ModelFlags,
  { requireTokenizer }: { readonly requireTokenizer: boolean },
): Promise<LanguageModel> {
  const { model, draft, adapter, quantize, determinism, ...device } = flags;
  const folder = await modelFolder(model);
  if (folder === undefined) return openOther(flags);
  const draftFolder = draft === undefined ? undefined : await findModel(draft);
  const { loadLanguageModel } = await import('../decode/load-model.node.ts');
  const options = {
    device: await openDevice(device),
    requireTokenizer,
    ...(quantize !== undefined && { quantize }),
    ...(draftFolder !== undefined && { draft: draftFolder }),
    ...(adapter !== undefined && { adapter: findAdapter(adapter) }),
    ...(determinism !== undefined && { determinism }),
  };
  return loadLanguageModel(folder, options);
}

async function openOther({ model, threads, ...flags }: ModelFlags): Promise<LanguageModel> {
  const isGguf = !OTHER_MODEL.endpoint.test(model);
  const idle = (['quantize', 'draft', 'adapter', 'determinism', 'device'] as const).find(
    (name) => flags[name] !== undefined,
  );
  if (idle !== undefined || (!isGguf && threads !== undefined)) {
    const what = isGguf ? 'a GGUF file, which llama.cpp runs' : 'an endpoint, which runs elsewhere';
    throw usage(`--${idle ?? 'threads'} has no effect on ${what}; leave it out.`);
  }
  const { openLanguageModel } = await import('../decode/open-model.node.ts');
  return openLanguageModel(model, threads === undefined ? {} : { gguf: { numThreads: threads } });
}

/** Some option of sampling is given. */
export const hasSampling = (options: GenerateOptions) =>
  options.chain !== undefined || SAMPLING_SETTINGS.some((name) => options[name] !== undefined);

/** Two draws can give two answers: false for greedy decoding and searches. */
export function hasChance({ dialect, chain, search, ...options }: GenerateOptions): boolean {
  if (search) return false;
  const settings = Object.fromEntries(SAMPLING_SETTINGS.map((name) => [name, options[name]]));
  return !(chain ?? chainOf(settings, dialect, { stopTokens: [] })).some(
    (stage) => stage.stage === 'temperature' && stage.temperature <= 0,
  );
}

/** Throws PlinthError `usage` for flags that exclude or need each other. */
export function generateOptions(flags: GenerationFlags): GenerateOptions {
  const given = ALL.filter(({ name }) => flags[fieldOf(name)] !== undefined);
  for (const { name, needs } of given) {
    if (needs !== undefined && flags[fieldOf(needs)] === undefined) {
      throw usage(`--${name} says how --${needs} works; give --${needs} too, or leave it out.`);
    }
  }
  refuseExcluded(given);
  const options: Record<string, unknown> = {};
  for (const { name, option, field } of given) {
    const value = flags[fieldOf(name)];
    options[option] = field === undefined ? value : { ...(options[option] as object), [field]: value };
  }
  if (flags.xtc !== undefined) {
    options.xtc = { threshold: DEFAULT_XTC_THRESHOLD, ...(options.xtc as object) };
  }
  if (flags.numBeams !== undefined) {
    options.search = { method: 'beam', ...(options.search as object) };
  } else if (flags.contrastiveAlpha !== undefined) {
    options.search = {
      method: 'contrastive',
      topK: flags.topK ?? DEFAULT_CONTRASTIVE_TOP_K,
      alpha: flags.contrastiveAlpha,
    };
    delete options.topK;
  }
  if (!options.search && !options.chain) checkChain(given, options as GenerateOptions);
  return options as GenerateOptions;
}

/** The dialect refuses what it does not have or cannot take; the library's names of settings become flags. */
function checkChain(given: readonly GenerationFlag[], { dialect, ...options }: GenerateOptions): void {
  const settings = Object.fromEntries(SAMPLING_SETTINGS.map((name) => [name, options[name]]));
  try {
    chainOf(settings, dialect, { stopTokens: [] });
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    const asFlags = (text: string) =>
      given
        .filter(({ option, field }) => SAMPLING.has(option) && (field === undefined || isHead(option, field)))
        .reduce(
          (said, { name, option }) => said.replace(new RegExp(`(?<![-\\w])${option}(?!\\w)`), `--${name}`),
          text,
        );
    throw usage(
      asFlags(error.message)
        .replace('as dialect', 'as --dialect')
        .replace('the chain yourself', 'a --sampler'),
    );
  }
}

/** The flag that stands for a setting with several fields: the one that the others need. */
const isHead = (option: string, field: string) =>
  ALL.some((flag) => flag.option === option && flag.field === field && flag.needs === undefined);

function refuseExcluded(given: readonly GenerationFlag[]): void {
  const isGiven = (name: string) => given.some((flag) => flag.name === name);
  const sampling = given.filter(({ option }) => SAMPLING.has(option) || option === 'dialect');
  if (isGiven('num-beams') && isGiven('contrastive-alpha')) {
    throw usage('--num-beams and --contrastive-alpha are two different searches; give one of them.');
  }
  if (isGiven('sampler') && sampling.length > 0) {
    throw usage(
      `--sampler is the whole list of stages, so --${sampling[0]!.name} cannot stand beside it; put it into the list.`,
    );
  }
  const search = ['num-beams', 'contrastive-alpha'].find(isGiven);
  if (search === undefined) return;
  const chance = given.find(
    (flag) =>
      (sampling.includes(flag) || flag.name === 'sampler' || flag.name === 'seed') &&
      !(search === 'contrastive-alpha' && flag.name === 'top-k'),
  );
  if (chance)
    throw usage(`--${search} searches and draws nothing, so --${chance.name} means nothing beside it.`);
}

/** Throws ConfigError that names the first flag which the model cannot honour. */
export function refuseUnsupported(flags: GenerationFlags, { capabilities }: LanguageModel): void {
  for (const { name, option } of ALL) {
    if (flags[fieldOf(name)] === undefined) continue;
    const isHonoured =
      option === 'logprobs'
        ? capabilities.logprobs
        : option === 'promptLogprobs'
          ? capabilities.promptLogprobs
          : option === 'seed'
            ? capabilities.seeded
            : option === 'chain' || option === 'search' || option === 'logprobsMode'
              ? capabilities.fullLogits
              : !SAMPLING.has(option) || capabilities.sampling.has(option as keyof SamplingSettings);
    if (isHonoured) continue;
    const known = ALL.filter((flag) => capabilities.sampling.has(flag.option as keyof SamplingSettings));
    throw new ConfigError(
      `--${name} is not something this model's backend can do. Of sampling it takes ` +
        `${known.map((flag) => `--${flag.name}`).join(', ') || 'no setting'}.`,
    );
  }
}

const usage = (message: string) => new PlinthError('usage', message);

export async function openDevice({ device = 'cpu', threads }: DeviceFlags) {
  const { nodeDeviceByName } = await import('../runtime/index.node.ts');
  return nodeDeviceByName(device, threads === undefined ? {} : { numThreads: threads });
}
