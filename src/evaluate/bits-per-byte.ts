/** Loss in a unit that does not depend on the tokenizer. */
import type { Tokenizer } from '../tokenizer/tokenizer.ts';

/** Bits per byte of text from nats per token: nats * tokens / (ln 2 * bytes). */
export function bitsPerByte(natsPerToken: number, numTokens: number, numBytes: number): number {
  return (natsPerToken * numTokens) / (Math.LN2 * numBytes);
}

/** Bytes of text that the counted targets stand for; special tokens stand for none. */
export function targetBytes(
  tokenizer: Tokenizer,
  targets: ArrayLike<number>,
  lossMask: ArrayLike<number>,
): number {
  const special = new Set(tokenizer.specialTokens.values());
  let bytes = 0;
  for (let i = 0; i < targets.length; i++) {
    if (lossMask[i] && !special.has(targets[i]!)) bytes += tokenizer.tokenBytes(targets[i]!).length;
  }
  return bytes;
}
