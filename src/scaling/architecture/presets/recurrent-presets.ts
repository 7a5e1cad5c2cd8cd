/** Mamba, Mamba-2, hybrids and RWKV. */
import type { PresetFamily } from './preset-family.ts';

const mamba = (n_layer: number, d_model: number) => ({ n_layer, d_model, vocab_size: 50277, ssm_cfg: {} });
const mamba2 = (n_layer: number, d_model: number) => ({
  n_layer,
  d_model,
  vocab_size: 50277,
  ssm_cfg: { layer: 'Mamba2' },
  pad_vocab_size_multiple: 16,
});

const mambas: PresetFamily = {
  base: {},
  source: "state-spaces on Hugging Face (config.json with the library's own keys)",
  models: [
    { name: 'mamba-130m', published: 129135360, ...mamba(24, 768) },
    { name: 'mamba-370m', published: 371516416, ...mamba(48, 1024) },
    { name: 'mamba-790m', published: 793204224, ...mamba(48, 1536) },
    { name: 'mamba-1.4b', published: 1372178432, ...mamba(48, 2048) },
    { name: 'mamba-2.8b', published: 2768345600, ...mamba(64, 2560) },
    { name: 'mamba2-130m', ...mamba2(24, 768) },
    { name: 'mamba2-370m', ...mamba2(48, 1024) },
    { name: 'mamba2-780m', ...mamba2(48, 1536) },
    { name: 'mamba2-1.3b', ...mamba2(48, 2048) },
    { name: 'mamba2-2.7b', ...mamba2(64, 2560) },
    {
      name: 'falcon-mamba-7b',
      published: 7272665088,
      source: 'tiiuae/falcon-mamba-7b on Hugging Face',
      model_type: 'falcon_mamba',
      vocab_size: 65024,
      hidden_size: 4096,
      num_hidden_layers: 64,
      state_size: 16,
      conv_kernel: 4,
      expand: 2,
      time_step_rank: 256,
      use_conv_bias: true,
      tie_word_embeddings: false,
    },
    {
      name: 'mamba-codestral-7b',
      published: 7285403648,
      source: 'mistralai/Mamba-Codestral-7B-v0.1 on Hugging Face',
      model_type: 'mamba2',
    },
    {
      name: 'jamba-v0.1',
      published: 51570323328,
      aliases: ['jamba'],
      source: 'ai21labs/Jamba-v0.1 on Hugging Face: 52B, 12B active (rounded)',
      model_type: 'jamba',
    },
  ],
};

const rwkv7 = (
  num_hidden_layers: number,
  hidden_size: number,
  decay: number,
  value: number,
  gate: number,
) => ({
  model_type: 'rwkv7',
  vocab_size: 65536,
  num_hidden_layers,
  hidden_size,
  head_dim: 64,
  decay_low_rank_dim: decay,
  a_low_rank_dim: decay,
  v_low_rank_dim: value,
  gate_low_rank_dim: gate,
  max_position_embeddings: 4096,
});

const rwkv: PresetFamily = {
  base: {},
  source: 'Peng et al. 2025 (arXiv 2503.14456), RWKV7-World3',
  models: [
    {
      name: 'rwkv-4-169m',
      published: 169342464,
      source: 'RWKV/rwkv-4-169m-pile on Hugging Face',
      model_type: 'rwkv',
      vocab_size: 50277,
      hidden_size: 768,
      num_hidden_layers: 12,
    },
    {
      name: 'rwkv-6-1.6b',
      source: 'RWKV/rwkv-6-world-1b6 on Hugging Face: 1.6B (rounded)',
      model_type: 'rwkv6',
      vocab_size: 65536,
      hidden_size: 2048,
      num_hidden_layers: 24,
      head_size: 64,
    },
    { name: 'rwkv-7-0.1b', published: 191034624, ...rwkv7(12, 768, 64, 32, 128) },
    { name: 'rwkv-7-0.4b', published: 450767872, ...rwkv7(24, 1024, 64, 32, 128) },
    { name: 'rwkv-7-1.5b', published: 1527404544, ...rwkv7(24, 2048, 96, 64, 256) },
    { name: 'rwkv-7-2.9b', published: 2947735040, ...rwkv7(32, 2560, 96, 64, 320) },
  ],
};

export const RECURRENT_PRESETS: readonly PresetFamily[] = [mambas, rwkv];
