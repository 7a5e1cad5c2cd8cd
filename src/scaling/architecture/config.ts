/**
 * The architecture that a config.json describes. Knows Hugging Face's keys for the model types listed below,
 * state-spaces' Mamba keys, nanoGPT's keys and Plinth's own; missing keys have transformers' defaults. Whatever
 * might change the count and is not understood is refused, never guessed.
 */
import { ConfigError } from '../../core/errors.ts';
import { nearestNames } from '../../core/nearest-name.ts';
import type { Architecture } from './architecture.ts';
import type { ConfigFamily } from './assemble.ts';
import { DEEPSEEK_FAMILIES } from './config-deepseek.ts';
import { ENCODER_DECODER_FAMILIES } from './config-encoder-decoder.ts';
import { GPT_FAMILIES } from './config-gpt.ts';
import { LLAMA_FAMILIES } from './config-llama.ts';
import { ConfigReader, type JsonObject } from './config-reader.ts';
import { RECURRENT_FAMILIES, stateSpaces } from './config-recurrent.ts';
import { architectureOfTransformer, type TransformerShape } from './transformer-config.ts';

const FAMILIES: ReadonlyMap<string, ConfigFamily> = new Map([
  ...GPT_FAMILIES,
  ...LLAMA_FAMILIES,
  ...DEEPSEEK_FAMILIES,
  ...RECURRENT_FAMILIES,
  ...ENCODER_DECODER_FAMILIES,
]);

/** The values of `model_type` that are counted. */
export const KNOWN_MODEL_TYPES: readonly string[] = [...FAMILIES.keys()];

/** Sub-configs nest once in practice; a hostile file must not recurse for ever. */
const MAX_NESTING = 3;

/**
 * @param json the parsed file.
 * @throws ConfigError naming the key, its value and what is expected or known.
 */
export function architectureFromConfig(json: unknown): Architecture {
  return readConfig(json, 0);
}

function readConfig(json: unknown, nesting: number): Architecture {
  if (typeof json !== 'object' || json === null || Array.isArray(json)) {
    throw new ConfigError('config.json must hold a JSON object, such as {"model_type": "llama", ...}.');
  }
  const object = json as JsonObject;
  const text = object.text_config;
  if (typeof text === 'object' && text !== null && !Array.isArray(text) && nesting < MAX_NESTING) {
    return textPart(object, text as JsonObject, nesting);
  }
  if (object.model_type === undefined && 'hiddenSize' in object && 'numLayers' in object) {
    return architectureOfTransformer(object as unknown as TransformerShape);
  }
  const reader = new ConfigReader(object);
  const { modelType, family } = familyOf(reader);
  const architecture = family(reader, modelType);
  reader.understand('model_type', 'architectures');
  reader.finish(modelType);
  return withNotes(architecture, generalNotes(reader));
}

/** Of a model with vision or audio, the part that reads and writes text. */
function textPart(object: JsonObject, text: JsonObject, nesting: number): Architecture {
  const outer = object.model_type;
  if (text.model_type === undefined) {
    throw new ConfigError(
      `config.json: "text_config.model_type" is missing; expected one of ${KNOWN_MODEL_TYPES.join(', ')}.`,
    );
  }
  const tied = object.tie_word_embeddings;
  const architecture = readConfig(
    typeof tied === 'boolean' && text.tie_word_embeddings === undefined
      ? { ...text, tie_word_embeddings: tied }
      : text,
    nesting + 1,
  );
  return withNotes(architecture, [
    `Only the text model (text_config) is counted, not what ${typeof outer === 'string' ? `"${outer.slice(0, 100)}"` : 'the model'} has for images or sound.`,
  ]);
}

function familyOf(reader: ConfigReader): { modelType: string; family: ConfigFamily } {
  const given = reader.get('model_type');
  if (given === undefined) {
    const known = typeByClass(reader.get('architectures'));
    if (known !== undefined) return { modelType: known, family: FAMILIES.get(known)! };
    if (reader.has('d_model') && reader.has('n_layer')) return { modelType: 'mamba', family: stateSpaces };
    if (reader.has('n_embd') && reader.has('n_layer'))
      return { modelType: 'gpt2', family: FAMILIES.get('gpt2')! };
    throw new ConfigError(
      `config.json: "model_type" is missing; expected one of ${KNOWN_MODEL_TYPES.join(', ')}. Files without it are read with GPT-2's keys (n_embd, n_layer, ...), state-spaces' (d_model, n_layer, ssm_cfg, ...) or Plinth's (hiddenSize, numLayers, ...).`,
    );
  }
  const modelType = typeof given === 'string' ? given : undefined;
  // state-spaces' files for Mamba-2 in some conversions carry the type and the library's own keys.
  const isStateSpaces =
    (modelType === 'mamba' || modelType === 'mamba2') &&
    reader.has('d_model') &&
    reader.has('ssm_cfg') &&
    !reader.has('hidden_size');
  const family = isStateSpaces ? stateSpaces : modelType && FAMILIES.get(modelType);
  if (!family || modelType === undefined) {
    reader.refuse(
      'model_type',
      given,
      `one of the model types that are counted: ${nearestNames(String(given).slice(0, 100), KNOWN_MODEL_TYPES)}`,
    );
  }
  return { modelType, family };
}

/** "LlamaForCausalLM" -> "llama". */
function typeByClass(architectures: unknown): string | undefined {
  const name: unknown = Array.isArray(architectures) ? architectures[0] : undefined;
  if (typeof name !== 'string') return undefined;
  const stem = name.replace(/(?:For\w+|LMHeadModel|Model)$/, '').toLowerCase();
  return KNOWN_MODEL_TYPES.find((type) => type.replaceAll('_', '') === stem);
}

function generalNotes(reader: ConfigReader): string[] {
  const notes: string[] = [];
  const classes = reader.get('architectures');
  const name: unknown = Array.isArray(classes) ? classes[0] : undefined;
  if (typeof name === 'string' && /For(?:Sequence|Token|Question|Multiple)\w+$/.test(name)) {
    notes.push(`Counted as a language model: the head of ${name.slice(0, 100)} is not a vocabulary head.`);
  }
  if (reader.has('quantization_config')) {
    notes.push(
      'The checkpoint is quantised: its weights take fewer bytes, and scales beside them that are not counted.',
    );
  }
  return notes;
}

function withNotes(architecture: Architecture, notes: readonly string[]): Architecture {
  return notes.length === 0 ? architecture : { ...architecture, notes: [...architecture.notes, ...notes] };
}
