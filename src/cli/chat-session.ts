/**
 * A conversation as a value that questions and commands change: messages, settings, what the model gets to see of
 * them, and what happens when that outgrows its context. A question that fails leaves the conversation as it was.
 * Knows nothing of terminals and files.
 */
import { ConfigError, LimitError } from '../core/errors.ts';
import type { Completion, GenerateOptions, LanguageModel, Prompt } from '../decode/language-model.ts';
import { type ChatMessage, encodeChat } from '../tokenizer/index.ts';
import { type ChatSettings, DEFAULT_CHAT_SETTINGS } from './chat-settings.ts';
import { logprobsFor } from './generate/probability-view.ts';
import { generateOptions, hasChance, hasSampling } from './generation-options.ts';

export interface AnswerListener {
  readonly signal: AbortSignal;
  onText(text: string): void;
  /** Called before the answer when turns are left out for the first time, or more than before. */
  onLeftOut(left: LeftOut): void;
}

export interface LeftOut {
  readonly numMessages: number;
  /** Of the whole conversation; unknown to models without a tokenizer of ours. */
  readonly numTokens: number | undefined;
  /** Tokens kept for the answer. */
  readonly reserve: number;
}

export interface Answer {
  readonly completion: Completion;
  /** What the model did not see of the conversation. */
  readonly numLeftOut: number;
  readonly seconds: number;
  /** Something about this answer that the reader may want to know. */
  readonly note?: string | undefined;
  /** The seed of the draws is part of what was asked. */
  readonly showSeed: boolean;
}

/** Where nobody knows how long an answer will be, this much of the context is kept for it. */
const MAX_RESERVED_SHARE = 0.25;
const DEFAULT_MAX_TOKENS = 256;

export class ChatSession {
  readonly #model: LanguageModel;
  #settings: ChatSettings;
  #messages: readonly ChatMessage[] = [];
  /** The last answer as it was generated, so that it can be continued token by token. */
  #last: Completion | undefined;
  #attempt = 0;
  #numLeftOut = 0;
  #lastSeconds = 0;

  /** Throws ConfigError when the model has no chat format. */
  constructor(model: LanguageModel, settings: Partial<ChatSettings> = {}) {
    if (!model.capabilities.chat) {
      throw new ConfigError(
        'This model has no chat format (tokenizer_config.json has no chat_template). ' +
          'Use "plinth generate" to continue a text, or "plinth sft" to finetune it on chats.',
      );
    }
    this.#model = model;
    this.#settings = { ...DEFAULT_CHAT_SETTINGS, ...settings };
  }

  get settings(): ChatSettings {
    return this.#settings;
  }

  set settings(settings: ChatSettings) {
    this.#settings = settings;
  }

  get model(): LanguageModel {
    return this.#model;
  }

  get messages(): readonly ChatMessage[] {
    return this.#messages;
  }

  /** Messages at the beginning that the model did not see for its last answer. */
  get numLeftOut(): number {
    return this.#numLeftOut;
  }

  /** Replaces the conversation; without messages it starts anew. */
  restart(messages: readonly ChatMessage[] = []): void {
    this.#messages = messages;
    this.#last = undefined;
    this.#attempt = 0;
    this.#numLeftOut = 0;
  }

  /** Takes back the last question with what followed; false when there is none. */
  undo(): boolean {
    const at = this.#messages.findLastIndex(({ role }) => role === 'user');
    if (at < 0) return false;
    this.restart(this.#messages.slice(0, at));
    return true;
  }

  async ask(content: string, listener: AnswerListener): Promise<Answer> {
    return this.#answer([...this.#messages, { role: 'user', content }], 0, listener);
  }

  /** The last question again, with draws of its own. Throws ConfigError when nothing was asked. */
  async retry(listener: AnswerListener): Promise<Answer> {
    const at = this.#messages.findLastIndex(({ role }) => role === 'user');
    if (at < 0) throw new ConfigError('There is no question yet to answer again.');
    const before = this.#messages.slice(at + 1).map(({ content }) => content);
    const answer = await this.#answer(this.#messages.slice(0, at + 1), this.#attempt + 1, listener);
    const isSame = before.length === 1 && before[0] === answer.completion.text;
    if (!isSame || hasChance(this.#options())) return answer;
    return {
      ...answer,
      note: 'The same answer: nothing is drawn at temperature 0. Try /set temperature 0.8.',
    };
  }

  /**
   * Replaces message `number` (from 1, as in the list of messages) and forgets what followed. A question is
   * answered anew; undefined when an answer was replaced and the next question is awaited.
   */
  async edit(number: number, content: string, listener: AnswerListener): Promise<Answer | undefined> {
    const message = this.#messages[number - 1];
    if (!message) {
      const numMessages = this.#messages.length;
      throw new ConfigError(
        numMessages === 0
          ? 'There is no message yet to edit.'
          : `There is no message ${number}; there are 1 to ${numMessages}. /history lists them.`,
      );
    }
    const messages = [...this.#messages.slice(0, number - 1), { ...message, content }];
    if (message.role === 'user') return this.#answer(messages, 0, listener);
    this.restart(messages);
    return undefined;
  }

  /** Goes on with the last answer where it ended. Throws ConfigError when there is none, or no way to do it. */
  async continue(listener: AnswerListener): Promise<Answer> {
    const last = this.#messages.at(-1);
    if (last?.role !== 'assistant') throw new ConfigError('There is no answer yet to continue.');
    const { tokenizer, capabilities } = this.#model;
    if (!tokenizer || !capabilities.tokens) {
      throw new ConfigError('This model takes whole messages only, so an answer cannot be continued.');
    }
    const isOwn = this.#last !== undefined && tokenizer.decode(this.#last.tokens) === last.content;
    const begun = isOwn ? this.#last!.tokens : tokenizer.encode(last.content, { continues: true });
    // The model thought it was done; it must say at least one token more.
    const mustGoOn = this.#last?.finishReason !== 'length' && capabilities.sampling.has('minTokens');
    return this.#answer(this.#messages.slice(0, -1), this.#attempt, listener, {
      tokens: begun,
      text: last.content,
      mustGoOn,
    });
  }

  /** Tokens of the conversation as the model would see it, with the header of the next turn. */
  numTokens(messages: readonly ChatMessage[] = this.#messages): number | undefined {
    const { tokenizer, chatFormat } = this.#model;
    if (!tokenizer || !chatFormat) return undefined;
    const shown = this.#withSystem(messages);
    if (shown.length === 0) return 0;
    return encodeChat(tokenizer, chatFormat, shown, { addGenerationPrompt: true }).ids.length;
  }

  /** Of the last answer; undefined before there is one. */
  get lastAnswer(): { readonly numTokens: number; readonly seconds: number } | undefined {
    return this.#last && { numTokens: this.#last.usage.completionTokens, seconds: this.#lastSeconds };
  }

  async #answer(
    messages: readonly ChatMessage[],
    attempt: number,
    listener: AnswerListener,
    begun?: { readonly tokens: readonly number[]; readonly text: string; readonly mustGoOn: boolean },
  ): Promise<Answer> {
    const options = this.#options();
    const minTokens =
      begun?.mustGoOn && !options.chain && !options.search ? Math.max(1, options.minTokens ?? 0) : 0;
    const startedMs = performance.now();
    const { completion, numLeftOut } = await this.#fitted(messages, begun?.tokens ?? [], listener, {
      ...options,
      signal: listener.signal,
      // Without a seed every answer has another one anyway.
      ...(options.seed !== undefined && attempt > 0 && { choice: attempt }),
      ...(minTokens > 0 && { minTokens }),
      ...(this.#settings.probabilities && { logprobs: logprobsFor() }),
    });
    this.#lastSeconds = (performance.now() - startedMs) / 1000;
    const content = (begun?.text ?? '') + completion.text;
    this.#messages = [...messages, { role: 'assistant', content }];
    this.#last = begun ? { ...completion, tokens: [...begun.tokens, ...completion.tokens] } : completion;
    this.#attempt = attempt;
    this.#numLeftOut = numLeftOut;
    return {
      completion,
      numLeftOut,
      seconds: this.#lastSeconds,
      note: this.#endNote(completion),
      showSeed: hasSampling(options) || options.seed !== undefined,
    };
  }

  /** Answers with as much of the conversation as fits, or as little as the settings show. */
  async #fitted(
    messages: readonly ChatMessage[],
    begun: readonly number[],
    listener: AnswerListener,
    options: GenerateOptions,
  ): Promise<{ completion: Completion; numLeftOut: number }> {
    const { history, trim } = this.#settings;
    const { contextLength } = this.#model;
    const question = messages.findLastIndex(({ role }) => role === 'user');
    let first = history ? 0 : question;
    const hidden = first;
    const reserve = Math.max(
      1,
      Math.min(options.maxTokens ?? DEFAULT_MAX_TOKENS, Math.floor(contextLength * MAX_RESERVED_SHARE)),
    );
    const tokensFrom = (at: number) => {
      const count = this.numTokens(messages.slice(at));
      return count === undefined ? undefined : count + begun.length;
    };
    const all = tokensFrom(first);
    const leaveOut = () => {
      first = messages.findIndex(({ role }, i) => i > first && role === 'user');
    };
    const tell = () => {
      if (first - hidden > this.#numLeftOut) {
        listener.onLeftOut({ numMessages: first - hidden, numTokens: all, reserve });
      }
    };
    if (all !== undefined) {
      if (trim === 'error' && first < question && all >= contextLength)
        throw conversationTooLong(all, contextLength);
      if (trim === 'oldest') {
        while (first < question && tokensFrom(first)! + reserve > contextLength) leaveOut();
      }
      if (first === question && tokensFrom(first)! >= contextLength) {
        throw messageTooLong(tokensFrom(first)!, contextLength);
      }
    }
    for (;;) {
      tell();
      const stream = this.#model.stream(this.#prompt(messages.slice(first), begun), options);
      try {
        for await (const { text } of stream) listener.onText(text);
        return { completion: await stream.completion, numLeftOut: first - hidden };
      } catch (error) {
        // Only models whose tokens cannot be counted here find out so late.
        if (!(error instanceof LimitError) || all !== undefined || trim === 'error' || first >= question)
          throw error;
        leaveOut();
      }
    }
  }

  #prompt(messages: readonly ChatMessage[], begun: readonly number[]): Prompt {
    const shown = this.#withSystem(messages);
    if (begun.length === 0) return { messages: shown };
    const { tokenizer, chatFormat } = this.#model;
    const { ids } = encodeChat(tokenizer!, chatFormat!, shown, { addGenerationPrompt: true });
    return [...ids, ...begun];
  }

  #withSystem(messages: readonly ChatMessage[]): ChatMessage[] {
    const { system } = this.#settings;
    return [...(system ? [{ role: 'system' as const, content: system }] : []), ...messages];
  }

  #options(): GenerateOptions {
    return generateOptions(this.#settings.flags);
  }

  #endNote({ finishReason, usage }: Completion): string | undefined {
    if (finishReason !== 'length') return undefined;
    const isFull = usage.promptTokens + usage.completionTokens >= this.#model.contextLength;
    return isFull
      ? `The context of ${this.#model.contextLength} tokens is full.`
      : `Ended after ${usage.completionTokens} tokens (max-tokens). /continue goes on.`;
  }
}

function conversationTooLong(numTokens: number, contextLength: number): LimitError {
  return new LimitError(
    `The conversation has ${numTokens} tokens; the model's context is ${contextLength}, of which at least one must be ` +
      'left for the answer. "/set trim oldest" leaves the oldest turns out, "/undo" takes back the last one, "/reset" ' +
      'starts anew.',
  );
}

function messageTooLong(numTokens: number, contextLength: number): LimitError {
  return new LimitError(
    `The message has ${numTokens} tokens with its chat format; the model's context is ${contextLength}, of which at ` +
      'least one must be left for the answer. Shorten it.',
  );
}
