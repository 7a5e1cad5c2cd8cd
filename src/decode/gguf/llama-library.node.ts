/**
 * The optional package node-llama-cpp, loaded when the first GGUF file is. One instance of llama.cpp serves the
 * process: CPU only, never built or downloaded, and as many threads as each context asks for.
 */
import type { Llama } from 'node-llama-cpp';
import { ConfigError, PlinthError } from '../../core/errors.ts';

export type LlamaLibrary = typeof import('node-llama-cpp');

export interface LoadedLlama {
  readonly library: LlamaLibrary;
  readonly llama: Llama;
  /** What llama.cpp has complained about since the last call. */
  takeMessages(): string[];
}

const MAX_MESSAGES = 20;
let loading: Promise<LoadedLlama> | undefined;

/** Throws ConfigError when the package or its binary for this machine is not installed. */
export function loadLlama(): Promise<LoadedLlama> {
  loading ??= load();
  loading.catch(() => {
    loading = undefined;
  });
  return loading;
}

async function load(): Promise<LoadedLlama> {
  const library = await importLibrary();
  const messages: string[] = [];
  try {
    const llama = await library.getLlama({
      gpu: false,
      build: 'never',
      skipDownload: true,
      // No limit here: every context says how many it uses. The default of 4 is far too many for 2 cores.
      maxThreads: 0,
      logger: (level, message) => {
        if (level !== 'error' && level !== 'fatal' && level !== 'warn') return;
        messages.push(message.trim());
        if (messages.length > MAX_MESSAGES) messages.shift();
      },
    });
    return { library, llama, takeMessages: () => messages.splice(0) };
  } catch (error) {
    throw new ConfigError(
      `node-llama-cpp is installed, but not its binary for ${process.platform}-${process.arch} ` +
        `(${(error as Error).message}). ${installation()}`,
      { cause: error },
    );
  }
}

async function importLibrary(): Promise<LlamaLibrary> {
  try {
    return await import('node-llama-cpp');
  } catch (error) {
    const { code, cause } = error as { code?: unknown; cause?: { code?: unknown } };
    // Module loaders of tools wrap the error.
    if (![code, cause?.code].includes('ERR_MODULE_NOT_FOUND')) {
      throw new PlinthError('runtime', `node-llama-cpp does not load: ${(error as Error).message}`, {
        cause: error,
      });
    }
    throw new ConfigError(`GGUF files are run by the package node-llama-cpp. ${installation()}`, {
      cause: error,
    });
  }
}

function installation(): string {
  const { platform, arch } = process;
  const system = platform === 'darwin' ? 'mac' : platform === 'win32' ? 'win' : platform;
  const binary = `${system}-${arch}${system === 'mac' && arch === 'arm64' ? '-metal' : ''}`;
  return (
    `Install it with\n  npm install --ignore-scripts --omit=optional node-llama-cpp @node-llama-cpp/${binary}\n` +
    'which takes about 85 MB; without these flags npm also fetches binaries for GPUs.'
  );
}
