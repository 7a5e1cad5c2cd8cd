/**
 * Models in Hugging Face folders against a second implementation in float64 (make-transformer.py): greedy
 * tokens, logits, training loss and every gradient, over the architectures and number formats that load.
 */
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type LanguageModel, loadLanguageModel } from '../../src/decode/index.node.ts';
import { type Checkpoint, loadCheckpoint } from '../../src/model/checkpoint.node.ts';
import { parseSafetensors, toFloat32 } from '../../src/model/safetensors.ts';
import { causalMask, logits, transformer } from '../../src/model/transformer.ts';
import { cpuDevice, type Feed } from '../../src/runtime/index.node.ts';
import { grad, input } from '../../src/tensor/index.ts';
import { languageModelObjective } from '../../src/train/objective.ts';

interface Golden {
  greedy: { prompt: number[]; tokens: number[]; gap: number }[];
  logits: number[][];
  training?: { rows: number[][]; mask: number[][]; loss: number };
}

const golden: Record<string, Golden> = JSON.parse(
  readFileSync(new URL('transformer.json', import.meta.url), 'utf8'),
);
const folderOf = (name: string) => new URL(`../fixtures/models/${name}`, import.meta.url).pathname;
const device = cpuDevice({ numThreads: 1 });
const count = 24;

function parameterInputs({ weights }: Checkpoint) {
  return Object.fromEntries([...weights].map(([name, { shape }]) => [name, input(name, shape)]));
}

/** Largest distance, over the largest number of the reference. */
function relativeError(got: ArrayLike<number>, want: ArrayLike<number>): number {
  expect(got.length).toBe(want.length);
  let worst = 0;
  let scale = 0;
  for (let i = 0; i < want.length; i++) {
    expect(got[i]).not.toBeNaN();
    worst = Math.max(worst, Math.abs(got[i]! - want[i]!));
    scale = Math.max(scale, Math.abs(want[i]!));
  }
  return worst / scale;
}

describe.each(Object.entries(golden))('%s', (name, { greedy, logits: wantLogits, training }) => {
  let model: LanguageModel;
  let checkpoint: Checkpoint;

  beforeAll(async () => {
    model = await loadLanguageModel(folderOf(name), { device });
    checkpoint = await loadCheckpoint(folderOf(name));
  });
  afterAll(() => model.dispose());

  it('generates the same greedy tokens', async () => {
    for (const { prompt, tokens } of greedy) {
      const completion = await model.generate(prompt, { maxTokens: count, ignoreStopTokens: true });
      expect(completion.tokens).toEqual(tokens);
      expect(completion.finishReason).toBe('length');
    }
  });

  it('generates the same greedy tokens in a batch and from a prompt read in chunks', async () => {
    const chunked = await loadLanguageModel(folderOf(name), { device, chunkLength: 7, maxBatchSize: 3 });
    for (const one of [model, chunked]) {
      const completions = await one.generateMany(
        greedy.map(({ prompt }) => prompt),
        { maxTokens: count, ignoreStopTokens: true },
      );
      expect(completions.map(({ tokens }) => tokens)).toEqual(greedy.map(({ tokens }) => tokens));
    }
    await chunked.dispose();
  });

  it('gives the same log-probabilities from its cache', async () => {
    const { prompt, tokens } = greedy[0]!;
    const { logprobs } = await model.generate(prompt, {
      maxTokens: count,
      ignoreStopTokens: true,
      logprobs: wantLogits[0]!.length,
    });
    tokens.forEach((token, i) => {
      const row = wantLogits[prompt.length - 1 + i]!;
      const top = Math.max(...row);
      const total = top + Math.log(row.reduce((sum, value) => sum + Math.exp(value - top), 0));
      expect(logprobs![i]!.token).toBe(token);
      const got: number[] = [];
      for (const entry of logprobs![i]!.top) got[entry.token] = entry.logprob;
      row.forEach((value, id) => {
        expect(Math.abs(got[id]! - (value - total))).toBeLessThan(1e-4);
      });
    });
  });

  it('gives the same logits from a whole sequence', async () => {
    const { prompt, tokens } = greedy[0]!;
    const ids = [...prompt, ...tokens];
    const T = ids.length;
    const parameters = parameterInputs(checkpoint);
    const { hiddenND } = transformer(
      parameters,
      checkpoint.config,
      {
        idsBT: input('ids', [1, T], 'int32'),
        positionsBT: input('positions', [1, T], 'int64'),
        maskTT: causalMask(T),
      },
      { maxPositions: T },
    );
    const program = await device.compile({ y: logits(parameters, checkpoint.config, hiddenND) });
    const { y } = await program.run({
      ...Object.fromEntries(checkpoint.weights),
      ids: Int32Array.from(ids),
      positions: BigInt64Array.from(ids, (_, i) => BigInt(i)),
    });
    const got = (await y!.read()) as Float32Array;
    const want = wantLogits.flat();
    want.forEach((value, i) => {
      expect(Math.abs(got[i]! - value)).toBeLessThan(1e-4);
    });
    await program.dispose();
  });

  if (!training) return;

  it('has the same training loss and gradients', async () => {
    const { rows, mask, loss: wantLoss } = training;
    const batchSize = rows.length;
    const sequenceLength = rows[0]!.length - 1;
    const parameters = parameterInputs(checkpoint);
    const lossScale = input('lossScale', []);
    const objective = languageModelObjective(checkpoint.config, {
      batchSize,
      length: sequenceLength,
      segments: false,
    });
    const { loss } = objective.build(parameters, lossScale);
    const names = Object.keys(parameters);
    const gradients = grad(loss, Object.values(parameters));
    const program = await device.compile({
      loss,
      ...Object.fromEntries(names.map((parameter, i) => [`gradient/${parameter}`, gradients[i]!])),
    });
    const numTargets = mask.flat().reduce((a, b) => a + b);
    const feeds: Record<string, Feed> = {
      ...Object.fromEntries(checkpoint.weights),
      lossScale: Float32Array.of(1 / numTargets),
      ...objective.feeds({
        batchSize,
        sequenceLength,
        inputIds: Int32Array.from(rows.flatMap((row) => row.slice(0, -1))),
        targets: Int32Array.from(rows.flatMap((row) => row.slice(1))),
        lossMask: Float32Array.from(mask.flat()),
        segmentIds: new Int32Array(batchSize * sequenceLength).fill(1),
        positions: Int32Array.from({ length: batchSize * sequenceLength }, (_, i) => i % sequenceLength),
        numTargets,
      }),
    };
    const results = await program.run(feeds);
    const gotLoss = Number((await results.loss!.read())[0]);
    expect(Math.abs(gotLoss - wantLoss) / wantLoss).toBeLessThan(1e-4);
    const bytes = readFileSync(new URL(`../fixtures/models/${name}.gradients.safetensors`, import.meta.url));
    const want = parseSafetensors(new Uint8Array(bytes));
    expect(names.length).toBe(want.tensors.size);
    for (const parameter of names) {
      const got = (await results[`gradient/${parameter}`]!.read()) as Float32Array;
      const error = relativeError(got, toFloat32(want.tensors.get(parameter)!));
      expect({ parameter, isClose: error < 1e-4, error }).toMatchObject({ parameter, isClose: true });
    }
    await program.dispose();
  });
});
