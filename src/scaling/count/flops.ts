/**
 * Arithmetic per token, counted exactly: two FLOPs for each number of each matrix that the token uses, attention's
 * scores and value sums, recurrent scans. Left out, as is usual: norms, activations, softmax, biases, residuals,
 * embedding lookups (below 1 % in models above some 100 M parameters). Other people's conventions are in
 * `flops-rules.ts`.
 *
 * In an encoder-decoder everything is per token of the decoder, with its share of the encoder's work.
 */
import { ConfigError } from '../../core/errors.ts';
import { type Architecture, architectureWeights, stackBlocks } from '../architecture/architecture.ts';
import {
  type Block,
  type CausalMask,
  type ExtraFlops,
  type FlopsPart,
  type Lengths,
  PARTS,
} from '../architecture/block.ts';

/** The longest sequence that is counted: beyond any use, and its square is still a number. */
const MAX_LENGTH = 2 ** 40;
/** Used when neither the caller nor the config names a length (recurrent models). */
const DEFAULT_LENGTH = 2048;
/** Backward is twice forward: one product for the gradient of the input, one for that of the weight. */
const TRAINING_PASSES = 3;

export interface FlopsOptions {
  /** Tokens in a sequence; the architecture's own length when missing. */
  readonly contextLength?: number;
  /** Tokens the encoder reads; `contextLength` when missing. */
  readonly sourceLength?: number;
  /** `full` (PaLM, nanoGPT and most reports) or `half`, what a causal kernel computes. */
  readonly causalMask?: CausalMask;
}

export interface FlopsPerToken {
  readonly contextLength: number;
  readonly sourceLength: number | null;
  readonly causalMask: CausalMask;
  /** One token, forward. */
  readonly forward: number;
  /** Forward and backward. */
  readonly training: number;
  /** Training with attention's scores computed again in the backward pass. */
  readonly trainingSelective: number;
  /** Training with everything computed again: four passes instead of three. */
  readonly trainingRecomputed: number;
  /** Forward, the term that grows with the context: scores and value sums of attention. */
  readonly scores: number;
  /** Forward, by part. */
  readonly byPart: Readonly<Record<FlopsPart, number>>;
  /** A whole sequence, forward and backward. */
  readonly trainingPerSequence: number;
  /** Reading a prompt of contextLength tokens: no logits but the last token's. */
  readonly prefill: number;
  /** Generating one token when contextLength tokens, itself included, are there. */
  readonly decode: number;
}

/** Checked lengths; `source` is null without an encoder. */
export function resolveLengths(
  architecture: Architecture,
  options: { readonly contextLength?: number; readonly sourceLength?: number },
): { target: number; source: number | null } {
  const target = checkLength(
    'contextLength',
    options.contextLength ?? architecture.contextLength ?? DEFAULT_LENGTH,
  );
  if (architecture.encoder === null) return { target, source: null };
  return { target, source: checkLength('sourceLength', options.sourceLength ?? target) };
}

function checkLength(name: string, value: number): number {
  if (!(Number.isSafeInteger(value) && value >= 1 && value <= MAX_LENGTH)) {
    throw new ConfigError(`${name} is ${value}; expected a whole number of tokens from 1 to ${MAX_LENGTH}.`);
  }
  return value;
}

/** @throws ConfigError when a length is not a positive whole number. */
export function flopsPerToken(architecture: Architecture, options: FlopsOptions = {}): FlopsPerToken {
  const { target, source } = resolveLengths(architecture, options);
  const causalMask = options.causalMask ?? 'full';
  const lengths: Lengths = { target, source: source ?? 0 };
  const byPart = forwardByPart(architecture, lengths, causalMask);
  const forward = total(byPart);
  const training = TRAINING_PASSES * forward;
  return {
    contextLength: target,
    sourceLength: source,
    causalMask,
    forward,
    training,
    trainingSelective: training + byPart.scores,
    trainingRecomputed: training + forward,
    scores: byPart.scores,
    byPart,
    trainingPerSequence: training * target,
    prefill: (forward - byPart.head) * target + byPart.head,
    decode: decodeFlops(architecture, lengths),
  };
}

/** Everything but the encoder and what runs on its output, which is done once before the first token. */
function decodeFlops(architecture: Architecture, lengths: Lengths): number {
  let flops = 0;
  for (const { weight, count, onSource } of architectureWeights(architecture)) {
    if (weight.role === 'matrix' && !onSource) flops += 2 * weight.active * count;
  }
  for (const { block, count } of decoderBlocks(architecture)) {
    flops += count * total(block.stepFlops(lengths));
  }
  return flops;
}

function forwardByPart(
  architecture: Architecture,
  lengths: Lengths,
  mask: CausalMask,
): Record<FlopsPart, number> {
  const byPart = { ...noFlops() };
  const sourceShare = lengths.source / lengths.target;
  for (const { weight, count, onSource } of architectureWeights(architecture)) {
    if (weight.role !== 'matrix') continue;
    byPart[weight.part] += 2 * weight.active * count * (onSource ? sourceShare : 1);
  }
  const add = (extra: ExtraFlops, times: number): void => {
    for (const [part, flops] of Object.entries(extra)) byPart[part as FlopsPart] += flops * times;
  };
  for (const { block, count } of decoderBlocks(architecture)) add(block.extraFlops(lengths, mask), count);
  if (architecture.encoder !== null) {
    const inEncoder: Lengths = { target: lengths.source, source: lengths.source };
    for (const { block, count } of stackBlocks(architecture.encoder)) {
      add(block.extraFlops(inEncoder, mask), count * sourceShare);
    }
  }
  return byPart;
}

function* decoderBlocks(architecture: Architecture): Generator<{ block: Block; count: number }> {
  yield* stackBlocks(architecture.decoder);
  yield { block: architecture.head, count: 1 };
}

function noFlops(): Record<FlopsPart, number> {
  return Object.fromEntries([...PARTS, 'scores', 'scan'].map((part) => [part, 0])) as Record<
    FlopsPart,
    number
  >;
}

function total(parts: ExtraFlops): number {
  return Object.values(parts).reduce((sum, flops) => sum + flops, 0);
}
