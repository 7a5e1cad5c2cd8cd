/**
 * What people or programs said of answers: one preferred to another, good or bad, or ranked. Records have the forms
 * of TRL's datasets (https://huggingface.co/docs/trl/dataset_formats); what a prompt or an answer is given as, text or
 * messages, is messages from here on.
 */
import { chatMessageOf, toolDefinitionsOf } from '../../data/chats/chat-record.ts';
import type { ToolDefinition } from '../../tokenizer/chat-tools.ts';
import type { ChatMessage } from '../../tokenizer/index.ts';

/** Messages that follow a prompt; the first and the last are the assistant's. Mostly there is only one. */
export type Answer = readonly ChatMessage[];

export interface Prompt {
  readonly messages: readonly ChatMessage[];
  /** Functions that the assistant may call. */
  readonly tools?: readonly ToolDefinition[];
}

export interface PreferencePair extends Prompt {
  readonly chosen: Answer;
  readonly rejected: Answer;
  /** By how much the chosen one is better, where a file says it ("margin", as TRL's reward trainer reads it). */
  readonly margin?: number;
}

export interface LabelledAnswer extends Prompt {
  readonly answer: Answer;
  readonly isGood: boolean;
}

export interface RankedAnswers extends Prompt {
  readonly answers: readonly Answer[];
  /** One for each answer; the lower, the better. Equal ranks say nothing about the two. */
  readonly ranks: readonly number[];
}

export type PreferenceRecord =
  | ({ readonly kind: 'pair' } & PreferencePair)
  | ({ readonly kind: 'label' } & LabelledAnswer)
  | ({ readonly kind: 'ranking' } & RankedAnswers);

/** The preference of a record, or why it has none. */
export function preferenceOf(record: Readonly<Record<string, unknown>>): PreferenceRecord | string {
  try {
    const tools = toolsOf(record.tools);
    if ('completions' in record) return { ...rankingOf(record), ...tools };
    if ('completion' in record) return { ...labelOf(record), ...tools };
    if ('chosen' in record || 'rejected' in record) return { ...pairOf(record), ...tools };
    return 'none of "chosen" and "rejected", "completion" and "label", "completions"';
  } catch (error) {
    if (error instanceof Refusal) return error.message;
    throw error;
  }
}

/** Every better answer against every worse one, best first. */
export function pairsOfRanking(ranking: RankedAnswers): PreferencePair[] {
  const { answers, ranks } = ranking;
  const order = answers.map((_, i) => i).sort((a, b) => ranks[a]! - ranks[b]! || a - b);
  return order.flatMap((better, i) =>
    order
      .slice(i + 1)
      .filter((worse) => ranks[worse]! > ranks[better]!)
      .map((worse) => ({ ...promptIn(ranking), chosen: answers[better]!, rejected: answers[worse]! })),
  );
}

/** The chosen answer as a good one, the rejected one as a bad one. */
export function labelsOfPair(pair: PreferencePair): LabelledAnswer[] {
  return [
    { ...promptIn(pair), answer: pair.chosen, isGood: true },
    { ...promptIn(pair), answer: pair.rejected, isGood: false },
  ];
}

/** The pairs that a record holds; none for a labelled answer. */
export function pairsIn(record: PreferenceRecord): PreferencePair[] {
  if (record.kind === 'pair') return [record];
  return record.kind === 'ranking' ? pairsOfRanking(record) : [];
}

/** The labelled answers that a record holds. Of a ranking the better and the worse half by rank; the middle says nothing. */
export function labelsIn(record: PreferenceRecord): LabelledAnswer[] {
  if (record.kind === 'label') return [record];
  if (record.kind === 'pair') return labelsOfPair(record);
  const { answers, ranks } = record;
  const best = Math.min(...ranks);
  const worst = Math.max(...ranks);
  if (best === worst) return [];
  return answers.flatMap((answer, i) => {
    const [toBest, toWorst] = [ranks[i]! - best, worst - ranks[i]!];
    return toBest === toWorst ? [] : [{ ...promptIn(record), answer, isGood: toBest < toWorst }];
  });
}

/** Equal prompts, equal texts. */
export function preferenceKey({ messages, tools }: Prompt): string {
  return JSON.stringify([messages, tools]);
}

function promptIn({ messages, tools }: Prompt): Prompt {
  return { messages, ...(tools && { tools }) };
}

/** Why a record is refused. */
class Refusal extends Error {}

function pairOf(record: Readonly<Record<string, unknown>>): PreferenceRecord {
  for (const name of ['chosen', 'rejected']) if (!(name in record)) throw new Refusal(`no "${name}"`);
  const { messages, chosen, rejected } =
    record.prompt === undefined || holdsItsPrompt(record.chosen)
      ? withImplicitPrompt(record)
      : {
          messages: promptOf(record.prompt),
          chosen: answerOf(record.chosen, 'chosen'),
          rejected: answerOf(record.rejected, 'rejected'),
        };
  if (isSame(chosen, rejected)) throw new Refusal('"chosen" and "rejected" are the same');
  return { kind: 'pair', messages, chosen, rejected, ...marginOf(record.margin) };
}

function marginOf(margin: unknown): { margin?: number } {
  if (margin === undefined || margin === null) return {};
  if (typeof margin === 'number' && margin >= 0) return { margin };
  throw new Refusal(`"margin" is ${shown(margin)}, expected a number of at least 0`);
}

/** Some sets repeat the prompt in each answer, beside "prompt". */
function holdsItsPrompt(answer: unknown): boolean {
  const role = Array.isArray(answer) ? (answer[0] as { role?: unknown } | null)?.role : undefined;
  return role === 'system' || role === 'user';
}

/** The prompt is what both lists begin with, up to the assistant's turn in which they part. */
function withImplicitPrompt(record: Readonly<Record<string, unknown>>): PreferencePair {
  if (!Array.isArray(record.chosen) || !Array.isArray(record.rejected)) {
    throw new Refusal('no "prompt"; without it, "chosen" and "rejected" must be lists of messages');
  }
  const chosen = messagesIn(record.chosen, 'chosen');
  const rejected = messagesIn(record.rejected, 'rejected');
  let shared = 0;
  while (shared < Math.min(chosen.length, rejected.length) && isSame(chosen[shared], rejected[shared])) {
    shared++;
  }
  if (shared === chosen.length && shared === rejected.length) {
    throw new Refusal('"chosen" and "rejected" are the same');
  }
  while (shared > 0 && chosen[shared - 1]!.role === 'assistant') shared--;
  return {
    messages: checkedPrompt(chosen.slice(0, shared)),
    chosen: checkedAnswer(chosen.slice(shared), 'chosen'),
    rejected: checkedAnswer(rejected.slice(shared), 'rejected'),
  };
}

function labelOf(record: Readonly<Record<string, unknown>>): PreferenceRecord {
  const { label } = record;
  if (typeof label !== 'boolean') {
    throw new Refusal(`"label" is ${shown(label)}, expected true or false`);
  }
  return {
    kind: 'label',
    messages: promptOf(record.prompt),
    answer: answerOf(record.completion, 'completion'),
    isGood: label,
  };
}

function rankingOf(record: Readonly<Record<string, unknown>>): PreferenceRecord {
  const { completions, ranks } = record;
  if (!Array.isArray(completions) || completions.length < 2) {
    throw new Refusal('"completions" is no list of two answers or more');
  }
  const messages = promptOf(record.prompt);
  const answers = completions.map((one, i) => answerOf(one, `completions[${i}]`));
  if (ranks === undefined) return { kind: 'ranking', messages, answers, ranks: answers.map((_, i) => i + 1) };
  if (!Array.isArray(ranks) || ranks.length !== answers.length || !ranks.every(Number.isFinite)) {
    throw new Refusal(
      `"ranks" is ${shown(ranks)}, expected ${answers.length} numbers, one for each completion`,
    );
  }
  if (new Set(ranks).size === 1) throw new Refusal('all "ranks" are the same');
  return { kind: 'ranking', messages, answers, ranks: ranks as number[] };
}

function promptOf(value: unknown): ChatMessage[] {
  if (typeof value !== 'string') return checkedPrompt(messagesIn(value, 'prompt'));
  if (value.trim() === '') throw new Refusal('"prompt" is empty');
  return [{ role: 'user', content: value }];
}

function checkedPrompt(messages: ChatMessage[]): ChatMessage[] {
  const last = messages.at(-1);
  if (!last) throw new Refusal('no prompt before the answers');
  if (last.role === 'assistant') throw new Refusal("the prompt ends with the assistant's turn");
  return messages;
}

function answerOf(value: unknown, name: string): ChatMessage[] {
  if (typeof value === 'string') return checkedAnswer([{ role: 'assistant', content: value }], name);
  return checkedAnswer(messagesIn(value, name), name);
}

function checkedAnswer(messages: ChatMessage[], name: string): ChatMessage[] {
  for (const [which, message] of [
    ['begins', messages[0]],
    ['ends', messages.at(-1)],
  ] as const) {
    if (message?.role === 'assistant') continue;
    throw new Refusal(
      message ? `"${name}" ${which} with the role ${message.role}, not assistant` : `"${name}" is empty`,
    );
  }
  return messages;
}

function messagesIn(value: unknown, name: string): ChatMessage[] {
  if (!Array.isArray(value)) throw new Refusal(`"${name}" is ${shown(value)}, expected text or messages`);
  return value.map((message: unknown, i) => orRefuse(chatMessageOf(message, `${name}[${i}]`)));
}

function toolsOf(value: unknown): { tools?: readonly ToolDefinition[] } {
  return value === undefined || value === null ? {} : { tools: orRefuse(toolDefinitionsOf(value)) };
}

function orRefuse<T>(found: T | string): T {
  if (typeof found === 'string') throw new Refusal(found);
  return found;
}

const MAX_SHOWN = 40;
const shown = (value: unknown) =>
  value === undefined ? 'missing' : (JSON.stringify(value) ?? typeof value).slice(0, MAX_SHOWN);
const isSame = (a: unknown, b: unknown) => JSON.stringify(a) === JSON.stringify(b);
