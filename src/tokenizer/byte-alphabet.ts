/**
 * GPT-2's byte alphabet (openai/gpt-2, `bytes_to_unicode`): every byte has one printable character, so that
 * byte tokens can stand in a JSON vocabulary as strings. Printable Latin-1 bytes stand for themselves, the
 * other 68 take U+0100 upwards in byte order.
 */

const CHARACTER_OF_BYTE: string[] = [];
const BYTE_OF_CHARACTER = new Map<number, number>();

let numShifted = 0;
for (let byte = 0; byte < 256; byte++) {
  const printable = (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
  const codePoint = printable ? byte : 256 + numShifted++;
  CHARACTER_OF_BYTE.push(String.fromCharCode(codePoint));
  BYTE_OF_CHARACTER.set(codePoint, byte);
}

/** Bytes as the string that stands for them in `tokenizer.json`: " the" -> "Ġthe". */
export function alphabetFromBytes(bytes: Uint8Array): string {
  let text = '';
  for (let i = 0; i < bytes.length; i++) text += CHARACTER_OF_BYTE[bytes[i]!];
  return text;
}

/** The inverse; undefined when a character is not of the alphabet. */
export function bytesFromAlphabet(text: string): Uint8Array | undefined {
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) {
    const byte = BYTE_OF_CHARACTER.get(text.charCodeAt(i));
    if (byte === undefined) return undefined;
    bytes[i] = byte;
  }
  return bytes;
}
