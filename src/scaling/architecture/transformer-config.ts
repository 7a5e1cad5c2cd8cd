/**
 * Plinth's own models: the config object that `model/` trains from, taken by its shape so that counting needs
 * nothing from the code that builds models.
 */
import { ConfigError } from '../../core/errors.ts';
import type { Architecture } from './architecture.ts';
import { assemble, repeatedLayers } from './assemble.ts';
import { Attention } from './attention.ts';
import { MAX_LAYERS, MAX_SIZE } from './config-reader.ts';
import { FeedForward } from './feed-forward.ts';
import { Norm } from './norm.ts';

/** The keys of a TransformerConfig that decide how many weights there are. */
export interface TransformerShape {
  readonly architecture: 'qwen3' | 'llama';
  readonly vocabSize: number;
  readonly hiddenSize: number;
  readonly numLayers: number;
  readonly numHeads: number;
  readonly numKvHeads: number;
  readonly headDim: number;
  readonly intermediateSize: number;
  readonly tieWordEmbeddings: boolean;
  readonly maxPositionEmbeddings: number;
  readonly attentionBias?: boolean;
  readonly attentionOutputBias?: boolean;
  readonly mlpBias?: boolean;
}

const SIZES = [
  'vocabSize',
  'hiddenSize',
  'numLayers',
  'numHeads',
  'numKvHeads',
  'headDim',
  'intermediateSize',
  'maxPositionEmbeddings',
] as const;

/** @throws ConfigError naming the first key that is no size, its value and what was expected. */
export function architectureOfTransformer(config: TransformerShape): Architecture {
  const refuse = (key: string, value: unknown, expected: string): never => {
    throw new ConfigError(`Model config: ${key} is ${JSON.stringify(value)}; expected ${expected}.`);
  };
  if (config.architecture !== 'qwen3' && config.architecture !== 'llama') {
    refuse('architecture', config.architecture, '"qwen3" or "llama"');
  }
  for (const key of SIZES) {
    const value: unknown = config[key];
    const most = key === 'numLayers' ? MAX_LAYERS : MAX_SIZE;
    if (!(Number.isSafeInteger(value) && (value as number) >= 1 && (value as number) <= most)) {
      refuse(key, value, `a whole number from 1 to ${most}`);
    }
  }
  const { hiddenSize, numHeads, numKvHeads, headDim } = config;
  if (numHeads % numKvHeads !== 0) refuse('numKvHeads', numKvHeads, `a divisor of numHeads (${numHeads})`);
  const norm = new Norm('rms', hiddenSize);
  const layer = [
    norm,
    new Attention({
      hiddenSize,
      numHeads,
      numKvHeads,
      headDim,
      bias: config.attentionBias ?? false,
      outputBias: config.attentionOutputBias ?? false,
      qkNorm: config.architecture === 'qwen3' ? 'head' : null,
    }),
    norm,
    new FeedForward({
      hiddenSize,
      innerSize: config.intermediateSize,
      gated: true,
      bias: config.mlpBias ?? false,
    }),
  ];
  return assemble({
    modelType: config.architecture,
    hiddenSize,
    vocabSize: config.vocabSize,
    contextLength: config.maxPositionEmbeddings,
    tied: config.tieWordEmbeddings === true,
    layers: repeatedLayers(config.numLayers, layer),
    after: [norm],
  });
}
