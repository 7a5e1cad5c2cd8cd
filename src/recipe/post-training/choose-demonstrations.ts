/** Which of the judged answers become demonstrations or pairs, and why the others do not. Pure. */
import type { ChatMessage } from '../../tokenizer/index.ts';

/** `best`: the valid answer of the highest score for each prompt; `valid`: every valid one; `all`: every one. */
export type Keep = 'best' | 'valid' | 'all';

export interface JudgedDemonstration {
  readonly text: string;
  /** Cut at its greatest length: what it would teach is to stop anywhere. */
  readonly isCut: boolean;
  /** Orders the answers to one prompt. */
  readonly score: number;
  /** Why it is not valid; undefined where it is. */
  readonly fault: string | undefined;
}

export interface JudgedPrompt {
  readonly messages: readonly ChatMessage[];
  readonly answers: readonly JudgedDemonstration[];
}

export interface Demonstration {
  readonly messages: readonly ChatMessage[];
  readonly text: string;
  readonly score: number;
}

export interface DemonstratedPair {
  readonly messages: readonly ChatMessage[];
  readonly chosen: string;
  readonly rejected: string;
}

/** Answers and prompts that gave nothing, by reason. */
export type Dropped = ReadonlyMap<string, number>;

export const CUT = 'cut at its greatest length';
export const EMPTY = 'empty';
export const DUPLICATE = 'the same answer to the same prompt';
export const NOT_BEST = 'valid, but not the best of its prompt';
export const NO_VALID = 'prompts without a valid answer';
export const ALL_ALIKE = 'prompts whose answers are all worth the same';

/** Answers in the order of prompts and draws. Of equal scores the first drawn is the best. */
export function chooseDemonstrations(
  prompts: readonly JudgedPrompt[],
  keep: Keep,
): { readonly kept: Demonstration[]; readonly dropped: Dropped } {
  const { count, dropped } = counter();
  const kept = prompts.flatMap(({ messages, answers }) => {
    const usable = answers.filter(({ text, isCut, fault }) => {
      const reason = keep === 'all' ? undefined : (faultOf(text, isCut) ?? fault);
      if (reason !== undefined) count(reason);
      return reason === undefined;
    });
    const valid = withoutTwins(usable, count);
    if (valid.length === 0) count(NO_VALID);
    const best = valid.reduce<JudgedDemonstration | undefined>(
      (most, answer) => (most && most.score >= answer.score ? most : answer),
      undefined,
    );
    const chosen = keep === 'best' && best ? [best] : valid;
    count(NOT_BEST, valid.length - chosen.length);
    return chosen.map(({ text, score }) => ({ messages, text, score }));
  });
  return { kept, dropped };
}

/** For each prompt its best valid answer against its worst one: one that is not valid, or else the lowest score. */
export function choosePairs(prompts: readonly JudgedPrompt[]): {
  readonly kept: DemonstratedPair[];
  readonly dropped: Dropped;
} {
  const { count, dropped } = counter();
  const kept = prompts.flatMap(({ messages, answers }): DemonstratedPair[] => {
    const usable = answers.filter(({ text, isCut }) => {
      const reason = faultOf(text, isCut);
      if (reason !== undefined) count(reason);
      return reason === undefined;
    });
    const ranked = withoutTwins(usable, count).sort(
      (a, b) => Number(a.fault !== undefined) - Number(b.fault !== undefined) || b.score - a.score,
    );
    const [best, worst] = [ranked[0], ranked.at(-1)];
    if (!best || !worst || best.fault !== undefined) {
      count(NO_VALID);
      return [];
    }
    if (worst.fault === undefined && worst.score === best.score) {
      count(ALL_ALIKE);
      return [];
    }
    return [{ messages, chosen: best.text, rejected: worst.text }];
  });
  return { kept, dropped };
}

const faultOf = (text: string, isCut: boolean) => (isCut ? CUT : text.trim() === '' ? EMPTY : undefined);

function counter() {
  const dropped = new Map<string, number>();
  const count = (reason: string, number = 1) => {
    if (number > 0) dropped.set(reason, (dropped.get(reason) ?? 0) + number);
  };
  return { count, dropped };
}

function withoutTwins(
  answers: readonly JudgedDemonstration[],
  count: (reason: string) => void,
): JudgedDemonstration[] {
  const seen = new Set<string>();
  return answers.filter(({ text }) => {
    if (!seen.has(text)) {
      seen.add(text);
      return true;
    }
    count(DUPLICATE);
    return false;
  });
}
