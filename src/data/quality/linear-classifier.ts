/**
 * A linear text classifier over hashed n-grams (softmax regression; with two labels logistic regression): says how
 * good a text is, or which domain it belongs to, at tens of megabytes a second. Trained by `trainClassifier`, kept
 * in a file by `classifier-file.node.ts`. Scores are calibrated by one temperature fitted on held-out texts (Guo
 * et al. 2017, arXiv:1706.04599). It sees words and pairs of words, not meaning, truth or repetition.
 * One instance holds scratch memory: give each thread its own.
 */
import { ConfigError, FormatError } from '../../core/errors.ts';
import { decodeArrayFile, encodeArrayFile } from './array-file.ts';
import { TextFeatures } from './text-features.ts';

export interface ClassifierParameters {
  /** At least two, all different. */
  labels: readonly string[];
  /** A power of two. */
  numBuckets: number;
  /** Up to so many features a longer text is more certain; beyond, only their mean counts. */
  maxFeatures: number;
  /** Logits are divided by it. */
  temperature: number;
  /** [numBuckets, numOutputs]; with two labels one output, the logit of the second. */
  weights: Float32Array;
  /** [numOutputs] */
  biases: Float32Array;
}

export interface Classification {
  label: string;
  /** Calibrated probability of `label`. */
  score: number;
  /** [numLabels], in the order of `labels`. */
  probabilities: number[];
}

const FILE_KIND = 'linear-text-classifier';
export const MIN_BUCKETS = 1 << 8;
export const MAX_BUCKETS = 1 << 26;
const MAX_LABELS = 1000;

/** Outputs of a model with so many labels. */
export function numOutputsOf(numLabels: number): number {
  return numLabels === 2 ? 1 : numLabels;
}

/** What the sum over features is multiplied by: 1/sqrt(n), so that a text of distinct features has length 1. */
export function featureScale(numFeatures: number, maxFeatures: number): number {
  return numFeatures === 0 ? 0 : Math.sqrt(Math.min(numFeatures, maxFeatures)) / numFeatures;
}

export class LinearClassifier {
  readonly labels: readonly string[];
  readonly parameters: Readonly<ClassifierParameters>;
  readonly #features: TextFeatures;
  readonly #logits: Float64Array;

  /** @throws ConfigError for parameters that do not fit together */
  constructor(parameters: ClassifierParameters) {
    checkParameters(parameters);
    this.parameters = parameters;
    this.labels = parameters.labels;
    this.#features = new TextFeatures(parameters.numBuckets);
    this.#logits = new Float64Array(numOutputsOf(parameters.labels.length));
  }

  /** Calibrated probabilities [numLabels] of a text; without any word or mark, what the biases alone say. */
  probabilities(text: string): Float64Array {
    return softmax(this.logits(text), this.labels.length, this.parameters.temperature);
  }

  /** The likeliest label; of equal ones the first. */
  classify(text: string): Classification {
    const probabilities = [...this.probabilities(text)];
    const score = Math.max(...probabilities);
    return { label: this.labels[probabilities.indexOf(score)]!, score, probabilities };
  }

  /**
   * The probability of one label, of the first one unless said otherwise (the good one, where `trainClassifier` was
   * given good and bad examples in this order).
   * @throws ConfigError for an unknown label
   */
  score(text: string, label: string = this.labels[0]!): number {
    const index = this.labels.indexOf(label);
    if (index < 0) {
      throw new ConfigError(`No label "${label}"; this classifier knows ${this.labels.join(', ')}.`);
    }
    return this.probabilities(text)[index]!;
  }

  /** Outputs before temperature and softmax [numOutputs]; valid until the next call. */
  logits(text: string): Float64Array {
    const { weights, biases, maxFeatures } = this.parameters;
    const logits = this.#logits;
    const numOutputs = logits.length;
    const count = this.#features.read(text);
    const buckets = this.#features.buckets;
    logits.fill(0);
    if (numOutputs === 1) {
      let sum = 0;
      for (let i = 0; i < count; i++) sum += weights[buckets[i]!]!;
      logits[0] = sum;
    } else {
      for (let i = 0; i < count; i++) {
        const from = buckets[i]! * numOutputs;
        for (let output = 0; output < numOutputs; output++) logits[output]! += weights[from + output]!;
      }
    }
    const scale = featureScale(count, maxFeatures);
    for (let output = 0; output < numOutputs; output++) {
      logits[output] = logits[output]! * scale + biases[output]!;
    }
    return logits;
  }

  toBytes(): Uint8Array {
    const { labels, numBuckets, maxFeatures, temperature, weights, biases } = this.parameters;
    return encodeArrayFile(FILE_KIND, { labels, numBuckets, maxFeatures, temperature }, { biases, weights });
  }

  /** @throws FormatError when the bytes are not a classifier, are damaged, or hold numbers that do not fit */
  static fromBytes(bytes: Uint8Array): LinearClassifier {
    const { settings, arrays } = decodeArrayFile(bytes, FILE_KIND, { biases: 'float32', weights: 'float32' });
    const { labels, numBuckets, maxFeatures, temperature } = settings;
    const { biases, weights } = arrays;
    for (const values of [biases, weights]) {
      for (let i = 0; i < values.length; i++) {
        if (!Number.isFinite(values[i]))
          throw new FormatError(`The classifier's weights are not all finite.`);
      }
    }
    try {
      return new LinearClassifier({
        labels: labels as string[],
        numBuckets: numBuckets as number,
        maxFeatures: maxFeatures as number,
        temperature: temperature as number,
        weights,
        biases,
      });
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      throw new FormatError(`The classifier file does not fit together: ${error.message}`, { cause: error });
    }
  }
}

function checkParameters(parameters: ClassifierParameters): void {
  const { labels, numBuckets, maxFeatures, temperature, weights, biases } = parameters;
  if (!Array.isArray(labels) || !labels.every((label) => typeof label === 'string')) {
    throw new ConfigError('labels must be a list of strings.');
  }
  if (labels.length < 2 || labels.length > MAX_LABELS || new Set(labels).size !== labels.length) {
    throw new ConfigError(
      `Labels are ${JSON.stringify(labels.slice(0, 20))}; expected 2 to ${MAX_LABELS}, all different.`,
    );
  }
  checkNumBuckets(numBuckets);
  if (!(maxFeatures >= 1)) throw new ConfigError(`maxFeatures is ${maxFeatures}; expected 1 or more.`);
  if (!(temperature > 0 && temperature < Number.POSITIVE_INFINITY)) {
    throw new ConfigError(`The temperature is ${temperature}; expected a positive number.`);
  }
  const numOutputs = numOutputsOf(labels.length);
  if (biases.length !== numOutputs || weights.length !== numBuckets * numOutputs) {
    throw new ConfigError(
      `${labels.length} labels and ${numBuckets} buckets need ${numOutputs} biases and ` +
        `${numBuckets * numOutputs} weights; got ${biases.length} and ${weights.length}.`,
    );
  }
}

/** @throws ConfigError unless it is a power of two within bounds */
export function checkNumBuckets(numBuckets: number): void {
  const isPower = Number.isInteger(Math.log2(numBuckets));
  if (!isPower || numBuckets < MIN_BUCKETS || numBuckets > MAX_BUCKETS) {
    throw new ConfigError(
      `numBuckets is ${numBuckets}; expected a power of two from ${MIN_BUCKETS} to ${MAX_BUCKETS}.`,
    );
  }
}

/** Probabilities [numLabels] of logits [numOutputs]. */
export function softmax(logits: Float64Array, numLabels: number, temperature: number): Float64Array {
  const probabilities = new Float64Array(numLabels);
  if (logits.length === 1) {
    const second = 1 / (1 + Math.exp(-logits[0]! / temperature));
    probabilities[0] = 1 - second;
    probabilities[1] = second;
    return probabilities;
  }
  let highest = Number.NEGATIVE_INFINITY;
  for (const logit of logits) highest = Math.max(highest, logit);
  let total = 0;
  for (let label = 0; label < numLabels; label++) {
    probabilities[label] = Math.exp((logits[label]! - highest) / temperature);
    total += probabilities[label]!;
  }
  for (let label = 0; label < numLabels; label++) probabilities[label]! /= total;
  return probabilities;
}
