/**
 * Counts what finetuning data holds, chat by chat: turns, tools, lengths, copies, questions with different answers,
 * refusals, languages. Texts are kept in memory until the report is made, to compare them.
 */
import { assistantText } from '../../tokenizer/chat-tools.ts';
import { CHAT_ROLES, type ChatMessage, type ChatRole, type EncodedChat } from '../../tokenizer/index.ts';
import { findDuplicatesInMemory } from '../dedup/index.ts';
import { UnitHasher } from '../dedup/unit-hasher.ts';
import type { ReadReport } from '../document.ts';
import { normalizeKey } from '../keyed-split.ts';
import type { LanguageIdentifier } from '../language/index.ts';
import type { ChatRecord } from './chat-record.ts';
import { type ChatDataReport, type ConflictExample, chatWarnings, quantilesOf } from './chat-report.ts';
import { refusalKind } from './refusal-phrases.ts';

const MAX_EXAMPLES = 5;
const MAX_LISTED_SKIPS = 5;
/** How much of a question or an answer an example shows, in characters. */
const EXAMPLE_CHARACTERS = 120;
const NEAR = { kind: 'minhash', preset: 'datatrove' } as const;
const EXACT = { kind: 'exact', unit: 'document' } as const;

interface AnsweredQuestion {
  /** The message before the answers. */
  readonly question: string;
  /** In the form in which they are compared, with how often each was given. */
  readonly answers: Map<string, number>;
}

export class ChatInspector {
  readonly #cutAt: number;
  readonly #identifier: LanguageIdentifier;
  readonly #turns: number[] = [];
  readonly #lengths: number[] = [];
  readonly #roles = new Map<ChatRole, { messages: number; tokens: number }>();
  readonly #callsByName = new Map<string, number>();
  readonly #tools = { chats: 0, calls: 0, unlistedCalls: 0, unansweredTurns: 0 };
  readonly #targets = { all: 0, lost: 0, chatsCut: 0 };
  readonly #answers = { total: 0, empty: 0, refusals: 0, unknown: 0 };
  readonly #languages = new Map<string, number>();
  /** What was said, without system prompts: what is compared for copies. */
  readonly #texts: { text: string }[] = [];
  readonly #hasher = new UnitHasher({ ...EXACT, normalize: 'none' });
  /** By a key of all that came before. */
  readonly #answered = new Map<string, AnsweredQuestion>();

  /** @param cutAt tokens of a row of the training. */
  constructor(cutAt: number, identifier: LanguageIdentifier) {
    this.#cutAt = cutAt;
    this.#identifier = identifier;
  }

  add({ messages, tools = [] }: ChatRecord, { ids, roles, lossMask }: EncodedChat): void {
    this.#turns.push(messages.length);
    this.#lengths.push(ids.length);
    for (const { role } of messages) this.#role(role).messages++;
    let targets = 0;
    let lost = 0;
    for (let t = 0; t < ids.length; t++) {
      this.#role(CHAT_ROLES[roles[t]!]!).tokens++;
      targets += lossMask[t]!;
      // A row of T inputs holds T + 1 tokens.
      if (t > this.#cutAt) lost += lossMask[t]!;
    }
    this.#targets.all += targets;
    this.#targets.lost += lost;
    if (ids.length > this.#cutAt + 1) this.#targets.chatsCut++;
    if (tools.length > 0) this.#tools.chats++;
    this.#addCalls(messages, new Set(tools.map((tool) => tool.function.name)));
    this.#addAnswers(messages);
    this.#texts.push({
      text: messages
        .filter(({ role }) => role !== 'system')
        .map(said)
        .join('\n'),
    });
    const spoken = messages.filter(({ role }) => role === 'user' || role === 'assistant');
    const { language } = this.#identifier.identify(spoken.map(({ content }) => content).join('\n'));
    this.#languages.set(language, (this.#languages.get(language) ?? 0) + 1);
  }

  report(reports: readonly ReadReport[]): ChatDataReport {
    const total = this.#lengths.reduce((sum, length) => sum + length, 0);
    const { all, lost, chatsCut } = this.#targets;
    const roles = [...this.#roles].map(([role, { messages, tokens }]) => [
      role,
      { messages, tokens, share: tokens / Math.max(1, total) },
    ]);
    const found: Omit<ChatDataReport, 'warnings'> = {
      files: reports.map(({ source }) => source),
      chats: this.#lengths.length,
      skipped: {
        lines: reports.reduce((sum, { numSkipped }) => sum + numSkipped, 0),
        first: reports
          .flatMap(({ source, skipped }) => skipped.map((one) => ({ ...one, source })))
          .slice(0, MAX_LISTED_SKIPS),
      },
      turns: quantilesOf(this.#turns),
      roles: Object.fromEntries(roles) as ChatDataReport['roles'],
      tools: { ...this.#tools, callsByName: byCount(this.#callsByName) },
      tokens: {
        total,
        targets: all,
        targetShare: all / Math.max(1, total),
        length: quantilesOf(this.#lengths),
        cutAt: this.#cutAt,
        chatsCut,
        targetsLostShare: lost / Math.max(1, all),
      },
      duplicates: {
        exact: findDuplicatesInMemory(this.#texts, EXACT).numDuplicates,
        near: findDuplicatesInMemory(this.#texts, NEAR).numDuplicates,
      },
      conflicts: this.#conflicts(),
      answers: this.#answers,
      languages: byCount(this.#languages),
    };
    return { ...found, warnings: chatWarnings(found) };
  }

  #role(role: ChatRole): { messages: number; tokens: number } {
    let amount = this.#roles.get(role);
    if (!amount) {
      amount = { messages: 0, tokens: 0 };
      this.#roles.set(role, amount);
    }
    return amount;
  }

  #addCalls(messages: readonly ChatMessage[], listed: ReadonlySet<string>): void {
    for (const [i, { toolCalls = [] }] of messages.entries()) {
      for (const { name } of toolCalls) {
        this.#tools.calls++;
        if (!listed.has(name)) this.#tools.unlistedCalls++;
        this.#callsByName.set(name, (this.#callsByName.get(name) ?? 0) + 1);
      }
      const next = messages[i + 1];
      if (toolCalls.length > 0 && next && next.role !== 'tool') this.#tools.unansweredTurns++;
    }
  }

  #addAnswers(messages: readonly ChatMessage[]): void {
    let before = '';
    let question = '';
    for (const message of messages) {
      const text = said(message);
      const compared = normalizeKey(text);
      if (message.role === 'assistant') {
        this.#answers.total++;
        if (text.trim() === '') this.#answers.empty++;
        const kind = refusalKind(message.content);
        if (kind === 'refusal') this.#answers.refusals++;
        if (kind === 'unknown') this.#answers.unknown++;
        const known = this.#answered.get(before) ?? { question, answers: new Map<string, number>() };
        known.answers.set(compared, (known.answers.get(compared) ?? 0) + 1);
        this.#answered.set(before, known);
      }
      question = excerpt(text);
      before = this.#hasher.hash(`${before}\n${message.role}\n${compared}`).keys.join(' ');
    }
  }

  #conflicts(): ChatDataReport['conflicts'] {
    const examples: ConflictExample[] = [];
    let questions = 0;
    let numAnswers = 0;
    for (const { question, answers } of this.#answered.values()) {
      if (answers.size < 2) continue;
      questions++;
      for (const count of answers.values()) numAnswers += count;
      if (examples.length === MAX_EXAMPLES) continue;
      examples.push({ question, answers: [...answers.keys()].slice(0, MAX_EXAMPLES).map(excerpt) });
    }
    return { questions, answers: numAnswers, examples };
  }
}

/** A message's text with its calls. */
function said({ content, toolCalls = [] }: ChatMessage): string {
  return assistantText(content, toolCalls);
}

function excerpt(text: string): string {
  return text.length <= EXAMPLE_CHARACTERS ? text : `${text.slice(0, EXAMPLE_CHARACTERS).toWellFormed()}…`;
}

function byCount(counts: ReadonlyMap<string, number>): Record<string, number> {
  return Object.fromEntries([...counts].sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1)));
}
