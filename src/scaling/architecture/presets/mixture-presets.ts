/** Mixtures of experts: Mixtral, Qwen, DeepSeek. */
import { heads, type PresetFamily, shape } from './preset-family.ts';

const mixtral: PresetFamily = {
  base: { model_type: 'mixtral', num_local_experts: 8, num_experts_per_tok: 2 },
  source: 'mistralai on Hugging Face',
  models: [
    {
      name: 'mixtral-8x7b',
      published: 46702792704,
      vocab_size: 32000,
      ...shape(32, 4096, 14336),
      ...heads(32, 8),
      max_position_embeddings: 32768,
    },
    {
      name: 'mixtral-8x22b',
      published: 140620634112,
      vocab_size: 32000,
      ...shape(56, 6144, 16384),
      ...heads(48, 8),
      max_position_embeddings: 65536,
    },
  ],
};

const qwenMoe: PresetFamily = {
  base: { model_type: 'qwen2_moe', vocab_size: 151936, max_position_embeddings: 8192 },
  source: 'Qwen on Hugging Face',
  models: [
    {
      name: 'qwen1.5-moe-a2.7b',
      published: 14315784192,
      ...shape(24, 2048, 5632),
      ...heads(16, 16),
      num_experts: 60,
      num_experts_per_tok: 4,
      moe_intermediate_size: 1408,
      shared_expert_intermediate_size: 5632,
    },
  ],
};

const qwen3Moe: PresetFamily = {
  base: {
    model_type: 'qwen3_moe',
    vocab_size: 151936,
    head_dim: 128,
    num_experts: 128,
    num_experts_per_tok: 8,
    max_position_embeddings: 40960,
  },
  source: 'Qwen on Hugging Face',
  models: [
    {
      name: 'qwen3-30b-a3b',
      published: 30532122624,
      ...shape(48, 2048, 6144),
      ...heads(32, 4),
      moe_intermediate_size: 768,
    },
    {
      name: 'qwen3-235b-a22b',
      published: 235093634560,
      ...shape(94, 4096, 12288),
      ...heads(64, 4),
      moe_intermediate_size: 1536,
    },
  ],
};

const deepSeek: PresetFamily = {
  base: {},
  source: 'deepseek-ai on Hugging Face: 236B, 21B active; 671B, 37B active (rounded)',
  models: [
    {
      name: 'deepseek-v2-lite',
      published: 15706484224,
      model_type: 'deepseek_v2',
      vocab_size: 102400,
      ...shape(27, 2048, 10944),
      ...heads(16),
      q_lora_rank: null,
      kv_lora_rank: 512,
      qk_nope_head_dim: 128,
      qk_rope_head_dim: 64,
      v_head_dim: 128,
      moe_intermediate_size: 1408,
      n_routed_experts: 64,
      n_shared_experts: 2,
      num_experts_per_tok: 6,
      first_k_dense_replace: 1,
      moe_layer_freq: 1,
      max_position_embeddings: 163840,
    },
    {
      name: 'deepseek-v2',
      published: 235741434880,
      model_type: 'deepseek_v2',
      vocab_size: 102400,
      ...shape(60, 5120, 12288),
      ...heads(128),
      q_lora_rank: 1536,
      kv_lora_rank: 512,
      qk_nope_head_dim: 128,
      qk_rope_head_dim: 64,
      v_head_dim: 128,
      moe_intermediate_size: 1536,
      n_routed_experts: 160,
      n_shared_experts: 2,
      num_experts_per_tok: 6,
      first_k_dense_replace: 1,
      moe_layer_freq: 1,
      max_position_embeddings: 163840,
    },
    {
      name: 'deepseek-v3',
      aliases: ['deepseek-r1', 'deepseek-v3.1'],
      model_type: 'deepseek_v3',
      max_position_embeddings: 163840,
      num_nextn_predict_layers: 1,
    },
  ],
};

export const MIXTURE_PRESETS: readonly PresetFamily[] = [mixtral, qwenMoe, qwen3Moe, deepSeek];
