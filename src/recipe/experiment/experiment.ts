/**
 * An experiment: several mixes of training text, one model for each mix and seed, all with the same shape,
 * tokenizer and number of steps, measured in bits per byte on the same held-out texts. A file in `recipes/`
 * exports one of these as its default.
 */
import { ConfigError } from '../../core/errors.ts';
import type { Document } from '../../data/document.ts';
import type { RecipeOverrides } from '../recipe.ts';

export interface Experiment {
  /** Name of the run's folder: letters, digits, '-' and '_'. */
  readonly name: string;
  readonly description: string;
  /** What the figures are to answer. */
  readonly question: string;
  /** The one dial: minutes for everything on this machine. */
  readonly minutes: number;
  /** Models for each arm, each from its own seed. */
  readonly numSeeds: number;
  /** Sizes and rates that hold for every arm. */
  readonly settings?: RecipeOverrides;
  /** Texts; a pure function of the seed, so that a resumed experiment finds the same ones. */
  readonly data: (options: { readonly seed: number }) => Promise<ExperimentData> | ExperimentData;
}

export interface ExperimentData {
  readonly sources: readonly { readonly name: string; readonly licence: string }[];
  readonly arms: readonly Arm[];
  /** Held-out texts, none of which may stand in an arm. */
  readonly evaluations: readonly EvaluationSet[];
  /** The arm that the others are compared with. */
  readonly baseline: string;
  /** What a reader must know of the data, in sentences. */
  readonly notes?: readonly string[];
  /** What cleaning removed, where the experiment cleans. */
  readonly cleaning?: readonly CleaningStep[];
}

/** A mix of training text. */
export interface Arm {
  readonly name: string;
  readonly description: string;
  readonly parts: readonly ArmPart[];
}

export interface ArmPart {
  readonly name: string;
  readonly documents: readonly Document[];
  /** Share of the rows of each batch, above 0; those of an arm add up to 1. */
  readonly share: number;
}

export interface EvaluationSet {
  readonly name: string;
  readonly description: string;
  readonly documents: readonly Document[];
}

export interface CleaningStep {
  readonly name: string;
  readonly documents: { readonly in: number; readonly out: number };
  readonly bytes: { readonly in: number; readonly out: number };
  /** Documents by the rule that dropped them. */
  readonly dropped: Readonly<Record<string, number>>;
}

const NAME = /^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/;
const MAX_SEEDS = 20;

/** Checks an experiment's own fields. Throws ConfigError that names the field. */
export function defineExperiment(experiment: Experiment): Experiment {
  const { name, minutes, numSeeds } = experiment;
  if (!NAME.test(name)) {
    throw new ConfigError(
      `Experiment name "${name}": use 1-64 letters, digits, "-" or "_", starting with a letter or digit.`,
    );
  }
  if (!(minutes > 0 && Number.isFinite(minutes)))
    throw new ConfigError(`Experiment "${name}": minutes must be above 0, got ${minutes}.`);
  checkNumSeeds(numSeeds);
  return experiment;
}

export function checkNumSeeds(numSeeds: number): void {
  if (Number.isInteger(numSeeds) && numSeeds >= 1 && numSeeds <= MAX_SEEDS) return;
  throw new ConfigError(`seeds must be a whole number from 1 to ${MAX_SEEDS}, got ${numSeeds}.`);
}

/** Checks what `data` gave. Throws ConfigError that names the arm or the evaluation. */
export function checkExperimentData({ arms, evaluations, baseline }: ExperimentData): void {
  const fail = (what: string): never => {
    throw new ConfigError(`The experiment's data: ${what}`);
  };
  if (arms.length < 2) fail(`${arms.length} arms; a comparison needs at least two.`);
  if (evaluations.length === 0) fail('no evaluation; give at least one set of held-out texts.');
  for (const list of [arms, evaluations]) {
    const names = list.map(({ name }) => name);
    const twice = names.find((name, i) => names.indexOf(name) !== i);
    if (twice !== undefined) fail(`two are named "${twice}"; give each its own name.`);
  }
  if (!arms.some(({ name }) => name === baseline)) fail(`no arm is named "${baseline}", the baseline.`);
  for (const { name, parts } of arms) {
    const total = parts.reduce((sum, { share }) => sum + share, 0);
    if (Math.abs(total - 1) > 1e-6) fail(`the shares of arm "${name}" add up to ${total}, not to 1.`);
    for (const part of parts) {
      if (!(part.share > 0)) fail(`arm "${name}", part "${part.name}": share ${part.share} is not above 0.`);
      if (part.documents.length === 0) fail(`arm "${name}", part "${part.name}" has no document.`);
    }
  }
  const trained = new Set(
    arms.flatMap(({ parts }) => parts.flatMap((part) => part.documents.map(({ text }) => text))),
  );
  for (const { name, documents } of evaluations) {
    if (documents.length === 0) fail(`evaluation "${name}" has no document.`);
    const leak = documents.find(({ text }) => trained.has(text));
    if (leak)
      fail(`document ${leak.id} of evaluation "${name}" is also trained on; hold it out of every arm.`);
  }
}
