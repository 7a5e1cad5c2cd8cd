/** A draft model guesses ahead: answers and log-probabilities are, to the bit, those without it. */
import { afterAll, afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { KeyedRandom } from '../../src/core/random.ts';
import { Decoder } from '../../src/decode/decoder.ts';
import {
  type Completion,
  createLanguageModel,
  type DraftModel,
  type GenerateOptions,
} from '../../src/decode/index.ts';
import { cpuDevice } from '../../src/runtime/index.node.ts';
import { tinyChatModel } from '../fixtures/backends/tiny-gguf.ts';
import { tinyModel } from '../fixtures/models/random-model.ts';

const device = cpuDevice({ numThreads: 1 });
const { tokenizer, ...model } = tinyChatModel({ maxPositionEmbeddings: 300 }, 3);
const { vocabSize } = model.config;
const strange = tinyModel({ vocabSize, numLayers: 1, numKvHeads: 1, headDim: 10 }, 8);

const drafts: Record<string, DraftModel> = {
  'that is the model itself': model,
  'that knows nothing': strange,
  'that knows nothing, one token ahead': { ...strange, maxTokens: 1 },
  'of a shorter context': tinyModel({ vocabSize, maxPositionEmbeddings: 16 }, 3),
  'whose scores are NaN': {
    config: strange.config,
    weights: new Map(
      [...strange.weights].map(([name, { shape, data }]) => [
        name,
        { shape, data: name === 'lm_head.weight' ? data.map(() => Number.NaN) : data },
      ]),
    ),
  },
};

const textOf = (seed: number, length: number) =>
  Array.from({ length }, (_, i) => new KeyedRandom(seed).integer(i, vocabSize));

const settings: Record<string, GenerateOptions> = {
  greedy: { maxTokens: 24 },
  'one token': { maxTokens: 1 },
  'two tokens': { maxTokens: 2, temperature: 1 },
  'temperature 1': { maxTokens: 20, temperature: 1 },
  cuts: { maxTokens: 16, topP: 0.8, topK: 12, minP: 0.02 },
  penalties: {
    maxTokens: 20,
    temperature: 1,
    dialect: 'llamacpp',
    repetitionPenalty: 1.4,
    presencePenalty: 0.6,
    frequencyPenalty: 0.4,
  },
  'mirostat 1': { maxTokens: 20, dialect: 'llamacpp', mirostat: { version: 1, tau: 3 } },
  'mirostat 2': { maxTokens: 20, dialect: 'llamacpp', mirostat: { version: 2, tau: 3 } },
  dry: { maxTokens: 24, dialect: 'llamacpp', dry: { multiplier: 1, allowedLength: 1 } },
  xtc: { maxTokens: 12, dialect: 'llamacpp', xtc: { probability: 0.6, threshold: 0.05 } },
  'stop tokens after a minimum': {
    maxTokens: 30,
    temperature: 1,
    minTokens: 4,
    stopTokens: Array.from({ length: 30 }, (_, i) => 40 + i),
  },
  'stop strings': { maxTokens: 30, temperature: 1, stop: [...'abcdefghijklmnopqrstuvwxyz'] },
  'processed log-probabilities': { maxTokens: 12, topK: 8, logprobsMode: 'processed' },
  'log-probabilities of the prompt': { maxTokens: 6, temperature: 1, promptLogprobs: 1 },
};
const requests = Object.entries(settings).flatMap(([name, options], i) =>
  [0, 1, 2].map((choice) => ({
    name: `${name}, choice ${choice}`,
    prompt: textOf(10 * i + choice, 1 + ((17 * i + 31 * choice) % 90)),
    options: { logprobs: 2, seed: i, choice, ...options } satisfies GenerateOptions,
  })),
);
const prompts = requests.map(({ prompt }) => prompt);
const options = requests.map((request) => request.options);

/** Time as the models' runs make it: what is decided by it is the same each time. */
const times = { step: 8, read: 8, draft: 1 };
const runs = { model: 0, draft: 0 };
let now = 0;
const { step, read } = Decoder.prototype;
beforeEach(() => {
  Object.assign(times, { step: 8, read: 8, draft: 1 });
  Object.assign(runs, { model: 0, draft: 0 });
  const tick = (decoder: Decoder, form: 'step' | 'read') => {
    // A draft model's answers need not be equal to the bit.
    const isDraft = decoder.determinism === 'fast';
    runs[isDraft ? 'draft' : 'model']++;
    now += isDraft ? times.draft : times[form];
  };
  vi.spyOn(Decoder.prototype, 'step').mockImplementation(function (this: Decoder, batch) {
    tick(this, 'step');
    return step.call(this, batch);
  });
  vi.spyOn(Decoder.prototype, 'read').mockImplementation(function (this: Decoder, batch) {
    tick(this, 'read');
    return read.call(this, batch);
  });
  vi.spyOn(performance, 'now').mockImplementation(() => now);
});
afterEach(() => {
  vi.restoreAllMocks();
});

/** Guessing pays even where every guess is wrong: all that guesses can change is tried. */
function guessAlways(): void {
  Object.assign(times, { read: 4, draft: 0 });
}

const withoutDraft = createLanguageModel({ ...model, device, tokenizer, prefixCacheBytes: 0 });
afterAll(async () => (await withoutDraft).dispose());
const plain = withoutDraft.then(async (one) => {
  const answers: Completion[] = [];
  for (const request of requests) answers.push(await one.generate(request.prompt, request.options));
  return answers;
});

describe.each(Object.entries(drafts))('a draft model %s', (_, draft) => {
  it.each([1, 9])('changes no answer in batches of %i', async (maxBatchSize) => {
    guessAlways();
    const one = await createLanguageModel({ ...model, device, tokenizer, draft, maxBatchSize });
    const answers = await one.generateMany(prompts, options);
    for (const [i, { name }] of requests.entries()) expect(answers[i], name).toEqual((await plain)[i]);
    expect(one.use).toMatchObject({ numRunning: 0, numWaiting: 0 });
    expect(runs.draft).toBeGreaterThan(one.use.numSteps / 2);
    await one.dispose();
  });
});

it('what is tested covers ends of every kind', async () => {
  const answers = await plain;
  const reasons = answers.map(({ finishReason, stopToken }) =>
    stopToken === undefined ? finishReason : 'token',
  );
  for (const reason of ['stop', 'length', 'token']) {
    expect(reasons.filter((one) => one === reason).length).toBeGreaterThan(1);
  }
});

describe('guessing', () => {
  const prompts = [
    [5, 6, 7],
    [8, 9],
  ];
  /** Runs, and their time, for answers of `numTokens` one after another. */
  const costOf = async (numTokens: number, draft?: DraftModel) => {
    const one = await createLanguageModel({ ...model, device, ...(draft && { draft }) });
    const before = { now, model: runs.model, draft: runs.draft };
    const answers: number[][] = [];
    for (const prompt of prompts) {
      const { tokens } = await one.generate(prompt, { maxTokens: numTokens, ignoreStopTokens: true });
      answers.push(tokens);
    }
    const { numSteps } = one.use;
    await one.dispose();
    return {
      answers,
      numSteps,
      ms: now - before.now,
      runs: runs.model - before.model,
      drafts: runs.draft - before.draft,
    };
  };

  it('saves time where guesses are right, the more the further it may guess', async () => {
    const [plain, some, many] = [
      await costOf(120),
      await costOf(120, { ...model, maxTokens: 2 }),
      await costOf(120, model),
    ];
    expect(plain.numSteps).toBe(2 * 119);
    expect(some.answers).toEqual(plain.answers);
    expect(many.answers).toEqual(plain.answers);
    // Up to 2 or 8 guesses, and the token after them, a run.
    expect(some.numSteps).toBeGreaterThanOrEqual((2 * 119) / 3);
    expect(some.ms).toBeLessThan(0.55 * plain.ms);
    expect(many.numSteps).toBeLessThan(50);
    expect(many.ms).toBeLessThan(0.4 * plain.ms);
  });

  it('costs next to nothing where guesses are wrong', async () => {
    const plain = await costOf(280);
    const drafted = await costOf(280, strange);
    expect(drafted.answers).toEqual(plain.answers);
    // Never a run of the model more: each gives a token at least.
    expect(drafted.runs).toBeLessThanOrEqual(plain.runs);
    expect(drafted.drafts).toBeGreaterThan(10);
    expect(drafted.drafts).toBeLessThan(60);
    expect(drafted.ms).toBeLessThan(1.03 * plain.ms);
  });

  it('costs next to nothing where right guesses take as long as the model', async () => {
    times.draft = times.step;
    const plain = await costOf(280);
    const drafted = await costOf(280, model);
    expect(drafted.answers).toEqual(plain.answers);
    expect(drafted.ms).toBeLessThan(1.05 * plain.ms);
  });

  it('needs a sequence that can be guessed for', async () => {
    const one = await createLanguageModel({ ...model, device, draft: model });
    await one.generate([5, 6, 7], { maxTokens: 40, search: { method: 'beam', numBeams: 2 } });
    expect(runs.draft).toBe(0);
    await one.dispose();
  });
});

describe('requests with a draft model', () => {
  it('that are cancelled, leave early or come late change no other', async () => {
    guessAlways();
    const one = await createLanguageModel({ ...model, device, tokenizer, draft: model, maxBatchSize: 6 });
    const answers = requests.map(async (request, i) => {
      await new Promise((resolve) => setTimeout(resolve, i % 7));
      return one.generate(request.prompt, request.options);
    });
    const others = requests.map(async ({ prompt }, i) => {
      if (i % 2) {
        const abort = new AbortController();
        setTimeout(() => abort.abort(), (i * 5) % 40);
        const { finishReason } = await one.generate(prompt, {
          maxTokens: 200,
          ignoreStopTokens: true,
          signal: abort.signal,
        });
        return finishReason;
      }
      for await (const { tokens } of one.stream(prompt, { maxTokens: 200, ignoreStopTokens: true })) {
        if (tokens.length > 0) break;
      }
      return 'left';
    });
    expect(await Promise.all(answers)).toEqual(await plain);
    const ends = await Promise.all(others);
    expect(ends).toContain('cancelled');
    await one.generate([1], { maxTokens: 1 });
    expect(one.use).toMatchObject({ numRunning: 0, numWaiting: 0 });
    await one.dispose();
  });
});

describe('a draft model is refused', () => {
  const create = (draft: DraftModel) => createLanguageModel({ ...model, device, draft });

  it('with another vocabulary', async () => {
    await expect(create(tinyModel({ vocabSize: vocabSize - 1 }))).rejects.toMatchObject({
      code: 'config',
      message: expect.stringContaining(
        `vocabulary of ${vocabSize - 1} tokens, the model one of ${vocabSize}`,
      ),
    });
  });

  it('with a number of guesses that is none', async () => {
    for (const maxTokens of [0, 65, 1.5, Number.NaN]) {
      await expect(create({ ...strange, maxTokens })).rejects.toMatchObject({
        code: 'config',
        message: `draft.maxTokens is ${maxTokens}; expected a whole number from 1 to 64.`,
      });
    }
  });

  it('with weights that are not those of its config', async () => {
    await expect(create({ config: strange.config, weights: model.weights })).rejects.toMatchObject({
      code: 'config',
    });
  });
});
