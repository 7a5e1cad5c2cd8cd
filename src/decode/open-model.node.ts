/**
 * Any model by one text that says where it is: a model's folder, a GGUF file, or an endpoint that speaks OpenAI's
 * protocol. The caller gets a `LanguageModel` and need not know which it was.
 */
import { stat } from 'node:fs/promises';
import { ConfigError, DataError } from '../core/errors.ts';
import { type LoadGgufOptions, loadGgufLanguageModel } from './gguf/gguf-language-model.node.ts';
import type { LanguageModel } from './language-model.ts';
import { type LoadLanguageModelOptions, loadLanguageModel } from './load-model.node.ts';
import { createOpenAiLanguageModel, type OpenAiModelOptions } from './openai/openai-language-model.ts';
import { servedModel } from './openai/served-models.ts';

export type ModelBackend = 'onnx' | 'gguf' | 'openai';

/** Options of the backends, each for its own; those of another backend than the one opened are not looked at. */
export interface OpenModelOptions {
  readonly onnx?: LoadLanguageModelOptions;
  readonly gguf?: LoadGgufOptions;
  readonly openai?: Partial<Omit<OpenAiModelOptions, 'baseUrl'>>;
  /** The model's name at an endpoint, instead of `#name` at the end of the address. */
  readonly model?: string;
}

/** Which backend a text means. Throws ConfigError for addresses of other kinds. */
export function backendOf(spec: string): ModelBackend {
  const scheme = /^([a-z][a-z0-9+.-]+):\/\//i.exec(spec)?.[1]?.toLowerCase();
  if (scheme === 'http' || scheme === 'https') return 'openai';
  if (scheme !== undefined) {
    throw new ConfigError(
      `A model at ${scheme}:// cannot be opened; expected a folder, a .gguf file, or http(s)://host/v1#model.`,
    );
  }
  return /\.gguf$/i.test(spec) ? 'gguf' : 'onnx';
}

/**
 * Opens a folder (`loadLanguageModel`), a file whose name ends in .gguf (`loadGgufLanguageModel`), or an endpoint
 * `https://host/v1#model` (`createOpenAiLanguageModel`). An endpoint without a model's name is asked which it
 * serves; if that is one, it is taken, with the context length that the endpoint tells.
 * @throws ConfigError, DataError, FormatError or LimitError as these do; ConfigError when a model's name is given
 *   that has no meaning, or is missing at an endpoint that serves several.
 */
export async function openLanguageModel(
  spec: string,
  options: OpenModelOptions = {},
): Promise<LanguageModel> {
  const unknown = Object.keys(options).find((name) => !['onnx', 'gguf', 'openai', 'model'].includes(name));
  if (unknown !== undefined) {
    throw new ConfigError(`Unknown option "${unknown}"; expected onnx, gguf, openai or model.`);
  }
  const backend = backendOf(spec);
  if (backend === 'openai') return openEndpoint(spec, options);
  if (options.model !== undefined) {
    throw new ConfigError(
      `model is ${JSON.stringify(options.model)}, which names a model at an endpoint; ${spec} is no endpoint. ` +
        'Leave it out.',
    );
  }
  await checkKind(spec, backend);
  return backend === 'gguf'
    ? loadGgufLanguageModel(spec, options.gguf)
    : loadLanguageModel(spec, options.onnx);
}

async function checkKind(path: string, backend: ModelBackend): Promise<void> {
  const found = await stat(path).catch((error) => {
    throw new DataError(`${path} cannot be opened: ${(error as Error).message}.`, { cause: error });
  });
  const isRight = backend === 'gguf' ? found.isFile() : found.isDirectory();
  if (isRight) return;
  throw new DataError(
    `${path} is a ${found.isDirectory() ? 'folder' : 'file'}; expected a model's folder (config.json, ` +
      'model.safetensors) or a file whose name ends in .gguf.',
  );
}

async function openEndpoint(spec: string, { openai, model }: OpenModelOptions): Promise<LanguageModel> {
  const [baseUrl, fragment] = spec.split('#', 2) as [string, string | undefined];
  const name = model ?? openai?.model ?? (fragment === undefined ? '' : decodeURIComponent(fragment));
  if (name !== '') return createOpenAiLanguageModel({ ...openai, baseUrl, model: name });
  const served = await servedModel({ ...openai, baseUrl });
  return createOpenAiLanguageModel({
    ...(served.contextLength !== undefined && { contextLength: served.contextLength }),
    ...openai,
    baseUrl,
    model: served.name,
  });
}
