/**
 * Penalties on tokens seen before. A token that occurs c > 0 times gets its score divided by `repetition` when
 * positive and multiplied when not (Keskar et al. 2019, with the sign rule every engine has), and then
 * c * frequency + presence taken from it. What counts as seen differs between engines and so is a setting.
 */
import { ConfigError } from '../core/errors.ts';
import type { Candidates } from './candidates.ts';
import { checkSetting, describe, finite, numGenerated, type StageContext, type StageKind } from './stage.ts';

const SCOPES = ['all', 'generated'] as const;
/** Tokens that count as seen: the prompt too, or only what was generated. */
export type PenaltyScope = (typeof SCOPES)[number];

export interface PenaltiesSettings {
  readonly stage: 'penalties';
  /** Default 1: none. */
  readonly repetition?: number;
  /** Default 0. */
  readonly presence?: number;
  /** Default 0. */
  readonly frequency?: number;
  /** Only the last so many tokens of the history count; 0: none, -1 (default): all. */
  readonly lastN?: number;
  /** What `repetition` counts. Default `all`. */
  readonly repetitionOver?: PenaltyScope;
  /** What `presence` and `frequency` count. Default `all`. */
  readonly countsOver?: PenaltyScope;
}

export const penaltiesStage: StageKind<PenaltiesSettings> = {
  settings: {
    repetition: 'number',
    presence: 'number',
    frequency: 'number',
    lastN: 'number',
    repetitionOver: SCOPES,
    countsOver: SCOPES,
  },
  create(settings) {
    const { repetition = 1, presence = 0, frequency = 0, lastN = -1 } = settings;
    const { repetitionOver = 'all', countsOver = 'all' } = settings;
    checkSetting('penalties', 'repetition', repetition, { above: 0 });
    checkSetting('penalties', 'presence', presence);
    checkSetting('penalties', 'frequency', frequency);
    checkSetting('penalties', 'lastN', lastN, { least: -1, whole: true });
    checkScope('repetitionOver', repetitionOver);
    checkScope('countsOver', countsOver);
    const repeats = repetition !== 1 && lastN !== 0;
    const counts = (presence !== 0 || frequency !== 0) && lastN !== 0;
    const firstOf = (scope: PenaltyScope, context: StageContext): number => {
      const { length } = context.history;
      const first = lastN < 0 ? 0 : Math.max(0, length - lastN);
      return scope === 'all' ? first : Math.max(first, length - numGenerated('penalties', context));
    };
    return {
      keepsFirstMaximum: !repeats && !counts,
      mayRefuse: (repeats && repetitionOver !== 'all') || (counts && countsOver !== 'all'),
      apply: (candidates, context) => {
        if (repeats) {
          rescoreSeen(candidates, context, firstOf(repetitionOver, context), (score) =>
            score > 0 ? score / repetition : score * repetition,
          );
        }
        if (counts) {
          rescoreSeen(
            candidates,
            context,
            firstOf(countsOver, context),
            (score, count) => score - (count * frequency + presence),
          );
        }
      },
    };
  },
};

function checkScope(name: string, scope: unknown): void {
  if (SCOPES.includes(scope as PenaltyScope)) return;
  throw new ConfigError(
    `Sampling, penalties: ${name} is ${describe(scope)}; expected ${SCOPES.join(' or ')}.`,
  );
}

/** Occurrences by token id; all zero between calls. */
let occurrences = new Int32Array(0);

/** Changes the scores of candidates that occur in the history from `first` on. */
function rescoreSeen(
  candidates: Candidates,
  { history, vocabSize }: StageContext,
  first: number,
  rescore: (score: number, count: number) => number,
): void {
  if (occurrences.length < vocabSize) occurrences = new Int32Array(vocabSize);
  // A history may hold ids beyond the vocabulary that is sampled from (padding of the model's); they cannot come up.
  for (let i = first; i < history.length; i++) if (history[i]! < vocabSize) occurrences[history[i]!]!++;
  const { ids, scores, size, isSorted } = candidates;
  if (isSorted) {
    for (let i = 0; i < size; i++) {
      const count = occurrences[ids[i]!]!;
      if (count > 0) scores[i] = finite(rescore(scores[i]!, count));
    }
  }
  for (let i = first; i < history.length; i++) {
    const id = history[i]!;
    const count = id < vocabSize ? occurrences[id]! : 0;
    if (count === 0) continue;
    occurrences[id] = 0;
    const place = isSorted ? -1 : candidates.placeOf(id);
    if (place >= 0) scores[place] = finite(rescore(scores[place]!, count));
  }
  candidates.rescored();
}
