/**
 * Bytes of a web page as text: byte order mark, then the HTTP header's charset, then the page's own `meta`
 * (HTML standard, "determining the character encoding"), else UTF-8 where the bytes are valid UTF-8, else
 * windows-1252. Bytes that the encoding does not know become U+FFFD, as in browsers.
 */

/** The standard's prescan looks at this many bytes. */
const prescanBytes = 1024;

/** @param contentType the HTTP header's value, such as `text/html; charset=koi8-r`. */
export function decodePage(bytes: Uint8Array, contentType?: string): { text: string; charset: string } {
  const decoder =
    decoderOf(markOf(bytes)) ?? decoderOf(charsetOf(contentType)) ?? decoderOf(metaCharset(bytes));
  if (decoder !== null) return { text: decoder.decode(bytes), charset: decoder.encoding };
  try {
    return { text: new TextDecoder('utf-8', { fatal: true }).decode(bytes), charset: 'utf-8' };
  } catch {
    return { text: new TextDecoder('windows-1252').decode(bytes), charset: 'windows-1252' };
  }
}

/** The charset parameter of a content type. */
export function charsetOf(contentType: string | undefined): string | null {
  return /charset\s*=\s*["']?\s*([^\s"';,]+)/i.exec(contentType ?? '')?.[1] ?? null;
}

function decoderOf(label: string | null): TextDecoder | null {
  if (label === null) return null;
  try {
    return new TextDecoder(label);
  } catch {
    return null;
  }
}

function markOf(bytes: Uint8Array): string | null {
  if (bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf) return 'utf-8';
  if (bytes[0] === 0xff && bytes[1] === 0xfe) return 'utf-16le';
  return bytes[0] === 0xfe && bytes[1] === 0xff ? 'utf-16be' : null;
}

function metaCharset(bytes: Uint8Array): string | null {
  const head = new TextDecoder('windows-1252').decode(bytes.subarray(0, prescanBytes));
  const declared = /^\s*<\?xml[^>]*encoding\s*=\s*["']([^"']+)/i.exec(head)?.[1];
  const label = declared ?? /<meta[^>]+charset\s*=\s*["']?\s*([^\s"'/>;]+)/i.exec(head)?.[1] ?? null;
  // A page that could say so in bytes is not UTF-16 (the standard's rule).
  return label !== null && /^utf-?16/i.test(label) ? 'utf-8' : label;
}
