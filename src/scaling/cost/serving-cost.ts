/**
 * What a token costs to generate. Each step of decoding reads the weights once for the whole batch and every
 * sequence's cache, and computes one token for each sequence; the slower of reading and computing sets the pace
 * (Pope et al. 2022, "Efficiently Scaling Transformer Inference", section 2). A prompt is bound by computing. Left out:
 * communication between accelerators, waiting for requests, speculative decoding, prompts that share a cache.
 */
import { ConfigError } from '../../core/errors.ts';
import { type Assumption, asRange, checkCount, checkNumber, product, quotient, type Range } from './range.ts';
import { type RunTerms, resolveTerms } from './training-cost.ts';

const SECONDS_PER_HOUR = 3600;
const MILLION = 1e6;

/** Share of the printed memory bandwidth that decoding reaches: an approximation, to be measured. */
export const TYPICAL_BANDWIDTH_UTILIZATION: Range = { low: 0.5, typical: 0.7, high: 0.85 };

export interface ServingLoad extends RunTerms {
  /** Of all weights as stored: parameters x bytes of their format. */
  readonly weightBytes: number;
  /** Of the weights that one token uses; less than all in a mixture of experts. Default: all. */
  readonly activeWeightBytes?: number;
  /** FLOPs of the forward pass on one token: 2 x active parameters, plus attention. */
  readonly forwardFlopsPerToken: number;
  /** Keys and values of one token of context, all layers. */
  readonly cacheBytesPerToken: number;
  /** Tokens in the cache of a sequence, on average. */
  readonly contextTokens: number;
  /** Sequences that are decoded together. */
  readonly batch: number;
  /** That hold one copy of the model together. Default: the fewest that hold it. */
  readonly numAccelerators?: number;
  readonly bandwidthUtilization?: number | Range;
}

export interface ServingCost {
  readonly accelerator: string;
  readonly numAccelerators: number;
  /** Of weights and caches, and what the accelerators have. */
  readonly neededBytes: number;
  readonly memoryBytes: number;
  /** Sequences of this length for which memory is left; null where a sequence needs none. */
  readonly maxBatch: number | null;
  /** By typical values. */
  readonly boundBy: 'bandwidth' | 'compute';
  /** From this many sequences on, computing takes longer than reading; null where the caches never let it. */
  readonly computeBoundBatch: number | null;
  readonly tokensPerSecond: Range;
  readonly tokensPerSecondEach: Range;
  readonly promptTokensPerSecond: Range;
  readonly dollarsPerMillionTokens: Range | null;
  readonly dollarsPerMillionPromptTokens: Range | null;
  readonly assumptions: readonly Assumption[];
  readonly notes: readonly string[];
}

/**
 * Speed and price of serving.
 * @throws ConfigError as resolveTerms, when the accelerator's memory or bandwidth is not known, and when the model
 * with the caches of the batch does not fit
 */
export function servingCost(load: ServingLoad): ServingCost {
  const terms = resolveTerms(load);
  const { accelerator, peakFlops, utilization, pricePerHour } = terms;
  const { memoryBytes: memoryEach, bandwidthBytesPerSecond } = accelerator;
  if (memoryEach === null || bandwidthBytesPerSecond === null) {
    throw new ConfigError(
      `The memory or the bandwidth of ${accelerator.name} is not known; serving needs both. ` +
        'Choose an accelerator of the table or give them.',
    );
  }
  const weightBytes = checkNumber('The bytes of the weights', load.weightBytes);
  const activeBytes = checkNumber('The bytes of the active weights', load.activeWeightBytes ?? weightBytes, {
    above: 0,
    atMost: weightBytes,
  });
  const flopsPerToken = checkNumber('The forward FLOPs per token', load.forwardFlopsPerToken);
  const cacheBytes = checkNumber('The cache bytes per token', load.cacheBytesPerToken, { atLeast: 0 });
  const contextTokens = checkNumber('The tokens of context', load.contextTokens, { atLeast: 0 });
  const batch = checkCount('The batch', load.batch);
  const cacheOfSequence = cacheBytes * contextTokens;
  const neededBytes = weightBytes + batch * cacheOfSequence;
  const numAccelerators = checkCount(
    'The number of accelerators',
    load.numAccelerators ?? Math.ceil(neededBytes / memoryEach),
  );
  const memoryBytes = memoryEach * numAccelerators;
  const maxBatch = cacheOfSequence === 0 ? null : Math.floor((memoryBytes - weightBytes) / cacheOfSequence);
  if (neededBytes > memoryBytes) {
    throw new ConfigError(
      `Weights and caches need ${(neededBytes / 1e9).toFixed(1)} GB; ${numAccelerators} x ${accelerator.name} have ` +
        `${(memoryBytes / 1e9).toFixed(1)} GB. ` +
        (maxBatch !== null && maxBatch >= 1
          ? `The largest batch of this length is ${maxBatch}.`
          : `At least ${Math.ceil(neededBytes / memoryEach)} accelerators hold them.`),
    );
  }
  const bandwidthShare = asRange(
    'The bandwidth utilization',
    load.bandwidthUtilization ?? TYPICAL_BANDWIDTH_UTILIZATION,
    { above: 0, atMost: 1 },
  );
  const bandwidth = product(bandwidthShare, bandwidthBytesPerSecond * numAccelerators);
  const compute = product(utilization, peakFlops * numAccelerators);
  const readBytes = bytesRead(weightBytes, activeBytes, batch) + batch * cacheOfSequence;

  const tokensAt = (bytesPerSecond: number, flopsPerSecond: number) =>
    batch / Math.max(readBytes / bytesPerSecond, (batch * flopsPerToken) / flopsPerSecond);
  const tokensPerSecond: Range = {
    low: tokensAt(bandwidth.low, compute.low),
    typical: tokensAt(bandwidth.typical, compute.typical),
    high: tokensAt(bandwidth.high, compute.high),
  };
  const promptTokensPerSecond = product(compute, 1 / flopsPerToken);
  const dollars = (rate: Range) =>
    pricePerHour && product(quotient(pricePerHour, rate), (numAccelerators * MILLION) / SECONDS_PER_HOUR);
  // batch * flops / compute = (weights + batch * cache) / bandwidth, solved for the batch.
  const computeBytes = (flopsPerToken * bandwidth.typical) / compute.typical - cacheOfSequence;
  return {
    accelerator: accelerator.name,
    numAccelerators,
    neededBytes,
    memoryBytes,
    maxBatch,
    boundBy:
      readBytes / bandwidth.typical >= (batch * flopsPerToken) / compute.typical ? 'bandwidth' : 'compute',
    computeBoundBatch: computeBytes > 0 ? Math.ceil(weightBytes / computeBytes) : null,
    tokensPerSecond,
    tokensPerSecondEach: product(tokensPerSecond, 1 / batch),
    promptTokensPerSecond,
    dollarsPerMillionTokens: dollars(tokensPerSecond),
    dollarsPerMillionPromptTokens: dollars(promptTokensPerSecond),
    assumptions: [
      ...terms.assumptions.filter(({ name }) => /peak|utilization|price/.test(name)),
      {
        ...bandwidthShare,
        name: 'bandwidth utilization',
        unit: '',
        source: load.bandwidthUtilization === undefined ? 'approximation; measure yours' : 'given',
      },
    ],
    notes: [
      ...terms.notes.filter((note) => !/for energy and carbon/.test(note)),
      ...(activeBytes < weightBytes
        ? [
            'Weights read per step: each token takes its own share of the weights at random, an approximation.',
          ]
        : []),
    ],
  };
}

/** Weights that a batch touches when every token draws its active share independently. */
function bytesRead(weightBytes: number, activeBytes: number, batch: number): number {
  return weightBytes * (1 - (1 - activeBytes / weightBytes) ** batch);
}
