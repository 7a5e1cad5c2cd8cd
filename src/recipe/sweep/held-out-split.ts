/**
 * Which documents are kept out of training: whole ones, drawn with a key, about as many bytes as asked for. A document
 * is known by its digest, so that copies go together. Where documents are too few or too large for that, the end of
 * each is kept out instead. Pure functions.
 */
import { keyedUniform } from '../../data/keyed-split.ts';

export interface DocumentSize {
  readonly digest: string;
  readonly sizeBytes: number;
}

export type HeldOutSplit =
  | { readonly kind: 'documents'; readonly digests: ReadonlySet<string> }
  /** The last share of every document. */
  | { readonly kind: 'ends'; readonly share: number };

/** Bytes kept out: enough for the loss to be known to about 0.3 %, and at most a tenth of the text. */
const HELD_OUT_BYTES = 600_000;
const MAX_HELD_OUT_SHARE = 0.1;
/** Fewer whole documents than this would stand for themselves, not for the text. */
const MIN_DOCUMENTS = 5;

export function chooseHeldOut(documents: readonly DocumentSize[], seed: number): HeldOutSplit {
  const distinct = new Map<string, number>();
  for (const { digest, sizeBytes } of documents) {
    distinct.set(digest, (distinct.get(digest) ?? 0) + sizeBytes);
  }
  const total = documents.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  const wanted = Math.min(HELD_OUT_BYTES, MAX_HELD_OUT_SHARE * total);
  const ranked = [...distinct]
    .map(([digest, sizeBytes]) => ({ digest, sizeBytes, draw: keyedUniform(seed, 'held out', digest) }))
    .sort((a, b) => a.draw - b.draw || (a.digest < b.digest ? -1 : 1));
  const digests = new Set<string>();
  let sizeBytes = 0;
  for (const one of ranked) {
    if (sizeBytes >= wanted) break;
    // One long document would be most of the held-out text, or most of all text.
    if (one.sizeBytes > wanted / 2) continue;
    digests.add(one.digest);
    sizeBytes += one.sizeBytes;
  }
  if (digests.size >= MIN_DOCUMENTS && sizeBytes >= wanted / 2) return { kind: 'documents', digests };
  return { kind: 'ends', share: total > 0 ? wanted / total : MAX_HELD_OUT_SHARE };
}

/** A text cut in two where a word ends, about `share` of it in the second part. */
export function cutEnd(text: string, share: number): { head: string; tail: string } {
  const wanted = Math.floor(text.length * (1 - share));
  const space = text.slice(wanted).search(/\s/);
  // Without white space (Chinese, say) the cut is where it falls, but never inside a surrogate pair.
  let at = space >= 0 && space < 1000 ? wanted + space : wanted;
  if (at > 0 && /[\ud800-\udbff]/.test(text[at - 1] ?? '')) at++;
  return { head: text.slice(0, at), tail: text.slice(at) };
}
