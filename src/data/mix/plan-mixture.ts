/**
 * Plans a mixture over sources: how much of each, how often its documents repeat, and in which order all come.
 * The plan is a pure function of the sources' sizes, the options and the seed; a source's own order depends on no
 * other source. What could not be had as asked (caps, empty sources, sizes of whole documents) stands in the plan
 * beside what was asked. It never sees a text.
 */
import { ConfigError } from '../../core/errors.ts';
import { mixtureNotes } from './mixture-notes.ts';
import { type MixtureItem, orderedItems } from './mixture-order.ts';
import { alphaOfTemperature, fillToCaps, normalized, PROPORTIONAL, sharesBySize } from './shares.ts';
import { SourceSequence } from './source-sequence.ts';

export type MixtureUnit = 'bytes' | 'tokens' | 'documents';

/**
 * `shuffled`: every stretch of the run has about the shares of the whole. `easy-to-hard`: ascending by a number of
 * each document (`descending` turns it round), in as many passes as the most repeated source has epochs.
 */
export type MixtureOrder =
  | { kind: 'shuffled' }
  | { kind: 'easy-to-hard'; by: string; descending?: boolean; passes?: number };

/** One source's documents by their sizes; index is the document's number. */
export interface MixtureSource {
  readonly name: string;
  /** Weights are given to parts; sources of one part share its weight by size^alpha. Default: the name. */
  readonly part?: string;
  /** UTF-8 bytes of each document's text. */
  readonly sizeBytes: ArrayLike<number>;
  /** Needed when the unit is tokens. */
  readonly numTokens?: ArrayLike<number>;
  /** The number that `easy-to-hard` orders by; NaN for a document without one, which comes last. */
  readonly difficulty?: ArrayLike<number>;
  /** In place of the option for all. */
  readonly maxEpochs?: number;
}

interface ShareOptions {
  /** Weight of each part, in any scale; every part needs one. Without: by size^alpha over all sources. */
  readonly weights?: Readonly<Record<string, number>>;
  /** Exponent on sizes. Default 1: in proportion. Not together with `temperature`. */
  readonly alpha?: number;
  /** T: alpha is 1 / T. */
  readonly temperature?: number;
  readonly order?: MixtureOrder;
}

export interface MixtureStage extends ShareOptions {
  readonly name: string;
  /** Of the budget; the stages' shares sum to 1. */
  readonly share: number;
}

export interface MixtureOptions extends ShareOptions {
  /** In `unit`. Default: the size of all sources together. */
  readonly budget?: number;
  /** Default bytes. */
  readonly unit?: MixtureUnit;
  /** No source gives more than so many times its size, nor (whole numbers) a document more often. Default: no cap. */
  readonly maxEpochs?: number;
  /** Phases one after the other, each with its own shares; a source goes on where the phase before stopped. */
  readonly stages?: readonly MixtureStage[];
  /** Default 1. */
  readonly seed?: number;
}

/** What one source gives to one phase: the places [start, end) of its sequence. */
export interface MixtureTake {
  readonly source: number;
  readonly start: number;
  readonly end: number;
  readonly askedShare: number;
  /** In the unit of the budget. */
  readonly target: number;
  readonly size: number;
}

export interface MixturePhase {
  readonly name: string;
  readonly budget: number;
  readonly alpha: number;
  readonly order: MixtureOrder;
  /** One for each source, in the order of the sources. */
  readonly takes: readonly MixtureTake[];
}

export interface MixturePlan {
  readonly sources: readonly MixtureSource[];
  readonly unit: MixtureUnit;
  readonly budget: number;
  /** Achieved, in the unit. */
  readonly size: number;
  readonly numDocuments: number;
  readonly seed: number;
  readonly maxEpochs: readonly number[];
  readonly phases: readonly MixturePhase[];
  /** What is not as asked, in words. */
  readonly notes: readonly string[];
  /** The documents in the order of the run; the same each time. */
  items(): Generator<MixtureItem>;
}

/** @throws ConfigError for options out of range or at odds with the sources. */
export function planMixture(sources: readonly MixtureSource[], options: MixtureOptions = {}): MixturePlan {
  const { unit = 'bytes', seed = 1 } = options;
  checkSources(sources, unit);
  const sequences = sources.map((source) => new SourceSequence(source.name, sizesOf(source, unit), seed));
  const available = sequences.map(({ epochSize }) => epochSize);
  const budget = options.budget ?? available.reduce((sum, size) => sum + size, 0);
  if (!(budget >= 0 && Number.isFinite(budget))) {
    throw new ConfigError(`The budget must be a number of ${unit} of at least 0; got ${budget}.`);
  }
  const maxEpochs = sources.map((source) => checkEpochs(source.maxEpochs ?? options.maxEpochs ?? Infinity));
  const limits = available.map((size, i) => (size === 0 ? 0 : size * maxEpochs[i]!));

  const starts = sources.map(() => 0);
  const used = sources.map(() => 0);
  const phases = stagesOf(options).map((stage): MixturePhase => {
    const alpha = alphaOf(stage, options);
    const order = stage.order ?? options.order ?? { kind: 'shuffled' };
    checkOrder(order, sources);
    const shares = askedShares(sources, available, stage.weights ?? options.weights, alpha);
    const wanted = budget * stage.share;
    const left = limits.map((limit, i) => limit - used[i]!);
    const targets = fillToCaps(wanted, shares, left);
    const taken = takeWhole(sequences, starts, targets, left);
    const takes = taken.map(({ numDocuments, size }, source): MixtureTake => {
      const start = starts[source]!;
      starts[source] = start + numDocuments;
      used[source]! += size;
      const end = start + numDocuments;
      return { source, start, end, askedShare: shares[source]!, target: targets[source]!, size };
    });
    return { name: stage.name, budget: wanted, alpha, order, takes };
  });
  const plan = {
    sources,
    unit,
    budget,
    size: used.reduce((sum, size) => sum + size, 0),
    numDocuments: starts.reduce((sum, count) => sum + count, 0),
    seed,
    maxEpochs,
    phases,
  };
  return {
    ...plan,
    notes: mixtureNotes(plan, available),
    *items() {
      for (const [i, phase] of phases.entries()) yield* orderedItems(phase, i, sources, sequences);
    },
  };
}

/** The sizes that the budget counts. */
export function sizesOf(source: MixtureSource, unit: MixtureUnit): ArrayLike<number> {
  if (unit === 'bytes') return source.sizeBytes;
  if (unit === 'tokens') return source.numTokens!;
  return new Uint8Array(source.sizeBytes.length).fill(1);
}

/** Shares of the sources that a phase asks for; they sum to 1, or are all 0. */
function askedShares(
  sources: readonly MixtureSource[],
  available: readonly number[],
  weights: Readonly<Record<string, number>> | undefined,
  alpha: number,
): number[] {
  if (weights === undefined) return sharesBySize(available, alpha);
  const parts = new Map<string, number[]>();
  for (const [i, source] of sources.entries()) {
    const part = source.part ?? source.name;
    const members = parts.get(part);
    if (members) members.push(i);
    else parts.set(part, [i]);
  }
  checkWeights(weights, [...parts.keys()]);
  const shares = sources.map(() => 0);
  const partShares = normalized([...parts.keys()].map((part) => weights[part]!));
  for (const [k, members] of [...parts.values()].entries()) {
    const within = sharesBySize(
      members.map((i) => available[i]!),
      alpha,
    );
    // A part that is empty as a whole keeps its asked share, so that the report shows what was not had.
    const isEmpty = within.every((share) => share === 0);
    for (const [m, i] of members.entries()) {
      shares[i] = partShares[k]! * (isEmpty ? 1 / members.length : within[m]!);
    }
  }
  return shares;
}

/**
 * Whole documents for the targets. What one source's last document misses or passes is carried to the next, so
 * the sum stays within one document of the budget; capped sources, which cannot take more, come first.
 */
function takeWhole(
  sequences: readonly SourceSequence[],
  starts: readonly number[],
  targets: readonly number[],
  limits: readonly number[],
): { numDocuments: number; size: number }[] {
  const takes = targets.map(() => ({ numDocuments: 0, size: 0 }));
  const isCapped = (i: number) => targets[i]! >= limits[i]!;
  const order = targets.map((_, i) => i).filter((i) => targets[i]! > 0);
  let carry = 0;
  for (const i of [...order.filter(isCapped), ...order.filter((i) => !isCapped(i))]) {
    const wanted = targets[i]! + (isCapped(i) ? 0 : carry);
    takes[i] = sequences[i]!.take(starts[i]!, wanted, limits[i]!);
    carry += targets[i]! - takes[i]!.size;
  }
  return takes;
}

function stagesOf(options: MixtureOptions): readonly MixtureStage[] {
  if (options.stages === undefined) return [{ name: 'all', share: 1 }];
  const names = options.stages.map(({ name }) => name);
  const sum = options.stages.reduce((total, { share }) => total + share, 0);
  if (names.length === 0 || new Set(names).size < names.length || names.includes('')) {
    throw new ConfigError(`Stages need distinct names; got ${JSON.stringify(names)}.`);
  }
  if (!options.stages.every(({ share }) => share > 0) || Math.abs(sum - 1) > 1e-6) {
    throw new ConfigError(
      `The shares of the stages must be above 0 and sum to 1; got ${options.stages.map(({ share }) => share).join(' + ')} = ${sum}.`,
    );
  }
  return options.stages;
}

function alphaOf(stage: ShareOptions, options: ShareOptions): number {
  const chosen = stage.alpha !== undefined || stage.temperature !== undefined ? stage : options;
  if (chosen.alpha !== undefined && chosen.temperature !== undefined) {
    throw new ConfigError('alpha and temperature say the same thing (alpha = 1 / T); give one of them.');
  }
  return chosen.temperature === undefined
    ? (chosen.alpha ?? PROPORTIONAL)
    : alphaOfTemperature(chosen.temperature);
}

function checkSources(sources: readonly MixtureSource[], unit: MixtureUnit): void {
  if (sources.length === 0) throw new ConfigError('A mixture needs at least one source; got none.');
  const seen = new Set<string>();
  for (const { name, sizeBytes, numTokens, difficulty } of sources) {
    if (seen.has(name)) throw new ConfigError(`Two sources are named '${name}'; names must differ.`);
    seen.add(name);
    if (unit === 'tokens' && numTokens === undefined) {
      throw new ConfigError(
        `Source '${name}' has no token counts, and the budget is in tokens. Count them first.`,
      );
    }
    for (const list of [numTokens, difficulty]) {
      if (list === undefined || list.length === sizeBytes.length) continue;
      throw new ConfigError(
        `Source '${name}' has ${sizeBytes.length} sizes but ${list.length} other figures; one for each document is expected.`,
      );
    }
  }
}

function checkEpochs(maxEpochs: number): number {
  if (maxEpochs > 0) return maxEpochs;
  throw new ConfigError(`maxEpochs must be above 0; got ${maxEpochs}. Leave a source out by weight 0.`);
}

function checkOrder(order: MixtureOrder, sources: readonly MixtureSource[]): void {
  if (order.kind === 'shuffled') return;
  const lacking = sources.find(({ difficulty }) => difficulty === undefined);
  if (lacking) {
    throw new ConfigError(
      `Order 'easy-to-hard' needs the number '${order.by}' of each document; source '${lacking.name}' has none.`,
    );
  }
  const { passes } = order;
  if (passes === undefined || (Number.isInteger(passes) && passes >= 1)) return;
  throw new ConfigError(`passes must be a whole number of at least 1; got ${passes}.`);
}

function checkWeights(weights: Readonly<Record<string, number>>, parts: readonly string[]): void {
  const missing = parts.filter((part) => !Object.hasOwn(weights, part));
  const unknown = Object.keys(weights).filter((name) => !parts.includes(name));
  if (missing.length > 0 || unknown.length > 0) {
    throw new ConfigError(
      `Weights must name every source once. ${missing.length > 0 ? `Missing: ${missing.join(', ')}. ` : ''}` +
        `${unknown.length > 0 ? `Unknown: ${unknown.join(', ')}. ` : ''}The sources are ${parts.join(', ')}.`,
    );
  }
  const bad = parts.find((part) => !(weights[part]! >= 0 && Number.isFinite(weights[part]!)));
  if (bad !== undefined) {
    throw new ConfigError(`The weight of '${bad}' must be a number of at least 0; got ${weights[bad]}.`);
  }
  if (parts.every((part) => weights[part] === 0)) {
    throw new ConfigError('All weights are 0: nothing would be mixed. Give one of them at least.');
  }
}
