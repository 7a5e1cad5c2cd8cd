/**
 * Functions that a model may call: what it is told of them, how its calls stand in an answer, and how they are read
 * out again. The text form is that of Hermes and Qwen: `<tool_call>\n{"name": ..., "arguments": {...}}\n</tool_call>`
 * (NousResearch/Hermes-Function-Calling; the chat templates of Qwen2.5 and Qwen3).
 */
import { ConfigError, messageOf } from '../core/errors.ts';

export interface ToolCall {
  /** Links results to calls where there are several; not every chat format writes it. */
  readonly id?: string;
  readonly name: string;
  readonly arguments: Readonly<Record<string, unknown>>;
}

/** A function as OpenAI's API and chat templates describe it; `parameters` is a JSON Schema of an object. */
export interface ToolDefinition {
  readonly type: 'function';
  readonly function: {
    readonly name: string;
    readonly description?: string;
    readonly parameters?: Readonly<Record<string, unknown>>;
  };
}

/** What stands before and after the definitions in the system's turn, one definition a line between. */
export const TOOLS_INTRODUCTION =
  '# Tools\n\nYou may call one or more functions to assist with the user query.\n\n' +
  'You are provided with function signatures within <tools></tools> XML tags:\n<tools>';
export const TOOLS_INSTRUCTION =
  '\n</tools>\n\nFor each function call, return a json object with function name and arguments within ' +
  '<tool_call></tool_call> XML tags:\n<tool_call>\n{"name": <function-name>, "arguments": <args-json-object>}\n</tool_call>';

const OPEN = '<tool_call>';
const CLOSE = '</tool_call>';

/** The system's turn: its own text, if any, and the tools. */
export function toolsText(system: string | undefined, tools: readonly ToolDefinition[]): string {
  const lines = tools.map((tool) => `\n${spacedJson(tool)}`).join('');
  return `${system === undefined ? '' : `${system}\n\n`}${TOOLS_INTRODUCTION}${lines}${TOOLS_INSTRUCTION}`;
}

/** An assistant's turn: its text, then its calls, each on lines of its own. */
export function assistantText(content: string, calls: readonly ToolCall[] = []): string {
  const written = calls.map(
    ({ name, arguments: given }) =>
      `${OPEN}\n{"name": "${name}", "arguments": ${spacedJson(given)}}\n${CLOSE}`,
  );
  return [...(content === '' && calls.length > 0 ? [] : [content]), ...written].join('\n');
}

export interface ToolCallFault {
  /** The text between the tags, as it was written. */
  readonly text: string;
  readonly reason: string;
}

export interface ParsedAnswer {
  /** What the answer says outside of calls. */
  readonly content: string;
  readonly toolCalls: readonly ToolCall[];
  /** Calls that cannot be read: no JSON, no name, arguments that are no object, or an end that is missing. */
  readonly faults: readonly ToolCallFault[];
}

/**
 * Reads the calls out of an answer: the inverse of `assistantText`. Never throws; what is not a call is told in
 * `faults`. Arguments may also be named `parameters`, and be a JSON object written as a string, as some models do.
 */
export function parseToolCalls(text: string): ParsedAnswer {
  const outside: string[] = [];
  const toolCalls: ToolCall[] = [];
  const faults: ToolCallFault[] = [];
  let at = 0;
  for (let open = text.indexOf(OPEN); open >= 0; open = text.indexOf(OPEN, at)) {
    outside.push(text.slice(at, open));
    const start = open + OPEN.length;
    const found = callFrom(text, start);
    if ('call' in found) toolCalls.push(found.call);
    else faults.push({ text: text.slice(start, found.end).trim(), reason: found.reason });
    at = Math.min(text.length, found.end + CLOSE.length);
  }
  const [first = '', ...others] = [...outside, text.slice(at)];
  if (others.length === 0) return { content: first, toolCalls, faults };
  const later = others.map((piece) => piece.trim()).filter((piece) => piece !== '');
  const before = first.replace(/\n$/, '');
  return { content: [...(before === '' ? [] : [before]), ...later].join('\n'), toolCalls, faults };
}

/** The call whose text begins at `start`; `end` is where its closing tag stands, or the end of the text. */
function callFrom(text: string, start: number): { end: number } & ({ call: ToolCall } | { reason: string }) {
  const firstClose = text.indexOf(CLOSE, start);
  if (firstClose < 0) return { end: text.length, reason: `${CLOSE} is missing` };
  // A string among the arguments may hold the closing tag; a next call may not begin before it.
  const nextOpen = text.indexOf(OPEN, start);
  let reason = '';
  for (let end = firstClose; end >= 0; end = text.indexOf(CLOSE, end + 1)) {
    const call = callOf(text.slice(start, end));
    if (typeof call !== 'string') return { end, call };
    reason ||= call;
    if (nextOpen >= 0 && nextOpen < end) break;
  }
  return { end: firstClose, reason };
}

function callOf(text: string): ToolCall | string {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    return `not JSON: ${messageOf(error)}`;
  }
  const { name, arguments: given, parameters } = (value ?? {}) as Record<string, unknown>;
  if (typeof name !== 'string' || name === '') return 'no "name"';
  const found = argumentsOf(given ?? parameters ?? {});
  return found ? { name, arguments: found } : '"arguments" is no object';
}

/** Arguments as an object, from an object or its JSON text; undefined for anything else. */
export function argumentsOf(value: unknown): Record<string, unknown> | undefined {
  let given = value;
  if (typeof value === 'string') {
    try {
      given = JSON.parse(value);
    } catch {
      return undefined;
    }
  }
  const isObject = typeof given === 'object' && given !== null && !Array.isArray(given);
  return isObject ? (given as Record<string, unknown>) : undefined;
}

/** Why a name cannot be a function's, or undefined if it can. It is written into JSON as it stands. */
export function faultOfToolName(name: unknown): string | undefined {
  if (typeof name === 'string' && name !== '' && JSON.stringify(name) === `"${name}"`) return undefined;
  return `${JSON.stringify(name) ?? 'missing'}; expected the name of a function, without quotes and control characters`;
}

/** Throws ConfigError for a definition that no chat format can write. */
export function checkTools(tools: readonly ToolDefinition[]): void {
  if (!Array.isArray(tools)) throw new ConfigError('tools is not a list of function definitions.');
  tools.forEach((tool, i) => {
    const name: unknown = (tool as Partial<ToolDefinition> | null)?.function?.name;
    const fault = faultOfToolName(name);
    if (fault !== undefined) {
      throw new ConfigError(
        `tools[${i}].function.name is ${fault}. A definition is {"type":"function","function":{"name":"...","parameters":{...}}}.`,
      );
    }
  });
}

/** JSON as Python's json.dumps and Jinja's tojson space it. */
export function spacedJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(spacedJson).join(', ')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null';
  const entries = Object.entries(value).filter(([, one]) => one !== undefined);
  return `{${entries.map(([key, one]) => `${JSON.stringify(key)}: ${spacedJson(one)}`).join(', ')}}`;
}
