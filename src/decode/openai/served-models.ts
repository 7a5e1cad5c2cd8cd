/** What an endpoint serves, for callers who named no model. */
import { ConfigError, FormatError } from '../../core/errors.ts';
import { Endpoint, type EndpointOptions, readJson } from './endpoint.ts';

export interface ServedModel {
  readonly name: string;
  /** Where the endpoint tells it, as vLLM (`max_model_len`) and llama.cpp's server (`meta.n_ctx`) do. */
  readonly contextLength: number | undefined;
}

const MAX_LISTED = 20;

/** The one model of an endpoint. Throws ConfigError when it serves none or several, naming them. */
export async function servedModel(options: EndpointOptions): Promise<ServedModel> {
  const endpoint = new Endpoint(options);
  const watch = endpoint.watch([]);
  try {
    const response = await endpoint.send('/models', undefined, watch);
    const models = modelsOf(await readJson(response), endpoint.baseUrl);
    if (models.length === 1) return models[0]!;
    const names = models.slice(0, MAX_LISTED).map(({ name }) => name);
    throw new ConfigError(
      `${endpoint.baseUrl} serves ${models.length} models${names.length > 0 ? `: ${names.join(', ')}` : ''}` +
        `${models.length > MAX_LISTED ? ' and others' : ''}. Name one, as ${endpoint.baseUrl}#name.`,
    );
  } finally {
    watch.stop();
  }
}

function modelsOf(json: unknown, baseUrl: string): ServedModel[] {
  const data = (json as { data?: unknown } | null)?.data;
  if (!Array.isArray(data) || !data.every((one) => typeof one?.id === 'string')) {
    throw new FormatError(
      `${baseUrl}/models does not list models ({ data: [{ id }] }). Name one: ${baseUrl}#name.`,
    );
  }
  return data.map(({ id, max_model_len: length, meta }) => {
    const told: unknown = length ?? meta?.n_ctx;
    return { name: id, contextLength: Number.isSafeInteger(told) ? (told as number) : undefined };
  });
}
