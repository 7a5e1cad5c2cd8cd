/**
 * A model's files on a web server to a model that answers: the browser's twin of `loadLanguageModel`. Weights stream
 * into the memory they end up in. Nothing but the folder's own files is asked for. Runs in Node too.
 */
import { CancelledError, ConfigError, LimitError, messageOf, PlinthError } from '../core/errors.ts';
import { type CheckpointFiles, WEIGHTS_INDEX_NAME, WEIGHTS_NAME } from '../model/checkpoint-files.ts';
import { SafetensorsStream } from '../model/safetensors-stream.ts';
import type { Device } from '../runtime/device.ts';
import type { OnnxLanguageModel } from './onnx-language-model.ts';
import { type ReadModelOptions, readLanguageModel } from './read-model.ts';

export interface FetchProgress {
  /** Bytes of weights that have arrived, unpacked. */
  readonly loadedBytes: number;
  /** Bytes of all weights; undefined for shards whose index does not say. */
  readonly totalBytes: number | undefined;
}

export interface FetchLanguageModelOptions extends ReadModelOptions {
  readonly device: Device;
  /** Default: the environment's own. One of your own can add headers or keep files in a cache. */
  readonly fetch?: (url: string, init: { readonly signal: AbortSignal }) => Promise<Response>;
  /** Called as weights arrive, first with 0 bytes. */
  readonly onProgress?: (progress: FetchProgress) => void;
  /** Ends the download; the call then rejects with CancelledError. */
  readonly signal?: AbortSignal;
}

/**
 * Fetches a folder that `saveCheckpoint`, a recipe or `plinth quantize` wrote, or any Hugging Face folder of a
 * supported model: `<baseUrl>/config.json` and the files beside it. A relative address is resolved against the page's;
 * a query is sent along with every file.
 * @throws CancelledError when `signal` fires; PlinthError `data` for files that are not there (also where a server
 *   answers with a page of HTML instead), `runtime` for a server that fails or cannot be reached; what
 *   `readLanguageModel` throws for what is broken, truncated or not supported.
 */
export async function fetchLanguageModel(
  baseUrl: string | URL,
  options: FetchLanguageModelOptions,
): Promise<OnnxLanguageModel> {
  const { fetch = (url, init) => globalThis.fetch(url, init), onProgress, signal, ...more } = options;
  const base = folderUrl(baseUrl);
  const ending = new AbortController();
  const abort = () => ending.abort();
  if (signal?.aborted) throw new CancelledError();
  signal?.addEventListener('abort', abort);
  try {
    const files = new FetchedFiles(base, (url) => fetch(url, { signal: ending.signal }), onProgress);
    const model = await readLanguageModel(files, more);
    if (!signal?.aborted) return model;
    await model.dispose();
    throw new CancelledError();
  } catch (error) {
    // An abort reaches the reader as whatever the stream or `fetch` makes of it.
    throw signal?.aborted ? new CancelledError() : error;
  } finally {
    signal?.removeEventListener('abort', abort);
    // What is still open after an error is of no use to anyone.
    ending.abort();
  }
}

function folderUrl(baseUrl: string | URL): URL {
  let url: URL;
  try {
    url = new URL(baseUrl, globalThis.document?.baseURI ?? globalThis.location?.href);
  } catch (error) {
    throw new ConfigError(
      `baseUrl ${JSON.stringify(String(baseUrl))} is no address; expected that of a model's folder, such as ` +
        '"/models/small/" in a page or "https://host/models/small/".',
      { cause: error },
    );
  }
  url.hash = '';
  if (!url.pathname.endsWith('/')) url.pathname += '/';
  return url;
}

/** Answers that mean that there is no such file; storage services say 403 where listing is not allowed. */
const ABSENT = new Set([403, 404, 410]);
const HTML = /^\s*<(!doctype\s|html[\s>])/i;

const isHtmlType = (response: Response) => /^text\/html\b/i.test(response.headers.get('content-type') ?? '');

class FetchedFiles implements CheckpointFiles {
  readonly place: string;
  readonly #base: URL;
  readonly #request: (url: string) => Promise<Response>;
  readonly #onProgress: ((progress: FetchProgress) => void) | undefined;
  /** What the server said instead of sending a file. */
  readonly #refusals = new Map<string, string>();
  #loadedBytes = 0;
  #totalBytes: number | undefined;

  constructor(
    base: URL,
    request: (url: string) => Promise<Response>,
    onProgress: ((progress: FetchProgress) => void) | undefined,
  ) {
    this.place = base.href;
    this.#base = base;
    this.#request = request;
    this.#onProgress = onProgress;
  }

  pathOf(name: string): string {
    const url = new URL(encodeURIComponent(name), this.#base);
    url.search = this.#base.search;
    return url.href;
  }

  async readText(name: string, maxBytes: number): Promise<string | undefined> {
    const response = await this.#get(name);
    if (response === undefined) return undefined;
    const text = await readAtMost(response, this.pathOf(name), maxBytes);
    if (isHtmlType(response) || HTML.test(text)) {
      this.#refusals.set(name, 'a page of HTML instead');
      return undefined;
    }
    if (name === WEIGHTS_INDEX_NAME) this.#totalBytes = totalSize(text);
    return text;
  }

  async openTensors(name: string): Promise<SafetensorsStream | undefined> {
    const response = await this.#get(name);
    if (response === undefined) return undefined;
    if (isHtmlType(response)) {
      await response.body?.cancel();
      this.#refusals.set(name, 'a page of HTML instead');
      return undefined;
    }
    const path = this.pathOf(name);
    const source = await SafetensorsStream.open(bodyOf(response, path), {
      path,
      sizeBytes: sizeOf(response),
      onBytes: (numBytes) => this.#report(numBytes),
    });
    if (name === WEIGHTS_NAME) this.#totalBytes = source.dataBytes;
    if (this.#loadedBytes === 0) this.#report(0);
    if (name !== WEIGHTS_NAME) {
      // Shards one after another: browsers hold few connections to one server.
      await source.readAhead();
    }
    return source;
  }

  missing(names: readonly string[], advice?: string): PlinthError {
    const said = names.map((name) => `${name} (${this.#refusals.get(name) ?? 'not there'})`).join(' nor ');
    const isHtml = names.some((name) => this.#refusals.get(name)?.includes('HTML'));
    const parts = [
      names.length === 1 ? `${this.place} does not have ${said}.` : `${this.place} has neither ${said}.`,
      isHtml
        ? 'Many servers answer an unknown path with the page itself: put the folder where static files are served from ' +
          '(public/ with Vite), and check the address.'
        : 'Check the address, and that the whole folder was uploaded.',
      ...(advice === undefined ? [] : [advice]),
    ];
    return new PlinthError('data', parts.join(' '));
  }

  #report(numBytes: number): void {
    this.#loadedBytes += numBytes;
    this.#onProgress?.({ loadedBytes: this.#loadedBytes, totalBytes: this.#totalBytes });
  }

  async #get(name: string): Promise<Response | undefined> {
    const url = this.pathOf(name);
    let response: Response;
    try {
      response = await this.#request(url);
    } catch (error) {
      throw new PlinthError(
        'runtime',
        `Could not fetch ${url}: ${messageOf(error)}. Is the server there, and does it allow this page to read from it (CORS)?`,
        { cause: error },
      );
    }
    if (response.ok) return response;
    await response.body?.cancel();
    const status = `${response.status} ${response.statusText}`.trim();
    if (!ABSENT.has(response.status)) {
      throw new PlinthError('runtime', `Could not fetch ${url}: the server answered ${status}.`);
    }
    this.#refusals.set(name, status);
    return undefined;
  }
}

/** Size of the body where the server tells it; a compressed body has another size than the file. */
function sizeOf({ headers }: Response): number | undefined {
  const size = Number(headers.get('content-length') ?? Number.NaN);
  const isPlain = (headers.get('content-encoding') ?? 'identity') === 'identity';
  return isPlain && Number.isSafeInteger(size) && size > 0 ? size : undefined;
}

/** The body; a connection that breaks is an error that names the file. */
function bodyOf(response: Response, path: string): ReadableStream<Uint8Array> {
  const reader = response.body?.getReader();
  if (!reader) throw new PlinthError('runtime', `Could not fetch ${path}: the answer has no body.`);
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        try {
          const { value } = await reader.read();
          if (value === undefined) controller.close();
          else controller.enqueue(value);
        } catch (error) {
          throw new PlinthError(
            'runtime',
            `The download of ${path} broke off: ${messageOf(error)}. Try again.`,
            {
              cause: error,
            },
          );
        }
      },
      cancel: (reason) => reader.cancel(reason),
    },
    { highWaterMark: 0 },
  );
}

async function readAtMost(response: Response, path: string, maxBytes: number): Promise<string> {
  const parts: string[] = [];
  const decoder = new TextDecoder();
  let size = 0;
  const reader = bodyOf(response, path).getReader();
  for (;;) {
    const { value } = await reader.read();
    if (value === undefined) break;
    size += value.length;
    if (size > maxBytes) {
      await reader.cancel();
      throw new LimitError(`${path} has more than ${maxBytes} bytes; at most ${maxBytes} are read.`);
    }
    parts.push(decoder.decode(value, { stream: true }));
  }
  parts.push(decoder.decode());
  return parts.join('');
}

/** `metadata.total_size` of an index; what is wrong with the index is for its reader to say. */
function totalSize(text: string): number | undefined {
  try {
    const size: unknown = (JSON.parse(text) as { metadata?: { total_size?: unknown } }).metadata?.total_size;
    return Number.isSafeInteger(size) && (size as number) > 0 ? (size as number) : undefined;
  } catch {
    return undefined;
  }
}
