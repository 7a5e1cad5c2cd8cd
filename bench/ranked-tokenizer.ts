/**
 * The vocabulary of one of npm's gpt-tokenizer encodings in our tokenizer, so that a bench compares two programs on the
 * same work. The encodings list tokens by rank only; a token's last merge is found by merging its bytes with the ranks
 * below its own until two parts are left.
 */
import { BpeTokenizer, preTokenizerOf } from '../src/tokenizer/index.ts';

/** cl100k_base cuts text as Llama 3 does. */
export async function cl100kTokenizer(): Promise<BpeTokenizer> {
  const { default: ranks } = (await import('gpt-tokenizer/esm/bpeRanks/cl100k_base')) as {
    default: readonly (string | readonly number[])[];
  };
  const tokens = ranks.map((token) =>
    typeof token === 'string' ? Buffer.from(token) : Uint8Array.from(token),
  );
  const keys = tokens.map((token) => Buffer.from(token).toString('latin1'));
  const rankOf = new Map(keys.map((key, rank) => [key, rank]));
  const merges: number[] = [];
  for (const [rank, key] of keys.entries()) {
    if (key.length < 2) continue;
    const parts = [...key];
    while (parts.length > 2) {
      let best = rank;
      let at = -1;
      for (let i = 0; i + 1 < parts.length; i++) {
        const found = rankOf.get(parts[i]! + parts[i + 1]!) ?? rank;
        if (found < best) {
          best = found;
          at = i;
        }
      }
      if (at < 0) throw new Error(`Token ${rank} does not come from merges of lower ranks.`);
      parts.splice(at, 2, parts[at]! + parts[at + 1]!);
    }
    merges.push(rankOf.get(parts[0]!)!, rankOf.get(parts[1]!)!, rank);
  }
  return new BpeTokenizer({
    tokens: tokens.map((token) => new Uint8Array(token)),
    merges: Int32Array.from(merges),
    addedTokens: [],
    preTokenizer: preTokenizerOf('llama3'),
  });
}
