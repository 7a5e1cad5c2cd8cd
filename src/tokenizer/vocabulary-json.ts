/** The parts of `tokenizer.json` that every kind of BPE file shares: merges and added tokens. */
import type { AddedToken } from './added-tokens.ts';
import { arrayAt, idAt, objectAt, stringAt, unsupported } from './json-fields.ts';

/** Ids of a file must be below this. */
export const MAX_VOCAB_SIZE = 1 << 20;

/** (left id, right id, merged id) per merge; accepts pairs and the older "a b". */
export function mergesOf(value: unknown, idOf: (name: string) => number | undefined): Int32Array {
  const merges = arrayAt(value, 'model.merges');
  const triples = new Int32Array(3 * merges.length);
  merges.forEach((merge, i) => {
    const parts = typeof merge === 'string' ? merge.split(' ') : merge;
    if (!Array.isArray(parts) || parts.length !== 2 || !parts.every((part) => typeof part === 'string')) {
      throw unsupported(`model.merges[${i}]`, merge, '["a", "b"] or "a b"');
    }
    const [left, right] = parts as [string, string];
    [left, right, left + right].forEach((name, j) => {
      const id = idOf(name);
      if (id === undefined)
        throw unsupported(`model.merges[${i}]`, merge, 'merges whose parts and result are in vocab');
      triples[3 * i + j] = id;
    });
  });
  return triples;
}

export function addedTokensOf(value: unknown): AddedToken[] {
  const seen = new Set<unknown>();
  return arrayAt(value ?? [], 'added_tokens').map((entry, i) => {
    const field = `added_tokens[${i}]`;
    const token = objectAt(entry, field);
    if (token.single_word) throw unsupported(`${field}.single_word`, true, 'false');
    const content = stringAt(token.content, `${field}.content`);
    const id = idAt(token.id, `${field}.id`, MAX_VOCAB_SIZE);
    if (seen.has(id) || seen.has(content)) throw unsupported(field, entry, 'each id and each content once');
    seen.add(id).add(content);
    return {
      content,
      id,
      special: token.special === true,
      lstrip: token.lstrip === true,
      rstrip: token.rstrip === true,
    };
  });
}
