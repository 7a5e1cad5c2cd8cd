/**
 * Training data that follows what a model knows: where it does not know the answer, the label is a refusal (R-Tuning,
 * Zhang et al. 2024, arXiv 2311.09677). Labels that a model does not know teach it to guess (Schulman 2023; Gekhman
 * et al. 2024), so their own answers are never kept.
 */
import { ConfigError } from '../../core/errors.ts';
import { keyedUniform } from '../../data/keyed-split.ts';
import type { Knowledge } from './probe-knowledge.ts';

export interface LabelledQuestion {
  readonly question: string;
  readonly answer: string;
}

export interface ProbedQuestion extends LabelledQuestion {
  readonly knowledge: Pick<Knowledge, 'class'>;
}

export interface AbstentionOptions {
  /** The label of what is not known. */
  readonly refusal: string;
  /** Refusals among all records at most, at least 0 and below 1: more of them teach refusing as such. Default 0.5. */
  readonly maxShare?: number;
  /** Which refusals stay when there are too many. */
  readonly seed?: number;
}

export interface AbstentionData {
  /** In the order of the questions. */
  readonly records: readonly LabelledQuestion[];
  readonly numAnswered: number;
  readonly numRefused: number;
  /** Unknown ones that would have gone beyond the share. */
  readonly numLeftOut: number;
}

const DEFAULT_MAX_SHARE = 0.5;

/** Throws ConfigError for a blank refusal and a share out of range. */
export function abstentionData(
  questions: readonly ProbedQuestion[],
  options: AbstentionOptions,
): AbstentionData {
  const { refusal, maxShare = DEFAULT_MAX_SHARE, seed = 0 } = options;
  if (refusal.trim() === '') throw new ConfigError("refusal is blank; write for example I don't know.");
  if (!(maxShare >= 0 && maxShare < 1)) {
    throw new ConfigError(`maxShare must be at least 0 and below 1, got ${maxShare}.`);
  }
  const unknown = questions.filter(({ knowledge }) => knowledge.class === 'unknown');
  const numAnswered = questions.length - unknown.length;
  const most = Math.floor((numAnswered * maxShare) / (1 - maxShare));
  const refused = new Set(
    unknown
      .map((item, i) => ({ item, draw: keyedUniform(seed, 'abstention', item.question, String(i)) }))
      .sort((a, b) => a.draw - b.draw)
      .slice(0, most)
      .map(({ item }) => item),
  );
  const records = questions.flatMap((item) => {
    const { question, answer, knowledge } = item;
    if (knowledge.class !== 'unknown') return [{ question, answer }];
    return refused.has(item) ? [{ question, answer: refusal }] : [];
  });
  return {
    records,
    numAnswered,
    numRefused: refused.size,
    numLeftOut: unknown.length - refused.size,
  };
}
