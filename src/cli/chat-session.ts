/**
 * A conversation as a value that commands and answers change: messages, settings, and what to do when the
 * conversation outgrows the model's context. Knows nothing of terminals.
 */
import { ConfigError, LimitError } from '../core/errors.ts';
import { nearestName } from '../core/nearest-name.ts';
import type { CompletionStream, GenerateOptions, LanguageModel } from '../decode/language-model.ts';
import type { ChatMessage } from '../tokenizer/index.ts';

export interface ChatSettings {
  readonly system?: string | undefined;
  readonly history: boolean;
  readonly options: GenerateOptions;
}

const NUMBERS = ['maxTokens', 'temperature', 'topK', 'topP', 'seed'] as const;
const COMMANDS = ['/help', '/reset', '/settings', '/quit'];

export const CHAT_HELP = `/help                  this list
/reset                 forget the conversation
/settings              show the settings
/settings KEY=VALUE    change one (no value: back to its default):
                       history, ${NUMBERS.join(', ')}
/quit                  leave (also Ctrl-D, or Ctrl-C twice)`;

export type CommandResult = { readonly text: string } | 'quit';

export class ChatSession {
  readonly #model: LanguageModel;
  #settings: ChatSettings;
  #turns: ChatMessage[] = [];

  /** Throws ConfigError when the model has no chat format. */
  constructor(model: LanguageModel, settings: ChatSettings) {
    if (!model.chatFormat) {
      throw new ConfigError(
        'This model has no chat format (tokenizer_config.json has no chat_template). ' +
          'Use "plinth generate" to continue a text, or "plinth sft" to finetune it on chats.',
      );
    }
    this.#model = model;
    this.#settings = settings;
  }

  get numTurns(): number {
    return this.#turns.length;
  }

  /** What a line that begins with '/' asks for. */
  command(line: string): CommandResult {
    const [name = '', ...words] = line.trim().split(/\s+/);
    switch (name) {
      case '/help':
        return { text: CHAT_HELP };
      case '/reset':
        this.#turns = [];
        return { text: 'The conversation starts anew.' };
      case '/settings':
        return { text: words.length === 0 ? this.#shownSettings() : this.#change(words.join(' ')) };
      case '/quit':
      case '/exit':
        return 'quit';
    }
    const near = nearestName(name, COMMANDS);
    return { text: `There is no command ${name}. ${near ? `Did you mean ${near}?` : 'Commands: /help'}` };
  }

  /**
   * Answers a message. Oldest turns are forgotten until the conversation fits; `onForget` hears of it.
   * @throws LimitError when the message alone does not fit.
   */
  async answer(
    content: string,
    signal: AbortSignal,
    onChunk: (text: string) => void,
    onForget: (numTurns: number) => void,
  ): Promise<{ stopped: boolean; text: string }> {
    const question: ChatMessage = { role: 'user', content };
    let past = this.#settings.history ? this.#turns : [];
    for (;;) {
      const { system } = this.#settings;
      const messages = [...(system ? [{ role: 'system' as const, content: system }] : []), ...past, question];
      const stream: CompletionStream = this.#model.stream(
        { messages },
        { ...this.#settings.options, signal },
      );
      try {
        for await (const { text } of stream) onChunk(text);
      } catch (error) {
        if (!(error instanceof LimitError) || past.length === 0) throw error;
        past = past.slice(2);
        onForget(2);
        continue;
      }
      const { text, finishReason } = await stream.completion;
      if (this.#settings.history) this.#turns = [...past, question, { role: 'assistant', content: text }];
      return { stopped: finishReason === 'cancelled', text };
    }
  }

  #shownSettings(): string {
    const { history, system, options } = this.#settings;
    const shown: [string, unknown][] = [
      ['history', history ? 'on' : 'off'],
      ...NUMBERS.map((key): [string, unknown] => [key, options[key] ?? 'default']),
      ...(system ? [['system', system] as [string, unknown]] : []),
    ];
    return shown.map(([key, value]) => `${key.padEnd(12)} ${value}`).join('\n');
  }

  #change(text: string): string {
    const [key = '', value = ''] = text.split(/\s*[=\s]\s*/, 2);
    if (key === 'history') {
      if (value !== 'on' && value !== 'off') return 'history is on or off.';
      this.#settings = { ...this.#settings, history: value === 'on' };
      return `history ${value}`;
    }
    const name = NUMBERS.find((one) => one === key);
    if (!name) {
      const near = nearestName(key, [...NUMBERS, 'history']);
      return `There is no setting "${key}". ${near ? `Did you mean ${near}?` : CHAT_HELP}`;
    }
    const number = value === '' ? undefined : Number(value);
    if (number !== undefined && !(Number.isFinite(number) && number >= 0))
      return `${name} takes a number of at least 0.`;
    this.#settings = { ...this.#settings, options: { ...this.#settings.options, [name]: number } };
    return `${name} ${number ?? 'default'}`;
  }
}
