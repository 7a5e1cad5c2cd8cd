/**
 * A chat format read from a model's Jinja template. The template is rendered on growing prefixes of the chat to
 * find where each assistant's turn begins and ends; a template for which that cannot be done is an error, not a
 * guess. Special tokens inside contents are broken by a mark before rendering, and the mark is taken out
 * afterwards, so that only the template's own control tokens count.
 */
import { ConfigError, FormatError, LimitError } from '../core/errors.ts';
import { type AddedToken, AddedTokenSplitter } from './added-tokens.ts';
import {
  type ChatFormat,
  type ChatMessage,
  type ChatOptions,
  type ChatRole,
  type ChatSegment,
  checkedMessages,
} from './chat-format.ts';
import { checkTools, type ToolCall } from './chat-tools.ts';
import { wireMessage } from './chat-wire.ts';
import { JinjaTemplate } from './jinja-template.ts';

/** Prefixes are rendered again for every message, so the work grows with the square of their number. */
export const MAX_TEMPLATE_MESSAGES = 512;

/** What ends the thoughts of an answer in the formats of models that think aloud. */
const THOUGHTS_END = '</think>';

export interface JinjaChatOptions {
  /** Names of the control tokens that the template may write. */
  specialTokens: Iterable<string>;
  /** What the template can read besides the messages: bos_token, eos_token, switches such as enable_thinking. */
  variables?: Readonly<Record<string, unknown>>;
  /** What the template takes for the present. */
  now?: Date;
}

/** Half-open range of the rendered text, and whose it is. */
interface Turn {
  start: number;
  end: number;
  role: ChatRole;
  /** Where the assistant's own text begins and its end-of-turn token ends; -1 for others. */
  targetStart: number;
  targetEnd: number;
  /** It is learned from. */
  isTarget: boolean;
}

export function jinjaChatFormat(template: string, options: JinjaChatOptions): ChatFormat {
  const names = [...new Set(options.specialTokens)];
  const short = names.find((name) => [...name].length < 2);
  if (short !== undefined) {
    throw new ConfigError(
      `Special token ${JSON.stringify(short)} is one character: a text that holds it could not be told from the ` +
        'token. Use names such as <|end|>.',
    );
  }
  const splitter = new AddedTokenSplitter(
    names.map((content, id): AddedToken => ({ content, id, special: true })),
  );
  const compiled = new JinjaTemplate(template, options.now);
  const variables = options.variables ?? {};

  return {
    template,
    segments(given, chatOptions = {}) {
      const messages = checkedMessages(given);
      if (messages.length > MAX_TEMPLATE_MESSAGES) {
        throw new LimitError(
          `${messages.length} messages; a chat template is read on at most ${MAX_TEMPLATE_MESSAGES}. Shorten the chat.`,
        );
      }
      const { tools = [] } = chatOptions;
      checkTools(tools);
      const mark = unusedMark([messages, tools]);
      const breakIn = <T>(value: T) => brokenWithin(value, splitter, mark) as T;
      const safe = messages.map((message) => breakIn(message));
      const safeTools = breakIn(tools);
      const attempt = (argumentsAsText: boolean) => {
        const shown = safe.map((message) => wireMessage(message, argumentsAsText));
        const render = (count: number, addGenerationPrompt: boolean) =>
          compiled.render({
            ...variables,
            messages: shown.slice(0, count),
            ...(tools.length > 0 && { tools: safeTools }),
            add_generation_prompt: addGenerationPrompt,
          });
        const rendering = new Rendering(safe, render, splitter);
        rendering.checkTools(safeTools.map((tool) => tool.function.name));
        return cutAtTokens(rendering, splitter, mark, chatOptions);
      };
      if (!messages.some(({ toolCalls }) => toolCalls && toolCalls.length > 0)) return attempt(false);
      try {
        return attempt(false);
      } catch (error) {
        // Some templates take the arguments of calls as JSON text.
        if (!(error instanceof FormatError || error instanceof ConfigError)) throw error;
        try {
          return attempt(true);
        } catch {
          throw error;
        }
      }
    },
  };
}

class Rendering {
  /** The whole chat without a generation prompt. */
  readonly text: string;
  readonly turns: Turn[] = [];
  readonly #render: (count: number, addGenerationPrompt: boolean) => string;

  constructor(
    messages: readonly ChatMessage[],
    render: (count: number, addGenerationPrompt: boolean) => string,
    splitter: AddedTokenSplitter,
  ) {
    this.#render = render;
    this.text = messages.length === 0 ? '' : render(messages.length, false);
    let start = 0;
    messages.forEach((message, i) => {
      const { role, weight } = message;
      const isLast = i + 1 === messages.length;
      let end = isLast ? this.text.length : this.#prefixLength(i + 1, false);
      let targetStart = -1;
      let targetEnd = -1;
      if (role === 'assistant') {
        targetStart = this.#prefixLength(i, true);
        if (targetStart < 0 || (end >= 0 && end < targetStart)) {
          throw new ConfigError(
            `The chat template writes the chat up to messages[${i}] differently once later messages follow, so the ` +
              "assistant's part cannot be found. Train on single turns, or with the ChatML format.",
          );
        }
        // A last turn may be written with more than it keeps once others follow (Qwen3 drops reasoning): what stands
        // in the whole chat counts.
        const turn = this.text.slice(targetStart, end < 0 ? undefined : end);
        targetEnd = targetStart + ownLength(turn, message, splitter, i, end < 0 ? 'first' : 'last');
        if (end < 0) end = targetEnd;
      } else if (end < 0) {
        // Merged with the next message (a system prompt inside the user's turn): the next turn takes both.
        end = start;
      }
      this.turns.push({ start, end, role, targetStart, targetEnd, isTarget: weight !== 0 });
      start = end;
    });
  }

  /** Throws ConfigError for a template that leaves tools out. */
  checkTools(names: readonly string[]): void {
    const missing = this.turns.length > 0 && names.find((name) => !this.text.includes(name));
    if (missing) {
      throw new ConfigError(
        `The model's chat template does not write tools, such as "${missing}". Leave the tools out, or finetune the ` +
          'model with the ChatML format.',
      );
    }
  }

  /** The generation prompt that follows the whole chat. */
  generationPrompt(numMessages: number): string {
    const withPrompt = this.#render(numMessages, true);
    if (!withPrompt.startsWith(this.text)) {
      throw new ConfigError(
        'The chat template writes earlier messages differently with add_generation_prompt.',
      );
    }
    return withPrompt.slice(this.text.length);
  }

  /** Length of the rendering of the first `count` messages if the whole begins with it, else -1. */
  #prefixLength(count: number, addGenerationPrompt: boolean): number {
    if (count === 0 && !addGenerationPrompt) return 0;
    let prefix: string;
    try {
      prefix = this.#render(count, addGenerationPrompt);
    } catch (error) {
      // Templates refuse chats of some shapes, such as a system prompt alone.
      if (error instanceof FormatError) return -1;
      throw error;
    }
    return this.text.startsWith(prefix) ? prefix.length : -1;
  }
}

/**
 * Length of the part of an assistant's turn that ends with its last special token, or with the first after what it
 * says where the text goes on beyond the turn.
 */
function ownLength(
  turn: string,
  { content, toolCalls = [] }: ChatMessage,
  splitter: AddedTokenSplitter,
  index: number,
  which: 'first' | 'last',
): number {
  const own = turn.includes(content.trim()) ? content.trim() : withoutThoughts(content);
  const places = [...(own === '' && toolCalls.length > 0 ? [] : [own]), ...toolCalls.map(({ name }) => name)];
  let said = 0;
  let contentAt = -1;
  for (const [i, place] of places.entries()) {
    const at = turn.indexOf(place, said);
    if (at < 0) throw cannotTell(i === 0 && own !== '' ? 'rewrites the content' : 'leaves out calls', index);
    if (i === 0) contentAt = at;
    said = at + place.length;
  }
  if (!toolCalls.every((call) => isWritten(call, turn))) throw cannotTell('leaves out calls', index);
  let end = -1;
  let at = 0;
  splitter.split(turn, (piece, id) => {
    if (id >= 0) {
      if (at < contentAt) throw cannotTell('does not write the header as generation prompt', index);
      if (at >= said && (end < 0 || which === 'last')) end = at + piece.length;
    }
    at += piece.length;
  });
  if (end < 0 && which === 'first') throw cannotTell('does not end the turn', index);
  return end < 0 ? turn.length : end;
}

/** What follows an answer's thoughts, which templates leave out once others have spoken. */
function withoutThoughts(content: string): string {
  const at = content.lastIndexOf(THOUGHTS_END);
  const answer = at < 0 ? '' : content.slice(at + THOUGHTS_END.length).trim();
  return answer === '' ? content.trim() : answer;
}

function isWritten({ name, arguments: given }: ToolCall, turn: string): boolean {
  return [name, ...Object.keys(given)].every((word) => turn.includes(JSON.stringify(word).slice(1, -1)));
}

function cannotTell(reason: string, index: number): ConfigError {
  return new ConfigError(
    `The chat template ${reason} of messages[${index}], so the assistant's part cannot be told from the rest. ` +
      'Use the ChatML format for training, or a template with add_generation_prompt.',
  );
}

function cutAtTokens(
  rendering: Rendering,
  splitter: AddedTokenSplitter,
  mark: string,
  options: ChatOptions,
): ChatSegment[] {
  const { text, turns } = rendering;
  const segments: ChatSegment[] = [];
  const cut = (from: number, to: number, isTarget: boolean, roleAt: (index: number) => ChatRole) => {
    let at = from;
    splitter.split(text.slice(from, to), (piece, id) => {
      const plain = id >= 0 ? piece : piece.replaceAll(mark, '');
      if (plain !== '') segments.push({ text: plain, special: id >= 0, role: roleAt(at), isTarget });
      at += piece.length;
    });
  };
  let turn = 0;
  const roleAt = (index: number): ChatRole => {
    while (turn + 1 < turns.length && index >= turns[turn]!.end) turn++;
    return turns[turn]!.role;
  };
  let done = 0;
  for (const { targetStart, targetEnd, isTarget } of turns) {
    if (targetStart < 0) continue;
    cut(done, targetStart, false, roleAt);
    cut(targetStart, targetEnd, isTarget, () => 'assistant');
    done = targetEnd;
  }
  cut(done, text.length, false, roleAt);
  if (options.addGenerationPrompt) {
    splitter.split(rendering.generationPrompt(turns.length), (piece, id) => {
      segments.push({ text: piece, special: id >= 0, role: 'assistant', isTarget: false });
    });
  }
  return segments;
}

/** The text with every special token's name broken after its first character. */
function broken(text: string, splitter: AddedTokenSplitter, mark: string): string {
  let result = '';
  splitter.split(text, (piece, id) => {
    const first = String.fromCodePoint(piece.codePointAt(0)!);
    result += id < 0 ? piece : first + mark + piece.slice(first.length);
  });
  return result;
}

/** `broken` in every text of a value, names of fields in it included. */
function brokenWithin(value: unknown, splitter: AddedTokenSplitter, mark: string): unknown {
  if (typeof value === 'string') return broken(value, splitter, mark);
  if (Array.isArray(value)) return value.map((one) => brokenWithin(one, splitter, mark));
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).filter(([, one]) => one !== undefined);
  return Object.fromEntries(
    entries.map(([key, one]) => [broken(key, splitter, mark), brokenWithin(one, splitter, mark)]),
  );
}

/** A noncharacter (U+FDD0 to U+FDEF are for such internal use) that no text holds. */
function unusedMark(texts: unknown): string {
  const all = JSON.stringify(texts);
  for (let code = 0xfdd0; code <= 0xfdef; code++) {
    const mark = String.fromCharCode(code);
    if (!all.includes(mark)) return mark;
  }
  throw new ConfigError(
    'The messages hold all 32 noncharacters U+FDD0 to U+FDEF. Remove them: they are not text.',
  );
}
