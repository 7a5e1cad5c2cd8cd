/**
 * Stages that rule tokens out by their ids: only these, none of these, and no stop token before so many tokens.
 * When nothing is left to choose from, they throw ConfigError.
 */
import { ConfigError } from '../core/errors.ts';
import {
  checkSetting,
  checkTokens,
  checkVocabulary,
  numGenerated,
  refuseNoneLeft,
  type StageKind,
} from './stage.ts';

export interface AllowedTokensSettings {
  readonly stage: 'allowed-tokens';
  readonly tokens: readonly number[];
}

export interface BannedTokensSettings {
  readonly stage: 'banned-tokens';
  readonly tokens: readonly number[];
}

export interface MinTokensSettings {
  readonly stage: 'min-tokens';
  /** So many tokens are generated before a stop token may be chosen. */
  readonly count: number;
  readonly stopTokens: readonly number[];
}

export const allowedTokensStage: StageKind<AllowedTokensSettings> = {
  settings: { tokens: 'ids' },
  create({ tokens }) {
    checkTokens('allowed-tokens', 'tokens', tokens);
    if (tokens.length === 0) {
      throw new ConfigError(
        'Sampling, allowed-tokens: tokens is empty, so nothing could be chosen; expected at least one token id.',
      );
    }
    const { mask, largestId } = maskOf(tokens);
    return {
      keepsFirstMaximum: false,
      mayRefuse: true,
      apply: (candidates, { vocabSize }) => {
        checkVocabulary('allowed-tokens', largestId, vocabSize);
        if (candidates.keepMasked(mask, 1) === 0) refuseNoneLeft('allowed-tokens', candidates.size);
      },
    };
  },
};

export const bannedTokensStage: StageKind<BannedTokensSettings> = {
  settings: { tokens: 'ids' },
  create({ tokens }) {
    checkTokens('banned-tokens', 'tokens', tokens);
    const { mask, largestId } = maskOf(tokens);
    return {
      keepsFirstMaximum: tokens.length === 0,
      mayRefuse: tokens.length > 0,
      apply: (candidates, { vocabSize }) => {
        checkVocabulary('banned-tokens', largestId, vocabSize);
        if (candidates.keepMasked(mask, 0) === 0) refuseNoneLeft('banned-tokens', candidates.size);
      },
    };
  },
};

export const minTokensStage: StageKind<MinTokensSettings> = {
  settings: { count: 'number', stopTokens: 'ids' },
  create({ count, stopTokens }) {
    checkSetting('min-tokens', 'count', count, { least: 0, whole: true });
    checkTokens('min-tokens', 'stopTokens', stopTokens);
    // A stop token beyond the vocabulary cannot come up, so it needs no holding back.
    const { mask } = maskOf(stopTokens);
    const isIdle = count === 0 || stopTokens.length === 0;
    return {
      keepsFirstMaximum: isIdle,
      mayRefuse: !isIdle,
      apply: (candidates, context) => {
        if (isIdle || numGenerated('min-tokens', context) >= count) return;
        if (candidates.keepMasked(mask, 0) === 0) refuseNoneLeft('min-tokens', candidates.size);
      },
    };
  },
};

function maskOf(tokens: readonly number[]): { mask: Uint8Array; largestId: number } {
  const largestId = tokens.reduce((largest, id) => Math.max(largest, id), -1);
  const mask = new Uint8Array(largestId + 1);
  for (const id of tokens) mask[id] = 1;
  return { mask, largestId };
}
