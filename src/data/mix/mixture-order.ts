/**
 * Puts the documents of one phase in order. Each source's documents stay in the order of its sequence and are
 * spread evenly over the phase: document k lies at (size before k + jitter * its size) / (size of the take), and
 * the sources are merged by these places. So any stretch has about the shares of the whole, and adding a source
 * moves no two documents of the others past one another (unless it changes how much they give).
 */
import type { MixturePhase, MixtureSource, MixtureTake } from './plan-mixture.ts';
import type { SourceSequence } from './source-sequence.ts';

export interface MixtureItem {
  /** Index of the source. */
  source: number;
  /** Index of the document in its source. */
  document: number;
  /** 0-based: how many times the source's documents were all given before. */
  epoch: number;
  /** Index of the phase. */
  phase: number;
}

export function* orderedItems(
  phase: MixturePhase,
  phaseIndex: number,
  sources: readonly MixtureSource[],
  sequences: readonly SourceSequence[],
): Generator<MixtureItem> {
  if (phase.order.kind === 'shuffled') {
    yield* mergedTakes(phase.takes, phaseIndex, sequences);
    return;
  }
  yield* easyToHard(phase, phaseIndex, sources, sequences);
}

/** The next document of one take. */
class TakeCursor {
  readonly take: MixtureTake;
  readonly sequence: SourceSequence;
  #at: number;
  #before = 0;
  document = 0;
  /** In [0, 1]; beyond 1 when the take is over. */
  place = 0;

  constructor(take: MixtureTake, sequence: SourceSequence) {
    this.take = take;
    this.sequence = sequence;
    this.#at = take.start;
    this.#look();
  }

  get epoch(): number {
    return Math.floor(this.#at / this.sequence.numDocuments);
  }

  get isOver(): boolean {
    return this.#at >= this.take.end;
  }

  next(): void {
    this.#before += this.sequence.sizes[this.document]!;
    this.#at++;
    this.#look();
  }

  #look(): void {
    if (this.isOver) return;
    this.document = this.sequence.documentAt(this.#at);
    const size = this.sequence.sizes[this.document]!;
    this.place = (this.#before + this.sequence.jitterAt(this.#at) * size) / this.take.size;
  }
}

/** Merge of all takes by place, over a binary heap of cursors; ties go to the earlier source. */
function* mergedTakes(
  takes: readonly MixtureTake[],
  phase: number,
  sequences: readonly SourceSequence[],
): Generator<MixtureItem> {
  for (const cursor of mergedCursors(takes, sequences)) {
    yield { source: cursor.take.source, document: cursor.document, epoch: cursor.epoch, phase };
  }
}

function* mergedCursors(
  takes: readonly MixtureTake[],
  sequences: readonly SourceSequence[],
): Generator<TakeCursor> {
  const heap: TakeCursor[] = [];
  const precedes = (a: TakeCursor, b: TakeCursor): boolean =>
    a.place !== b.place ? a.place < b.place : a.take.source < b.take.source;
  const siftDown = (from: number): void => {
    const moved = heap[from]!;
    let index = from;
    for (;;) {
      let child = 2 * index + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && precedes(heap[child + 1]!, heap[child]!)) child++;
      if (precedes(moved, heap[child]!)) break;
      heap[index] = heap[child]!;
      index = child;
    }
    heap[index] = moved;
  };
  for (const take of takes) {
    if (take.end > take.start) heap.push(new TakeCursor(take, sequences[take.source]!));
  }
  for (let i = (heap.length >> 1) - 1; i >= 0; i--) siftDown(i);
  while (heap.length > 0) {
    const top = heap[0]!;
    yield top;
    top.next();
    if (top.isOver) {
      const last = heap.pop()!;
      if (heap.length === 0) return;
      heap[0] = last;
    }
    siftDown(0);
  }
}

/**
 * Sorted by the documents' number within each pass. A document goes into the pass that its place in the shuffled
 * order falls into, so every pass has the shares of the phase and copies of a document come passes apart.
 * Documents without a number come last in their pass; ties keep the shuffled order. Holds 28 bytes a document.
 */
function* easyToHard(
  phase: MixturePhase,
  phaseIndex: number,
  sources: readonly MixtureSource[],
  sequences: readonly SourceSequence[],
): Generator<MixtureItem> {
  if (phase.order.kind !== 'easy-to-hard') return;
  const { takes, order } = phase;
  const numItems = takes.reduce((sum, { start, end }) => sum + end - start, 0);
  const passes = order.passes ?? numPasses(takes, sequences);
  const sign = order.descending ? -1 : 1;
  const difficulty = new Float64Array(numItems);
  const source = new Uint32Array(numItems);
  const document = new Uint32Array(numItems);
  const epoch = new Uint32Array(numItems);
  const passEnds = new Float64Array(passes);
  let at = 0;
  for (const cursor of mergedCursors(takes, sequences)) {
    const value = sources[cursor.take.source]!.difficulty![cursor.document]!;
    difficulty[at] = Number.isNaN(value) ? Number.POSITIVE_INFINITY : sign * value;
    source[at] = cursor.take.source;
    document[at] = cursor.document;
    epoch[at] = cursor.epoch;
    at++;
    passEnds[Math.min(passes - 1, Math.floor(cursor.place * passes))] = at;
  }
  let start = 0;
  for (let pass = 0; pass < passes; pass++) {
    const end = Math.max(start, passEnds[pass]!);
    const indices = new Float64Array(end - start);
    for (let i = 0; i < indices.length; i++) indices[i] = start + i;
    // Infinity - Infinity is NaN, which counts as equal: then the shuffled order decides.
    indices.sort((a, b) => difficulty[a]! - difficulty[b]! || a - b);
    for (const i of indices) {
      yield { source: source[i]!, document: document[i]!, epoch: epoch[i]!, phase: phaseIndex };
    }
    start = end;
  }
}

/** Most epochs that one source gives to the phase, rounded up. */
function numPasses(takes: readonly MixtureTake[], sequences: readonly SourceSequence[]): number {
  return Math.max(
    1,
    ...takes.map(({ source, start, end }) =>
      end > start ? Math.ceil((end - start) / sequences[source]!.numDocuments) : 1,
    ),
  );
}
