/**
 * UTF-8 in both directions where the platform's coders do not fit: writing a range of a string's code units
 * without a substring, and cutting arbitrary bytes into what is UTF-8 and what is not.
 */

/**
 * Writes the UTF-8 of `units[start, end)` to `out` from index 0 and returns the number of bytes, at most three
 * for each code unit. Lone surrogates become U+FFFD, as in the WHATWG Encoding standard.
 */
export function writeUtf8(units: Uint16Array, start: number, end: number, out: Int32Array): number {
  let at = 0;
  for (let i = start; i < end; i++) {
    let code = units[i]!;
    if (code < 0x80) {
      out[at++] = code;
      continue;
    }
    if (code < 0x800) {
      out[at++] = 0xc0 | (code >> 6);
      out[at++] = 0x80 | (code & 0x3f);
      continue;
    }
    if (code >= 0xd800 && code < 0xe000) {
      const low = code < 0xdc00 && i + 1 < end ? units[i + 1]! : 0;
      if (low >= 0xdc00 && low < 0xe000) {
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
        i++;
        out[at++] = 0xf0 | (code >> 18);
        out[at++] = 0x80 | ((code >> 12) & 0x3f);
        out[at++] = 0x80 | ((code >> 6) & 0x3f);
        out[at++] = 0x80 | (code & 0x3f);
        continue;
      }
      code = 0xfffd;
    }
    out[at++] = 0xe0 | (code >> 12);
    out[at++] = 0x80 | ((code >> 6) & 0x3f);
    out[at++] = 0x80 | (code & 0x3f);
  }
  return at;
}

/** Length of the well-formed UTF-8 sequence at `index` (Unicode 15, table 3-7), or 0. */
export function utf8SequenceLength(bytes: Uint8Array, index: number): number {
  const lead = bytes[index]!;
  if (lead < 0x80) return 1;
  if (lead < 0xc2 || lead > 0xf4) return 0;
  const length = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
  if (index + length > bytes.length) return 0;
  const second = bytes[index + 1]!;
  const lowest = lead === 0xe0 ? 0xa0 : lead === 0xf0 ? 0x90 : 0x80;
  const highest = lead === 0xed ? 0x9f : lead === 0xf4 ? 0x8f : 0xbf;
  if (second < lowest || second > highest) return 0;
  for (let i = 2; i < length; i++) if ((bytes[index + i]! & 0xc0) !== 0x80) return 0;
  return length;
}

/** Calls `visit` for each longest run that is well-formed UTF-8 throughout or at no place, in order. */
export function splitUtf8(bytes: Uint8Array, visit: (part: Uint8Array, wellFormed: boolean) => void): void {
  let start = 0;
  while (start < bytes.length) {
    let end = start;
    const wellFormed = utf8SequenceLength(bytes, start) > 0;
    while (end < bytes.length) {
      const length = utf8SequenceLength(bytes, end);
      if (length > 0 !== wellFormed) break;
      end += wellFormed ? length : 1;
    }
    visit(bytes.subarray(start, end), wellFormed);
    start = end;
  }
}
