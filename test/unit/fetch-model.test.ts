/**
 * A model fetched over HTTP is the model loaded from its folder: same weights, same answers, whatever the form of the
 * files; what is missing, broken, cut short or stopped is said by name.
 */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type FetchLanguageModelOptions,
  type FetchProgress,
  fetchLanguageModel,
} from '../../src/decode/fetch-model.ts';
import { loadLanguageModel } from '../../src/decode/index.node.ts';
import { embeddingNames, loadCheckpoint, saveCheckpoint } from '../../src/model/checkpoint.node.ts';
import { quantizeWeights } from '../../src/model/quantize/quantize-weights.ts';
import { encodeSafetensors, parseSafetensors, type TensorInput } from '../../src/model/safetensors.ts';
import { cpuDevice } from '../../src/runtime/index.node.ts';
import { type ExportModel, exportModelOf, saveExportModel } from '../fixtures/models/export-model.ts';

const device = cpuDevice({ numThreads: 1 });
const BASE = 'https://models.test/small/';
const PROMPT = { messages: [{ role: 'user' as const, content: 'What may I do?' }] };

let root: string;
let model: ExportModel;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'plinth-fetch-'));
  model = exportModelOf();
  await saveExportModel(join(root, 'float'), model);
  const { config, weights } = model;
  for (const bits of [8, 4] as const) {
    const quantized = quantizeWeights(config, weights, { bits, keep: embeddingNames(config) }).weights;
    const files = await namesOf('float', ['tokenizer.json', 'tokenizer_config.json']);
    await saveCheckpoint(join(root, `q${bits}`), { config, weights: quantized, dtype: 'F16', files });
  }
});
afterAll(async () => rm(root, { recursive: true, force: true }));

async function namesOf(folder: string, names: readonly string[]): Promise<Map<string, Uint8Array>> {
  const read = async (name: string) =>
    [name, new Uint8Array(await readFile(join(root, folder, name)))] as const;
  return new Map(await Promise.all(names.map(read)));
}

const ALL = [
  'config.json',
  'generation_config.json',
  'model.safetensors',
  'tokenizer.json',
  'tokenizer_config.json',
];

type Answer = Response | ((url: string, signal: AbortSignal) => Response | Promise<Response>);

interface ServerOptions {
  readonly answers?: Readonly<Record<string, Answer>>;
  /** What a path without a file gets. */
  readonly fallback?: () => Response;
  /** Leave content-length out. */
  readonly sizeless?: boolean;
  readonly chunkBytes?: number;
}

/** A server in memory that sends files in small pieces and keeps what was asked for. */
function server(files: ReadonlyMap<string, Uint8Array>, options: ServerOptions = {}) {
  const { answers = {}, fallback = () => new Response('no', { status: 404 }), chunkBytes = 1000 } = options;
  const asked: string[] = [];
  const fetch: NonNullable<FetchLanguageModelOptions['fetch']> = async (url, { signal }) => {
    const { pathname } = new URL(url);
    const name = pathname.slice(pathname.lastIndexOf('/') + 1);
    asked.push(url);
    const answer = answers[name];
    if (answer) return typeof answer === 'function' ? answer(url, signal) : answer;
    const bytes = files.get(name);
    if (!bytes) return fallback();
    return new Response(inPieces(bytes, chunkBytes, signal), {
      headers: options.sizeless ? {} : { 'content-length': String(bytes.length) },
    });
  };
  return { fetch, asked };
}

function inPieces(bytes: Uint8Array, size: number, signal?: AbortSignal): ReadableStream<Uint8Array> {
  let at = 0;
  return new ReadableStream({
    pull(controller) {
      if (signal?.aborted) throw signal.reason;
      if (at >= bytes.length) return controller.close();
      controller.enqueue(bytes.slice(at, at + size));
      at += size;
    },
  });
}

async function answerOf(opened: Awaited<ReturnType<typeof fetchLanguageModel>>) {
  try {
    return await opened.generate(PROMPT, { maxTokens: 12, logprobs: 3, seed: 7 });
  } finally {
    await opened.dispose();
  }
}

/** Shards of the float model, with their index. */
async function sharded(totalSize: boolean): Promise<Map<string, Uint8Array>> {
  const files = await namesOf('float', ALL);
  const { tensors } = parseSafetensors(files.get('model.safetensors')!);
  files.delete('model.safetensors');
  const names = [...tensors.keys()];
  const weightMap: Record<string, string> = {};
  let size = 0;
  for (const [i, part] of [names.slice(0, 5), names.slice(5)].entries()) {
    const shard = `model-0000${i + 1}-of-00002.safetensors`;
    const inputs = part.map((name): TensorInput => {
      const { dtype, shape, bytes } = tensors.get(name)!;
      size += bytes.length;
      weightMap[name] = shard;
      return { name, dtype, shape, data: bytes };
    });
    files.set(shard, encodeSafetensors(inputs));
  }
  const index = { ...(totalSize && { metadata: { total_size: size } }), weight_map: weightMap };
  files.set('model.safetensors.index.json', new TextEncoder().encode(JSON.stringify(index)));
  return files;
}

describe('a fetched model answers as the loaded one', () => {
  it.each(['float', 'q8', 'q4'])('in form %s, and asks for its own files only', async (folder) => {
    const { fetch, asked } = server(await namesOf(folder, ALL), { sizeless: folder === 'q4' });
    const expected = await answerOf(await loadLanguageModel(join(root, folder), { device }));
    const got = await answerOf(await fetchLanguageModel(BASE, { device, fetch }));
    expect(got).toEqual(expected);
    expect(got.tokens.length).toBeGreaterThan(5);
    expect(asked.sort()).toEqual(ALL.map((name) => BASE + name).sort());
  });

  it('rounded to 8 bits after loading, as loading does', async () => {
    const { fetch } = server(await namesOf('float', ALL));
    const options = { device, quantize: 8, determinism: 'fast' } as const;
    const expected = await answerOf(await loadLanguageModel(join(root, 'float'), options));
    expect(await answerOf(await fetchLanguageModel(BASE, { ...options, fetch }))).toEqual(expected);
    const plain = await answerOf(await loadLanguageModel(join(root, 'float'), { device }));
    expect(expected.logprobs).not.toEqual(plain.logprobs);
  });

  it.each([true, false])('in shards (total size told: %s)', async (isTold) => {
    const { fetch } = server(await sharded(isTold));
    const progress: FetchProgress[] = [];
    const onProgress = (event: FetchProgress) => progress.push(event);
    const expected = await answerOf(await loadLanguageModel(join(root, 'float'), { device }));
    expect(await answerOf(await fetchLanguageModel(BASE, { device, fetch, onProgress }))).toEqual(expected);
    const last = progress.at(-1)!;
    expect(last.totalBytes).toBe(isTold ? last.loadedBytes : undefined);
  });

  it('without a tokenizer where it has none, unless one is required', async () => {
    const files = await namesOf('float', ['config.json', 'model.safetensors']);
    const opened = await fetchLanguageModel(BASE, { device, fetch: server(files).fetch });
    expect(opened.capabilities.chat).toBe(false);
    expect((await opened.generate([5, 6], { maxTokens: 3, ignoreStopTokens: true })).tokens).toHaveLength(3);
    await opened.dispose();
    const fetch = server(files).fetch;
    await expect(fetchLanguageModel(BASE, { device, fetch, requireTokenizer: true })).rejects.toThrowError(
      /no tokenizer.json/,
    );
  });

  it('with its chat template in a file of its own', async () => {
    const files = await namesOf('float', ALL);
    const tokenizerConfig = JSON.parse(new TextDecoder().decode(files.get('tokenizer_config.json')));
    files.set('chat_template.jinja', new TextEncoder().encode(tokenizerConfig.chat_template));
    delete tokenizerConfig.chat_template;
    files.set('tokenizer_config.json', new TextEncoder().encode(JSON.stringify(tokenizerConfig)));
    const expected = await answerOf(await loadLanguageModel(join(root, 'float'), { device }));
    expect(await answerOf(await fetchLanguageModel(BASE, { device, fetch: server(files).fetch }))).toEqual(
      expected,
    );
  });
});

describe('weights that arrive', () => {
  it('are told in bytes, from 0 to all', async () => {
    const files = await namesOf('float', ALL);
    const progress: FetchProgress[] = [];
    const { fetch } = server(files);
    const opened = await fetchLanguageModel(BASE, {
      device,
      fetch,
      onProgress: (event) => progress.push(event),
    });
    await opened.dispose();
    const { tensors } = parseSafetensors(files.get('model.safetensors')!);
    const total = [...tensors.values()].reduce((sum, { bytes }) => sum + bytes.length, 0);
    expect(progress[0]).toEqual({ loadedBytes: 0, totalBytes: total });
    expect(progress.at(-1)).toEqual({ loadedBytes: total, totalBytes: total });
    expect(progress.length).toBeGreaterThan(total / 1000);
    for (const [i, { loadedBytes }] of progress.entries()) {
      expect(loadedBytes).toBeGreaterThanOrEqual(progress[i - 1]?.loadedBytes ?? 0);
    }
  });

  it.each([1, 7, 1 << 20])('in pieces of %i bytes are those of the file, bit for bit', async (chunkBytes) => {
    const { SafetensorsStream } = await import('../../src/model/safetensors-stream.ts');
    const float = Float32Array.from({ length: 33 }, (_, i) => Math.sin(i));
    const file = encodeSafetensors([
      { name: 'a', dtype: 'F32', shape: [33], data: float },
      { name: 'b', dtype: 'F16', shape: [11, 3], data: float },
      { name: 'c', dtype: 'BF16', shape: [33], data: float },
      { name: 'd', dtype: 'U8', shape: [3], data: Uint8Array.of(1, 2, 3) },
      { name: 'e', dtype: 'F32', shape: [0], data: new Float32Array(0) },
    ]);
    const { tensors } = parseSafetensors(file);
    const stream = await SafetensorsStream.open(inPieces(file, chunkBytes), { path: 'x' });
    // Asked for in another order than they come in.
    for (const name of ['c', 'd', 'a', 'e']) {
      expect([...(await stream.readBytes(name))]).toEqual([...tensors.get(name)!.bytes]);
    }
    const { toFloat32 } = await import('../../src/model/safetensors.ts');
    expect(await stream.readFloat32('b')).toEqual(toFloat32(tensors.get('b')!));
    await expect(stream.readBytes('a')).rejects.toThrowError(/"a" was read before/);
    await expect(stream.readBytes('z')).rejects.toThrowError(/no tensor "z"/);
    await stream.close();
  });

  it('take up no more memory than they are long, though they share a file', async () => {
    const { SafetensorsStream } = await import('../../src/model/safetensors-stream.ts');
    const data = Float32Array.from({ length: 50_000 }, (_, i) => Math.cos(i));
    const names = ['a', 'b', 'c'];
    const file = encodeSafetensors(
      names.map((name) => ({ name, dtype: 'F32', shape: [data.length], data }) as const),
    );
    const stream = await SafetensorsStream.open(inPieces(file, 1 << 16), { path: 'x' });
    for (const name of names.reverse()) {
      const read = await stream.readFloat32(name);
      expect(read.buffer.byteLength).toBe(data.byteLength);
      expect(Buffer.from(read.buffer).equals(Buffer.from(data.buffer))).toBe(true);
    }
    await stream.close();
  });
});

describe('what goes wrong is said', () => {
  const html = () =>
    new Response('<!doctype html><html></html>', { headers: { 'content-type': 'text/html' } });
  const attempt = async (
    change: (files: Map<string, Uint8Array>) => void,
    serverOptions: ServerOptions = {},
    options: Partial<FetchLanguageModelOptions> = {},
  ) => {
    const files = await namesOf('float', ALL);
    change(files);
    return fetchLanguageModel(BASE, { device, fetch: server(files, serverOptions).fetch, ...options });
  };
  const cut = (name: string, numBytes: number) => (files: Map<string, Uint8Array>) =>
    files.set(name, files.get(name)!.slice(0, -numBytes));

  it('a folder that is not there', async () => {
    await expect(attempt((files) => files.clear())).rejects.toMatchObject({
      code: 'data',
      message: expect.stringMatching(/small\/ does not have config.json \(404\).*Check the address/),
    });
    await expect(attempt((files) => files.delete('model.safetensors'))).rejects.toThrowError(
      /neither model.safetensors \(404\) nor model.safetensors.index.json \(404\).*Pickled/,
    );
  });

  it('a page of HTML where a file should be, while optional files may be missing that way', async () => {
    const fallback = html;
    await expect(attempt((files) => files.clear(), { fallback })).rejects.toMatchObject({
      code: 'data',
      message: expect.stringMatching(/config.json \(a page of HTML instead\).*public\/ with Vite/),
    });
    await expect(attempt((files) => files.delete('model.safetensors'), { fallback })).rejects.toThrowError(
      /neither model.safetensors \(a page of HTML instead\)/,
    );
    const untyped = () => new Response('\n<HTML lang="en">');
    await expect(attempt((files) => files.delete('config.json'), { fallback: untyped })).rejects.toThrowError(
      /config.json \(a page of HTML instead\)/,
    );
    const opened = await attempt((files) => files.delete('generation_config.json'), { fallback });
    await opened.dispose();
  });

  it('weights that are cut short, with and without a known size, or too long', async () => {
    for (const sizeless of [true, false]) {
      await expect(attempt(cut('model.safetensors', 100), { sizeless })).rejects.toMatchObject({
        code: 'format',
        message: expect.stringMatching(/model.safetensors.*truncated/),
      });
      const head = (files: Map<string, Uint8Array>) =>
        files.set('model.safetensors', files.get('model.safetensors')!.slice(0, 40));
      await expect(attempt(head, { sizeless })).rejects.toThrowError(
        sizeless ? /ends at byte 40, in the middle of its header/ : /[Tt]runcated/,
      );
    }
    const longer = (files: Map<string, Uint8Array>) =>
      files.set('model.safetensors', Uint8Array.from([...files.get('model.safetensors')!, 0]));
    await expect(attempt(longer, { sizeless: true })).rejects.toThrowError(/goes on after the \d+ bytes/);
    const lfs = (files: Map<string, Uint8Array>) =>
      files.set('model.safetensors', new TextEncoder().encode('version https://git-lfs.github.com/spec/v1'));
    await expect(attempt(lfs)).rejects.toThrowError(/Not a safetensors file/);
  });

  it('a connection that breaks, a server that fails, one that cannot be reached', async () => {
    const broken: Answer = () => {
      let sent = 0;
      return new Response(
        new ReadableStream({
          pull(controller) {
            if (sent++ > 0) throw new TypeError('network error');
            controller.enqueue(new Uint8Array(4));
          },
        }),
      );
    };
    await expect(attempt(() => {}, { answers: { 'model.safetensors': broken } })).rejects.toMatchObject({
      code: 'runtime',
      message: expect.stringMatching(/broke off: network error/),
    });
    const failing = () => new Response('', { status: 503, statusText: 'Service Unavailable' });
    await expect(attempt(() => {}, { answers: { 'tokenizer.json': failing } })).rejects.toThrowError(
      /tokenizer.json: the server answered 503 Service Unavailable/,
    );
    const gone: Answer = () => Promise.reject(new TypeError('Failed to fetch'));
    await expect(attempt(() => {}, { answers: { 'config.json': gone } })).rejects.toThrowError(
      /Could not fetch .*config.json: Failed to fetch.*CORS/,
    );
  });

  it('files that contradict each other, before the weights are downloaded', async () => {
    let sent = 0;
    const files = await namesOf('float', ALL);
    const config = JSON.parse(new TextDecoder().decode(files.get('config.json')));
    const weights: Answer = () =>
      new Response(
        inPieces(files.get('model.safetensors')!, 1000).pipeThrough(
          new TransformStream<Uint8Array, Uint8Array>({
            transform(chunk, controller) {
              sent += chunk.length;
              controller.enqueue(chunk);
            },
          }),
        ),
      );
    const other = { ...config, intermediate_size: 128 };
    await expect(
      attempt((all) => all.set('config.json', new TextEncoder().encode(JSON.stringify(other))), {
        answers: { 'model.safetensors': weights },
      }),
    ).rejects.toThrowError(/of different models/);
    expect(sent).toBeLessThan(20_000);
    expect(files.get('model.safetensors')!.length).toBeGreaterThan(300_000);
    await expect(
      attempt((all) => all.set('config.json', new TextEncoder().encode('{"a":'))),
    ).rejects.toThrowError(/config.json is not JSON/);
  });

  it('an address that is none', async () => {
    await expect(fetchLanguageModel('models/small', { device })).rejects.toMatchObject({
      code: 'config',
      message: expect.stringMatching(/"models\/small" is no address/),
    });
  });

  it('a query goes with every file, and a folder needs no slash at its end', async () => {
    const { fetch, asked } = server(await namesOf('float', ALL));
    const opened = await fetchLanguageModel('https://models.test/small?key=a%20b#x', { device, fetch });
    await opened.dispose();
    expect(asked).toContain(`${BASE}config.json?key=a%20b`);
    expect(asked).toHaveLength(ALL.length);
  });
});

describe('an abort', () => {
  it('before, during and at the end of the download is a CancelledError', async () => {
    const files = await namesOf('float', ALL);
    const early = new AbortController();
    early.abort();
    const first = server(files);
    await expect(
      fetchLanguageModel(BASE, { device, fetch: first.fetch, signal: early.signal }),
    ).rejects.toMatchObject({ code: 'cancelled' });
    expect(first.asked).toEqual([]);

    for (const share of [0.3, 1]) {
      const controller = new AbortController();
      let loaded = 0;
      const onProgress = ({ loadedBytes, totalBytes }: FetchProgress) => {
        loaded = loadedBytes;
        if (loadedBytes >= share * totalBytes!) controller.abort();
      };
      const { fetch } = server(files);
      const fetching = fetchLanguageModel(BASE, { device, fetch, onProgress, signal: controller.signal });
      await expect(fetching).rejects.toMatchObject({ code: 'cancelled' });
      if (share < 1) expect(loaded).toBeLessThan(0.5 * files.get('model.safetensors')!.length);
    }
  });
});

describe('what a folder and an address share', () => {
  it('is refused in the same words', async () => {
    await writeFile(join(root, 'float', 'generation_config.json'), '{"eos_token_id": 9999}');
    const files = await namesOf('float', ALL);
    const loading = loadLanguageModel(join(root, 'float'), { device }).then(
      String,
      (error: Error) => error.message,
    );
    const fetching = fetchLanguageModel(BASE, { device, fetch: server(files).fetch }).then(
      String,
      (error: Error) => error.message,
    );
    expect(await fetching).toBe(await loading);
    expect(await fetching).toMatch(/"eos_token_id" holds 9999/);
    expect((await loadCheckpoint(join(root, 'float'))).rawGenerationConfig).toEqual({ eos_token_id: 9999 });
  });
});
