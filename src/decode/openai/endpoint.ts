/**
 * An HTTP endpoint that speaks OpenAI's protocol: its address and key, waiting and trying again, and errors that
 * say what to do. It knows nothing of prompts and answers.
 */
import { ConfigError, FormatError, LimitError, PlinthError } from '../../core/errors.ts';

export interface EndpointOptions {
  /** Up to and including the version, such as https://api.openai.com/v1 or http://localhost:8000/v1. */
  readonly baseUrl: string;
  /**
   * Default: the environment's OPENAI_API_KEY, which is sent over https and to this machine only. Give '' for
   * an endpoint without keys.
   */
  readonly apiKey?: string;
  /** Further headers of every request. */
  readonly headers?: Readonly<Record<string, string>>;
  /** How often a request is sent again after 408, 409, 429, 5xx or a failed connection. Default 2. */
  readonly maxRetries?: number;
  /** First wait before that, doubled each time up to 8 s, unless the endpoint says how long. Default 500. */
  readonly retryDelayMs?: number;
  /** Longest silence: until the answer begins, and between its pieces. Default 120,000. */
  readonly timeoutMs?: number;
}

const MAX_RETRY_DELAY_MS = 8000;
/** An endpoint that asks for a longer wait is taken at its word, by giving up. */
const MAX_ASKED_DELAY_MS = 60_000;
const EXCERPT_LENGTH = 600;

export class Endpoint {
  readonly baseUrl: string;
  readonly #headers: Record<string, string>;
  readonly #maxRetries: number;
  readonly #retryDelayMs: number;
  readonly #timeoutMs: number;
  readonly #hasKey: boolean;

  /** Throws ConfigError for an address that is none and numbers out of range. */
  constructor(options: EndpointOptions) {
    const url = parseUrl(options.baseUrl);
    this.baseUrl = url.href.replace(/\/+$/, '');
    const key = options.apiKey ?? keyFromEnvironment(url);
    this.#hasKey = key !== '';
    this.#headers = {
      'content-type': 'application/json',
      ...(key !== '' && { authorization: `Bearer ${key}` }),
      ...options.headers,
    };
    this.#maxRetries = wholeNumber('maxRetries', options.maxRetries ?? 2, 0, 20);
    this.#retryDelayMs = wholeNumber('retryDelayMs', options.retryDelayMs ?? 500, 0, MAX_RETRY_DELAY_MS);
    this.#timeoutMs = wholeNumber('timeoutMs', options.timeoutMs ?? 120_000, 1, 2 ** 31 - 1);
  }

  /** Watches one request: ends it when a signal fires or the endpoint stays silent too long. */
  watch(signals: readonly AbortSignal[]): RequestWatch {
    return new RequestWatch(signals, this.#timeoutMs);
  }

  /** A successful response, its body unread. Throws ConfigError, LimitError or PlinthError `runtime`. */
  async send(path: string, body: object | undefined, watch: RequestWatch): Promise<Response> {
    for (let attempt = 0; ; attempt++) {
      const isLast = attempt >= this.#maxRetries;
      let delay = Math.min(MAX_RETRY_DELAY_MS, this.#retryDelayMs * 2 ** attempt) * (1 - Math.random() / 4);
      try {
        const response = await fetch(`${this.baseUrl}${path}`, {
          method: body ? 'POST' : 'GET',
          headers: this.#headers,
          signal: watch.restart(),
          ...(body && { body: JSON.stringify(body) }),
        });
        watch.restart();
        if (response.ok) return response;
        if (isLast || !mayRetry(response)) throw await this.#errorOf(response, path);
        const asked = askedDelay(response.headers);
        if (asked !== undefined && asked > MAX_ASKED_DELAY_MS) throw await this.#errorOf(response, path);
        delay = asked ?? delay;
        await response.body?.cancel();
      } catch (error) {
        const failure = watch.failure(error, `${this.baseUrl}${path}`);
        if (isLast || error instanceof PlinthError || watch.hasEnded) throw failure;
      }
      await watch.sleep(delay);
    }
  }

  async #errorOf(response: Response, path: string): Promise<PlinthError> {
    const { status } = response;
    const detail = await excerpt(response);
    const said = `${this.baseUrl}${path} answered ${status}${detail === '' ? '' : `: ${detail}`}.`;
    if (isContextError(detail))
      return new LimitError(`The prompt does not fit the model. ${said} Shorten it.`);
    if (status === 401 || status === 403) {
      const hint = this.#hasKey ? 'Is the key right?' : 'Give a key as apiKey or in OPENAI_API_KEY.';
      return new ConfigError(`${said} ${hint}`);
    }
    if (status === 404) {
      return new ConfigError(
        `${said} Does baseUrl end with the version (/v1), and does the endpoint serve this model and path?`,
      );
    }
    if (status === 429) {
      const asked = askedDelay(response.headers);
      const wait = asked === undefined ? '' : ` It asks to wait ${Math.ceil(asked / 1000)} s.`;
      return new LimitError(`${said}${wait} Ask less at a time (maxConcurrency), or raise maxRetries.`);
    }
    if (status >= 500 || status === 408) return new PlinthError('runtime', `${said} Try again later.`);
    return new ConfigError(`${said} The endpoint does not take this request.`);
  }
}

/** One request's signal, and why it ended. */
export class RequestWatch {
  /** Fires with any of the signals given, and after too long a silence. */
  readonly signal: AbortSignal;
  readonly #silence = new AbortController();
  readonly #timeoutMs: number;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(signals: readonly AbortSignal[], timeoutMs: number) {
    this.signal = AbortSignal.any([...signals, this.#silence.signal]);
    this.#timeoutMs = timeoutMs;
  }

  /** It was ended from this side; whoever reads need not go on. */
  get hasEnded(): boolean {
    return this.signal.aborted;
  }

  /** The endpoint was heard of: the silence begins anew. */
  restart(): AbortSignal {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#silence.abort(), this.#timeoutMs);
    return this.signal;
  }

  /** Must be called once the request is over. */
  stop(): void {
    clearTimeout(this.#timer);
  }

  async sleep(ms: number): Promise<void> {
    clearTimeout(this.#timer);
    const { signal } = this;
    if (signal.aborted) return;
    await new Promise<void>((resolve) => {
      const done = () => {
        clearTimeout(timer);
        signal.removeEventListener('abort', done);
        resolve();
      };
      const timer = setTimeout(done, ms);
      signal.addEventListener('abort', done);
    });
  }

  /** What a failed request means to the caller. */
  failure(error: unknown, what: string): PlinthError {
    if (error instanceof PlinthError) return error;
    if (this.#silence.signal.aborted) {
      return new LimitError(
        `${what} was silent for ${this.#timeoutMs} ms (timeoutMs). Raise it if the model is slow.`,
      );
    }
    const { message, cause } = error as Error;
    const reason = cause instanceof Error ? `${message}, ${cause.message}` : message;
    return new PlinthError('runtime', `${what} is not reached (${reason}). Is the server running?`, {
      cause: error,
    });
  }
}

/** The body as JSON. Throws FormatError. */
export async function readJson(response: Response): Promise<unknown> {
  const text = await response.text();
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new FormatError(
      `${response.url} answered ${JSON.stringify(text.slice(0, 100))}, which is not JSON. Is baseUrl right?`,
      { cause: error },
    );
  }
}

/** Whether an endpoint's words say that prompt and answer are longer than the model's context. */
export function isContextError(message: string): boolean {
  return /context_length_exceeded|maximum context length|maximum model length|exceeds? the (available )?context|exceed_context_size/i.test(
    message,
  );
}

function parseUrl(baseUrl: string): URL {
  const url = URL.canParse(baseUrl) ? new URL(baseUrl) : undefined;
  if (
    url &&
    (url.protocol === 'https:' || url.protocol === 'http:') &&
    url.search === '' &&
    url.hash === ''
  ) {
    return url;
  }
  throw new ConfigError(
    `baseUrl is ${JSON.stringify(baseUrl)}; expected an address such as https://api.openai.com/v1.`,
  );
}

function keyFromEnvironment({ protocol, hostname }: URL): string {
  const isHere = hostname === 'localhost' || hostname === '[::1]' || /^127\.\d+\.\d+\.\d+$/.test(hostname);
  if (protocol !== 'https:' && !isHere) return '';
  const { process } = globalThis as { process?: { env?: Record<string, string | undefined> } };
  return process?.env?.OPENAI_API_KEY ?? '';
}

export function wholeNumber(name: string, value: number, least: number, most: number): number {
  if (Number.isSafeInteger(value) && value >= least && value <= most) return value;
  throw new ConfigError(`${name} is ${value}; expected a whole number from ${least} to ${most}.`);
}

function mayRetry({ status, headers }: Response): boolean {
  const advice = headers.get('x-should-retry');
  if (advice === 'true' || advice === 'false') return advice === 'true';
  return status === 408 || status === 409 || status === 429 || status >= 500;
}

/** Milliseconds that the endpoint asks to wait: a number, or a date. */
function askedDelay(headers: Headers): number | undefined {
  const ms = Number(headers.get('retry-after-ms') ?? Number.NaN);
  if (ms >= 0) return ms;
  const after = headers.get('retry-after');
  if (after === null) return undefined;
  const seconds = Number(after);
  if (seconds >= 0) return 1000 * seconds;
  const date = Date.parse(after);
  return Number.isNaN(date) ? undefined : Math.max(0, date - Date.now());
}

/** What an error's body says, in one line. */
async function excerpt(response: Response): Promise<string> {
  const text = await response.text().catch(() => '');
  let said = text;
  try {
    said = messageOf(JSON.parse(text)) ?? text;
  } catch {
    // Not JSON: the text itself.
  }
  const line = said.replace(/\s+/g, ' ').trim();
  return line.length > EXCERPT_LENGTH ? `${line.slice(0, EXCERPT_LENGTH)} ...` : line.replace(/\.$/, '');
}

/** `error.message` or `message`, with the code or type that tells errors apart. */
export function messageOf(json: unknown): string | undefined {
  const body = json as { error?: unknown; message?: unknown } | null;
  const error = (body?.error ?? body) as
    | { message?: unknown; code?: unknown; type?: unknown }
    | string
    | null;
  if (typeof error === 'string') return error;
  if (typeof error?.message !== 'string') return undefined;
  const kind = [error.code, error.type].find((value) => typeof value === 'string');
  return kind === undefined ? error.message : `${error.message} (${kind})`;
}
