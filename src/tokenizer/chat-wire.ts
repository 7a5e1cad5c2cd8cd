/** Messages under the names that chat templates and OpenAI's API know: `tool_calls`, `tool_call_id`. */
import type { ChatMessage } from './chat-format.ts';
import { spacedJson } from './chat-tools.ts';

/** @param argumentsAsText arguments of calls as JSON text, as the API has them, instead of objects. */
export function wireMessage(message: ChatMessage, argumentsAsText: boolean): Record<string, unknown> {
  const { role, content, toolCalls = [], toolCallId, name } = message;
  const calls = toolCalls.map(({ id, name: called, arguments: given }) => ({
    ...(id !== undefined && { id }),
    type: 'function',
    function: { name: called, arguments: argumentsAsText ? spacedJson(given) : given },
  }));
  return {
    role,
    content,
    ...(calls.length > 0 && { tool_calls: calls }),
    ...(toolCallId !== undefined && { tool_call_id: toolCallId }),
    ...(name !== undefined && { name }),
  };
}

/**
 * The same messages with an id for every call and every result, which APIs ask for: those that have none are numbered,
 * and results go to the calls before them in order.
 */
export function withCallIds(messages: readonly ChatMessage[]): ChatMessage[] {
  let numCalls = 0;
  let open: string[] = [];
  return messages.map((message): ChatMessage => {
    if (message.toolCalls) {
      const toolCalls = message.toolCalls.map((call) => ({ ...call, id: call.id ?? `call_${numCalls++}` }));
      open = toolCalls.map(({ id }) => id);
      return { ...message, toolCalls };
    }
    if (message.role !== 'tool') return message;
    const toolCallId = message.toolCallId ?? open[0];
    open = open.filter((id) => id !== toolCallId);
    return toolCallId === undefined ? message : { ...message, toolCallId };
  });
}
