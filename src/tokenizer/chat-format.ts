/**
 * Chat formats: how messages become one sequence with control tokens. A format gives segments, not a string:
 * control tokens stand apart from text, so text that looks like a control token cannot become one. The default
 * is ChatML; `jinja-chat-format.ts` reads the templates of other models.
 */
import { ConfigError } from '../core/errors.ts';

/** The index of a role in this list is what `EncodedChat.roles` holds. */
export const CHAT_ROLES = ['system', 'user', 'assistant', 'tool'] as const;
export type ChatRole = (typeof CHAT_ROLES)[number];

export interface ChatMessage {
  role: ChatRole;
  content: string;
}

export interface ChatOptions {
  /** End with the header of an assistant's turn, for the model to continue. Default false. */
  addGenerationPrompt?: boolean;
}

export interface ChatSegment {
  text: string;
  /** The text is the name of one special token. */
  special: boolean;
  role: ChatRole;
  /** Written by the assistant: its text and the token that ends its turn. */
  isTarget: boolean;
}

export interface ChatFormat {
  /** The Jinja source, as it stands in `tokenizer_config.json`. */
  readonly template: string;
  /** Throws ConfigError for messages that the format cannot express. */
  segments(messages: readonly ChatMessage[], options?: ChatOptions): ChatSegment[];
}

export const CHATML_TEMPLATE =
  "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + " +
  "'<|im_end|>' + '\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

/** `<|im_start|>role\ncontent<|im_end|>\n` for every message. */
export const chatMl: ChatFormat = {
  template: CHATML_TEMPLATE,
  segments(messages, options = {}) {
    checkMessages(messages);
    const segments: ChatSegment[] = [];
    for (const { role, content } of messages) {
      segments.push({ text: '<|im_start|>', special: true, role, isTarget: false });
      if (role === 'assistant') {
        // Apart from the header, so that the generation prompt is a prefix of what was trained on.
        segments.push({ text: 'assistant\n', special: false, role, isTarget: false });
        segments.push({ text: content, special: false, role, isTarget: true });
      } else {
        segments.push({ text: `${role}\n${content}`, special: false, role, isTarget: false });
      }
      segments.push({ text: '<|im_end|>', special: true, role, isTarget: role === 'assistant' });
      segments.push({ text: '\n', special: false, role, isTarget: false });
    }
    if (options.addGenerationPrompt) {
      segments.push({ text: '<|im_start|>', special: true, role: 'assistant', isTarget: false });
      segments.push({ text: 'assistant\n', special: false, role: 'assistant', isTarget: false });
    }
    return segments;
  },
};

/** The chat as one string; special tokens in the contents are indistinguishable here, so do not encode it. */
export function renderChat(
  format: ChatFormat,
  messages: readonly ChatMessage[],
  options?: ChatOptions,
): string {
  return format
    .segments(messages, options)
    .map((segment) => segment.text)
    .join('');
}

export function checkMessages(messages: readonly ChatMessage[]): void {
  messages.forEach((message, i) => {
    if (!CHAT_ROLES.includes(message.role)) {
      throw new ConfigError(
        `messages[${i}].role is ${JSON.stringify(message.role)}; expected one of ${CHAT_ROLES.join(', ')}.`,
      );
    }
    if (typeof message.content !== 'string') {
      throw new ConfigError(
        `messages[${i}].content is ${message.content === null ? 'null' : typeof message.content}; expected a ` +
          'string. Join the parts of a multi-part message into one text first.',
      );
    }
  });
}
