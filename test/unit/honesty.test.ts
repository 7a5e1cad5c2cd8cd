/** What a model knows, told apart by a model whose answers are known. */
import { describe, expect, test } from 'vitest';
import {
  abstentionData,
  answerEntropy,
  answerProbability,
  countAnswers,
  countKnowledge,
  expectedCalibrationError,
  faultPairs,
  honestyPairs,
  isAnswer,
  knowledgeFrom,
  probeKnowledge,
  sampleAnswers,
} from '../../src/align/honesty/index.ts';
import { CancelledError, ConfigError, DataError } from '../../src/core/errors.ts';
import type { GenerateOptions, LanguageModel } from '../../src/decode/language-model.ts';

type Ask = (question: string, options: GenerateOptions) => string;

/** Answers by a function of the question and the options; only what sampling uses exists. */
function answering(answer: Ask, seen: GenerateOptions[] = []): LanguageModel {
  return {
    generateMany: async (prompts: { messages: { content: string }[] }[], options: GenerateOptions[]) =>
      prompts.map(({ messages }, i) => {
        seen.push(options[i]!);
        return { text: answer(messages[0]!.content, options[i]!), finishReason: 'stop' };
      }),
  } as unknown as LanguageModel;
}

describe('answers as text', () => {
  test('case, white space and a final stop make no difference, anything else does', () => {
    expect(isAnswer(' Port  Louis. ', ['Lima', 'port louis'])).toBe(true);
    expect(isAnswer('Port-Louis', ['Port Louis'])).toBe(false);
    expect(isAnswer('', ['.'])).toBe(true);
  });

  test('distinct answers, the most frequent first, with the entropy of their shares', () => {
    const counts = countAnswers(['b', 'A', 'a.', 'c', ' a']);
    expect(counts).toEqual([
      { text: 'A', count: 3 },
      { text: 'b', count: 1 },
      { text: 'c', count: 1 },
    ]);
    // -(.6 ln .6 + 2 * .2 ln .2)
    expect(answerEntropy(counts)).toBeCloseTo(0.950270539, 8);
    expect(answerEntropy(countAnswers(['x', 'X']))).toBe(0);
  });
});

describe('the four classes of Gekhman et al.', () => {
  test.each([
    [['a', 'a'], ['a', 'b'], 'highly-known'],
    [['a', 'b'], ['b', 'b'], 'maybe-known'],
    [['b', 'b'], ['b', 'a'], 'weakly-known'],
    [['b', 'b'], ['b', 'c'], 'unknown'],
  ] as const)('greedy %o and sampled %o are %s', (greedy, sampled, expected) => {
    expect(knowledgeFrom(greedy, sampled, ['A']).class).toBe(expected);
  });

  test('a probe asks every phrasing once greedily and n times at the temperature', async () => {
    const seen: GenerateOptions[] = [];
    const model = answering((question, { temperature, choice }) => {
      if (question.startsWith('known')) return 'Yes.';
      if (question.startsWith('half')) return question.endsWith('1') ? 'yes' : 'no';
      if (question.startsWith('weak')) return temperature && choice === 2 ? 'yes' : 'no';
      return 'no';
    }, seen);
    const names = ['known', 'half', 'weak', 'none'];
    const progress: [number, number][] = [];
    const knowledge = await probeKnowledge(
      model,
      names.map((name) => ({ phrasings: [`${name} 1`, `${name} 2`], answers: ['yes'] })),
      { numSamples: 3, temperature: 0.7, onProgress: (done, total) => progress.push([done, total]) },
    );
    expect(knowledge.map((one) => one.class)).toEqual([
      'highly-known',
      'maybe-known',
      'weakly-known',
      'unknown',
    ]);
    expect(knowledge[2]).toMatchObject({ greedyShare: 0, sampledShare: 2 / 6, agreement: 4 / 6 });
    expect(knowledge[1]!.answers).toEqual([
      { text: 'yes', count: 3 },
      { text: 'no', count: 3 },
    ]);
    expect(seen.filter(({ temperature }) => temperature === 0)).toHaveLength(8);
    expect(seen.filter(({ temperature }) => temperature === 0.7)).toHaveLength(24);
    expect(progress.at(-1)).toEqual([32, 32]);
    expect(countKnowledge(knowledge)).toEqual({
      'highly-known': 1,
      'maybe-known': 1,
      'weakly-known': 1,
      unknown: 1,
    });
  });

  test('questions that cannot be asked are refused', async () => {
    const probe = (questions: Parameters<typeof probeKnowledge>[1], numSamples = 1) =>
      probeKnowledge(
        answering(() => ''),
        questions,
        { numSamples },
      );
    await expect(probe([{ phrasings: ['q'], answers: [] }])).rejects.toThrow(/Question 0 has no phrasing/);
    await expect(probe([], 0)).rejects.toBeInstanceOf(ConfigError);
  });
});

describe('sampled answers', () => {
  const collect = async (questions: string[], seed: number) => {
    const seen: GenerateOptions[] = [];
    await sampleAnswers(
      answering(() => 'x', seen),
      questions,
      { numSamples: 2, temperature: 1, seed, maxTokens: 8 },
    );
    return seen.map((options) => [options.seed, options.choice]);
  };

  test("a question's draws are its own, whatever is asked beside it", async () => {
    const [both, alone] = [await collect(['a', 'b'], 3), await collect(['b'], 3)];
    expect(both.slice(2)).toEqual(alone);
    expect(both[0]).not.toEqual(both[2]);
    expect(both.map(([, choice]) => choice)).toEqual([0, 1, 0, 1]);
    expect(await collect(['b'], 4)).not.toEqual(alone);
  });

  test('stopped, they are no answers', async () => {
    const controller = new AbortController();
    controller.abort();
    const run = sampleAnswers(
      answering(() => 'x'),
      ['a'],
      { numSamples: 1, temperature: 0, seed: 0, maxTokens: 4, signal: controller.signal },
    );
    await expect(run).rejects.toBeInstanceOf(CancelledError);
  });

  test("an answer's probability is the product over its tokens", () => {
    const logprobs = [0.5, 0.8].map((p) => ({ token: 1, logprob: Math.log(p), top: [] }));
    const completion = { logprobs } as unknown as Parameters<typeof answerProbability>[0];
    expect(answerProbability(completion)).toBeCloseTo(0.4, 12);
    expect(answerProbability({ ...completion, logprobs: undefined } as never)).toBeNaN();
  });
});

describe('abstention data', () => {
  const probed = Array.from({ length: 10 }, (_, i) => ({
    question: `q${i}`,
    answer: `a${i}`,
    knowledge: { class: i < 4 ? ('highly-known' as const) : ('unknown' as const) },
  }));

  test('what is known keeps its answer, what is not gets the refusal', () => {
    const data = abstentionData(probed, { refusal: "I don't know.", maxShare: 0.9 });
    expect(data).toMatchObject({ numAnswered: 4, numRefused: 6, numLeftOut: 0 });
    expect(data.records[0]).toEqual({ question: 'q0', answer: 'a0' });
    expect(data.records[9]).toEqual({ question: 'q9', answer: "I don't know." });
  });

  test.each([0, 0.2, 0.5, 0.59])('refusals keep to a share of %f', (maxShare) => {
    const { records, numRefused, numLeftOut, numAnswered } = abstentionData(probed, {
      refusal: 'no',
      maxShare,
      seed: 2,
    });
    expect(numRefused / records.length).toBeLessThanOrEqual(maxShare);
    expect((numRefused + 1) / (records.length + 1)).toBeGreaterThan(maxShare);
    expect(numAnswered + numRefused + numLeftOut).toBe(10);
    // No label that is not known is ever kept.
    expect(records.every(({ question, answer }) => answer === 'no' || Number(question.slice(1)) < 4)).toBe(
      true,
    );
  });

  test('a blank refusal and a share of 1 are refused', () => {
    expect(() => abstentionData(probed, { refusal: ' ' })).toThrow(ConfigError);
    expect(() => abstentionData(probed, { refusal: 'no', maxShare: 1 })).toThrow(/maxShare.*got 1/);
  });
});

describe('pairs', () => {
  const ended = (text: string) => ({ text, finishReason: 'stop' as const });

  test('factual and counterfactual: right over wrong, a refusal over the most confident invention', () => {
    const { pairs, numByFault } = honestyPairs(
      [
        {
          question: 'capital of Peru?',
          accepted: ['Lima'],
          knowledge: {
            class: 'maybe-known',
            answers: [
              { text: 'Lima', count: 3 },
              { text: 'Quito', count: 2 },
              { text: 'I don’t know', count: 1 },
            ],
          },
        },
        {
          question: 'capital of Zorbia?',
          accepted: ['Zorb'],
          knowledge: {
            class: 'unknown',
            answers: [
              { text: 'Zagreb', count: 5 },
              { text: 'Riga', count: 1 },
            ],
          },
        },
      ],
      'I don’t know.',
      { maxPerQuestion: 1 },
    );
    const shown = pairs.map(({ messages, chosen, rejected }) =>
      [messages, chosen, rejected].map((turn) => turn[0]!.content),
    );
    expect(shown).toEqual([
      ['capital of Peru?', 'Lima', 'Quito'],
      ['capital of Zorbia?', 'I don’t know.', 'Zagreb'],
    ]);
    expect(numByFault).toEqual({ wrong: 1, invented: 1 });
  });

  test('an answer that never ended is faulty though its text might do; the chosen one must have no fault', () => {
    const questions = [
      {
        question: 'q',
        chosen: 'a',
        answers: [ended('a'), { ...ended('a a a'), finishReason: 'length' as const }],
      },
    ];
    const cut = faultPairs(questions, (_, { finishReason }) =>
      finishReason === 'stop' ? undefined : 'no end',
    );
    expect(cut.numByFault).toEqual({ 'no end': 1 });
    expect(cut.pairs[0]!.rejected[0]!.content).toBe('a a a');
    expect(() => faultPairs(questions, () => 'always')).toThrow(DataError);
  });

  test('an answer that differs from the chosen one in its case alone makes no pair', () => {
    const { pairs } = faultPairs(
      [{ question: 'q', chosen: 'Lima', answers: [ended('lima')] }],
      (_, { text }) => (text === 'Lima' ? undefined : 'case'),
    );
    expect(pairs).toEqual([]);
  });
});

describe('expected calibration error', () => {
  const judged = (probability: number, right: number, total: number) =>
    Array.from({ length: total }, (_, i) => ({ probability, isRight: i < right }));

  test('is zero when probabilities come true and their distance when they do not', () => {
    expect(expectedCalibrationError([...judged(0.75, 3, 4), ...judged(0.25, 1, 4)])).toBeCloseTo(0, 12);
    expect(expectedCalibrationError(judged(1, 1, 4))).toBeCloseTo(0.75, 12);
    // Half the answers are off by .15, half by .25.
    expect(expectedCalibrationError([...judged(0.9, 3, 4), ...judged(0.5, 1, 4)])).toBeCloseTo(0.2, 12);
  });

  test('opposite errors within one bin cancel, in two bins they do not', () => {
    const answers = [...judged(0.52, 0, 1), ...judged(0.58, 1, 1)];
    expect(expectedCalibrationError(answers)).toBeCloseTo(0.05, 12);
    expect(expectedCalibrationError(answers, 20)).toBeCloseTo((0.52 + 0.42) / 2, 12);
  });
});
