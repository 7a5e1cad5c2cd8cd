/**
 * One record of finetuning data as a chat: OpenAI's form (`messages`, with `tool_calls`, parts, `weight`, and `tools`
 * beside them; the older `function_call` and `functions` too) and TRL's (`messages`, or `prompt` and `completion`,
 * both texts or both lists of messages). What cannot be learned from is refused with the reason.
 */
import {
  argumentsOf,
  faultOfToolName,
  type ToolCall,
  type ToolDefinition,
} from '../../tokenizer/chat-tools.ts';
import { CHAT_ROLES, type ChatMessage, type ChatRole } from '../../tokenizer/index.ts';

export interface ChatRecord {
  readonly messages: readonly ChatMessage[];
  readonly tools?: readonly ToolDefinition[];
}

/** The same roles by the names that newer and older files have. */
const OTHER_ROLES: Readonly<Record<string, ChatRole>> = { developer: 'system', function: 'tool' };

/** The chat of a record, or why it is none to learn from. */
export function chatRecordOf(record: Readonly<Record<string, unknown>>): ChatRecord | string {
  try {
    const tools = toolsOf(record);
    const messages = messagesOf(record);
    checkParallelCalls(record.parallel_tool_calls, messages);
    return { messages, ...(tools && { tools }) };
  } catch (error) {
    if (error instanceof Refusal) return error.message;
    throw error;
  }
}

/** A message as files write it, or why it is none. `where` names it in the reason. */
export function chatMessageOf(value: unknown, where: string): ChatMessage | string {
  try {
    return messageOf(value, where);
  } catch (error) {
    if (error instanceof Refusal) return error.message;
    throw error;
  }
}

/** Function definitions as files write them. */
export function toolDefinitionsOf(value: unknown): ToolDefinition[] | string {
  try {
    return definitionsOf(value, 'tools');
  } catch (error) {
    if (error instanceof Refusal) return error.message;
    throw error;
  }
}

/** Is there anything in a message of the assistant to learn from? */
export function hasTargets({ role, content, toolCalls = [], weight }: ChatMessage): boolean {
  return role === 'assistant' && weight !== 0 && (content.trim() !== '' || toolCalls.length > 0);
}

/** Why a record is refused. */
class Refusal extends Error {}

const shown = (value: unknown) => JSON.stringify(value)?.slice(0, 60) ?? 'missing';

function messagesOf(record: Readonly<Record<string, unknown>>): ChatMessage[] {
  const messages = record.messages === undefined ? promptAndCompletion(record) : listOf(record, 'messages');
  const last = messages.findLastIndex((message) => hasTargets(message));
  if (last < 0) throw new Refusal('no message of the assistant to learn from');
  return messages;
}

function promptAndCompletion(record: Readonly<Record<string, unknown>>): ChatMessage[] {
  const { prompt, completion } = record;
  if (prompt === undefined || completion === undefined) {
    throw new Refusal('no list "messages", and no "prompt" with a "completion"');
  }
  if (typeof prompt === 'string' && typeof completion === 'string') {
    return [
      { role: 'user', content: prompt },
      { role: 'assistant', content: completion },
    ];
  }
  if (typeof prompt === 'string' || typeof completion === 'string') {
    throw new Refusal('"prompt" and "completion" are not of one form: both text, or both lists of messages');
  }
  // What a prompt's assistant said is given.
  const given = listOf(record, 'prompt').map((message) =>
    message.role === 'assistant' ? { ...message, weight: 0 as const } : message,
  );
  return [...given, ...listOf(record, 'completion')];
}

function listOf(record: Readonly<Record<string, unknown>>, field: string): ChatMessage[] {
  const value = record[field];
  if (!Array.isArray(value) || value.length === 0) throw new Refusal(`no list "${field}"`);
  return value.map((message, i) => messageOf(message, `${field}[${i}]`));
}

function messageOf(value: unknown, where: string): ChatMessage {
  const message = (value ?? {}) as Readonly<Record<string, unknown>>;
  const name = message.role as string;
  const role = CHAT_ROLES.find((one) => one === name) ?? OTHER_ROLES[name];
  if (!role) {
    throw new Refusal(`${where}.role is ${shown(message.role)}, expected one of ${CHAT_ROLES.join(', ')}`);
  }
  const toolCalls = callsOf(message, where);
  if (toolCalls && role !== 'assistant') throw new Refusal(`${where}: only the assistant calls tools`);
  const { tool_call_id: toolCallId, name: functionName } = message;
  return {
    role,
    content: contentOf(message, where, toolCalls !== undefined),
    ...(toolCalls && { toolCalls }),
    ...(role === 'tool' && typeof toolCallId === 'string' && { toolCallId }),
    ...(role === 'tool' && typeof functionName === 'string' && { name: functionName }),
    ...weightOf(message.weight, role, where),
  };
}

function contentOf(message: Readonly<Record<string, unknown>>, where: string, hasCalls: boolean): string {
  const { content, refusal } = message;
  if (typeof content === 'string') return content;
  if (Array.isArray(content)) return content.map((part) => partText(part, where)).join('');
  if (content === undefined || content === null) {
    if (typeof refusal === 'string') return refusal;
    if (hasCalls) return '';
  }
  throw new Refusal(`${where}.content is not text`);
}

function partText(part: unknown, where: string): string {
  const { type, text, refusal } = (part ?? {}) as Readonly<Record<string, unknown>>;
  if (type === 'text' && typeof text === 'string') return text;
  if (type === 'refusal' && typeof refusal === 'string') return refusal;
  throw new Refusal(`${where}.content has a part of type ${shown(type)}, expected text`);
}

function callsOf(message: Readonly<Record<string, unknown>>, where: string): ToolCall[] | undefined {
  const { tool_calls: calls, function_call: single } = message;
  if (single !== undefined && single !== null) return [callOf(single, undefined, `${where}.function_call`)];
  if (calls === undefined || calls === null) return undefined;
  if (!Array.isArray(calls)) throw new Refusal(`${where}.tool_calls is not a list`);
  if (calls.length === 0) return undefined;
  return calls.map((call: unknown, k) => {
    const { id, function: called, ...bare } = (call ?? {}) as Readonly<Record<string, unknown>>;
    return callOf(called ?? bare, id, `${where}.tool_calls[${k}]`);
  });
}

function callOf(value: unknown, id: unknown, where: string): ToolCall {
  const { name, arguments: given } = (value ?? {}) as Readonly<Record<string, unknown>>;
  const fault = faultOfToolName(name);
  if (fault !== undefined) throw new Refusal(`${where}: the name is ${fault}`);
  const found = argumentsOf(given === '' ? {} : (given ?? {}));
  if (!found) throw new Refusal(`${where}: the arguments are ${shown(given)}, expected a JSON object`);
  return { ...(typeof id === 'string' && { id }), name: name as string, arguments: found };
}

function weightOf(weight: unknown, role: ChatRole, where: string): { weight?: 0 | 1 } {
  if (weight === undefined || weight === null) return {};
  if (weight !== 0 && weight !== 1) throw new Refusal(`${where}.weight is ${shown(weight)}, expected 0 or 1`);
  if (role !== 'assistant') {
    if (weight === 0) return {};
    throw new Refusal(`${where}.weight is 1; only messages of the assistant are learned from`);
  }
  return { weight };
}

function toolsOf(record: Readonly<Record<string, unknown>>): ToolDefinition[] | undefined {
  const { tools, functions } = record;
  const field = tools === undefined || tools === null ? 'functions' : 'tools';
  const value = tools ?? functions;
  if (value === undefined || value === null) return undefined;
  const definitions = definitionsOf(value, field);
  return definitions.length > 0 ? definitions : undefined;
}

function definitionsOf(value: unknown, field: string): ToolDefinition[] {
  if (!Array.isArray(value)) throw new Refusal(`"${field}" is not a list`);
  return value.map((tool: unknown, i) => {
    const { function: wrapped, type, ...bare } = (tool ?? {}) as Readonly<Record<string, unknown>>;
    if (wrapped !== undefined && type !== undefined && type !== 'function') {
      throw new Refusal(`${field}[${i}] is of type ${shown(type)}, expected function`);
    }
    const definition = (wrapped ?? bare) as ToolDefinition['function'];
    const fault = faultOfToolName(definition.name);
    if (fault !== undefined) throw new Refusal(`${field}[${i}]: the name is ${fault}`);
    return { type: 'function', function: definition };
  });
}

function checkParallelCalls(parallel: unknown, messages: readonly ChatMessage[]): void {
  if (parallel === undefined || parallel === null || parallel === true) return;
  if (parallel !== false)
    throw new Refusal(`"parallel_tool_calls" is ${shown(parallel)}, expected a boolean`);
  const i = messages.findIndex(({ toolCalls = [] }) => toolCalls.length > 1);
  if (i >= 0) throw new Refusal(`messages[${i}] has several calls, and "parallel_tool_calls" is false`);
}
