/** T5, BART and their relatives. */
import type { PresetFamily } from './preset-family.ts';

const t5 = (num_layers: number, d_model: number, d_ff: number, num_heads: number, d_kv = 64) => ({
  model_type: 't5',
  num_layers,
  d_model,
  d_ff,
  num_heads,
  d_kv,
});
const flan = { feed_forward_proj: 'gated-gelu', tie_word_embeddings: false };
const bart = (layers: number, d_model: number, ffn: number, num_heads: number) => ({
  d_model,
  encoder_layers: layers,
  decoder_layers: layers,
  encoder_ffn_dim: ffn,
  decoder_ffn_dim: ffn,
  encoder_attention_heads: num_heads,
  decoder_attention_heads: num_heads,
});

const encoderDecoders: PresetFamily = {
  base: {},
  source: 'the model on Hugging Face',
  models: [
    { name: 't5-small', published: 60506624, ...t5(6, 512, 2048, 8) },
    { name: 't5-base', published: 222903552, ...t5(12, 768, 3072, 12) },
    { name: 't5-large', published: 737668096, ...t5(24, 1024, 4096, 16) },
    { name: 't5-3b', published: 2851598336, ...t5(24, 1024, 16384, 32, 128) },
    { name: 't5-11b', published: 11307321344, ...t5(24, 1024, 65536, 128, 128) },
    { name: 'flan-t5-small', published: 76961152, ...t5(8, 512, 1024, 6), ...flan },
    { name: 'flan-t5-base', published: 247577856, ...t5(12, 768, 2048, 12), ...flan },
    { name: 'flan-t5-large', published: 783150080, ...t5(24, 1024, 2816, 16), ...flan },
    { name: 'mt5-small', published: 300176768, model_type: 'mt5' },
    { name: 'bart-base', published: 139420416, model_type: 'bart', ...bart(6, 768, 3072, 12) },
    { name: 'bart-large', published: 406291456, model_type: 'bart', ...bart(12, 1024, 4096, 16) },
    {
      name: 'nllb-200-600m',
      published: 615073792,
      model_type: 'm2m_100',
      vocab_size: 256206,
      ...bart(12, 1024, 4096, 16),
    },
  ],
};

export const ENCODER_DECODER_PRESETS: readonly PresetFamily[] = [encoderDecoders];
