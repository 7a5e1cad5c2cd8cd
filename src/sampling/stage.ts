/**
 * What a stage of a sampler chain is. Each kind of stage stands in a file of its own, which checks the
 * settings once and gives a function for each token; `chain.ts` lists the kinds.
 */
import { ConfigError } from '../core/errors.ts';
import type { Candidates } from './candidates.ts';
import type { Draws } from './draws.ts';

/** What a stage may look at besides the candidates. */
export interface StageContext {
  readonly draws: Draws;
  /** Tokens so far: the prompt and what was generated. */
  readonly history: ArrayLike<number>;
}

export interface Stage {
  apply(candidates: Candidates, context: StageContext): void;
  /** The first largest score stays a candidate and stays the first largest, whatever the input. */
  readonly keepsFirstMaximum: boolean;
  /** Only the first maximum is left afterwards. */
  readonly picksMaximum?: boolean;
  /** Told of the token that was chosen; for stages with state, such as mirostat. */
  accept?(token: number): void;
}

/** A kind of stage: its settings as data, `{ stage: name, ... }`, become a stage for one sequence. */
export interface StageKind<Settings> {
  /** Throws ConfigError for settings out of range. */
  create(settings: Settings): Stage;
}

/** Throws ConfigError that names the stage and the setting unless the value lies in [least, most]. */
export function checkSetting(
  stage: string,
  name: string,
  value: unknown,
  least: number,
  most: number,
  whole = false,
): asserts value is number {
  const fits = typeof value === 'number' && value >= least && value <= most && Number.isFinite(value);
  if (fits && (!whole || Number.isInteger(value))) return;
  const range = Number.isFinite(most) ? `from ${least} to ${most}` : `of at least ${least}`;
  throw new ConfigError(
    `Sampling, ${stage}: ${name} is ${String(value)}; expected a ${whole ? 'whole ' : ''}number ` +
      `${Number.isFinite(least) || Number.isFinite(most) ? range : 'that is finite'}.`,
  );
}
