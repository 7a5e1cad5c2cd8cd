/** GPT-2, GPT-3, Chinchilla, Pythia and other models with LayerNorm and two-matrix feed-forward. */
import { gpt, heads, type PresetFamily, shape } from './preset-family.ts';

const gpt2: PresetFamily = {
  base: { model_type: 'gpt2', vocab_size: 50257, n_positions: 1024 },
  source: 'openai-community/gpt2* on Hugging Face',
  models: [
    { name: 'gpt2', published: 124439808, aliases: ['gpt2-small', 'gpt2-124m'], ...gpt(12, 768, 12) },
    { name: 'gpt2-medium', published: 354823168, aliases: ['gpt2-355m'], ...gpt(24, 1024, 16) },
    { name: 'gpt2-large', published: 774030080, aliases: ['gpt2-774m'], ...gpt(36, 1280, 20) },
    { name: 'gpt2-xl', published: 1557611200, aliases: ['gpt2-1.5b'], ...gpt(48, 1600, 25) },
  ],
};

/** Table 2.1's 1.3B and 13B have widths that their heads do not divide, so they are left out. */
const gpt3: PresetFamily = {
  base: { model_type: 'gpt2', vocab_size: 50257, n_positions: 2048 },
  source: 'Brown et al. 2020 (arXiv 2005.14165), table 2.1, with GPT-2 vocabulary and layout',
  models: [
    { name: 'gpt3-125m', aliases: ['gpt3-small'], ...gpt(12, 768, 12) },
    { name: 'gpt3-350m', aliases: ['gpt3-medium'], ...gpt(24, 1024, 16) },
    { name: 'gpt3-760m', aliases: ['gpt3-large'], ...gpt(24, 1536, 16) },
    { name: 'gpt3-2.7b', ...gpt(32, 2560, 32) },
    { name: 'gpt3-6.7b', ...gpt(32, 4096, 32) },
    { name: 'gpt3', aliases: ['gpt3-175b', 'davinci'], ...gpt(96, 12288, 96) },
  ],
};

const chinchilla: PresetFamily = {
  base: { model_type: 'chinchilla', vocab_size: 32000, n_positions: 2048 },
  source: 'Hoffmann et al. 2022 (arXiv 2203.15556), tables A4 and A9: 73M and 70B (rounded)',
  models: [
    { name: 'chinchilla-73m', ...gpt(10, 640, 10), head_dim: 64 },
    { name: 'chinchilla-70b', aliases: ['chinchilla'], ...gpt(80, 8192, 64), head_dim: 128 },
  ],
};

const pythia: PresetFamily = {
  base: { model_type: 'gpt_neox', vocab_size: 50304, max_position_embeddings: 2048 },
  source: 'Biderman et al. 2023 (arXiv 2304.01373), table 1; EleutherAI on Hugging Face',
  models: [
    { name: 'pythia-70m', published: 70426624, ...shape(6, 512, 2048), ...heads(8) },
    { name: 'pythia-160m', published: 162322944, ...shape(12, 768, 3072), ...heads(12) },
    { name: 'pythia-410m', published: 405334016, ...shape(24, 1024, 4096), ...heads(16) },
    { name: 'pythia-1b', published: 1011781632, ...shape(16, 2048, 8192), ...heads(8) },
    { name: 'pythia-1.4b', published: 1414647808, ...shape(24, 2048, 8192), ...heads(16) },
    { name: 'pythia-2.8b', published: 2775208960, ...shape(32, 2560, 10240), ...heads(32) },
    {
      name: 'pythia-6.9b',
      published: 6857302016,
      vocab_size: 50432,
      ...shape(32, 4096, 16384),
      ...heads(32),
    },
    {
      name: 'pythia-12b',
      published: 11846072320,
      vocab_size: 50688,
      ...shape(36, 5120, 20480),
      ...heads(40),
    },
    {
      name: 'gpt-neox-20b',
      published: 20554567680,
      vocab_size: 50432,
      ...shape(44, 6144, 24576),
      ...heads(64),
    },
  ],
};

const classics: PresetFamily = {
  base: {},
  source: 'the model on Hugging Face',
  models: [
    { name: 'gpt-j-6b', published: 6050882784, aliases: ['gptj'], model_type: 'gptj' },
    { name: 'opt-125m', published: 125239296, model_type: 'opt' },
    {
      name: 'opt-350m',
      published: 331196416,
      model_type: 'opt',
      ...shape(24, 1024, 4096),
      ffn_dim: 4096,
      ...heads(16),
      word_embed_proj_dim: 512,
      do_layer_norm_before: false,
      intermediate_size: undefined,
    },
    {
      name: 'bloom-560m',
      published: 559214592,
      model_type: 'bloom',
      n_layer: 24,
      hidden_size: 1024,
      n_head: 16,
    },
    {
      name: 'bloom',
      published: 176247271424,
      aliases: ['bloom-176b'],
      model_type: 'bloom',
      n_layer: 70,
      hidden_size: 14336,
      n_head: 112,
    },
    { name: 'falcon-7b', published: 6921720704, model_type: 'falcon' },
    {
      name: 'mpt-7b',
      published: 6649286656,
      model_type: 'mpt',
      vocab_size: 50432,
      d_model: 4096,
      n_heads: 32,
      n_layers: 32,
    },
    {
      name: 'starcoder2-3b',
      published: 3030371328,
      model_type: 'starcoder2',
      max_position_embeddings: 16384,
    },
    { name: 'stablelm-3b-4e1t', published: 2795443200, model_type: 'stablelm', use_qkv_bias: false },
    {
      name: 'command-r',
      published: 34980831232,
      aliases: ['c4ai-command-r-v01'],
      model_type: 'cohere',
      ...heads(64, 64),
      max_position_embeddings: 131072,
    },
    {
      name: 'smollm3-3b',
      published: 3075098624,
      model_type: 'smollm3',
      ...shape(36, 2048, 11008),
      ...heads(16, 4),
    },
    {
      name: 'gpt-oss-20b',
      published: 20914757184,
      model_type: 'gpt_oss',
      num_hidden_layers: 24,
      num_local_experts: 32,
      num_experts_per_tok: 4,
    },
    {
      name: 'gpt-oss-120b',
      published: 116829156672,
      model_type: 'gpt_oss',
      num_hidden_layers: 36,
      num_local_experts: 128,
      num_experts_per_tok: 4,
    },
    {
      name: 'granite-3.0-1b-a400m',
      published: 1334628352,
      model_type: 'granitemoe',
      vocab_size: 49155,
      ...shape(24, 1024, 512),
      ...heads(16, 8),
      num_local_experts: 32,
      num_experts_per_tok: 8,
      tie_word_embeddings: true,
      max_position_embeddings: 4096,
    },
  ],
};

export const GPT_PRESETS: readonly PresetFamily[] = [gpt2, gpt3, chinchilla, pythia, classics];
