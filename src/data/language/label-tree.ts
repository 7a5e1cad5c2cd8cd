/**
 * Hierarchical softmax: labels are the leaves of a Huffman tree over their counts, every inner node holds a
 * logistic regression, and a label's probability is the product along its path (Morin and Bengio 2005). As in
 * fastText each factor is enlarged by 1e-5, so probabilities can pass 1 by about 1e-4; callers clamp.
 */
import type { FastTextModel } from './fasttext-model.ts';

const FACTOR_EPSILON = 1e-5;
/** Count of a node that does not exist yet: more than any corpus has. */
const NO_COUNT = 1e15;

export class LabelTree {
  readonly numLabels: number;
  readonly #dim: number;
  readonly #outputRows: Float32Array;
  /** Children of inner node `numLabels + i`; leaves are 0 .. numLabels - 1. */
  readonly #left: Int32Array;
  readonly #right: Int32Array;
  readonly #parent: Int32Array;
  readonly #probabilities: Float64Array;
  #bestLabel = 0;
  #bestProbability = 0;

  constructor({ labelCounts, outputRows, dim }: FastTextModel) {
    const numLabels = labelCounts.length;
    const numNodes = 2 * numLabels - 1;
    this.numLabels = numLabels;
    this.#dim = dim;
    this.#outputRows = outputRows;
    this.#left = new Int32Array(numLabels);
    this.#right = new Int32Array(numLabels);
    this.#parent = new Int32Array(numNodes).fill(-1);
    this.#probabilities = new Float64Array(numNodes);
    // Leaves come by descending count, so the two rarest nodes are always next on one of two queues.
    const counts = new Float64Array(numNodes).fill(NO_COUNT);
    counts.set(labelCounts);
    let leaf = numLabels - 1;
    let inner = numLabels;
    const rarest = (): number => (leaf >= 0 && counts[leaf]! < counts[inner]! ? leaf-- : inner++);
    for (let node = numLabels; node < numNodes; node++) {
      const left = rarest();
      const right = rarest();
      this.#left[node - numLabels] = left;
      this.#right[node - numLabels] = right;
      this.#parent[left] = node;
      this.#parent[right] = node;
      counts[node] = counts[left]! + counts[right]!;
    }
  }

  /** The likeliest label of a mean row [dim]; its probability is in `bestProbability`. */
  best(hidden: Float64Array): number {
    this.#bestLabel = 0;
    this.#bestProbability = -1;
    this.#descend(2 * this.numLabels - 2, 1, hidden);
    return this.#bestLabel;
  }

  get bestProbability(): number {
    return Math.min(1, this.#bestProbability);
  }

  /** Takes the likelier child first and leaves out subtrees that cannot win. */
  #descend(node: number, probability: number, hidden: Float64Array): void {
    if (probability <= this.#bestProbability) return;
    if (node < this.numLabels) {
      this.#bestLabel = node;
      this.#bestProbability = probability;
      return;
    }
    const inner = node - this.numLabels;
    const right = this.#rightShare(inner, hidden);
    const toLeft = probability * (1 - right + FACTOR_EPSILON);
    const toRight = probability * (right + FACTOR_EPSILON);
    if (right > 0.5) {
      this.#descend(this.#right[inner]!, toRight, hidden);
      this.#descend(this.#left[inner]!, toLeft, hidden);
    } else {
      this.#descend(this.#left[inner]!, toLeft, hidden);
      this.#descend(this.#right[inner]!, toRight, hidden);
    }
  }

  /** The probability of one label. */
  probabilityOf(label: number, hidden: Float64Array): number {
    let probability = 1;
    let node = label;
    for (let parent = this.#parent[node]!; parent >= 0; parent = this.#parent[node]!) {
      const inner = parent - this.numLabels;
      const right = this.#rightShare(inner, hidden);
      probability *= (this.#right[inner] === node ? right : 1 - right) + FACTOR_EPSILON;
      node = parent;
    }
    return Math.min(1, probability);
  }

  /** The probabilities of all labels [numLabels]; valid until the next call. */
  all(hidden: Float64Array): Float64Array {
    const probabilities = this.#probabilities;
    const root = 2 * this.numLabels - 2;
    probabilities[root] = 1;
    for (let node = root; node >= this.numLabels; node--) {
      const inner = node - this.numLabels;
      const right = this.#rightShare(inner, hidden);
      probabilities[this.#left[inner]!] = probabilities[node]! * (1 - right + FACTOR_EPSILON);
      probabilities[this.#right[inner]!] = probabilities[node]! * (right + FACTOR_EPSILON);
    }
    return probabilities.subarray(0, this.numLabels);
  }

  /** sigmoid(output row . hidden) */
  #rightShare(inner: number, hidden: Float64Array): number {
    const dim = this.#dim;
    const rows = this.#outputRows;
    const from = inner * dim;
    let dot = 0;
    for (let column = 0; column < dim; column++) dot += rows[from + column]! * hidden[column]!;
    return 1 / (1 + Math.exp(-dot));
  }
}
