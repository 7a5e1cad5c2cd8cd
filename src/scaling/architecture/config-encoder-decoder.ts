/** Configs of encoder-decoders: T5, mT5, UMT5 (relative positions, no biases); BART, mBART, M2M-100/NLLB. */
import { assemble, type ConfigFamily, evenSplit, repeatedLayers, sharedLayers } from './assemble.ts';
import { Attention } from './attention.ts';
import { type ConfigReader, MAX_LAYERS } from './config-reader.ts';
import { PositionEmbedding } from './embedding.ts';
import { FeedForward } from './feed-forward.ts';
import { Norm } from './norm.ts';

interface T5Defaults {
  readonly vocabSize: number;
  readonly innerSize: number;
  readonly numLayers: number;
  readonly numHeads: number;
  readonly feedForward: string;
  readonly tied: boolean;
  /** UMT5 has a table of relative positions in every layer, the others in the first. */
  readonly biasInEveryLayer?: boolean;
}

function t5(defaults: T5Defaults): ConfigFamily {
  return (reader, modelType) => {
    const hiddenSize = reader.size(['d_model', 'hidden_size'], 512);
    const numHeads = reader.size(['num_heads', 'num_attention_heads'], defaults.numHeads);
    const headDim = reader.size(['d_kv', 'head_dim'], 64);
    const innerSize = reader.size('d_ff', defaults.innerSize);
    const numLayers = reader.whole(['num_layers', 'num_hidden_layers'], defaults.numLayers, 1, MAX_LAYERS);
    const numDecoderLayers = reader.isNull('num_decoder_layers')
      ? numLayers
      : reader.whole('num_decoder_layers', numLayers, 1, MAX_LAYERS);
    const buckets = reader.size('relative_attention_num_buckets', 32);
    reader.understand(
      'relative_attention_max_distance',
      'is_gated_act',
      'dense_act_fn',
      'output_past',
      'n_positions',
    );
    const projection = String(reader.get('feed_forward_proj') ?? defaults.feedForward);
    if (!/^(?:gated-)?[a-z_]+$/.test(projection))
      reader.refuse('feed_forward_proj', projection, '"relu" or "gated-gelu"');
    const feedForward = new FeedForward({ hiddenSize, innerSize, gated: projection.startsWith('gated-') });
    const norm = new Norm('rms', hiddenSize);
    const heads = { hiddenSize, numHeads, numKvHeads: numHeads, headDim };
    const self = (layer: number, causal: boolean) =>
      new Attention({
        ...heads,
        causal,
        relativeBuckets: layer === 0 || defaults.biasInEveryLayer ? buckets : 0,
      });
    const isFirst = (layer: number) => layer === 0;
    return assemble({
      modelType,
      hiddenSize,
      vocabSize: reader.size('vocab_size', defaults.vocabSize),
      contextLength: reader.optionalSize('n_positions') ?? 512,
      tied: reader.flag('tie_word_embeddings', defaults.tied),
      encoder: {
        before: [],
        layers: sharedLayers(numLayers, isFirst, (layer) => [norm, self(layer, false), norm, feedForward]),
        after: [norm],
      },
      layers: sharedLayers(numDecoderLayers, isFirst, (layer) => [
        norm,
        self(layer, true),
        norm,
        new Attention({ ...heads, cross: true }),
        norm,
        feedForward,
      ]),
      after: [norm],
    });
  };
}

interface BartLayout {
  readonly vocabSize: number;
  readonly contextLength: number;
  readonly learnedPositions: boolean;
  readonly embeddingNorm: boolean;
  readonly finalNorm: boolean;
}

interface BartSide {
  readonly numLayers: number;
  readonly numHeads: number;
  readonly innerSize: number;
}

function bartSide(reader: ConfigReader, side: 'encoder' | 'decoder'): BartSide {
  return {
    numLayers: reader.whole(`${side}_layers`, 12, 1, MAX_LAYERS),
    numHeads: reader.size(`${side}_attention_heads`, 16),
    innerSize: reader.size(`${side}_ffn_dim`, 4096),
  };
}

function bart(layout: BartLayout): ConfigFamily {
  return (reader, modelType) => {
    const hiddenSize = reader.size(['d_model', 'hidden_size'], 1024);
    const contextLength = reader.size('max_position_embeddings', layout.contextLength);
    const encoder = bartSide(reader, 'encoder');
    const decoder = bartSide(reader, 'decoder');
    reader.understand('num_hidden_layers', 'num_attention_heads', 'extra_pos_embeddings');
    const norm = new Norm('layer', hiddenSize);
    const attention = ({ numHeads }: BartSide, more: { causal?: boolean; cross?: boolean }) =>
      new Attention({
        hiddenSize,
        numHeads,
        numKvHeads: numHeads,
        headDim: evenSplit(reader, hiddenSize, numHeads),
        bias: true,
        outputBias: true,
        ...more,
      });
    const feedForward = ({ innerSize }: BartSide) =>
      new FeedForward({ hiddenSize, innerSize, gated: false, bias: true });
    const before = [
      ...(layout.learnedPositions ? [new PositionEmbedding(contextLength + 2, hiddenSize)] : []),
      ...(layout.embeddingNorm ? [norm] : []),
    ];
    const after = layout.finalNorm ? [norm] : [];
    return assemble({
      modelType,
      hiddenSize,
      vocabSize: reader.size('vocab_size', layout.vocabSize),
      contextLength,
      tied: reader.flag('tie_word_embeddings', true),
      encoder: {
        before,
        layers: repeatedLayers(encoder.numLayers, [
          attention(encoder, { causal: false }),
          norm,
          feedForward(encoder),
          norm,
        ]),
        after,
      },
      before,
      layers: repeatedLayers(decoder.numLayers, [
        attention(decoder, {}),
        norm,
        attention(decoder, { cross: true }),
        norm,
        feedForward(decoder),
        norm,
      ]),
      after,
      notes: ['Without final_logits_bias, a row of zeros that transformers stores but does not train.'],
    });
  };
}

export const ENCODER_DECODER_FAMILIES: readonly (readonly [string, ConfigFamily])[] = [
  [
    't5',
    t5({ vocabSize: 32128, innerSize: 2048, numLayers: 6, numHeads: 8, feedForward: 'relu', tied: true }),
  ],
  [
    'mt5',
    t5({
      vocabSize: 250112,
      innerSize: 1024,
      numLayers: 8,
      numHeads: 6,
      feedForward: 'gated-gelu',
      tied: false,
    }),
  ],
  [
    'umt5',
    t5({
      vocabSize: 250112,
      innerSize: 1024,
      numLayers: 8,
      numHeads: 6,
      feedForward: 'gated-gelu',
      tied: false,
      biasInEveryLayer: true,
    }),
  ],
  [
    'bart',
    bart({
      vocabSize: 50265,
      contextLength: 1024,
      learnedPositions: true,
      embeddingNorm: true,
      finalNorm: false,
    }),
  ],
  [
    'mbart',
    bart({
      vocabSize: 50265,
      contextLength: 1024,
      learnedPositions: true,
      embeddingNorm: true,
      finalNorm: true,
    }),
  ],
  [
    'm2m_100',
    bart({
      vocabSize: 128112,
      contextLength: 1024,
      learnedPositions: false,
      embeddingNorm: false,
      finalNorm: true,
    }),
  ],
];
