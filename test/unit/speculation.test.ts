/** A draft model guesses ahead: answers and log-probabilities are, to the bit, those without it. */
import { afterAll, describe, expect, it } from 'vitest';
import { KeyedRandom } from '../../src/core/random.ts';
import {
  type Completion,
  createLanguageModel,
  type DraftModel,
  type GenerateOptions,
} from '../../src/decode/index.ts';
import { cpuDevice, type Device } from '../../src/runtime/index.node.ts';
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

const withoutDraft = createLanguageModel({ ...model, device, tokenizer, prefixCacheBytes: 0 });
afterAll(async () => (await withoutDraft).dispose());
const plain = withoutDraft.then(async (one) => {
  const answers: Completion[] = [];
  for (const request of requests) answers.push(await one.generate(request.prompt, request.options));
  return answers;
});

describe.each(Object.entries(drafts))('a draft model %s', (_, draft) => {
  it.each([1, 9])('changes no answer in batches of %i', async (maxBatchSize) => {
    const one = await createLanguageModel({ ...model, device, tokenizer, draft, maxBatchSize });
    const answers = await one.generateMany(prompts, options);
    for (const [i, { name }] of requests.entries()) expect(answers[i], name).toEqual((await plain)[i]);
    expect(one.use).toMatchObject({ numRunning: 0, numWaiting: 0 });
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

/** A device that counts the runs of its programs. */
function countingDevice(): { device: Device; runs: () => number } {
  let numRuns = 0;
  return {
    runs: () => numRuns,
    device: {
      ...device,
      compile: async (outputs, given) => {
        const executable = await device.compile(outputs, given);
        return {
          program: executable.program,
          run: (feeds, names) => {
            numRuns++;
            return executable.run(feeds, names);
          },
          endProfiling: () => executable.endProfiling(),
          dispose: () => executable.dispose(),
        };
      },
    },
  };
}

describe('guessing', () => {
  const stepsOf = async (draft?: DraftModel) => {
    const one = await createLanguageModel({ ...model, device, ...(draft && { draft }) });
    const { tokens } = await one.generate([5, 6, 7], { maxTokens: 120, ignoreStopTokens: true });
    expect(tokens).toHaveLength(120);
    const { numSteps } = one.use;
    await one.dispose();
    return numSteps;
  };

  it('saves runs of the model where guesses are right, and costs none where they are wrong', async () => {
    expect(await stepsOf()).toBe(119);
    // Up to 8 guesses and the token after them a run.
    expect(await stepsOf(model)).toBeLessThan(24);
    expect(await stepsOf({ ...model, maxTokens: 2 })).toBeGreaterThanOrEqual(40);
    expect(await stepsOf(strange)).toBeLessThanOrEqual(119);
  });

  it('gives up guessing far where guesses are wrong', async () => {
    const counted = countingDevice();
    const one = await createLanguageModel({ ...model, device: counted.device, draft: strange });
    await one.generate([5, 6, 7], { maxTokens: 280, ignoreStopTokens: true });
    // In the end two runs a token: one guess, and its check.
    const before = counted.runs();
    await one.generate([8, 9], { maxTokens: 100, ignoreStopTokens: true });
    expect(counted.runs() - before).toBeLessThan(230);
    await one.dispose();
  });
});

describe('requests with a draft model', () => {
  it('that are cancelled, leave early or come late change no other', async () => {
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
