/**
 * Byte-pair merging of one chunk (Sennrich et al. 2016, algorithm 1, in its greedy form): again and again the
 * neighbours with the lowest rank become one symbol, leftmost first. Short chunks scan for the lowest rank;
 * long ones keep a heap over a linked list, so a chunk of n symbols takes O(n log n) whatever it holds.
 */
import type { MergeTable } from './merge-table.ts';

/** Up to this many symbols a plain scan is faster than a heap. */
const SCAN_LIMIT = 48;
const NO_RANK = 0x7fffffff;

/** Merges `symbols[0, count)` in place and returns the new count. */
export function mergeChunk(symbols: Int32Array, count: number, merges: MergeTable): number {
  if (count < 2) return count;
  return count <= SCAN_LIMIT ? mergeByScan(symbols, count, merges) : mergeByHeap(symbols, count, merges);
}

const scanRanks = new Int32Array(SCAN_LIMIT);

function mergeByScan(symbols: Int32Array, count: number, merges: MergeTable): number {
  // ranks[i] is the rank of (symbols[i], symbols[i + 1]).
  const ranks = scanRanks;
  for (let i = 0; i + 1 < count; i++) {
    const rank = merges.rankOf(symbols[i]!, symbols[i + 1]!);
    ranks[i] = rank < 0 ? NO_RANK : rank;
  }
  while (count > 1) {
    let best = NO_RANK;
    let at = -1;
    for (let i = 0; i + 1 < count; i++) {
      if (ranks[i]! < best) {
        best = ranks[i]!;
        at = i;
      }
    }
    if (at < 0) break;
    symbols[at] = merges.mergedId(best);
    count--;
    for (let i = at + 1; i < count; i++) {
      symbols[i] = symbols[i + 1]!;
      ranks[i] = ranks[i + 1]!;
    }
    if (at + 1 < count) {
      const rank = merges.rankOf(symbols[at]!, symbols[at + 1]!);
      ranks[at] = rank < 0 ? NO_RANK : rank;
    }
    if (at > 0) {
      const rank = merges.rankOf(symbols[at - 1]!, symbols[at]!);
      ranks[at - 1] = rank < 0 ? NO_RANK : rank;
    }
  }
  return count;
}

/** Keys are rank * 2^31 + position, so the heap's order is rank first, then leftmost. */
const POSITIONS = 2 ** 31;

function mergeByHeap(symbols: Int32Array, count: number, merges: MergeTable): number {
  const next = new Int32Array(count);
  const previous = new Int32Array(count);
  // Each merge removes one pair and makes at most two: never more than 3 * count entries in all.
  const heap = new Float64Array(3 * count);
  let size = 0;
  for (let i = 0; i < count; i++) {
    next[i] = i + 1 < count ? i + 1 : -1;
    previous[i] = i - 1;
    if (i + 1 === count) break;
    const rank = merges.rankOf(symbols[i]!, symbols[i + 1]!);
    if (rank >= 0) heap[size++] = rank * POSITIONS + i;
  }
  for (let i = (size >> 1) - 1; i >= 0; i--) siftDown(heap, i, size);

  while (size > 0) {
    const key = heap[0]!;
    heap[0] = heap[--size]!;
    siftDown(heap, 0, size);
    const rank = Math.floor(key / POSITIONS);
    const at = key - rank * POSITIONS;
    const right = next[at]!;
    // Stale when either symbol was merged since: then the pair here has another rank or is gone.
    if (symbols[at]! < 0 || right < 0 || merges.rankOf(symbols[at]!, symbols[right]!) !== rank) continue;
    symbols[at] = merges.mergedId(rank);
    symbols[right] = -1;
    const after = next[right]!;
    next[at] = after;
    if (after >= 0) {
      previous[after] = at;
      const rankAfter = merges.rankOf(symbols[at]!, symbols[after]!);
      if (rankAfter >= 0) siftUp(heap, size++, rankAfter * POSITIONS + at);
    }
    const before = previous[at]!;
    if (before >= 0) {
      const rankBefore = merges.rankOf(symbols[before]!, symbols[at]!);
      if (rankBefore >= 0) siftUp(heap, size++, rankBefore * POSITIONS + before);
    }
  }
  let kept = 0;
  for (let i = 0; i >= 0; i = next[i]!) symbols[kept++] = symbols[i]!;
  return kept;
}

function siftUp(heap: Float64Array, index: number, key: number): void {
  while (index > 0) {
    const parent = (index - 1) >> 1;
    if (heap[parent]! <= key) break;
    heap[index] = heap[parent]!;
    index = parent;
  }
  heap[index] = key;
}

function siftDown(heap: Float64Array, index: number, size: number): void {
  const key = heap[index]!;
  for (;;) {
    let child = 2 * index + 1;
    if (child >= size) break;
    if (child + 1 < size && heap[child + 1]! < heap[child]!) child++;
    if (heap[child]! >= key) break;
    heap[index] = heap[child]!;
    index = child;
  }
  heap[index] = key;
}
