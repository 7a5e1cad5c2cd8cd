/** Every kind of stage by its name, and how settings as data become stages. */
import { ConfigError } from '../core/errors.ts';
import { didYouMean } from '../core/nearest-name.ts';
import { type DrySettings, dryStage } from './dry.ts';
import { type EpsilonSettings, epsilonStage } from './epsilon.ts';
import { type EtaSettings, etaStage } from './eta.ts';
import { type LogitBiasSettings, logitBiasStage } from './logit-bias.ts';
import { type MinPSettings, minPStage } from './min-p.ts';
import { type MirostatSettings, mirostatStage } from './mirostat.ts';
import { type PenaltiesSettings, penaltiesStage } from './penalties.ts';
import { describe, type SettingForm, type Stage, type StageKind } from './stage.ts';
import { type TemperatureSettings, temperatureStage } from './temperature.ts';
import {
  type AllowedTokensSettings,
  allowedTokensStage,
  type BannedTokensSettings,
  bannedTokensStage,
  type MinTokensSettings,
  minTokensStage,
} from './token-lists.ts';
import { type TopKSettings, topKStage } from './top-k.ts';
import { type TopNSigmaSettings, topNSigmaStage } from './top-n-sigma.ts';
import { type TopPSettings, topPStage } from './top-p.ts';
import { type TypicalSettings, typicalStage } from './typical.ts';
import { type XtcSettings, xtcStage } from './xtc.ts';

export type StageSettings =
  | TemperatureSettings
  | TopKSettings
  | TopPSettings
  | MinPSettings
  | TypicalSettings
  | TopNSigmaSettings
  | EpsilonSettings
  | EtaSettings
  | XtcSettings
  | DrySettings
  | MirostatSettings
  | PenaltiesSettings
  | LogitBiasSettings
  | AllowedTokensSettings
  | BannedTokensSettings
  | MinTokensSettings;

/** A chain as data: stages in the order in which they apply. */
export type SamplerChain = readonly StageSettings[];

export type StageName = StageSettings['stage'];

export const STAGE_KINDS: {
  readonly [Name in StageName]: StageKind<Extract<StageSettings, { stage: Name }>>;
} = {
  temperature: temperatureStage,
  'top-k': topKStage,
  'top-p': topPStage,
  'min-p': minPStage,
  typical: typicalStage,
  'top-n-sigma': topNSigmaStage,
  epsilon: epsilonStage,
  eta: etaStage,
  xtc: xtcStage,
  dry: dryStage,
  mirostat: mirostatStage,
  penalties: penaltiesStage,
  'logit-bias': logitBiasStage,
  'allowed-tokens': allowedTokensStage,
  'banned-tokens': bannedTokensStage,
  'min-tokens': minTokensStage,
};

export const STAGE_NAMES = Object.keys(STAGE_KINDS) as StageName[];

/** The settings of a stage by name, most important first, with the form they have in a text. */
export function settingsOf(stage: StageName): [name: string, form: SettingForm][] {
  return Object.entries(STAGE_KINDS[stage].settings);
}

/** Throws ConfigError for unknown stages, unknown settings and settings out of range. */
export function createStage(settings: StageSettings, nextLane: () => number): Stage {
  const name = settings?.stage;
  if (!Object.hasOwn(STAGE_KINDS, name)) {
    throw new ConfigError(
      `Sampling: unknown stage ${describe(name ?? settings)}${didYouMean(name, STAGE_NAMES)}; expected one of ` +
        `${STAGE_NAMES.join(', ')}.`,
    );
  }
  const kind = STAGE_KINDS[name];
  const unknown = Object.keys(settings).find((key) => key !== 'stage' && !Object.hasOwn(kind.settings, key));
  if (unknown !== undefined) {
    const known = Object.keys(kind.settings);
    throw new ConfigError(
      `Sampling, ${name}: unknown setting ${describe(unknown)}${didYouMean(unknown, known)}; ` +
        `expected ${known.join(', ')}.`,
    );
  }
  return kind.create(settings as never, nextLane);
}
