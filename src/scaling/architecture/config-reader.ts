/**
 * Typed access to the keys of a config.json, for counting. Errors name the key, the value and what was expected.
 * It remembers which keys were understood, so that a key that sounds as if it changed the model and was not read
 * is refused instead of silently giving a wrong count.
 */
import { ConfigError } from '../../core/errors.ts';

export type JsonObject = Record<string, unknown>;

/** Largest size in a config: what a 32-bit integer holds, far beyond any model. */
export const MAX_SIZE = 2 ** 31 - 1;
/** Keeps a hostile file from asking for endless lists of layers. */
export const MAX_LAYERS = 10_000;

/** Words in a key that tell that it may change how many weights there are. */
const COUNTING_WORDS =
  /(?:^|_)(?:adapter|audio|bias|biases|blocks?|buckets?|channels?|conv|depth|dims?|experts?|expand|ffn|ffw|groups?|heads?|hidden|image|inner|intermediate|kernel|layers?|layernorm|lora|mamba|mlp|moe|n|norms?|num|rank|ratio|sinks|size|ssm|tied?|vision|width)(?:_|$)/;

/** Of keys that are true or false only these say that there are weights or not; "use_..." others choose a way to run. */
const WEIGHT_SWITCHES =
  /(?:^|_)(?:adapter|bias|biases|experts?|gated?|layernorm|lora|moe|norms?|sinks|tied?|cross_attention)(?:_|$)/;

/** Kinds of keys that have such words and change no count. */
const HARMLESS_KINDS =
  /eps(?:ilon)?$|drop(?:out)?|rotary|rope|activation|_act$|initiali[sz]er|init_|scal(?:e|ing)|ngram|_token(?:_id|_index)?s?$|_coef(?:f|ficient)?$|^time_step_|^rescale_|multiplier$|layerdrop$|^fuse|^tokenizer|^vision_(?:config|start|end)|^(?:audio|image)_/;

/** Single keys of that sort: generation, training, ways to run, leftovers of conversions. */
const HARMLESS_KEYS = new Set([
  '_num_labels',
  'add_final_layer_norm',
  'apply_residual_connection_post_layernorm',
  'chunk_size_feed_forward',
  'ep_size',
  'id2label',
  'label2id',
  'layer_norm_type',
  'layer_switch',
  'max_batch_size',
  'max_window_layers',
  'mlp_only_layers',
  'mm_tokens_per_image',
  'n_ctx',
  'n_group',
  'norm_before_gate',
  'norm_first',
  'norm_topk_prob',
  'normalize_before',
  'num_assistant_tokens',
  'num_beam_groups',
  'num_beams',
  'num_expert_group',
  'num_labels',
  'num_logits_to_keep',
  'num_return_sequences',
  'order_of_interleaved_layers',
  'original_max_position_embeddings',
  'sliding_window_size',
  'topk_group',
]);

export class ConfigReader {
  readonly object: JsonObject;
  readonly #prefix: string;
  readonly #understood = new Set<string>();

  constructor(object: JsonObject, prefix = '') {
    this.object = object;
    this.#prefix = prefix;
  }

  /** Keys that are known to change no count of this model type. */
  understand(...keys: readonly string[]): void {
    for (const key of keys) this.#understood.add(key);
  }

  /** A key's value; JSON's null counts as missing. */
  get(key: string): unknown {
    this.#understood.add(key);
    return Object.hasOwn(this.object, key) ? (this.object[key] ?? undefined) : undefined;
  }

  has(key: string): boolean {
    return this.get(key) !== undefined;
  }

  isNull(key: string): boolean {
    this.#understood.add(key);
    return Object.hasOwn(this.object, key) && this.object[key] === null;
  }

  refuse(key: string, value: unknown, expected: string): never {
    const text = JSON.stringify(value) ?? 'missing';
    const got = text.length > 100 ? `${text.slice(0, 100)}...` : text;
    const name = `config.json: "${this.#prefix}${key.slice(0, 100)}"`;
    const advice =
      typeof value === 'string' && value.trim() !== '' && Number.isFinite(Number(value))
        ? ` Write it without quotes.`
        : '';
    throw new ConfigError(`${name} is ${got}; expected ${expected}.${advice}`);
  }

  /** The first of several spellings that is present; the first spelling when none is. */
  #spelling(keys: string | readonly string[]): string {
    const names = typeof keys === 'string' ? [keys] : keys;
    const present = names.find((key) => this.has(key)) ?? names.find((key) => this.isNull(key));
    this.understand(...names);
    return present ?? names[0]!;
  }

  /** A whole number from `least` to MAX_SIZE. */
  whole(keys: string | readonly string[], whenMissing?: number, least = 1, most = MAX_SIZE): number {
    const key = this.#spelling(keys);
    const value = this.isNull(key) ? null : (this.get(key) ?? whenMissing);
    if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < least || value > most) {
      this.refuse(key, value, `a whole number from ${least} to ${most}`);
    }
    return value;
  }

  size(keys: string | readonly string[], whenMissing?: number): number {
    return this.whole(keys, whenMissing, 1);
  }

  /** A size that may be null or missing, which both mean that it follows from others. */
  optionalSize(keys: string | readonly string[]): number | null {
    return this.has(this.#spelling(keys)) ? this.size(keys) : null;
  }

  number(key: string, whenMissing: number): number {
    const value = this.get(key) ?? whenMissing;
    if (typeof value !== 'number' || !Number.isFinite(value)) this.refuse(key, value, 'a number');
    return value;
  }

  flag(key: string, whenMissing: boolean): boolean {
    const value = this.get(key) ?? whenMissing;
    if (typeof value !== 'boolean') this.refuse(key, value, 'true or false');
    return value;
  }

  /** A list of whole numbers from 0 on; empty when missing. */
  indices(key: string): number[] {
    const value = this.get(key) ?? [];
    if (
      !Array.isArray(value) ||
      value.length > MAX_LAYERS ||
      !value.every((one) => Number.isSafeInteger(one) && one >= 0)
    ) {
      this.refuse(key, value, 'a list of layer numbers');
    }
    return value as number[];
  }

  section(key: string): ConfigReader {
    const value = this.get(key) ?? {};
    if (typeof value !== 'object' || Array.isArray(value)) this.refuse(key, value, 'an object');
    return new ConfigReader(value as JsonObject, `${this.#prefix}${key}.`);
  }

  /** Only these values are counted; anything else is refused with `why`. */
  only(key: string, allowed: readonly unknown[], why: string): void {
    const value = this.get(key);
    if (value !== undefined && !allowed.includes(value)) this.refuse(key, value, why);
  }

  /** @throws ConfigError naming the first key that sounds as if it changed the count and was not understood. */
  finish(modelType: string): void {
    for (const [key, value] of Object.entries(this.object)) {
      if (this.#understood.has(key) || isHarmless(key, value)) continue;
      this.refuse(
        key,
        value,
        `no such key for model type "${modelType.slice(0, 100)}": it may change how many weights there are and is not understood. Remove it (or set it to null) if it does not`,
      );
    }
  }
}

function isHarmless(key: string, value: unknown): boolean {
  if (value === null || value === false || value === 0 || value === '') return true;
  if (typeof value === 'object' && Object.keys(value).length === 0) return true;
  if (HARMLESS_KEYS.has(key) || HARMLESS_KINDS.test(key)) return true;
  return !(value === true ? WEIGHT_SWITCHES : COUNTING_WORDS).test(key);
}
