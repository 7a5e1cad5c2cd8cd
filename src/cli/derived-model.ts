/** What a model's folder hands on to one that is made from it, besides the weights. */

/** What belongs to the tokenizer, and is copied as it stands. */
export const TOKENIZER_FILES: readonly string[] = [
  'tokenizer.json',
  'tokenizer_config.json',
  'special_tokens_map.json',
  'added_tokens.json',
  'chat_template.jinja',
  'vocab.json',
  'merges.txt',
];

/** The sampling defaults of generation_config.json that a checkpoint's writer knows. */
export function generationDefaults(raw: Record<string, unknown> | null) {
  const defaults = { temperature: raw?.temperature, topP: raw?.top_p, topK: raw?.top_k };
  return Object.fromEntries(Object.entries(defaults).filter(([, value]) => typeof value === 'number'));
}
