/**
 * Chat formats: how messages become one sequence with control tokens. A format gives segments, not a string:
 * control tokens stand apart from text, so text that looks like a control token cannot become one. The default
 * is ChatML; `jinja-chat-format.ts` reads the templates of other models.
 */
import { ConfigError } from '../core/errors.ts';
import {
  assistantText,
  checkTools,
  faultOfToolName,
  TOOLS_INSTRUCTION,
  TOOLS_INTRODUCTION,
  type ToolCall,
  type ToolDefinition,
  toolsText,
} from './chat-tools.ts';

/** The index of a role in this list is what `EncodedChat.roles` holds. */
export const CHAT_ROLES = ['system', 'user', 'assistant', 'tool'] as const;
export type ChatRole = (typeof CHAT_ROLES)[number];

export interface ChatMessage {
  role: ChatRole;
  /** May be empty beside tool calls. */
  content: string;
  /** What the assistant calls; its results follow as messages of the role `tool`. */
  toolCalls?: readonly ToolCall[];
  /** Of a tool's message: the call that it answers. Results are written in the order of the calls. */
  toolCallId?: string;
  /** Of a tool's message: the function that was called. ChatML does not write it. */
  name?: string;
  /** 0: a turn of the assistant that is given and not learned from. Default 1. */
  weight?: 0 | 1;
}

export interface ChatOptions {
  /** Functions that the assistant may call. */
  tools?: readonly ToolDefinition[] | undefined;
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

/** ChatML without tools, as earlier checkpoints and many models have it; of a chat without tools the same text. */
export const PLAIN_CHATML_TEMPLATE =
  "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + " +
  "'<|im_end|>' + '\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

const inJinja = (text: string) => `'${text.replaceAll('\n', '\\n')}'`;

export const CHATML_TEMPLATE = [
  "{% if tools %}{{ '<|im_start|>system\\n' }}",
  "{% if messages and messages[0]['role'] == 'system' %}{{ messages[0]['content'] + '\\n\\n' }}{% endif %}",
  `{{ ${inJinja(TOOLS_INTRODUCTION)} }}`,
  "{% for tool in tools %}{{ '\\n' }}{{ tool | tojson }}{% endfor %}",
  `{{ ${inJinja(TOOLS_INSTRUCTION)} }}{{ '<|im_end|>\\n' }}{% endif %}`,
  "{% for message in messages %}{% if not (tools and loop.first and message['role'] == 'system') %}",
  "{{ '<|im_start|>' + message['role'] + '\\n' }}{% if message['content'] %}{{ message['content'] }}{% endif %}",
  "{% if message['tool_calls'] %}{% for tool_call in message['tool_calls'] %}",
  "{% if tool_call['function'] %}{% set tool_call = tool_call['function'] %}{% endif %}",
  "{% if message['content'] or not loop.first %}{{ '\\n' }}{% endif %}",
  `{{ '<tool_call>\\n{"name": "' + tool_call['name'] + '", "arguments": ' }}`,
  "{% if tool_call['arguments'] is string %}{{ tool_call['arguments'] }}{% else %}",
  "{{ tool_call['arguments'] | tojson }}{% endif %}{{ '}\\n</tool_call>' }}{% endfor %}{% endif %}",
  "{{ '<|im_end|>\\n' }}{% endif %}{% endfor %}",
  "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}",
].join('');

/**
 * `<|im_start|>role\ncontent<|im_end|>\n` for every message. Tools are listed in the system's turn, calls stand in the
 * assistant's in the form of Hermes and Qwen, and results are turns of the role `tool`: no user can write one.
 */
export const chatMl: ChatFormat = {
  template: CHATML_TEMPLATE,
  segments(given, options = {}) {
    const messages = checkedMessages(given);
    const { tools = [] } = options;
    checkTools(tools);
    const segments: ChatSegment[] = [];
    const turn = (role: ChatRole, text: string, isTarget = false) => {
      segments.push({ text: '<|im_start|>', special: true, role, isTarget: false });
      if (role === 'assistant') {
        // Apart from the header, so that the generation prompt is a prefix of what was trained on.
        segments.push({ text: 'assistant\n', special: false, role, isTarget: false });
        segments.push({ text, special: false, role, isTarget });
      } else {
        segments.push({ text: `${role}\n${text}`, special: false, role, isTarget: false });
      }
      segments.push({ text: '<|im_end|>', special: true, role, isTarget });
      segments.push({ text: '\n', special: false, role, isTarget: false });
    };
    const system = messages[0]?.role === 'system' ? messages[0].content : undefined;
    if (tools.length > 0) turn('system', toolsText(system, tools));
    for (const [i, { role, content, toolCalls, weight }] of messages.entries()) {
      if (i === 0 && role === 'system' && tools.length > 0) continue;
      if (role === 'assistant') turn(role, assistantText(content, toolCalls), weight !== 0);
      else turn(role, content);
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

/**
 * The messages, with the results of several calls in the order of the calls. Throws ConfigError for a message that is
 * none and for a result of a call that was not made.
 */
export function checkedMessages(messages: readonly ChatMessage[]): readonly ChatMessage[] {
  messages.forEach(checkMessage);
  const ordered: ChatMessage[] = [];
  let calls: readonly ToolCall[] = [];
  for (let i = 0; i < messages.length; ) {
    const message = messages[i]!;
    if (message.role !== 'tool') {
      calls = message.toolCalls ?? [];
      ordered.push(message);
      i++;
      continue;
    }
    let end = i;
    while (messages[end]?.role === 'tool') end++;
    ordered.push(...inCallOrder(messages.slice(i, end), calls, i));
    i = end;
  }
  return ordered;
}

function inCallOrder(
  results: readonly ChatMessage[],
  calls: readonly ToolCall[],
  firstIndex: number,
): ChatMessage[] {
  const ids: (string | undefined)[] = calls.map(({ id }) => id);
  const hasIds = ids.length > 0 && ids.every((id) => id !== undefined);
  if (!hasIds || results.some(({ toolCallId }) => toolCallId === undefined)) return [...results];
  const places = results.map(({ toolCallId = '' }, i) => {
    const place = ids.indexOf(toolCallId);
    if (place >= 0) return { place, i };
    throw new ConfigError(
      `messages[${firstIndex + i}] is the result of the call ${JSON.stringify(toolCallId)}; the turn before made ` +
        `${ids.map((id) => JSON.stringify(id)).join(', ')}.`,
    );
  });
  return places.sort((a, b) => a.place - b.place || a.i - b.i).map(({ i }) => results[i]!);
}

function checkMessage(message: ChatMessage, i: number): void {
  if (!CHAT_ROLES.includes(message.role)) {
    throw new ConfigError(
      `messages[${i}].role is ${JSON.stringify(message.role)}; expected one of ${CHAT_ROLES.join(', ')}.`,
    );
  }
  if (typeof message.content !== 'string') {
    throw new ConfigError(
      `messages[${i}].content is ${message.content === null ? 'null' : typeof message.content}; expected a ` +
        'string (an empty one beside tool calls). Join the parts of a multi-part message into one text first.',
    );
  }
  const { toolCalls } = message;
  if (toolCalls === undefined) return;
  if (message.role !== 'assistant' || !Array.isArray(toolCalls)) {
    throw new ConfigError(
      `messages[${i}].toolCalls: only the assistant calls tools, and as a list of calls.`,
    );
  }
  toolCalls.forEach((call: Partial<ToolCall> | null, k) => {
    const fault = faultOfToolName(call?.name);
    if (fault !== undefined) throw new ConfigError(`messages[${i}].toolCalls[${k}].name is ${fault}.`);
    const given: unknown = call?.arguments;
    if (typeof given === 'object' && given !== null && !Array.isArray(given)) return;
    throw new ConfigError(
      `messages[${i}].toolCalls[${k}].arguments is ${JSON.stringify(given)}; expected an object.`,
    );
  });
}
