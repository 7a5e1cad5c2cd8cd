/**
 * How good a classifier is on texts it was not trained on: accuracy with Wilson's 95 % interval, recall and
 * precision by label, log loss and calibration error, and the temperature that makes its scores probabilities.
 */
import { softmax } from './linear-classifier.ts';

export interface LabelReport {
  label: string;
  numHeldOut: number;
  /** Of the texts of this label, the share that was given it. */
  recall: number;
  /** Of the texts given this label, the share that has it; 1 when there are none. */
  precision: number;
}

export interface HeldOutReport {
  numHeldOut: number;
  /** Share of held-out texts with the right label. */
  accuracy: number;
  accuracyInterval95: [low: number, high: number];
  /** Mean over labels of recall: what accuracy would be with equally many texts of each. */
  balancedAccuracy: number;
  labels: LabelReport[];
  /** Mean negative log-probability of the right label in nats, by cross-fitting: half the texts fit the temperature for the other half. */
  logLoss: number;
  /** Expected calibration error of the first guess over ten bins (Naeini et al. 2015), by the same cross-fitting. */
  calibrationError: number;
  temperature: number;
}

export interface ClassifierReport extends HeldOutReport {
  numTrained: number;
  /** Texts left out because they had the same words as an earlier one of the label. */
  numDuplicates: number;
  /** Texts left out because equal ones had different labels. */
  numConflicting: number;
  numWithoutWords: number;
  /** Texts of which only the beginning was used. */
  numCut: number;
}

interface Judged {
  logits: Float64Array;
  label: number;
}

const Z95 = 1.959963984540054;
const NUM_BINS = 10;
const MIN_TEMPERATURE = 0.02;
const MAX_TEMPERATURE = 50;

export function measureHeldOut(labels: readonly string[], judged: readonly Judged[]): HeldOutReport {
  const numLabels = labels.length;
  const numOf = labels.map(() => 0);
  const numGiven = labels.map(() => 0);
  const numRight = labels.map(() => 0);
  for (const { logits, label } of judged) {
    const probabilities = softmax(logits, numLabels, 1);
    const given = probabilities.indexOf(Math.max(...probabilities));
    numOf[label]!++;
    numGiven[given]!++;
    if (given === label) numRight[label]!++;
  }
  const totalRight = numRight.reduce((sum, count) => sum + count, 0);
  const labelReports = labels.map((label, i) => ({
    label,
    numHeldOut: numOf[i]!,
    recall: numRight[i]! / numOf[i]!,
    precision: numGiven[i] === 0 ? 1 : numRight[i]! / numGiven[i]!,
  }));
  const halves = [0, 1].map((half) => judged.filter((_, i) => i % 2 === half));
  let logLoss = 0;
  const bins = Array.from({ length: NUM_BINS }, () => ({ count: 0, confidence: 0, right: 0 }));
  for (const half of [0, 1]) {
    const temperature = fitTemperature(halves[1 - half]!, numLabels);
    for (const { logits, label } of halves[half]!) {
      const probabilities = softmax(logits, numLabels, temperature);
      logLoss -= Math.log(Math.max(probabilities[label]!, 1e-12)) / judged.length;
      const confidence = Math.max(...probabilities);
      const bin = bins[Math.min(NUM_BINS - 1, Math.floor(confidence * NUM_BINS))]!;
      bin.count++;
      bin.confidence += confidence;
      if (probabilities.indexOf(confidence) === label) bin.right++;
    }
  }
  return {
    numHeldOut: judged.length,
    accuracy: totalRight / judged.length,
    accuracyInterval95: wilson(totalRight, judged.length),
    balancedAccuracy: labelReports.reduce((sum, { recall }) => sum + recall, 0) / numLabels,
    labels: labelReports,
    logLoss,
    calibrationError:
      bins.reduce((sum, bin) => sum + Math.abs(bin.confidence - bin.right), 0) / judged.length,
    temperature: fitTemperature(judged, numLabels),
  };
}

/** Minimizes the log loss, which is convex in 1/temperature, by golden-section search on its logarithm. */
function fitTemperature(judged: readonly Judged[], numLabels: number): number {
  const lossAt = (logTemperature: number): number => {
    const temperature = Math.exp(logTemperature);
    let loss = 0;
    for (const { logits, label } of judged) {
      loss -= Math.log(Math.max(softmax(logits, numLabels, temperature)[label]!, 1e-300));
    }
    return loss;
  };
  const ratio = (Math.sqrt(5) - 1) / 2;
  let low = Math.log(MIN_TEMPERATURE);
  let high = Math.log(MAX_TEMPERATURE);
  let left = high - ratio * (high - low);
  let right = low + ratio * (high - low);
  let leftLoss = lossAt(left);
  let rightLoss = lossAt(right);
  for (let i = 0; i < 40; i++) {
    if (leftLoss < rightLoss) {
      high = right;
      right = left;
      rightLoss = leftLoss;
      left = high - ratio * (high - low);
      leftLoss = lossAt(left);
    } else {
      low = left;
      left = right;
      leftLoss = rightLoss;
      right = low + ratio * (high - low);
      rightLoss = lossAt(right);
    }
  }
  return Math.exp((low + high) / 2);
}

/** Wilson's score interval (Wilson 1927). */
function wilson(numRight: number, numTrials: number): [low: number, high: number] {
  const share = numRight / numTrials;
  const z2 = (Z95 * Z95) / numTrials;
  const centre = (share + z2 / 2) / (1 + z2);
  const half = (Z95 * Math.sqrt((share * (1 - share)) / numTrials + z2 / (4 * numTrials))) / (1 + z2);
  return [Math.max(0, centre - half), Math.min(1, centre + half)];
}
