/** Searches: their options, text, log-probabilities, streams and ends. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { KeyedRandom } from '../../src/core/random.ts';
import { createLanguageModel, type GenerateOptions, type OnnxLanguageModel } from '../../src/decode/index.ts';
import { BeamSearch } from '../../src/decode/search/beam-search.ts';
import { TextTail } from '../../src/decode/search/text-tail.ts';
import { StopStrings } from '../../src/decode/stop-strings.ts';
import { cpuDevice } from '../../src/runtime/index.node.ts';
import { TextStream } from '../../src/tokenizer/index.ts';
import { TINY_CASE, tinyChatModel } from '../fixtures/backends/tiny-gguf.ts';
import { tinyModel } from '../fixtures/models/random-model.ts';

const device = cpuDevice({ numThreads: 1 });
const { tokenizer, config, weights } = tinyChatModel({ eosTokenIds: [] });
const { prompt } = TINY_CASE;
const beam = { method: 'beam', numBeams: 4 } as const;
const contrastive = { method: 'contrastive', topK: 4, alpha: 0.6 } as const;
const searches = { beam, contrastive };

let model: OnnxLanguageModel;
beforeAll(async () => {
  model = await createLanguageModel({ config, weights, tokenizer, device, maxBatchSize: 8 });
});
afterAll(() => model.dispose());

describe('options', () => {
  const refused: [Record<string, unknown>, RegExp][] = [
    [{ search: 'beam' }, /search is "beam"; expected \{ method: "beam", numBeams \}/],
    [{ search: null }, /search is null/],
    [{ search: { method: 'tree' } }, /search is \{"method":"tree"\}/],
    [{ search: { method: 'beam' } }, /search.numBeams is missing; expected a whole number of at least 1/],
    [{ search: { method: 'beam', numBeams: 0 } }, /search.numBeams is 0/],
    [{ search: { method: 'beam', numBeams: 2.5 } }, /search.numBeams is 2.5/],
    [{ search: { ...beam, lengthPenalty: Number.NaN } }, /search.lengthPenalty is/],
    [{ search: { ...beam, earlyStopping: 'sometimes' } }, /search.earlyStopping is "sometimes"/],
    [
      { search: { ...beam, topK: 4 } },
      /search \(beam\): unknown part "topK"; expected numBeams, lengthPenalty/,
    ],
    [
      { search: { method: 'contrastive', topK: 4 } },
      /search.alpha is missing; expected a number from 0 to 1/,
    ],
    [{ search: { ...contrastive, alpha: 1.1 } }, /search.alpha is 1.1/],
    [{ search: { ...contrastive, topK: '4' } }, /search.topK is "4"/],
    [{ search: { ...contrastive, numBeams: 4 } }, /search \(contrastive\): unknown part "numBeams"/],
    [
      { search: contrastive, topK: 4 },
      /topK has no effect beside search \(the search has a topK of its own\)/,
    ],
    [{ search: beam, choice: 1 }, /choice is 1 beside search/],
    [{ search: beam, chain: [{ stage: 'top-k', k: 3 }] }, /stage top-k has no effect beside search/],
    [{ search: beam, seed: -1 }, /seed is -1/],
    [{ search: beam, stop: [''] }, /stop/],
    [{ search: beam, numBeams: 4 }, /Unknown option "numBeams"/],
    [{ search: beam, repetitionPenalty: 0 }, /repetitionPenalty/],
  ];

  it('out of range or without a meaning are refused by name', async () => {
    for (const [options, message] of refused) {
      const error = { code: 'config', message: expect.stringMatching(message) };
      await expect(model.generate(prompt, options)).rejects.toMatchObject(error);
    }
  });

  it('of chance are refused by name, with every search', async () => {
    const chance = {
      temperature: 0.5,
      dynamicTemperature: { range: 1 },
      topK: 4,
      topP: 0.9,
      minP: 0.1,
      typicalP: 0.9,
      topNSigma: 1,
      epsilonCutoff: 0.01,
      etaCutoff: 0.01,
      xtc: { probability: 0.5, threshold: 0.1 },
      mirostat: { version: 2 },
    } as const;
    for (const [name, value] of Object.entries(chance)) {
      for (const search of Object.values(searches)) {
        await expect(model.generate(prompt, { search, [name]: value })).rejects.toMatchObject({
          code: 'config',
          message: expect.stringMatching(new RegExp(`^${name} has no effect beside search`)),
        });
      }
    }
  });

  it('ask for no more rows than a batch has', async () => {
    for (const search of [
      { ...beam, numBeams: 9 },
      { ...contrastive, topK: 9 },
    ]) {
      await expect(model.generate(prompt, { search })).rejects.toMatchObject({
        code: 'limit',
        message: expect.stringMatching(/9 rows does not fit into batches of 8 \(maxBatchSize\)/),
      });
    }
    expect(
      (await model.generate(prompt, { search: { ...beam, numBeams: 8 }, maxTokens: 3 })).tokens,
    ).toHaveLength(3);
  });

  it('that change scores act: bans, lists, biases, penalties, least lengths', async () => {
    // With a small alpha a token that is certain wins however similar it is.
    for (const search of [beam, { ...contrastive, alpha: 0.3 }]) {
      const plain = await model.generate(prompt, { search, maxTokens: 10 });
      const banned = [...new Set(plain.tokens)].slice(0, 3);
      const others = await model.generate(prompt, { search, maxTokens: 10, bannedTokens: banned });
      expect(others.tokens).toHaveLength(10);
      expect(others.tokens.filter((token) => banned.includes(token))).toEqual([]);
      const only = await model.generate(prompt, { search, maxTokens: 10, allowedTokens: [40, 41, 42] });
      expect(only.tokens.every((token) => [40, 41, 42].includes(token))).toBe(true);
      const biased = await model.generate(prompt, { search, maxTokens: 4, logitBias: { 50: 1000 } });
      expect(biased.tokens).toEqual([50, 50, 50, 50]);
      const stopTokens = Array.from({ length: 60 }, (_, i) => 30 + i);
      const short = await model.generate(prompt, {
        search,
        maxTokens: 12,
        stopTokens,
        logitBias: { 33: 1000 },
      });
      expect(short).toMatchObject({ tokens: [], stopToken: 33, finishReason: 'stop' });
      const least = { search, maxTokens: 12, stopTokens, logitBias: { 33: 1000 }, minTokens: 5 };
      expect(await model.generate(prompt, least)).toMatchObject({
        stopToken: 33,
        usage: { completionTokens: 6 },
      });
    }
  });

  it('that change scores mean for one beam what they mean for greedy decoding', async () => {
    const settings: GenerateOptions[] = [
      { repetitionPenalty: 1.7 },
      { dialect: 'vllm', presencePenalty: 1.5, frequencyPenalty: 0.8 },
      { dialect: 'llamacpp', dry: { multiplier: 3, allowedLength: 1 } },
      { chain: [{ stage: 'penalties', repetition: 2, lastN: 4 }] },
    ];
    const one = { method: 'beam', numBeams: 1 } as const;
    for (const options of settings) {
      const common = { maxTokens: 24, logprobs: 2, logprobsMode: 'raw', seed: 1, ...options } as const;
      const chain = options.chain && [...options.chain, { stage: 'temperature', temperature: 0 } as const];
      const greedy = await model.generate(prompt, { ...common, ...(chain && { chain }) });
      expect(await model.generate(prompt, { ...common, search: one })).toEqual(greedy);
      const processed = await model.generate(prompt, { ...common, search: one, logprobsMode: 'processed' });
      expect(processed.tokens).toEqual(greedy.tokens);
      expect(processed.logprobs).not.toEqual(greedy.logprobs);
      for (const { token, logprob, top } of processed.logprobs!) expect(top[0]).toEqual({ token, logprob });
    }
  });
});

describe.each(Object.entries(searches))('%s search', (name, search) => {
  it('gives the same answer for every seed, streamed or not; pieces joined are the text', async () => {
    const options = { search, maxTokens: 20, logprobs: 1 };
    const answer = await model.generate(prompt, { ...options, seed: 1 });
    expect(answer.seed).toBe(1);
    expect(answer.text).toBe(tokenizer.decode(answer.tokens));
    expect(await model.generate(prompt, { ...options, seed: 2 })).toEqual({ ...answer, seed: 2 });
    const stream = model.stream(prompt, { ...options, seed: 1 });
    const pieces = [];
    for await (const piece of stream) pieces.push(piece);
    expect(await stream.completion).toEqual(answer);
    expect(pieces.map(({ text }) => text).join('')).toBe(answer.text);
    expect(pieces.flatMap(({ tokens }) => tokens)).toEqual(answer.tokens);
    // Beams are in question until the end; what contrastive search chose stays.
    if (name === 'beam') expect(pieces).toHaveLength(1);
    else expect(pieces.length).toBeGreaterThan(5);
  });

  it('gives log-probabilities of the answer and of the prompt as plain decoding does', async () => {
    const options = { maxTokens: 10, logprobs: 3, promptLogprobs: 2 };
    const { tokens, logprobs, promptLogprobs } = await model.generate(prompt, { ...options, search });
    const ids = tokenizer.encode(prompt);
    const plain = await model.generate([...ids, ...tokens], { maxTokens: 1, promptLogprobs: 3 });
    expect(logprobs).toHaveLength(tokens.length);
    for (const [i, scored] of logprobs!.entries()) {
      const expected = plain.promptLogprobs![ids.length - 1 + i]!;
      expect(scored.token).toBe(tokens[i]);
      expect(scored.logprob).toBeCloseTo(expected.logprob, 4);
      expect(scored.top.map(({ token }) => token)).toEqual(expected.top.map(({ token }) => token));
    }
    const { promptLogprobs: ofPrompt } = await model.generate(prompt, { maxTokens: 1, promptLogprobs: 2 });
    expect(promptLogprobs).toEqual(ofPrompt);
  });

  it('ends an answer before a stop string', async () => {
    const allowedTokens = Array.from({ length: tokenizer.vocabSize }, (_, id) => id).filter((id) =>
      /^[ a-z]+$/.test(tokenizer.decode([id])),
    );
    const options = { search, maxTokens: 16, allowedTokens };
    const whole = await model.generate(prompt, options);
    let numStopped = 0;
    for (let start = 0; start + 2 < whole.text.length; start++) {
      const stop = whole.text.slice(start, start + 2);
      const cut = await model.generate(prompt, { ...options, stop: [stop, 'never to be seen'] });
      expect(cut.text).not.toContain(stop);
      const full = tokenizer.decode(cut.tokens);
      expect(full.startsWith(cut.text)).toBe(true);
      if (cut.finishReason === 'stop') {
        numStopped++;
        expect(full.indexOf(stop)).toBe(cut.text.length);
        expect(tokenizer.decode(cut.tokens.slice(0, -1))).not.toContain(stop);
      } else expect(cut.tokens).toHaveLength(16);
    }
    expect(numStopped).toBeGreaterThan(2);
  });

  it('frees its rows when it is cancelled, with what it has', async () => {
    const none = await model.generate(prompt, { search, signal: AbortSignal.abort() });
    expect(none).toMatchObject({
      finishReason: 'cancelled',
      text: '',
      tokens: [],
      usage: { completionTokens: 0 },
    });
    const controller = new AbortController();
    const { numSteps } = model.use;
    const running = model.generate(prompt, {
      search,
      maxTokens: 120,
      logprobs: 0,
      signal: controller.signal,
    });
    while (model.use.numSteps < numSteps + 8) await new Promise((resolve) => setTimeout(resolve));
    expect(model.use.numRunning).toBe(4);
    controller.abort();
    const { tokens, text, logprobs, finishReason } = await running;
    expect(finishReason).toBe('cancelled');
    expect(tokens.length).toBeGreaterThanOrEqual(7);
    expect(tokens.length).toBeLessThan(120);
    expect(logprobs).toHaveLength(tokens.length);
    expect(text).toBe(tokenizer.decode(tokens));
    expect(model.use).toMatchObject({ numRunning: 0, numWaiting: 0 });
    if (name === 'contrastive') {
      const stream = model.stream(prompt, { search, maxTokens: 120 });
      for await (const _ of stream) break;
      expect((await stream.completion).finishReason).toBe('cancelled');
      expect(model.use.numRunning).toBe(0);
    }
  });

  it('fails alone when the scores are not finite', async () => {
    const broken = tinyModel();
    const embedding = Float32Array.from(broken.weights.get('model.embed_tokens.weight')!.data);
    embedding.fill(Number.NaN, 7 * broken.config.hiddenSize, 8 * broken.config.hiddenSize);
    const { shape } = broken.weights.get('model.embed_tokens.weight')!;
    const damaged = await createLanguageModel({
      config: broken.config,
      weights: new Map(broken.weights).set('model.embed_tokens.weight', { shape, data: embedding }),
      device,
    });
    const options = { maxTokens: 6, bannedTokens: [7] };
    const alone = await damaged.generate([1, 2, 3], { ...options, seed: 0 });
    const fine = damaged.generate([1, 2, 3], { ...options, seed: 0 });
    const bad = damaged.generate([1, 7, 3], { ...options, search });
    await expect(bad).rejects.toMatchObject({ code: 'not-finite' });
    expect(await fine).toEqual(alone);
    // A token without finite numbers among the candidates, not in the prompt.
    const candidate = damaged.generate([1, 2, 3], { maxTokens: 6, search, allowedTokens: [7, 8, 9, 10] });
    await expect(candidate).rejects.toMatchObject({ code: 'not-finite' });
    expect(damaged.use).toMatchObject({ numRunning: 0, numWaiting: 0 });
    expect(await damaged.generate([1, 2, 3], { ...options, seed: 0 })).toEqual(alone);
    await damaged.dispose();
  });
});

describe('a beam search step by step', () => {
  const hidden = new Float32Array(1);
  const rowOf = (...probabilities: number[]) => ({
    logits: Float32Array.from(probabilities, (p) => Math.log(p)),
    hidden,
  });
  const start = (more: Partial<ConstructorParameters<typeof BeamSearch>[0]> = {}) =>
    new BeamSearch({
      prompt: Int32Array.of(1),
      maxTokens: 5,
      chain: [],
      seed: 0,
      choice: 0,
      stopTokens: new Set([0]),
      stop: [],
      logprobs: undefined,
      logprobsMode: 'raw',
      promptLogprobs: undefined,
      signal: undefined,
      tokenizer: undefined,
      search: { method: 'beam', numBeams: 2, lengthPenalty: 1, earlyStopping: false },
      ...more,
    });

  it('goes on from the best sums, prefers lower ids among equals, and takes no stop token below the first beams', () => {
    const search = start();
    expect(search.advance([rowOf(0.1, 0.2, 0.4, 0.2, 0.1)])).toEqual([
      { parent: 0, token: 2 },
      { parent: 0, token: 1 },
    ]);
    // 0.4 * 0.6 ends; 0.2 * 0.7 and 0.4 * 0.3 go on; the stop token after the second beam ranks fourth.
    expect(search.advance([rowOf(0.6, 0.3, 0.1, 0, 0), rowOf(0.3, 0, 0, 0.7, 0)])).toEqual([
      { parent: 1, token: 3 },
      { parent: 0, token: 1 },
    ]);
    const found = search.hypotheses;
    expect(found.map(({ tokens }) => tokens)).toEqual([
      [2, 0],
      [1, 3],
      [2, 1],
    ]);
    expect(found.map(({ isFinished }) => isFinished)).toEqual([true, false, false]);
    for (const [i, p] of [0.24, 0.14, 0.12].entries()) {
      expect(found[i]!.logprobSum).toBeCloseTo(Math.log(p), 6);
      expect(found[i]!.score).toBeCloseTo(Math.log(p) / 2, 6);
    }
  });

  it('ends when every continuation is a stop token, and gives the best', async () => {
    const search = start();
    search.advance([rowOf(0, 0.6, 0.4, 0, 0)]);
    expect(search.advance([rowOf(1, 0, 0, 0, 0), rowOf(1, 0, 0, 0, 0)])).toBeUndefined();
    expect(await search.completion).toMatchObject({ tokens: [1], stopToken: 0, finishReason: 'stop' });
  });

  it('gives the best beam so far when it is cancelled', async () => {
    const search = start();
    search.advance([rowOf(0, 0.6, 0.4, 0, 0)]);
    search.advance([rowOf(0, 0.5, 0.5, 0, 0), rowOf(0, 0.1, 0.9, 0, 0)]);
    search.cancel();
    expect(await search.completion).toMatchObject({ tokens: [2, 2], finishReason: 'cancelled' });
  });

  it('stays in order when a length penalty leaves the range of numbers', async () => {
    for (const lengthPenalty of [1e6, -1e6]) {
      const search = start({
        search: { method: 'beam', numBeams: 2, lengthPenalty, earlyStopping: 'never' },
      });
      let rows = [rowOf(0, 1, 0, 0, 0)];
      for (let step = 0; step < 5; step++) {
        const branches = search.advance(rows);
        rows = (branches ?? []).map(() => rowOf(0, 1, 0, 0, 0));
      }
      expect((await search.completion).tokens).toEqual([1, 1, 1, 1, 1]);
      expect(search.hypotheses.some(({ score }) => Number.isNaN(score))).toBe(false);
    }
  });
});

it('a text tail finds the stop strings that streams find, whatever the pieces', () => {
  const random = new KeyedRandom(4);
  const { vocabSize } = tokenizer;
  let numFound = 0;
  for (let round = 0; round < 400; round++) {
    const ids = Array.from({ length: 24 }, (_, i) => random.integer(100 * round + i, vocabSize));
    const text = tokenizer.decode(ids);
    const stops = [0, 1].map((k) => {
      const from = random.integer(100 * round + 50 + k, text.length);
      return text.slice(from, from + 1 + random.integer(100 * round + 60 + k, 5));
    });
    const stream = new TextStream(tokenizer);
    const strings = new StopStrings(stops);
    let tail = new TextTail(stops, tokenizer);
    for (const id of ids) {
      strings.push(stream.push(id));
      tail = tail.after(id);
      expect(tail.hasStop).toBe(strings.isFound);
      if (strings.isFound) break;
    }
    if (strings.isFound) numFound++;
  }
  expect(numFound).toBeGreaterThan(300);
});
