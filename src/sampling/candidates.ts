/**
 * The tokens that may still be chosen, with their scores: what the stages of a sampler chain work on. It
 * starts as the whole vocabulary in order of ids; stages drop candidates and change scores. What always
 * holds: at least one candidate, every score finite. Buffers are kept and reused from token to token.
 */
import { PlinthError } from '../core/errors.ts';

export class Candidates {
  /** Token ids; the first `size` count. */
  ids = new Int32Array(0);
  /** Scores (logits) of the same places. */
  scores = new Float64Array(0);
  /** exp(score - maximum) of the same places, as the last `totalWeight` left them. */
  weights = new Float64Array(0);
  size = 0;
  /** Scores fall (and ids rise between equal scores) from place to place. Otherwise ids rise. */
  isSorted = false;
  #otherIds = new Int32Array(0);
  #otherScores = new Float64Array(0);
  #scoresById = new Float64Array(0);

  /**
   * Starts over with a row of logits; -Infinity leaves a token out. Throws PlinthError `not-finite` for NaN
   * or +Infinity, and when no token is left.
   */
  load(logits: ArrayLike<number>): void {
    const { length } = logits;
    if (this.ids.length < length) {
      this.ids = new Int32Array(length);
      this.scores = new Float64Array(length);
      this.weights = new Float64Array(length);
      this.#otherIds = new Int32Array(length);
      this.#otherScores = new Float64Array(length);
    }
    const { ids, scores } = this;
    let size = 0;
    for (let id = 0; id < length; id++) {
      const score = logits[id]!;
      if (score === Number.NEGATIVE_INFINITY) continue;
      if (!(score < Number.POSITIVE_INFINITY)) refuseLogit(id, score);
      ids[size] = id;
      scores[size++] = score;
    }
    if (size === 0) refuseEmpty(length);
    this.size = size;
    this.isSorted = false;
  }

  /** Place of the first largest score. */
  argmax(): number {
    const { scores, size } = this;
    if (this.isSorted) return 0;
    let best = 0;
    for (let i = 1; i < size; i++) if (scores[i]! > scores[best]!) best = i;
    return best;
  }

  get maximum(): number {
    return this.scores[this.argmax()]!;
  }

  /** Keeps only the candidate at a place. */
  keepOnly(place: number): void {
    this.ids[0] = this.ids[place]!;
    this.scores[0] = this.scores[place]!;
    this.size = 1;
    this.isSorted = true;
  }

  /** Keeps the candidates whose score is at least `threshold`, in their order; at least the largest. */
  keepAtLeast(threshold: number): void {
    const { ids, scores } = this;
    const least = Math.min(threshold, this.maximum);
    let kept = 0;
    for (let i = 0; i < this.size; i++) {
      if (!(scores[i]! >= least)) continue;
      ids[kept] = ids[i]!;
      scores[kept++] = scores[i]!;
    }
    this.size = kept;
  }

  /** Place of a token, or -1 if it is no candidate (any more). */
  placeOf(id: number): number {
    const { ids, size } = this;
    if (this.isSorted) {
      for (let i = 0; i < size; i++) if (ids[i] === id) return i;
      return -1;
    }
    // Nothing dropped before it: a token stands at its own number.
    if (id < size && ids[id] === id) return id;
    let low = 0;
    let high = Math.min(id, size) - 1;
    while (low <= high) {
      const middle = (low + high) >> 1;
      if (ids[middle] === id) return middle;
      if (ids[middle]! < id) low = middle + 1;
      else high = middle - 1;
    }
    return -1;
  }

  /** Keeps the candidates whose entry in `mask` is `wanted`, in their order; says how many. None: nothing changes. */
  keepMasked(mask: Uint8Array, wanted: 0 | 1): number {
    const { ids, scores, size } = this;
    let kept = 0;
    for (let i = 0; i < size; i++) {
      const id = ids[i]!;
      if ((id < mask.length ? mask[id] : 0) !== wanted) continue;
      ids[kept] = id;
      scores[kept++] = scores[i]!;
    }
    if (kept > 0) this.size = kept;
    return kept;
  }

  /** To be called after scores were changed other than in step: brings sorted candidates back into order. */
  rescored(): void {
    if (!this.isSorted) return;
    this.isSorted = false;
    this.keepBestWhile(all);
  }

  /** Keeps the first `size` places. */
  truncate(size: number): void {
    this.size = Math.max(1, Math.min(size, this.size));
  }

  /** Sum of exp(score - maximum); fills `weights`. */
  totalWeight(): number {
    const { scores, weights, size, maximum } = this;
    let total = 0;
    for (let i = 0; i < size; i++) {
      const weight = Math.exp(scores[i]! - maximum);
      weights[i] = weight;
      total += weight;
    }
    return total;
  }

  /** Entropy of softmax(scores), in nats. Takes the total of weights that are filled, or fills them. */
  entropy(total = this.totalWeight()): number {
    const { scores, weights, size, maximum } = this;
    let weighted = 0;
    for (let i = 0; i < size; i++) {
      const weight = weights[i]!;
      if (weight > 0) weighted += weight * (scores[i]! - maximum);
    }
    return Math.log(total) - weighted / total;
  }

  /**
   * Drops candidates that come, by score, after others of more than `enough` weight, as far as one look at each
   * tells: what is left is the best ones, in their order, and a few more. Takes `weights` as they are filled.
   */
  dropTail(enough: number): void {
    if (this.isSorted || this.size < WORTH_BUCKETS) return;
    const { ids, scores, weights, size, maximum } = this;
    buckets.fill(0);
    for (let i = 0; i < size; i++) buckets[bucketOf(maximum - scores[i]!)]! += weights[i]!;
    // A margin for rounding, which depends on the order of adding.
    const least = enough * (1 + 1e-9) + Number.MIN_VALUE;
    let last = 0;
    let weight = buckets[0]!;
    while (weight < least && last < NUM_BUCKETS - 1) weight += buckets[++last]!;
    if (last >= NUM_BUCKETS - 1) return;
    let kept = 0;
    for (let i = 0; i < size; i++) {
      if (bucketOf(maximum - scores[i]!) > last) continue;
      ids[kept] = ids[i]!;
      scores[kept++] = scores[i]!;
    }
    this.size = kept;
  }

  /**
   * Keeps the best candidates, sorted, taking them from the best on for as long as `more(score, taken)`
   * says so. Costs O(size) and O(log size) for each one kept: the vocabulary is never sorted as a whole.
   */
  keepBestWhile(more: (score: number, taken: number) => boolean): void {
    if (this.isSorted) {
      let taken = 0;
      while (taken < this.size && more(this.scores[taken]!, taken)) taken++;
      this.truncate(taken);
      return;
    }
    for (let i = (this.size >> 1) - 1; i >= 0; i--) this.#sift(i, this.size);
    let left = this.size;
    let taken = 0;
    while (left > 0 && (more(this.scores[0]!, taken) || taken === 0)) {
      this.#otherIds[taken] = this.ids[0]!;
      this.#otherScores[taken++] = this.scores[0]!;
      left--;
      this.ids[0] = this.ids[left]!;
      this.scores[0] = this.scores[left]!;
      this.#sift(0, left);
    }
    [this.ids, this.#otherIds] = [this.#otherIds, this.ids];
    [this.scores, this.#otherScores] = [this.#otherScores, this.scores];
    this.size = taken;
    this.isSorted = true;
  }

  /**
   * Keeps the candidates of least `cost(score)`, lower ids first among equals, taking them for as long as
   * `more(cost, score)` says so, which must end once they weigh more than `enough`. They end up in order of their
   * scores. Takes `weights` as they are filled.
   */
  keepCheapestWhile(
    cost: (score: number) => number,
    more: (cost: number, score: number) => boolean,
    enough: number,
  ): void {
    if (this.#scoresById.length < this.ids.length) this.#scoresById = new Float64Array(this.ids.length);
    const byId = this.#scoresById;
    for (let i = 0; i < this.size; i++) {
      byId[this.ids[i]!] = this.scores[i]!;
      this.scores[i] = -cost(this.scores[i]!);
    }
    this.isSorted = false;
    this.dropTail(enough);
    this.keepBestWhile((negated) => more(-negated, byId[this.ids[0]!]!));
    for (let i = 0; i < this.size; i++) this.scores[i] = byId[this.ids[i]!]!;
    this.rescored();
  }

  /** The score of the k-th best candidate (1 = the best). Looks at each candidate once. */
  kthScore(k: number): number {
    if (this.isSorted) return this.scores[Math.min(k, this.size) - 1]!;
    // A min-heap of the k best scores so far; most candidates fail its first comparison.
    const { scores, size } = this;
    const heap = this.#otherScores;
    const count = Math.min(k, size);
    for (let i = 0; i < count; i++) heap[i] = scores[i]!;
    for (let i = (count >> 1) - 1; i >= 0; i--) siftMinimum(heap, i, count);
    for (let i = count; i < size; i++) {
      if (scores[i]! <= heap[0]!) continue;
      heap[0] = scores[i]!;
      siftMinimum(heap, 0, count);
    }
    return heap[0]!;
  }

  /** Places of the best candidates, best first; at most `count` of them. Leaves the candidates as they are. */
  bestPlaces(count: number): number[] {
    const { ids, scores, size } = this;
    const numBest = Math.min(count, size);
    if (this.isSorted || numBest === 0) return Array.from({ length: numBest }, (_, i) => i);
    const threshold = this.kthScore(numBest);
    const better: number[] = [];
    const equal: number[] = [];
    for (let i = 0; i < size; i++) {
      if (scores[i]! > threshold) better.push(i);
      else if (scores[i] === threshold && equal.length < numBest) equal.push(i);
    }
    better.sort((a, b) => scores[b]! - scores[a]! || ids[a]! - ids[b]!);
    return [...better, ...equal.slice(0, numBest - better.length)];
  }

  /**
   * The place at which the distribution function of softmax(scores) passes u, in the order they stand in. Takes the
   * total of weights that are filled, or fills them.
   */
  placeAt(u: number, total = this.totalWeight()): number {
    const { weights, size } = this;
    let rest = u * total;
    for (let i = 0; i < size; i++) {
      rest -= weights[i]!;
      if (rest < 0) return i;
    }
    // Rounding may leave a crumb after the last candidate; the best one has weight 1 for sure.
    return this.argmax();
  }

  /** Moves place `i` down until no child is better: a heap with the best candidate on top. */
  #sift(start: number, size: number): void {
    const { ids, scores } = this;
    const id = ids[start]!;
    const score = scores[start]!;
    let i = start;
    for (let child = 2 * i + 1; child < size; child = 2 * i + 1) {
      const right = child + 1;
      if (right < size && isBefore(scores[right]!, ids[right]!, scores[child]!, ids[child]!)) child = right;
      if (!isBefore(scores[child]!, ids[child]!, score, id)) break;
      ids[i] = ids[child]!;
      scores[i] = scores[child]!;
      i = child;
    }
    ids[i] = id;
    scores[i] = score;
  }
}

const all = () => true;

/** Below so many candidates a heap of them all is as fast. */
const WORTH_BUCKETS = 256;
/** Steps of 1/32 nat below the best; the last one takes all the rest. */
const NUM_BUCKETS = 1024;
const BUCKETS_PER_NAT = 32;
const buckets = new Float64Array(NUM_BUCKETS);

function bucketOf(distance: number): number {
  const bucket = distance * BUCKETS_PER_NAT;
  return bucket < NUM_BUCKETS - 1 ? bucket | 0 : NUM_BUCKETS - 1;
}

function isBefore(score: number, id: number, otherScore: number, otherId: number): boolean {
  return score > otherScore || (score === otherScore && id < otherId);
}

function siftMinimum(heap: Float64Array, start: number, size: number): void {
  const value = heap[start]!;
  let i = start;
  for (let child = 2 * i + 1; child < size; child = 2 * i + 1) {
    if (child + 1 < size && heap[child + 1]! < heap[child]!) child++;
    if (heap[child]! >= value) break;
    heap[i] = heap[child]!;
    i = child;
  }
  heap[i] = value;
}

export function refuseLogit(id: number, value: number): never {
  throw new PlinthError(
    'not-finite',
    `Sampling: the logit of token ${id} is ${value}; expected finite numbers, or -Infinity for tokens that ` +
      'must not be chosen. The weights are damaged, or training diverged: check the checkpoint.',
  );
}

export function refuseEmpty(vocabSize: number): never {
  throw new PlinthError(
    'not-finite',
    `Sampling: none of the ${vocabSize} tokens may be chosen (every logit is -Infinity). ` +
      'Loosen what forbids tokens: constraints, bans or masks.',
  );
}
