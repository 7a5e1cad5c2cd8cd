/** Adds to the scores of single tokens. A token that is ruled out stays ruled out. */
import { ConfigError } from '../core/errors.ts';
import { checkSetting, checkTokenId, checkVocabulary, describe, finite, type StageKind } from './stage.ts';

export interface LogitBiasSettings {
  readonly stage: 'logit-bias';
  /** What is added, by token id. */
  readonly bias: Readonly<Record<number, number>>;
}

export const logitBiasStage: StageKind<LogitBiasSettings> = {
  settings: { bias: 'biases' },
  create({ bias }) {
    if (typeof bias !== 'object' || bias === null || Array.isArray(bias)) {
      throw new ConfigError(
        `Sampling, logit-bias: bias is ${describe(bias)}; expected numbers by token id, such as { 15: -2.5 }.`,
      );
    }
    const entries = Object.entries(bias).map(([key, value]): [number, number] => {
      const id = key.trim() === '' ? Number.NaN : Number(key);
      checkTokenId('logit-bias', 'bias', Number.isNaN(id) ? key : id);
      if (value === Number.NEGATIVE_INFINITY) {
        throw new ConfigError(
          `Sampling, logit-bias: the bias of token ${id} is -Infinity; expected a finite number. Put tokens that must ` +
            'never be chosen into bannedTokens.',
        );
      }
      checkSetting('logit-bias', `the bias of token ${id}`, value);
      return [id, value];
    });
    const largestId = entries.reduce((largest, [id]) => Math.max(largest, id), -1);
    return {
      keepsFirstMaximum: entries.every(([, value]) => value === 0),
      mayRefuse: entries.length > 0,
      apply: (candidates, { vocabSize }) => {
        checkVocabulary('logit-bias', largestId, vocabSize);
        for (const [id, value] of entries) {
          const place = candidates.placeOf(id);
          if (place >= 0) candidates.scores[place] = finite(candidates.scores[place]! + value);
        }
        candidates.rescored();
      },
    };
  },
};
