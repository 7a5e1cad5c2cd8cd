/** What a look at finetuning data tells: plain data, printed with --json, and sentences about what to mend. */
import type { ChatRole } from '../../tokenizer/index.ts';
import type { SkippedRecord } from '../document.ts';

export interface Quantiles {
  readonly min: number;
  readonly p10: number;
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly max: number;
}

export interface RoleAmount {
  readonly messages: number;
  readonly tokens: number;
  /** Of all tokens. */
  readonly share: number;
}

export interface ConflictExample {
  readonly question: string;
  readonly answers: readonly string[];
}

export interface ChatDataReport {
  readonly files: readonly string[];
  readonly chats: number;
  readonly skipped: {
    readonly lines: number;
    readonly first: readonly (SkippedRecord & { source: string })[];
  };
  /** Messages of a chat. */
  readonly turns: Quantiles;
  readonly roles: Readonly<Partial<Record<ChatRole, RoleAmount>>>;
  readonly tools: {
    /** Chats that list tools. */
    readonly chats: number;
    readonly calls: number;
    readonly callsByName: Readonly<Record<string, number>>;
    /** Calls of functions that their chat does not list. */
    readonly unlistedCalls: number;
    /** Turns with calls, before the last message, that no result follows. */
    readonly unansweredTurns: number;
  };
  readonly tokens: {
    readonly total: number;
    /** Learned from: what the assistant wrote. */
    readonly targets: number;
    readonly targetShare: number;
    /** Of a chat. */
    readonly length: Quantiles;
    /** Rows of the training: longer chats are cut. */
    readonly cutAt: number;
    readonly chatsCut: number;
    /** Of the targets, those behind the cut. */
    readonly targetsLostShare: number;
  };
  /** Chats beyond the first of each group of equal (or nearly equal) ones, system prompts apart. */
  readonly duplicates: { readonly exact: number; readonly near: number };
  /** Conversations that are the same up to an answer, and have different answers. */
  readonly conflicts: {
    readonly questions: number;
    readonly answers: number;
    readonly examples: readonly ConflictExample[];
  };
  readonly answers: {
    readonly total: number;
    readonly empty: number;
    readonly refusals: number;
    readonly unknown: number;
  };
  /** Chats by language of what user and assistant say, most frequent first. */
  readonly languages: Readonly<Record<string, number>>;
  readonly warnings: readonly string[];
}

const MAX_SKIPPED_SHARE = 0.01;
const MAX_DUPLICATE_SHARE = 0.05;
const MAX_CONFLICT_SHARE = 0.01;
const MAX_REFUSAL_SHARE = 0.2;
const MAX_LOST_SHARE = 0.01;
const MIN_TARGET_SHARE = 0.1;
const MAX_UNKNOWN_LANGUAGE_SHARE = 0.5;
const FEW_CHATS = 50;

export function chatWarnings(report: Omit<ChatDataReport, 'warnings'>): string[] {
  const { chats, skipped, tools, tokens, duplicates, conflicts, answers, languages } = report;
  const warnings: string[] = [];
  const of = (part: number, whole: number) => (whole === 0 ? 0 : part / whole);
  if (of(skipped.lines, chats + skipped.lines) > MAX_SKIPPED_SHARE) {
    const first = skipped.first[0];
    warnings.push(
      `${skipped.lines} of ${chats + skipped.lines} lines are no chats; the first, ${first?.source}, ` +
        `${first?.position}: ${first?.reason}.`,
    );
  }
  if (chats < FEW_CHATS) {
    warnings.push(`${chats} chats are few: a model learns them by heart rather than their manner.`);
  }
  if (of(duplicates.exact, chats) > MAX_DUPLICATE_SHARE) {
    warnings.push(
      `${percent(of(duplicates.exact, chats))} of the chats are exact copies of earlier ones; they count double.`,
    );
  } else if (of(duplicates.near, chats) > MAX_DUPLICATE_SHARE) {
    warnings.push(`${percent(of(duplicates.near, chats))} of the chats are nearly the same as earlier ones.`);
  }
  if (of(conflicts.answers, answers.total) > MAX_CONFLICT_SHARE) {
    warnings.push(
      `${conflicts.questions} questions have different answers, ${conflicts.answers} in all: of facts, that teaches ` +
        'the model to guess among them.',
    );
  }
  if (of(answers.refusals + answers.unknown, answers.total) > MAX_REFUSAL_SHARE) {
    warnings.push(
      `${percent(of(answers.refusals + answers.unknown, answers.total))} of the answers refuse or say that they do not ` +
        'know: the model will do so where it could answer.',
    );
  }
  if (answers.empty > 0) {
    warnings.push(
      `${answers.empty} answers of the assistant are empty, without calls: it learns to say nothing.`,
    );
  }
  if (tokens.targetsLostShare > MAX_LOST_SHARE) {
    warnings.push(
      `${tokens.chatsCut} chats are longer than ${tokens.cutAt} tokens; ${percent(tokens.targetsLostShare)} of what is to ` +
        'be learned stands behind the cut. Raise --length.',
    );
  }
  if (tokens.targetShare < MIN_TARGET_SHARE) {
    warnings.push(
      `Only ${percent(tokens.targetShare)} of the tokens are the assistant's; the rest costs time and is not learned.`,
    );
  }
  if (tools.unlistedCalls > 0) {
    warnings.push(
      `${tools.unlistedCalls} of ${tools.calls} calls are of functions that their chat does not list in "tools": the ` +
        'model learns to call what it was not given.',
    );
  }
  if (tools.unansweredTurns > 0) {
    warnings.push(`${tools.unansweredTurns} turns with calls are not followed by a result of a tool.`);
  }
  if (of(languages.unknown ?? 0, chats) > MAX_UNKNOWN_LANGUAGE_SHARE) {
    warnings.push(
      `The language of ${percent(of(languages.unknown ?? 0, chats))} of the chats could not be told; short ones often cannot.`,
    );
  }
  return warnings;
}

export function percent(share: number): string {
  return `${(share * 100).toFixed(share < 0.1 ? 1 : 0)} %`;
}

/** Of no values all are 0. The value at the rank that the share asks for, without interpolation. */
export function quantilesOf(values: Iterable<number>): Quantiles {
  const sorted = Float64Array.from(values).sort();
  const at = (share: number) => sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? 0;
  return { min: at(0), p10: at(0.1), p50: at(0.5), p90: at(0.9), p99: at(0.99), max: at(1) };
}
