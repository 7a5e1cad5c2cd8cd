/** `plinth quantize` and the measurement behind it, on a small model. */
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { quantizeCommand } from '../../src/cli/commands/quantize.ts';
import { measureQuantization } from '../../src/evaluate/quantization-difference.ts';
import { loadCheckpoint, saveCheckpoint } from '../../src/model/checkpoint.node.ts';
import { dequantizeWeights, quantizeWeights } from '../../src/model/quantize/quantize-weights.ts';
import { isQuantized } from '../../src/model/quantized.ts';
import { causalMask, logits, transformer } from '../../src/model/transformer.ts';
import { cpuDevice } from '../../src/runtime/index.node.ts';
import * as t from '../../src/tensor/index.ts';
import { formatTokenizerJson, trainBpe } from '../../src/tokenizer/index.ts';
import { tinyModel } from '../fixtures/models/random-model.ts';

let folder: string;
const device = cpuDevice({ numThreads: 1 });
const texts = Array.from(
  { length: 12 },
  (_, i) => `The lamp in room ${i} burns ${i % 2 ? 'red' : 'green'} at night.`,
);
const { config, weights } = tinyModel({
  vocabSize: 320,
  hiddenSize: 64,
  headDim: 16,
  intermediateSize: 96,
  tieWordEmbeddings: true,
  initializerRange: 0.08,
  eosTokenIds: [3],
});

async function run(...args: string[]): Promise<string> {
  let out = '';
  const spy = vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    out += text;
    return true;
  });
  try {
    await quantizeCommand()
      .exitOverride()
      .configureOutput({ writeErr: () => {} })
      .parseAsync(args, { from: 'user' });
  } finally {
    spy.mockRestore();
  }
  return out;
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'plinth-quantize-'));
  const tokenizer = trainBpe(texts, { vocabSize: 300 });
  await saveCheckpoint(join(folder, 'model'), {
    config,
    weights,
    generation: { temperature: 0.5 },
    files: new Map([['tokenizer.json', formatTokenizerJson(tokenizer)]]),
  });
  await writeFile(join(folder, 'texts.jsonl'), texts.map((text) => JSON.stringify({ text })).join('\n'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe('plinth quantize', () => {
  it('writes a folder of less than half the size and says what it costs', async () => {
    const out = join(folder, 'four');
    const text = await run(
      join(folder, 'model'),
      '--bits',
      '4',
      '--out',
      out,
      '--dtype',
      'F32',
      '--json',
      '--threads',
      '1',
      '--evaluate',
      join(folder, 'texts.jsonl'),
    );
    const result = JSON.parse(text);
    expect(result).toMatchObject({ bits: 4, blockSize: 32, numQuantized: 14, notes: [] });
    expect(result.kept.map(({ name }: { name: string }) => name)).toEqual(['model.embed_tokens.weight']);
    expect(result.sizeAfter).toBe((await readFile(join(out, 'model.safetensors'))).length);
    expect(result.sizeAfter).toBeLessThan(0.5 * result.sizeBefore);
    expect(result.evaluation).toMatchObject({ unit: 'byte', numDocuments: 12, numSkipped: 0 });
    expect(result.evaluation.difference.value).toBeCloseTo(
      result.evaluation.after - result.evaluation.before,
      9,
    );
    expect(result.evaluation.before).not.toBe(result.evaluation.after);
    expect(result.evaluation.sameGreedy.share).toBeGreaterThan(0.4);
    expect(result.weightError.relative).toBeGreaterThan(0.05);
    const loaded = await loadCheckpoint(out, { quantized: 'keep' });
    expect([...loaded.weights.values()].filter(isQuantized)).toHaveLength(14);
    expect(loaded.rawGenerationConfig).toMatchObject({ temperature: 0.5, eos_token_id: 3 });
    expect(await readFile(join(out, 'tokenizer.json'), 'utf8')).toBe(
      await readFile(join(folder, 'model', 'tokenizer.json'), 'utf8'),
    );
  });

  it('prints a table for people', async () => {
    const keep = 'model.layers.0.mlp.down_proj.weight';
    const text = await run(
      join(folder, 'model'),
      '--bits',
      '8',
      '--out',
      join(folder, 'eight'),
      '--keep',
      keep,
      '--threads',
      '1',
      '--evaluate',
      join(folder, 'texts.jsonl'),
    );
    expect(text).toMatch(/^13 matrices to 8 bits in blocks of 32; 2 stay floats\.$/m);
    expect(text).toMatch(/down_proj.weight: asked for by name/);
    expect(text).toMatch(
      /^bits a byte +\d+\.\d{4} +\d+\.\d{4} +[+-]0\.\d{4} \([+-]0\.\d{4} to [+-]0\.\d{4}\)$/m,
    );
    expect(text).toMatch(/^Same most likely token at \d+\.\d\d % .* of \d+ places in 12 documents\.$/m);
  });

  it('refuses what it would not do', async () => {
    const model = join(folder, 'model');
    const out = join(folder, 'no');
    await expect(run(model, '--bits', '5', '--out', out)).rejects.toThrowError(/Expected 8 or 4/);
    await expect(run(model, '--bits', '8', '--out', model)).rejects.toThrowError(/the model itself/);
    await expect(run(model, '--bits', '8', '--out', out, '--threads', '1')).rejects.toThrowError(
      /--threads is about/,
    );
    await expect(run(model, '--bits', '8', '--out', out, '--block-size', '20')).rejects.toThrowError(
      /Block size 20/,
    );
    await expect(run(model, '--bits', '8', '--out', out, '--block-size', '256')).rejects.toThrowError(
      /No matrix can be quantised: .*rows of 64 are no multiple of 256/,
    );
    await mkdir(out);
    await expect(run(model, '--bits', '8', '--out', out)).rejects.toThrowError(/already there/);
    await run(model, '--bits', '8', '--out', out, '--overwrite');
    await expect(run(out, '--bits', '4', '--out', join(folder, 'twice'))).rejects.toThrowError(
      /quantised to 8 bits/,
    );
  });
});

describe('measureQuantization', () => {
  const documents = [[5, 9, 200, 31, 7, 7, 12], [1, 2], [3], [40, 41, 42, 43, 44]].map((tokens) => ({
    tokens,
  }));

  /** Nats of each token after the first of a document, straight from the scores of one unbatched run. */
  async function natsOf(values: typeof weights, tokens: number[]): Promise<number> {
    const T = tokens.length - 1;
    const parameters = Object.fromEntries(
      [...values].map(([name, { shape, data }]) => [name, t.constant(data, shape, 'float32')]),
    );
    const idsBT = t.constant(Int32Array.from(tokens.slice(0, -1)), [1, T], 'int32');
    const positionsBT = t.constant(
      BigInt64Array.from({ length: T }, (_, i) => BigInt(i)),
      [1, T],
      'int64',
    );
    const { hiddenND } = transformer(
      parameters,
      config,
      { idsBT, positionsBT, maskTT: causalMask(T) },
      { maxPositions: T },
    );
    const executable = await device.compile({ y: logits(parameters, config, hiddenND) });
    const scores = (await (await executable.run({})).y!.read()) as Float32Array;
    await executable.dispose();
    let nats = 0;
    for (let i = 0; i < T; i++) {
      const row = scores.subarray(i * config.vocabSize, (i + 1) * config.vocabSize);
      const sum = row.reduce((total, score) => total + Math.exp(score), 0);
      nats += Math.log(sum) - row[tokens[i + 1]!]!;
    }
    return nats;
  }

  it('gives the losses of both models, whatever the windows', async () => {
    const mixed = dequantizeWeights(quantizeWeights(config, weights, { bits: 4 }).weights);
    const got = await measureQuantization({ config, weights, quantized: mixed, documents, device });
    let before = 0;
    let after = 0;
    for (const { tokens } of documents.filter((one) => one.tokens.length > 1)) {
      before += await natsOf(weights, tokens);
      after += await natsOf(mixed, tokens);
    }
    expect(got).toMatchObject({ unit: 'token', numDocuments: 3, numSkipped: 1, numTokens: 11 });
    expect(got.lossBefore).toBeCloseTo(before / 11, 4);
    expect(got.lossAfter).toBeCloseTo(after / 11, 4);
    expect(got.before).toBeCloseTo(before / 11 / Math.LN2, 4);
    expect(Math.abs(before - after)).toBeGreaterThan(1e-3);
  });

  it('finds no difference between a model and itself, and more with fewer bits', async () => {
    const measure = (quantized: Parameters<typeof measureQuantization>[0]['quantized']) =>
      measureQuantization({ config, weights, quantized, documents, device, length: 4 });
    const same = await measure(weights);
    expect(same.difference.value).toBe(0);
    expect(same.sameGreedy.share).toBe(1);
    const [eight, four] = [
      await measure(quantizeWeights(config, weights, { bits: 8 }).weights),
      await measure(quantizeWeights(config, weights, { bits: 4 }).weights),
    ];
    expect(Math.abs(eight.lossAfter - eight.lossBefore)).toBeLessThan(0.02);
    expect(eight.lossAfter).not.toBe(eight.lossBefore);
    expect(Math.abs(four.lossAfter - four.lossBefore)).toBeGreaterThan(
      Math.abs(eight.lossAfter - eight.lossBefore),
    );
  });

  it('refuses documents that say nothing or hold other tokens, and stops on request', async () => {
    const attempt = (tokens: number[], signal?: AbortSignal) =>
      measureQuantization({
        config,
        weights,
        quantized: weights,
        documents: [{ tokens }],
        device,
        ...(signal && { signal }),
      });
    await expect(attempt([4])).rejects.toThrowError(/at least two tokens/);
    await expect(attempt([4, 320])).rejects.toThrowError(
      /token 320 at place 1; expected ids below the model's 320/,
    );
    await expect(attempt([4, 5], AbortSignal.abort())).rejects.toMatchObject({ code: 'cancelled' });
  });
});
