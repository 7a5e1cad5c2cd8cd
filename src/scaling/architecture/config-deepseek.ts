/**
 * Configs of DeepSeek-V2 and V3 (and Kimi K2, which has V3's layout): latent attention, a few dense layers, then
 * mixtures with shared experts. The extra layers that V3 predicts further tokens with are not part of the model
 * that generates and are left out, as in the published 671B.
 */
import { assemble, type ConfigFamily, sharedLayers } from './assemble.ts';
import { expertNumbers } from './config-llama.ts';
import { MAX_LAYERS } from './config-reader.ts';
import { FeedForward, MixtureOfExperts } from './feed-forward.ts';
import { LatentAttention } from './latent-attention.ts';
import { Norm } from './norm.ts';

interface DeepSeekDefaults {
  readonly vocabSize: number;
  readonly hiddenSize: number;
  readonly innerSize: number;
  readonly expertSize: number;
  readonly numLayers: number;
  readonly numHeads: number;
  readonly numShared: number;
  readonly numExperts: number;
  readonly numDense: number;
  readonly numActive: number;
  readonly contextLength: number;
  readonly hasCorrection: boolean;
}

const V2: DeepSeekDefaults = {
  vocabSize: 32000,
  hiddenSize: 4096,
  innerSize: 11008,
  expertSize: 1407,
  numLayers: 32,
  numHeads: 32,
  numShared: 2,
  numExperts: 64,
  numDense: 0,
  numActive: 6,
  contextLength: 2048,
  hasCorrection: false,
};

const V3: DeepSeekDefaults = {
  vocabSize: 129280,
  hiddenSize: 7168,
  innerSize: 18432,
  expertSize: 2048,
  numLayers: 61,
  numHeads: 128,
  numShared: 1,
  numExperts: 256,
  numDense: 3,
  numActive: 8,
  contextLength: 4096,
  hasCorrection: true,
};

function deepSeek(defaults: DeepSeekDefaults): ConfigFamily {
  return (reader, modelType) => {
    const hiddenSize = reader.size('hidden_size', defaults.hiddenSize);
    const numLayers = reader.whole('num_hidden_layers', defaults.numLayers, 1, MAX_LAYERS);
    reader.understand(
      'num_key_value_heads',
      'head_dim',
      'qk_head_dim',
      'num_nextn_predict_layers',
      'seq_aux',
    );
    const bias = reader.flag('attention_bias', false);
    const attention = new LatentAttention({
      hiddenSize,
      numHeads: reader.size('num_attention_heads', defaults.numHeads),
      queryRank: reader.isNull('q_lora_rank') ? null : reader.size('q_lora_rank', 1536),
      kvRank: reader.size('kv_lora_rank', 512),
      plainDim: reader.size('qk_nope_head_dim', 128),
      rotaryDim: reader.size('qk_rope_head_dim', 64),
      valueDim: reader.size('v_head_dim', 128),
      bias,
    });
    const innerSize = reader.size('intermediate_size', defaults.innerSize);
    const dense = new FeedForward({
      hiddenSize,
      innerSize,
      gated: true,
      bias: reader.flag('mlp_bias', false),
    });
    const expertSize = reader.size('moe_intermediate_size', defaults.expertSize);
    const method = reader.get('topk_method') ?? (defaults.hasCorrection ? 'noaux_tc' : 'greedy');
    const experts = reader.isNull('n_routed_experts')
      ? dense
      : new MixtureOfExperts({
          hiddenSize,
          expertSize,
          ...expertNumbers(
            reader,
            ['n_routed_experts', 'num_experts'],
            defaults.numExperts,
            defaults.numActive,
          ),
          sharedSize:
            (reader.isNull('n_shared_experts')
              ? 0
              : reader.whole('n_shared_experts', defaults.numShared, 0)) * expertSize,
          routerCorrection: method === 'noaux_tc',
        });
    const numDense = reader.whole('first_k_dense_replace', defaults.numDense, 0);
    const frequency = reader.size('moe_layer_freq', 1);
    const isSparse = (layer: number) => layer >= numDense && layer % frequency === 0;
    const norm = new Norm('rms', hiddenSize);
    const extraLayers = reader.get('num_nextn_predict_layers');
    return assemble({
      modelType,
      hiddenSize,
      vocabSize: reader.size('vocab_size', defaults.vocabSize),
      contextLength: reader.size('max_position_embeddings', defaults.contextLength),
      tied: reader.flag('tie_word_embeddings', false),
      layers: sharedLayers(numLayers, isSparse, (layer) => [
        norm,
        attention,
        norm,
        isSparse(layer) ? experts : dense,
      ]),
      after: [norm],
      notes:
        typeof extraLayers === 'number' && extraLayers > 0
          ? [
              `Without the ${extraLayers} layer(s) for predicting further tokens (num_nextn_predict_layers), which the checkpoint stores too.`,
            ]
          : [],
    });
  };
}

export const DEEPSEEK_FAMILIES: readonly (readonly [string, ConfigFamily])[] = [
  ['deepseek_v2', deepSeek(V2)],
  ['deepseek_v3', deepSeek(V3)],
  ['kimi_k2', deepSeek(V3)],
];
