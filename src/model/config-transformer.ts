/**
 * The shape of a dense decoder-only transformer of the Llama and Qwen3 family, under one set of names whatever
 * file it came from. Holds numbers only; tensors, graphs and files are elsewhere. What is not in here (sliding
 * windows, experts, other activations) does not exist for the model code, so a reader must refuse it.
 */
import { ConfigError } from '../core/errors.ts';

/** How RoPE frequencies are stretched for contexts longer than those trained on; see `config-rope.ts`. */
export type RopeScaling =
  | { type: 'linear'; factor: number }
  | { type: 'dynamic'; factor: number }
  | {
      type: 'llama3';
      factor: number;
      lowFreqFactor: number;
      highFreqFactor: number;
      originalMaxPositionEmbeddings: number;
    };

export interface TransformerConfig {
  /** `qwen3` normalises each head's q and k before RoPE (QK-norm); `llama` does not. Nothing else differs. */
  architecture: 'qwen3' | 'llama';
  vocabSize: number;
  hiddenSize: number;
  numLayers: number;
  numHeads: number;
  /** Divides `numHeads`; each key/value head serves numHeads / numKvHeads query heads in a row. */
  numKvHeads: number;
  /** Even; need not be hiddenSize / numHeads. */
  headDim: number;
  intermediateSize: number;
  ropeTheta: number;
  ropeScaling: RopeScaling | null;
  rmsNormEps: number;
  /** The output matrix is the embedding matrix; there is then no `lm_head.weight`. */
  tieWordEmbeddings: boolean;
  maxPositionEmbeddings: number;
  /** Biases on q_proj, k_proj and v_proj. Absent means false. */
  attentionBias?: boolean;
  /** Bias on o_proj. Absent means false. */
  attentionOutputBias?: boolean;
  /** Biases on gate_proj, up_proj and down_proj. Absent means false. */
  mlpBias?: boolean;
  hiddenAct: 'silu';
  bosTokenId: number | null;
  /** Any of these ends a text; may be empty. */
  eosTokenIds: number[];
  padTokenId: number | null;
  /** Standard deviation of the weights before training. */
  initializerRange: number;
}

const MAX_SIZE = 2 ** 31 - 1;
/** Far beyond any model; keeps a hostile file from asking for endless lists of parameters. */
const MAX_LAYERS = 10_000;

const SIZES = [
  ['vocabSize', MAX_SIZE],
  ['hiddenSize', MAX_SIZE],
  ['numLayers', MAX_LAYERS],
  ['numHeads', MAX_SIZE],
  ['numKvHeads', MAX_SIZE],
  ['headDim', MAX_SIZE],
  ['intermediateSize', MAX_SIZE],
  ['maxPositionEmbeddings', MAX_SIZE],
] as const;

function refuse(key: string, value: unknown, expected: string): never {
  throw new ConfigError(`Model config: ${key} is ${JSON.stringify(value)}; expected ${expected}.`);
}

function checkRope({ ropeTheta, ropeScaling, headDim }: TransformerConfig): void {
  if (!(ropeTheta > 0 && Number.isFinite(ropeTheta))) refuse('ropeTheta', ropeTheta, 'a positive number');
  if (ropeScaling === null) return;
  const { type, factor } = ropeScaling;
  if (!['linear', 'dynamic', 'llama3'].includes(type))
    refuse('ropeScaling.type', type, 'linear, dynamic or llama3');
  if (!(factor >= 1 && Number.isFinite(factor)))
    refuse('ropeScaling.factor', factor, 'a number of at least 1');
  if (type === 'dynamic' && headDim < 4) refuse('headDim', headDim, 'at least 4 with dynamic RoPE scaling');
  if (type !== 'llama3') return;
  const { lowFreqFactor, highFreqFactor, originalMaxPositionEmbeddings } = ropeScaling;
  if (!(lowFreqFactor > 0 && Number.isFinite(lowFreqFactor))) {
    refuse('ropeScaling.lowFreqFactor', lowFreqFactor, 'a positive number');
  }
  if (!(highFreqFactor > lowFreqFactor && Number.isFinite(highFreqFactor))) {
    refuse(
      'ropeScaling.highFreqFactor',
      highFreqFactor,
      `a number greater than lowFreqFactor (${lowFreqFactor})`,
    );
  }
  if (!(Number.isSafeInteger(originalMaxPositionEmbeddings) && originalMaxPositionEmbeddings > 0)) {
    refuse(
      'ropeScaling.originalMaxPositionEmbeddings',
      originalMaxPositionEmbeddings,
      'a positive whole number',
    );
  }
}

/**
 * Returns `config` if its numbers make a model.
 * @throws ConfigError naming the first key that does not fit, its value and what was expected.
 */
export function validateTransformerConfig(config: TransformerConfig): TransformerConfig {
  if (config.architecture !== 'qwen3' && config.architecture !== 'llama') {
    refuse('architecture', config.architecture, '"qwen3" or "llama"');
  }
  for (const [key, limit] of SIZES) {
    const value = config[key];
    if (!(Number.isSafeInteger(value) && value >= 1 && value <= limit)) {
      refuse(key, value, `a whole number from 1 to ${limit}`);
    }
  }
  const { numHeads, numKvHeads, headDim, vocabSize, rmsNormEps, initializerRange } = config;
  if (numHeads % numKvHeads !== 0) refuse('numKvHeads', numKvHeads, `a divisor of numHeads (${numHeads})`);
  if (headDim % 2 !== 0) refuse('headDim', headDim, 'an even number (RoPE turns pairs)');
  if (!Number.isSafeInteger(numHeads * headDim)) refuse('headDim', headDim, 'numHeads * headDim below 2^53');
  if (!(rmsNormEps >= 0 && rmsNormEps < 1)) refuse('rmsNormEps', rmsNormEps, 'a number from 0 to 1');
  if (!(initializerRange >= 0 && initializerRange <= 1)) {
    refuse('initializerRange', initializerRange, 'a number from 0 to 1');
  }
  if (config.hiddenAct !== 'silu') refuse('hiddenAct', config.hiddenAct, '"silu"');
  checkRope(config);
  const ids: [string, number | null][] = [
    ['bosTokenId', config.bosTokenId],
    ['padTokenId', config.padTokenId],
    ...config.eosTokenIds.map((id): [string, number] => ['eosTokenIds', id]),
  ];
  for (const [key, id] of ids) {
    if (id !== null && !(Number.isSafeInteger(id) && id >= 0 && id < vocabSize)) {
      refuse(key, id, `a token id below vocabSize (${vocabSize})`);
    }
  }
  return config;
}
