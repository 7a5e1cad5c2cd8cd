/**
 * Memory of a model: training on one device (weights, gradients, optimizer, activations; ZeRO stages shard the first
 * three) and inference (weights, cache, state). Without what frameworks add: workspaces, fragmentation,
 * communication buffers, temporary copies.
 */
import { ConfigError } from '../../core/errors.ts';
import { type Architecture, architectureWeights } from '../architecture/architecture.ts';
import { type ActivationBytes, activationBytes, type Recomputation } from './activations.ts';
import { cacheBytes, cacheBytesPerToken, stateBytes } from './cache.ts';
import { resolveLengths } from './flops.ts';
import { optimizerState } from './optimizer-state.ts';
import { countParameters } from './parameters.ts';
import { numberBytes, trainingScheme } from './precision.ts';

export interface MemoryOptions {
  /** fp32, bf16, fp16, bf16-pure; for inference only also fp8, int8, int4. `bf16` when missing. */
  readonly precision?: string;
  /** `adamw` when missing. */
  readonly optimizer?: string;
  /** Sequences at a time on a device; 1 when missing. */
  readonly batch?: number;
  readonly contextLength?: number;
  readonly sourceLength?: number;
  readonly recompute?: Recomputation;
  readonly flashAttention?: boolean;
  readonly dropout?: boolean;
  /** 0 none, 1 optimizer, 2 and gradients, 3 and weights (arXiv 1910.02054). */
  readonly zeroStage?: number;
  readonly numDevices?: number;
  /** Tokens in the cache; contextLength when missing. */
  readonly cacheLength?: number;
  readonly cachePrecision?: string;
  readonly statePrecision?: string;
  readonly rollingCache?: boolean;
}

/** Bytes on one device. */
export interface TrainingMemory {
  readonly weights: number;
  readonly gradients: number;
  /** 32-bit copy of the weights in mixed precision. */
  readonly masterWeights: number;
  readonly optimizer: number;
  readonly activations: ActivationBytes;
  readonly total: number;
  /** Weights, gradients, master copy and optimizer per parameter, before sharding. */
  readonly bytesPerParameter: number;
}

export interface InferenceMemory {
  readonly weights: number;
  readonly cache: number;
  readonly cachePerToken: number;
  readonly state: number;
  readonly total: number;
}

export interface Memory {
  readonly precision: string;
  readonly batch: number;
  readonly contextLength: number;
  readonly sourceLength: number | null;
  readonly cacheLength: number;
  /** Null for precisions that are for inference only. */
  readonly training: TrainingMemory | null;
  readonly inference: InferenceMemory;
}

/** @throws ConfigError for unknown names and numbers out of range. */
export function memoryOf(architecture: Architecture, options: MemoryOptions = {}): Memory {
  const precision = options.precision ?? 'bf16';
  const weightPrecision = precision === 'bf16-pure' ? 'bf16' : precision;
  const { target, source } = resolveLengths(architecture, options);
  const batch = wholeNumber('batch', options.batch ?? 1);
  const cacheLength = wholeNumber('cacheLength', options.cacheLength ?? target);
  const cachePrecision = options.cachePrecision ?? (precision === 'fp32' ? 'fp32' : 'bf16');
  const weights = countParameters(architecture).total * numberBytes(weightPrecision);
  const cache = cacheBytes(architecture, {
    length: cacheLength,
    batch,
    precision: cachePrecision,
    sourceLength: source ?? 0,
    rolling: options.rollingCache ?? true,
  });
  const state = stateBytes(architecture, { batch, precision: options.statePrecision ?? 'fp32' });
  return {
    precision,
    batch,
    contextLength: target,
    sourceLength: source,
    cacheLength,
    training: trainingMemory(architecture, options, { precision, batch, target, source: source ?? 0 }),
    inference: {
      weights,
      cache,
      cachePerToken: cacheBytesPerToken(architecture, cachePrecision),
      state,
      total: weights + cache + state,
    },
  };
}

function trainingMemory(
  architecture: Architecture,
  options: MemoryOptions,
  { precision, batch, target, source }: { precision: string; batch: number; target: number; source: number },
): TrainingMemory | null {
  const optimizer = optimizerState(options.optimizer ?? 'adamw');
  const numDevices = wholeNumber('numDevices', options.numDevices ?? 1);
  const stage = options.zeroStage ?? 0;
  if (![0, 1, 2, 3].includes(stage)) throw new ConfigError(`zeroStage is ${stage}; expected 0, 1, 2 or 3.`);
  const scheme = trainingScheme(precision);
  if (scheme === undefined) return null;
  let numParameters = 0;
  let optimizerBytes = 0;
  for (const { weight, count } of architectureWeights(architecture)) {
    numParameters += weight.size * count;
    optimizerBytes += optimizer.bytes(weight, scheme.stateBytes) * count;
  }
  const shards = (fromStage: number) => (stage >= fromStage ? numDevices : 1);
  const weights = (numParameters * scheme.weightBytes) / shards(3);
  const gradients = (numParameters * scheme.gradientBytes) / shards(2);
  const masterWeights = (numParameters * scheme.masterBytes) / shards(1);
  const activations = activationBytes(architecture, {
    batch,
    target,
    source,
    numberBytes: scheme.activationBytes,
    recompute: options.recompute ?? 'none',
    flashAttention: options.flashAttention ?? true,
    dropout: options.dropout ?? false,
  });
  const optimizerShare = optimizerBytes / shards(1);
  return {
    weights,
    gradients,
    masterWeights,
    optimizer: optimizerShare,
    activations,
    total: weights + gradients + masterWeights + optimizerShare + activations.total,
    bytesPerParameter:
      scheme.weightBytes + scheme.gradientBytes + scheme.masterBytes + optimizerBytes / numParameters,
  };
}

function wholeNumber(name: string, value: number): number {
  if (Number.isSafeInteger(value) && value >= 1 && value <= 2 ** 40) return value;
  throw new ConfigError(`${name} is ${value}; expected a whole number from 1 to ${2 ** 40}.`);
}
