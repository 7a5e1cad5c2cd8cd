/**
 * Trains a `LinearClassifier` by stochastic gradient descent with AdaGrad (Duchi et al. 2011). Every label gives as
 * many examples an epoch as any other, whatever their numbers. All draws are keyed, so the same examples in the same
 * order, options and seed give the same weights, bit for bit. Accuracy is measured on texts held out of training,
 * equal texts having been dropped before; near-duplicates are the caller's affair.
 */
import { ConfigError, DataError } from '../../core/errors.ts';
import { type EventSink, ignoreEvents } from '../../core/events.ts';
import { KeyedRandom } from '../../core/random.ts';
import { type ClassifierReport, measureHeldOut } from './classifier-report.ts';
import { checkNumBuckets, featureScale, LinearClassifier, numOutputsOf } from './linear-classifier.ts';
import { TextFeatures } from './text-features.ts';

export interface LabelledText {
  text: string;
  label: string;
}

export interface TrainClassifierOptions {
  /** Order of the labels; other labels are an error. Default: by first appearance. */
  labels?: readonly string[];
  /** A power of two: 4 bytes each for two labels, 4 per label for more. Default 2^18. */
  numBuckets?: number;
  numEpochs?: number;
  learningRate?: number;
  /** Share of each label's texts that training does not see. Default 0.2. */
  heldOutShare?: number;
  /** Of a longer text only the first features are learned from: about half as many words. Default 4096. */
  maxFeatures?: number;
  seed?: number;
  onEvent?: EventSink;
}

export const DEFAULT_CLASSIFIER_OPTIONS = {
  numBuckets: 1 << 18,
  numEpochs: 5,
  learningRate: 0.3,
  heldOutShare: 0.2,
  maxFeatures: 4096,
  seed: 0,
} as const;

/** So many different texts of each label at least: fewer say nothing about accuracy. */
export const MIN_EXAMPLES_PER_LABEL = 10;
/** Keeps the first steps of AdaGrad finite. */
const ADAGRAD_EPSILON = 1e-6;

export interface Example {
  features: Uint32Array;
  label: number;
}

/**
 * @throws DataError when a label has fewer than 10 different texts or there is only one label
 * @throws ConfigError for options out of range
 */
export function trainClassifier(
  texts: Iterable<LabelledText>,
  options: TrainClassifierOptions = {},
): { classifier: LinearClassifier; report: ClassifierReport } {
  const settings = { ...DEFAULT_CLASSIFIER_OPTIONS, ...options };
  checkOptions(settings);
  const { numBuckets, maxFeatures, seed } = settings;
  const gathered = gather(texts, settings);
  const { labels, byLabel } = gathered;
  const numOutputs = numOutputsOf(labels.length);
  const weights = new Float32Array(numBuckets * numOutputs);
  const biases = new Float32Array(numOutputs);
  const random = new KeyedRandom(seed);
  const training: Example[][] = [];
  const heldOut: Example[] = [];
  for (const [label, examples] of byLabel.entries()) {
    const order = random.fork(`held out ${label}`).permutation(examples.length);
    const numHeldOut = Math.max(2, Math.round(settings.heldOutShare * examples.length));
    for (const i of order.subarray(0, numHeldOut)) heldOut.push(examples[i]!);
    training.push([...order.subarray(numHeldOut)].map((i) => examples[i]!));
  }
  descend(training, weights, biases, settings);
  const logitsOf = (features: Uint32Array): Float64Array =>
    outputs(features, weights, biases, new Float64Array(numOutputs), maxFeatures);
  const measured = measureHeldOut(
    labels,
    heldOut.map(({ features, label }) => ({ logits: logitsOf(features), label })),
  );
  const classifier = new LinearClassifier({
    labels,
    numBuckets,
    maxFeatures,
    temperature: measured.temperature,
    weights,
    biases,
  });
  const report: ClassifierReport = {
    ...measured,
    numTrained: training.reduce((sum, examples) => sum + examples.length, 0),
    numDuplicates: gathered.numDuplicates,
    numConflicting: gathered.numConflicting,
    numWithoutWords: gathered.numWithoutWords,
    numCut: gathered.numCut,
  };
  return { classifier, report };
}

function checkOptions(settings: Required<Omit<TrainClassifierOptions, 'labels' | 'onEvent'>>): void {
  checkNumBuckets(settings.numBuckets);
  const bounds: [keyof typeof settings, number, number][] = [
    ['numEpochs', 1, 1000],
    ['learningRate', 1e-9, 100],
    ['heldOutShare', 0.01, 0.9],
    ['maxFeatures', 16, 1e8],
  ];
  for (const [name, low, high] of bounds) {
    if (!(settings[name] >= low && settings[name] <= high)) {
      throw new ConfigError(`${name} is ${settings[name]}; expected ${low} to ${high}.`);
    }
  }
}

/** Features of every text once; texts with equal features count once, and not at all under two labels. */
function gather(
  texts: Iterable<LabelledText>,
  {
    numBuckets,
    maxFeatures,
    labels: given,
  }: { numBuckets: number; maxFeatures: number; labels?: readonly string[] },
) {
  const labels = [...(given ?? [])];
  const reader = new TextFeatures(numBuckets);
  const examples: (Example | undefined)[] = [];
  const seen = new Map<string, number>();
  const conflicting = new Set<number>();
  let numDuplicates = 0;
  let numWithoutWords = 0;
  let numCut = 0;
  let numConflicting = 0;
  for (const { text, label } of texts) {
    let index = labels.indexOf(label);
    if (index < 0) {
      if (given) throw new DataError(`Label "${label}" is not among the given ones: ${given.join(', ')}.`);
      index = labels.push(label) - 1;
    }
    const count = reader.read(text, maxFeatures);
    if (count === 0) {
      numWithoutWords++;
      continue;
    }
    if (count === maxFeatures) numCut++;
    const features = reader.buckets.slice(0, count);
    const key = keyOf(features);
    const before = seen.get(key);
    if (before === undefined) {
      seen.set(key, examples.push({ features, label: index }) - 1);
    } else if (conflicting.has(before)) {
      numConflicting++;
    } else if (examples[before]!.label === index) {
      numDuplicates++;
    } else {
      conflicting.add(before);
      examples[before] = undefined;
      numConflicting += 2;
    }
  }
  const byLabel: Example[][] = labels.map(() => []);
  for (const example of examples) if (example) byLabel[example.label]!.push(example);
  if (labels.length < 2) {
    throw new DataError(
      `Examples have ${labels.length} label${labels.length === 1 ? ` ("${labels[0]}")` : 's'}; expected two or more.`,
    );
  }
  for (const [label, { length }] of byLabel.entries()) {
    if (length < MIN_EXAMPLES_PER_LABEL) {
      throw new DataError(
        `Label "${labels[label]}" has ${length} different texts with words; expected at least ` +
          `${MIN_EXAMPLES_PER_LABEL}. Add examples.`,
      );
    }
  }
  return { labels, byLabel, numDuplicates, numConflicting, numWithoutWords, numCut };
}

/** Two 32-bit hashes and the length: equal only for equal features, but for one pair in 2^64. */
function keyOf(features: Uint32Array): string {
  let a = 0x811c9dc5 | 0;
  let b = 0x2545f491 | 0;
  for (const feature of features) {
    a = Math.imul(a ^ feature, 0x01000193);
    b = Math.imul(b ^ feature, 0x5bd1e995);
    b ^= b >>> 15;
  }
  return `${a >>> 0} ${b >>> 0} ${features.length}`;
}

/** As many steps an epoch as there are examples; each label's examples come round in keyed orders. */
function descend(
  training: readonly Example[][],
  weights: Float32Array,
  biases: Float32Array,
  {
    numEpochs,
    learningRate,
    maxFeatures,
    seed,
    onEvent = ignoreEvents,
  }: Required<Omit<TrainClassifierOptions, 'labels' | 'onEvent'>> & { onEvent?: EventSink },
): void {
  const numLabels = training.length;
  const numOutputs = biases.length;
  const squares = new Float32Array(weights.length).fill(ADAGRAD_EPSILON);
  const biasSquares = new Float32Array(numOutputs).fill(ADAGRAD_EPSILON);
  const numSteps = training.reduce((sum, examples) => sum + examples.length, 0);
  const random = new KeyedRandom(seed).fork('order');
  const orders: Uint32Array[] = training.map(() => new Uint32Array(0));
  const used = training.map(() => 0);
  const numRounds = training.map(() => 0);
  const next = (label: number): Example => {
    const examples = training[label]!;
    if (used[label] === orders[label]!.length) {
      orders[label] = random
        .fork(`label ${label}`)
        .fork(`${numRounds[label]!++}`)
        .permutation(examples.length);
      used[label] = 0;
    }
    return examples[orders[label]![used[label]!++]!]!;
  };
  const logits = new Float64Array(numOutputs);
  const startedAt = Date.now();
  for (let epoch = 0; epoch < numEpochs; epoch++) {
    const steps = random.fork(`epoch ${epoch}`).permutation(numSteps);
    for (const step of steps) {
      const { features, label } = next(step % numLabels);
      outputs(features, weights, biases, logits, maxFeatures);
      const scale = featureScale(features.length, maxFeatures);
      // d loss / d logit
      if (numOutputs === 1) logits[0] = 1 / (1 + Math.exp(-logits[0]!)) - label;
      else {
        const highest = Math.max(...logits);
        let total = 0;
        for (let output = 0; output < numOutputs; output++) {
          logits[output] = Math.exp(logits[output]! - highest);
          total += logits[output]!;
        }
        for (let output = 0; output < numOutputs; output++) {
          logits[output] = logits[output]! / total - (output === label ? 1 : 0);
        }
      }
      for (let output = 0; output < numOutputs; output++) {
        const gradient = logits[output]!;
        biasSquares[output]! += gradient * gradient;
        biases[output]! -= (learningRate * gradient) / Math.sqrt(biasSquares[output]!);
        const scaled = gradient * scale;
        const square = scaled * scaled;
        const change = learningRate * scaled;
        for (let i = 0; i < features.length; i++) {
          const at = features[i]! * numOutputs + output;
          squares[at]! += square;
          weights[at]! -= change / Math.sqrt(squares[at]!);
        }
      }
    }
    const done = (epoch + 1) * numSteps;
    const seconds = (Date.now() - startedAt) / 1000;
    onEvent({
      type: 'progress',
      stage: 'train classifier',
      done,
      total: numEpochs * numSteps,
      unit: 'examples',
      ratePerSecond: done / Math.max(seconds, 1e-3),
      secondsLeft: (seconds / (epoch + 1)) * (numEpochs - epoch - 1),
    });
  }
}

/** Logits [numOutputs] of features, written to `into`. */
function outputs(
  features: Uint32Array,
  weights: Float32Array,
  biases: Float32Array,
  into: Float64Array,
  maxFeatures: number,
): Float64Array {
  const numOutputs = biases.length;
  into.fill(0);
  for (let i = 0; i < features.length; i++) {
    const from = features[i]! * numOutputs;
    for (let output = 0; output < numOutputs; output++) into[output]! += weights[from + output]!;
  }
  const scale = featureScale(features.length, maxFeatures);
  for (let output = 0; output < numOutputs; output++) into[output] = into[output]! * scale + biases[output]!;
  return into;
}
