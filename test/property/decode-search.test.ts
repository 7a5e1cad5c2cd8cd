/**
 * Searches on the engine (cached, batched, rows forked and dropped) against plain ones written here, which run the
 * whole model from the start for every beam and every candidate; and that company, chunks and little memory change
 * nothing. Beam search there keeps fixed arrays with scores of -1e9 for what is not there, as transformers does.
 */
import { afterAll, describe, expect, it } from 'vitest';
import { KeyedRandom } from '../../src/core/random.ts';
import { Decoder } from '../../src/decode/decoder.ts';
import { DecodeEngine } from '../../src/decode/engine.ts';
import { createLanguageModel, type GenerateOptions } from '../../src/decode/index.ts';
import { BeamSearch } from '../../src/decode/search/beam-search.ts';
import { causalMask, logits, transformer } from '../../src/model/transformer.ts';
import { cpuDevice, type Executable } from '../../src/runtime/index.node.ts';
import { input } from '../../src/tensor/index.ts';
import { tinyModel } from '../fixtures/models/random-model.ts';

const device = cpuDevice({ numThreads: 1 });
/** Places of the reference's graph. */
const T = 32;

const models = {
  'qwen3, grouped queries': tinyModel({ initializerRange: 0.2 }, 2),
  'llama, tied, biases': tinyModel(
    {
      architecture: 'llama',
      tieWordEmbeddings: true,
      attentionBias: true,
      mlpBias: true,
      numKvHeads: 4,
      initializerRange: 0.15,
    },
    3,
  ),
};
type Model = ReturnType<typeof tinyModel>;

function promptsOf(count: number, longest: number, seed: number): number[][] {
  const random = new KeyedRandom(seed);
  return Array.from({ length: count }, (_, i) =>
    Array.from({ length: 1 + random.integer(i, longest) }, (_, j) => random.integer(1000 * (i + 1) + j, 96)),
  );
}

/** The whole model without a cache: scores and hidden states of every place of a text. */
class WholeModel {
  readonly #model: Model;
  readonly #program: Promise<Executable>;

  constructor(model: Model) {
    this.#model = model;
    const { config, weights } = model;
    const parameters = Object.fromEntries(
      [...weights].map(([name, { shape }]) => [name, input(name, shape)]),
    );
    const { hiddenND } = transformer(
      parameters,
      config,
      {
        idsBT: input('ids', [1, T], 'int32'),
        positionsBT: input('positions', [1, T], 'int64'),
        maskTT: causalMask(T),
      },
      { maxPositions: T },
    );
    this.#program = device.compile({ y: logits(parameters, config, hiddenND), hidden: hiddenND });
  }

  async run(tokens: readonly number[]) {
    const { config, weights } = this.#model;
    const ids = new Int32Array(T);
    ids.set(tokens);
    const results = await (await this.#program).run({
      ...Object.fromEntries(weights),
      ids,
      positions: BigInt64Array.from({ length: T }, (_, i) => BigInt(i)),
    });
    const y = (await results.y!.read()) as Float32Array;
    const hidden = (await results.hidden!.read()) as Float32Array;
    const rowsOf = (data: Float32Array, size: number) =>
      tokens.map((_, i) => [...data.subarray(i * size, (i + 1) * size)]);
    return { logits: rowsOf(y, config.vocabSize), hidden: rowsOf(hidden, config.hiddenSize) };
  }

  /** Log-probabilities of what comes after a text. */
  async next(tokens: readonly number[]): Promise<number[]> {
    const row = (await this.run(tokens)).logits.at(-1)!;
    const most = Math.max(...row);
    const logTotal = Math.log(row.reduce((sum, value) => sum + Math.exp(value - most), 0));
    return row.map((value) => value - most - logTotal);
  }

  /** Sum over the tokens of an answer. */
  async logprobOf(prompt: readonly number[], tokens: readonly number[]): Promise<number> {
    let sum = 0;
    for (let i = 0; i < tokens.length; i++) {
      sum += (await this.next([...prompt, ...tokens.slice(0, i)]))[tokens[i]!]!;
    }
    return sum;
  }

  async dispose() {
    await (await this.#program).dispose();
  }
}

interface BeamCase {
  readonly numBeams: number;
  readonly lengthPenalty: number;
  readonly earlyStopping: boolean | 'never';
  readonly stopTokens: readonly number[];
  readonly maxTokens: number;
}

const NOTHING = -1e9;
const descending = <Item>(items: readonly Item[], scoreOf: (item: Item) => number, count: number) =>
  [...items].sort((a, b) => scoreOf(b) - scoreOf(a)).slice(0, count);

async function slowBeams(model: WholeModel, prompt: readonly number[], one: BeamCase) {
  const { numBeams, lengthPenalty, earlyStopping, stopTokens, maxTokens } = one;
  let running = Array.from({ length: numBeams }, (_, i) => ({
    tokens: [] as number[],
    sum: i === 0 ? 0 : NOTHING,
  }));
  let done = Array.from({ length: numBeams }, () => ({
    tokens: [] as number[],
    score: NOTHING,
    ended: false,
  }));
  for (let length = 1; ; length++) {
    const pool: { tokens: number[]; sum: number }[] = [];
    for (const { tokens, sum } of running) {
      // Places that hold nothing lose against every other: the vocabulary is larger than the pool.
      if (sum < NOTHING / 2) continue;
      const next = await model.next([...prompt, ...tokens]);
      for (const [token, logprob] of next.entries()) {
        pool.push({ tokens: [...tokens, token], sum: sum + logprob });
      }
    }
    const best = descending(pool, ({ sum }) => sum, Math.max(2, 1 + stopTokens.length) * numBeams);
    const hits = best.map(({ tokens }) => stopTokens.includes(tokens.at(-1)!) || length >= maxTokens);
    const merged = best.map(({ tokens, sum }, rank) => {
      const ended = hits[rank]! && rank < numBeams;
      return { tokens, score: sum / length ** lengthPenalty + (ended ? 0 : NOTHING), ended };
    });
    running = descending(
      best.map(({ tokens, sum }, rank) => ({ tokens, sum: sum + (hits[rank] ? NOTHING : 0) })),
      ({ sum }) => sum,
      numBeams,
    );
    done = descending([...done, ...merged], ({ score }) => score, numBeams);
    const bound =
      running[0]!.sum /
      (earlyStopping === 'never' && lengthPenalty > 0 ? maxTokens : length) ** lengthPenalty;
    const worst = done.at(-1)!.score;
    const canImprove = done.some(({ ended }) => bound > (ended ? worst : NOTHING));
    const isFull = done.every(({ ended }) => ended);
    if (!canImprove || (isFull && earlyStopping === true) || hits.every(Boolean)) {
      return { tokens: done[0]!.tokens, numSteps: length };
    }
  }
}

async function slowContrastive(
  model: WholeModel,
  prompt: readonly number[],
  { topK, alpha, maxTokens }: { topK: number; alpha: number; maxTokens: number },
) {
  const tokens: number[] = [];
  let gap = Number.POSITIVE_INFINITY;
  while (tokens.length < maxTokens) {
    const text = [...prompt, ...tokens];
    const next = (await model.next(text)).map((logprob, token) => ({ token, p: Math.exp(logprob) }));
    const scored: { token: number; score: number }[] = [];
    for (const { token, p } of descending(next, (one) => one.p, topK)) {
      const { hidden } = await model.run([...text, token]);
      const similarities = text.map((_, i) => cosine(hidden[i]!, hidden[text.length]!));
      scored.push({ token, score: (1 - alpha) * p - alpha * Math.max(...similarities) });
    }
    const [first, second] = descending(scored, ({ score }) => score, 2);
    if (second) gap = Math.min(gap, first!.score - second.score);
    tokens.push(first!.token);
  }
  return { tokens, gap };
}

function cosine(a: readonly number[], b: readonly number[]): number {
  const dot = (x: readonly number[], y: readonly number[]) =>
    x.reduce((sum, value, i) => sum + value * y[i]!, 0);
  return dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));
}

describe.each(Object.entries(models))('searches of %s', (_, model) => {
  const whole = new WholeModel(model);
  const loaded = createLanguageModel({ ...model, device });
  const prompts = promptsOf(4, 10, 6);
  afterAll(async () => {
    await whole.dispose();
    await (await loaded).dispose();
  });

  it('give the beam that plain beam search finds, for every length penalty and way to stop', async () => {
    const fast = await loaded;
    const found = new Set<string>();
    let numStopped = 0;
    let numCases = 0;
    for (const prompt of prompts) {
      // Stop tokens that some beams will meet.
      const { tokens: likely } = await fast.generate(prompt, { maxTokens: 9 });
      for (const lengthPenalty of [1, 0, 2, -0.5]) {
        for (const earlyStopping of [false, true, 'never'] as const) {
          const random = new KeyedRandom(numCases);
          const maxTokens = 6 + random.integer(0, 4);
          const numBeams = [2, 3, 5][random.integer(1, 3)]!;
          const unlikely = Array.from({ length: random.integer(2, 9) }, (_, i) => random.integer(3 + i, 96));
          const stopTokens = [...new Set([likely[2 + random.integer(20, 6)]!, ...unlikely])];
          const one = { numBeams, lengthPenalty, earlyStopping, stopTokens, maxTokens };
          const slow = await slowBeams(whole, prompt, one);
          const stepsBefore = fast.use.numSteps;
          const answer = await fast.generate(prompt, {
            maxTokens,
            stopTokens,
            search: { method: 'beam', numBeams, lengthPenalty, earlyStopping },
          });
          const { tokens, stopToken, finishReason } = answer;
          expect([...tokens, ...(stopToken === undefined ? [] : [stopToken])]).toEqual(slow.tokens);
          expect(finishReason).toBe(stopToken === undefined ? 'length' : 'stop');
          expect(fast.use.numSteps - stepsBefore).toBe(slow.numSteps);
          if (stopToken !== undefined) numStopped++;
          found.add(slow.tokens.join());
          numCases++;
        }
      }
    }
    expect(numStopped).toBeGreaterThan(6);
    expect(numCases - numStopped).toBeGreaterThan(6);
    expect(found.size).toBeGreaterThan(6);
  });

  it('give the tokens that plain contrastive search chooses, the prompt among what is compared', async () => {
    const fast = await loaded;
    const greedy = new Set<string>();
    for (const prompt of prompts) greedy.add((await fast.generate(prompt, { maxTokens: 9 })).tokens.join());
    let numOther = 0;
    for (const [i, prompt] of prompts.entries()) {
      const method = { topK: [2, 4, 8][i % 3]!, alpha: [0.3, 0.6, 0.9][(i + 1) % 3]! };
      const slow = await slowContrastive(whole, prompt, { ...method, maxTokens: 9 });
      expect(slow.gap).toBeGreaterThan(1e-5);
      const { tokens } = await fast.generate(prompt, {
        maxTokens: 9,
        search: { method: 'contrastive', ...method },
      });
      expect(tokens).toEqual(slow.tokens);
      if (!greedy.has(tokens.join())) numOther++;
    }
    expect(numOther).toBeGreaterThan(2);
  });

  it('are greedy with one beam, with one candidate and without a penalty', async () => {
    const fast = await loaded;
    for (const prompt of promptsOf(8, 10, 7)) {
      const options: GenerateOptions = { maxTokens: 14, stopTokens: [3, 40, 41, 77], logprobs: 1 };
      const { seed: _, ...greedy } = await fast.generate(prompt, options);
      for (const search of [
        { method: 'beam', numBeams: 1 },
        { method: 'beam', numBeams: 1, lengthPenalty: 0, earlyStopping: true },
        { method: 'contrastive', topK: 1, alpha: 0.7 },
        { method: 'contrastive', topK: 6, alpha: 0 },
      ] as const) {
        const { seed: __, ...answer } = await fast.generate(prompt, { ...options, search });
        expect(answer).toEqual(greedy);
      }
    }
  });

  it('find, over many prompts, beams of more probability than greedy decoding', async () => {
    const fast = await loaded;
    const many = promptsOf(40, 10, 8);
    const options: GenerateOptions = { maxTokens: 8, logprobs: 0 };
    const sums = async (more: GenerateOptions) =>
      (await fast.generateMany(many, { ...options, ...more })).map(({ logprobs }) =>
        logprobs!.reduce((sum, { logprob }) => sum + logprob, 0),
      );
    const greedy = await sums({});
    const beams = await sums({ search: { method: 'beam', numBeams: 6 } });
    // A search may drop the greedy beginning and find nothing better: rare, and not excluded.
    const numWorse = beams.filter((sum, i) => sum < greedy[i]! - 1e-6).length;
    const numBetter = beams.filter((sum, i) => sum > greedy[i]! + 1e-6).length;
    expect(numWorse).toBeLessThanOrEqual(2);
    expect(numBetter).toBeGreaterThan(15);
  });
});

describe('rows of searches', () => {
  it('never share state wrongly: the probability of every beam is that of its text from the start', async () => {
    let numChecked = 0;
    for (let round = 0; round < 6; round++) {
      const random = new KeyedRandom(100 + round);
      const model = tinyModel(
        {
          numLayers: 1 + random.integer(0, 2),
          numKvHeads: [1, 2, 4][random.integer(1, 3)]!,
          tieWordEmbeddings: random.integer(2, 2) === 1,
          initializerRange: 0.12 + 0.1 * random.uniform(3),
        },
        round,
      );
      const whole = new WholeModel(model);
      const engine = new DecodeEngine(new Decoder(model.config, model.weights, device, 'strict'), {
        maxBatchSize: 12,
        maxQueueLength: 100,
        maxCacheBytes: 2 ** 24,
        prefixCacheBytes: 2 ** 20,
        chunkLength: 4,
      });
      const searches = promptsOf(4, 12, round).map((prompt, i) => {
        const numBeams = 1 + random.integer(10 + i, 6);
        return new BeamSearch({
          prompt: Int32Array.from(prompt),
          maxTokens: 4 + random.integer(20 + i, 6),
          chain: [],
          seed: 0,
          choice: 0,
          stopTokens: new Set([5, 50, 60, 70].slice(0, random.integer(30 + i, 5))),
          stop: [],
          logprobs: undefined,
          logprobsMode: 'raw',
          promptLogprobs: undefined,
          signal: undefined,
          tokenizer: undefined,
          search: { method: 'beam', numBeams, lengthPenalty: 1, earlyStopping: i % 2 === 0 },
        });
      });
      engine.submit(searches);
      await Promise.all(searches.map(({ completion }) => completion));
      for (const { prompt, hypotheses } of searches) {
        expect(new Set(hypotheses.map(({ tokens }) => tokens.join())).size).toBe(hypotheses.length);
        for (const { tokens, logprobSum, score } of hypotheses.slice(0, 6)) {
          expect(Math.abs(logprobSum - (await whole.logprobOf([...prompt], tokens)))).toBeLessThan(1e-4);
          expect(score).toBeCloseTo(logprobSum / tokens.length, 12);
          numChecked++;
        }
      }
      expect(engine.use).toMatchObject({ numRunning: 0, numWaiting: 0 });
      await engine.dispose();
      await whole.dispose();
    }
    expect(numChecked).toBeGreaterThan(60);
  });

  it('give the same, to the bit, alone and among others, and change nothing for those', async () => {
    const model = models['qwen3, grouped queries'];
    const { config } = model;
    const prompts = promptsOf(14, 30, 12);
    const options = prompts.map((_, i): GenerateOptions => {
      const common = { maxTokens: 5 + ((3 * i) % 8), logprobs: 2, stopTokens: [8, 9, 10], seed: i };
      if (i % 3 === 0) return { ...common, search: { method: 'beam', numBeams: 2 + (i % 4) } };
      if (i % 3 === 1) return { ...common, search: { method: 'contrastive', topK: 2 + (i % 3), alpha: 0.6 } };
      return { ...common, ...(i % 2 === 0 && { temperature: 0.8 }) };
    });
    const plain = await createLanguageModel({ ...model, device });
    const alone = [];
    for (const [i, prompt] of prompts.entries()) alone.push(await plain.generate(prompt, options[i]!));
    const together = await plain.generateMany(prompts, options);
    expect(together).toEqual(alone);
    expect(plain.use).toMatchObject({ numRunning: 0, numWaiting: 0 });
    await plain.dispose();
    const rowBytes = 64 * 4 * (2 * config.numLayers * config.numKvHeads * config.headDim + 1);
    for (const limits of [
      { maxBatchSize: 5, chunkLength: 3 },
      { maxCacheBytes: 6 * rowBytes, prefixCacheBytes: 0 },
      { chunkLength: 7, draft: tinyModel({ numLayers: 1 }, 9) },
    ]) {
      const other = await createLanguageModel({ ...model, device, ...limits });
      expect(await other.generateMany(prompts, options)).toEqual(alone);
      expect(await other.generateMany([...prompts].reverse(), [...options].reverse())).toEqual(
        [...alone].reverse(),
      );
      expect(other.use.cacheBytes).toBeLessThanOrEqual('maxCacheBytes' in limits ? 6 * rowBytes : 2 ** 24);
      await other.dispose();
    }
  });
});
