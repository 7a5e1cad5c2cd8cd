/**
 * A GGUF file checked and loaded into llama.cpp. What would end the process there is refused here first: files
 * that are none, and names of tokens that stand twice.
 */
import { open } from 'node:fs/promises';
import type { GgufFileInfo, LlamaContext, LlamaModel } from 'node-llama-cpp';
import { DataError, FormatError, LimitError } from '../../core/errors.ts';

import { disposedError } from '../language-model-calls.ts';
import { GgufTokenizer, vocabularyNames } from './gguf-tokenizer.node.ts';
import { type LoadedLlama, loadLlama } from './llama-library.node.ts';

export interface ContextOptions {
  readonly contextLength: number | undefined;
  readonly maxBatchSize: number;
  readonly numThreads: number;
  readonly cacheType: 'F32' | 'F16';
}

export interface OpenGgufFile {
  readonly model: LlamaModel;
  readonly context: LlamaContext;
  readonly tokenizer: GgufTokenizer;
  /** Positions of one sequence. */
  readonly contextLength: number;
  readonly vocabSize: number;
  /** Tokens that llama.cpp takes for the end of an answer. */
  readonly stopTokens: readonly number[];
  /** The file wants it in front of every text. */
  readonly startToken: number | undefined;
  readonly chatTemplate: string | null;
}

/** Positions of a context when none are asked for: memory grows with them, and some models allow millions. */
const DEFAULT_CONTEXT_LENGTH = 4096;

/** Throws DataError, FormatError, ConfigError or LimitError for a file that cannot be read, run or held. */
export async function openGgufFile(path: string, options: ContextOptions): Promise<OpenGgufFile> {
  await checkMagic(path);
  const loaded = await loadLlama();
  const info = await readInfo(path, loaded);
  const vocabulary = info.metadata.tokenizer?.ggml ?? {};
  const names = vocabularyNames(vocabulary);
  const model = await attempt(loaded, `llama.cpp does not load ${path}`, () =>
    loaded.llama.loadModel({ modelPath: path, defaultContextFlashAttention: false }),
  );
  try {
    const tokenizer = new GgufTokenizer(vocabulary, (text, parseSpecial) => {
      if (model.disposed) throw disposedError();
      return model.tokenize(text, parseSpecial);
    });
    const contextLength = wantedLength(model.trainContextSize, options.contextLength);
    const context = await createContext(loaded, model, contextLength, options);
    const { bos, eos, shouldPrependBosToken } = model.tokens;
    const template = info.metadata.tokenizer?.chat_template;
    const ends = new Set([...tokenizer.specialTokens.values(), ...(eos === null ? [] : [eos])]);
    return {
      model,
      context,
      tokenizer,
      contextLength,
      vocabSize: names.length,
      stopTokens: [...ends].filter((id) => model.isEogToken(id as never)),
      startToken: shouldPrependBosToken && bos !== null ? bos : undefined,
      chatTemplate: typeof template === 'string' ? template : null,
    };
  } catch (error) {
    await model.dispose();
    throw error;
  }
}

async function checkMagic(path: string): Promise<void> {
  let magic: string;
  try {
    const file = await open(path);
    try {
      const { buffer, bytesRead } = await file.read(Buffer.alloc(4), 0, 4, 0);
      magic = buffer.toString('latin1', 0, bytesRead);
    } finally {
      await file.close();
    }
  } catch (error) {
    throw new DataError(`${path} cannot be read: ${(error as Error).message}`, { cause: error });
  }
  if (magic !== 'GGUF') {
    throw new FormatError(
      `${path} is no GGUF file: it begins with ${JSON.stringify(magic)} instead of "GGUF". Was it downloaded in full?`,
    );
  }
}

async function readInfo(path: string, { library }: LoadedLlama): Promise<GgufFileInfo> {
  try {
    return await library.readGgufFileInfo(path, { sourceType: 'filesystem', logWarnings: false });
  } catch (error) {
    throw new FormatError(`${path}: the header cannot be read (${(error as Error).message}).`, {
      cause: error,
    });
  }
}

function wantedLength(trained: number, wanted: number | undefined): number {
  if (wanted === undefined) return Math.min(trained, DEFAULT_CONTEXT_LENGTH);
  if (wanted > trained) {
    throw new LimitError(
      `contextLength is ${wanted}; the model was trained on ${trained} positions. Ask for at most that.`,
    );
  }
  return wanted;
}

/** Without flash attention, which changes results, and with a cache of the type asked for. */
function createContext(
  loaded: LoadedLlama,
  model: LlamaModel,
  contextLength: number,
  { maxBatchSize, numThreads, cacheType }: ContextOptions,
): Promise<LlamaContext> {
  const what =
    `llama.cpp makes no context of ${contextLength} positions for ${maxBatchSize} sequences ` +
    '(contextLength, maxBatchSize)';
  return attempt(loaded, what, () =>
    model.createContext({
      contextSize: contextLength,
      sequences: maxBatchSize,
      flashAttention: false,
      threads: { ideal: numThreads, min: numThreads },
      experimentalKvCacheKeyType: cacheType,
      experimentalKvCacheValueType: cacheType,
      failedCreationRemedy: false,
    }),
  );
}

async function attempt<T>(loaded: LoadedLlama, what: string, work: () => Promise<T>): Promise<T> {
  loaded.takeMessages();
  try {
    return await work();
  } catch (error) {
    const said = [(error as Error).message, ...loaded.takeMessages()].join('; ');
    throw /memory/i.test((error as Error).message)
      ? new LimitError(`${what}: ${said}. Lower contextLength or maxBatchSize.`)
      : new FormatError(`${what}: ${said}`, { cause: error });
  }
}
