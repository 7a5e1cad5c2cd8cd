/** When two answers say the same: by their text alone, so that no judge is needed. */
import { normalizeKey } from '../../data/keyed-split.ts';

/** The form in which answers are compared: NFC, white space collapsed, lower case, without a final full stop. */
export function normalAnswer(text: string): string {
  return normalizeKey(text).replace(/\.$/, '').trimEnd();
}

/** Whether an answer is one of those accepted. */
export function isAnswer(text: string, accepted: readonly string[]): boolean {
  const given = normalAnswer(text);
  return accepted.some((one) => normalAnswer(one) === given);
}

/** An answer and how often it was given. */
export interface AnswerCount {
  /** As it was first written. */
  readonly text: string;
  readonly count: number;
}

/** Distinct answers, the most frequent first; among equals the one that came first. */
export function countAnswers(texts: readonly string[]): AnswerCount[] {
  const counts = new Map<string, { text: string; count: number }>();
  for (const text of texts) {
    const key = normalAnswer(text);
    const known = counts.get(key);
    if (known) known.count++;
    else counts.set(key, { text: text.trim(), count: 1 });
  }
  return [...counts.values()].sort((a, b) => b.count - a.count);
}

/** Entropy of the answers' shares, in nats: 0 when all say the same, ln n when each says something else. */
export function answerEntropy(counts: readonly AnswerCount[]): number {
  const total = counts.reduce((sum, { count }) => sum + count, 0);
  return counts.reduce((sum, { count }) => sum - (count / total) * Math.log(count / total), 0);
}
