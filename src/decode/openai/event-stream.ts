/**
 * Reads server-sent events from bytes that may be cut anywhere, also inside a character or a line ending.
 * Source: the HTML standard, "Parsing an event stream"; ids and retry times are not used here.
 */
import { LimitError } from '../../core/errors.ts';

export interface ServerEvent {
  /** Its type; `message` when none is named. */
  readonly event: string;
  readonly data: string;
}

/** Longest line and longest data of an event, in UTF-16 code units. */
const MAX_LENGTH = 16 * 2 ** 20;

/** Takes text piece by piece and gives the events that it completes. */
export class EventStreamParser {
  #line = '';
  /** The piece before ended with a carriage return: a line feed at the start of the next belongs to it. */
  #isAfterReturn = false;
  #event = '';
  #data: string[] = [];
  #dataLength = 0;

  /** Throws LimitError for a line or an event that is too long. */
  push(text: string): ServerEvent[] {
    const events: ServerEvent[] = [];
    let start = this.#isAfterReturn && text.startsWith('\n') ? 1 : 0;
    if (text !== '') this.#isAfterReturn = false;
    for (let at = start; at < text.length; at++) {
      const code = text.charCodeAt(at);
      if (code !== 10 && code !== 13) continue;
      const event = this.#endLine(this.#line + text.slice(start, at));
      if (event) events.push(event);
      this.#line = '';
      if (code === 13) {
        if (at + 1 === text.length) this.#isAfterReturn = true;
        else if (text.charCodeAt(at + 1) === 10) at++;
      }
      start = at + 1;
    }
    this.#line += text.slice(start);
    checkLength(this.#line.length);
    return events;
  }

  #endLine(line: string): ServerEvent | undefined {
    if (line === '') return this.#endEvent();
    const colon = line.indexOf(':');
    const field = colon < 0 ? line : line.slice(0, colon);
    let value = colon < 0 ? '' : line.slice(colon + 1);
    if (value.startsWith(' ')) value = value.slice(1);
    if (field === 'event') this.#event = value;
    else if (field === 'data') {
      this.#data.push(value);
      this.#dataLength += value.length + 1;
      checkLength(this.#dataLength);
    }
    return undefined;
  }

  #endEvent(): ServerEvent | undefined {
    const event = { event: this.#event || 'message', data: this.#data.join('\n') };
    const hasData = this.#data.length > 0;
    this.#event = '';
    this.#data = [];
    this.#dataLength = 0;
    return hasData ? event : undefined;
  }
}

function checkLength(length: number): void {
  if (length <= MAX_LENGTH) return;
  throw new LimitError(
    `The endpoint sent an event of more than ${MAX_LENGTH} characters; answers come in small pieces.`,
  );
}

/** The events of a response's body. What a body that breaks off leaves unfinished is no event. */
export async function* serverEvents(body: ReadableStream<Uint8Array>): AsyncGenerator<ServerEvent> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  const parser = new EventStreamParser();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      yield* parser.push(decoder.decode(value, { stream: true }));
    }
  } finally {
    // Also when the caller has seen enough: the connection is given up.
    await reader.cancel().catch(() => {});
  }
}
