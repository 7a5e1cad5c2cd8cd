/**
 * What others wrote, made safe to show: a character that steers a terminal or reverses the writing direction
 * appears as its escape (`\x1b`, `\u202e`) and does nothing. Nothing is left out, so the reader sees what is there.
 */

const STEERING = /\p{Cc}|\p{Bidi_Control}|[\u2028\u2029]/gu;

function escaped(character: string): string {
  const short: Record<string, string> = { '\n': '\\n', '\t': '\\t', '\r': '\\r' };
  if (short[character] !== undefined) return short[character];
  const hex = character.codePointAt(0)!.toString(16);
  return hex.length <= 2 ? `\\x${hex.padStart(2, '0')}` : `\\u${hex.padStart(4, '0')}`;
}

/** Line breaks and tabs stay. A piece of a text becomes the same piece of the visible text. */
export function visibleText(text: string): string {
  return text.replace(STEERING, (character) =>
    character === '\n' || character === '\t' ? character : escaped(character),
  );
}

/** On one line: line breaks and tabs are escaped too. */
export function visibleLine(text: string): string {
  return text.replace(STEERING, escaped);
}

/** What a stream may be given: text as it is where a program reads, made visible where a terminal does. */
export function shownOn(stream: { isTTY?: boolean }, text: string): string {
  return stream.isTTY ? visibleText(text) : text;
}
