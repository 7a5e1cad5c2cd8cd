/** Joins the bytes of a sequence of tokens; the common half of every `decodeBytes`. */
import { checkTokenId } from './tokenizer.ts';

export function joinTokenBytes(
  ids: ArrayLike<number>,
  bytesOfToken: readonly Uint8Array[],
  skipped: ReadonlySet<number> | undefined,
): Uint8Array {
  let numBytes = 0;
  for (let i = 0; i < ids.length; i++) {
    const id = ids[i];
    checkTokenId(id, bytesOfToken.length);
    if (skipped?.has(id) !== true) numBytes += bytesOfToken[id]!.length;
  }
  const bytes = new Uint8Array(numBytes);
  let at = 0;
  for (let i = 0; i < ids.length; i++) {
    const id = ids[i]!;
    if (skipped?.has(id) === true) continue;
    bytes.set(bytesOfToken[id]!, at);
    at += bytesOfToken[id]!.length;
  }
  return bytes;
}
