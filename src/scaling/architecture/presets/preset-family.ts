/**
 * How presets are written down. `base` holds what the models of a family share. Published totals are those of the
 * weights on Hugging Face (safetensors metadata of the repository), or of the paper named.
 */

interface PresetRow {
  readonly name: string;
  readonly published?: number;
  readonly aliases?: readonly string[];
  readonly source?: string;
  readonly [key: string]: unknown;
}

export interface PresetFamily {
  readonly base: Readonly<Record<string, unknown>>;
  readonly source: string;
  readonly models: readonly PresetRow[];
}

export const heads = (num_attention_heads: number, num_key_value_heads?: number) => ({
  num_attention_heads,
  ...(num_key_value_heads === undefined ? {} : { num_key_value_heads }),
});

export const shape = (num_hidden_layers: number, hidden_size: number, intermediate_size: number) => ({
  num_hidden_layers,
  hidden_size,
  intermediate_size,
});

export const gpt = (n_layer: number, n_embd: number, n_head: number) => ({ n_layer, n_embd, n_head });
