/** Accounts of stages against amounts worked out by hand and against the compiled step. */
import { describe, expect, test } from 'vitest';
import type { PlinthEvent, TrainStepEvent } from '../../src/core/events.ts';
import { parameterSpecs, type TransformerConfig } from '../../src/model/config.ts';
import { accountFor, generationWork, scoringWork, trainingWork } from '../../src/recipe/accounting.ts';
import { nodeDeviceByName } from '../../src/runtime/index.node.ts';
import { architectureOfTransformer } from '../../src/scaling/architecture/index.ts';
import { rentalPrice, trainingCost } from '../../src/scaling/cost/index.ts';
import { flopsPerToken } from '../../src/scaling/count/index.ts';
import { DEFAULT_OPTIMIZER, languageModelObjective, TrainingStep } from '../../src/train/index.ts';

const config: TransformerConfig = {
  architecture: 'qwen3',
  vocabSize: 50,
  hiddenSize: 16,
  numLayers: 2,
  numHeads: 2,
  numKvHeads: 2,
  headDim: 8,
  intermediateSize: 32,
  ropeTheta: 10_000,
  ropeScaling: null,
  rmsNormEps: 1e-6,
  tieWordEmbeddings: true,
  maxPositionEmbeddings: 64,
  hiddenAct: 'silu',
  bosTokenId: null,
  eosTokenIds: [0],
  padTokenId: 0,
  initializerRange: 0.02,
};
// Numbers in the matrices: attention 4 * 16 * 16, feed-forward 3 * 16 * 32, each in two layers; the head 50 * 16.
const MATRICES = 2 * (4 * 256 + 3 * 512);
const HEAD = 800;
/** Of one token that attends to `places`: scores and value sums are 2 FLOPs for each of 16 numbers, in two layers. */
const attention = (places: number) => 2 * 2 * 2 * 16 * places;

describe('generation', () => {
  test('one generated token costs the reading of the prompt, with the head at its last place alone', () => {
    // A causal kernel computes half of the 5 x 5 scores.
    const read = 5 * 2 * MATRICES + 2 * HEAD + (5 * attention(5)) / 2;
    const { flops, tokens } = generationWork(config, [{ promptTokens: 5, completionTokens: 1 }]);
    expect(tokens).toBe(1);
    expect(Math.abs(flops / read - 1)).toBeLessThan(0.06);
  });

  test('each further token costs twice the matrices and attention to all places before it', () => {
    const work = (completionTokens: number) =>
      generationWork(config, [{ promptTokens: 5, completionTokens }]).flops;
    const step = (places: number) => 2 * (MATRICES + HEAD) + attention(places);
    expect(work(2) - work(1)).toBe(step(6));
    expect(work(4) - work(1)).toBe(step(6) + step(7) + step(8));
  });

  test('is the sum over answers of what the counting of scaling says step by step', () => {
    const architecture = architectureOfTransformer(config);
    const answers = [
      { promptTokens: 9, completionTokens: 4 },
      { promptTokens: 3, completionTokens: 7 },
      { promptTokens: 9, completionTokens: 0 },
    ];
    const expected = answers.reduce((sum, { promptTokens, completionTokens }) => {
      let flops = flopsPerToken(architecture, { contextLength: promptTokens, causalMask: 'half' }).prefill;
      for (let k = 1; k < completionTokens; k++) {
        flops += flopsPerToken(architecture, { contextLength: promptTokens + k }).decode;
      }
      return sum + flops;
    }, 0);
    const { flops, tokens } = generationWork(config, answers);
    expect(flops / expected).toBeCloseTo(1, 12);
    expect(tokens).toBe(11);
  });

  test('scoring is the forward pass with the head at every place', () => {
    const { flops, tokens } = scoringWork(config, [6, 6]);
    expect(flops).toBe(12 * (2 * (MATRICES + HEAD) + attention(6)));
    expect(tokens).toBe(12);
  });
});

describe('training', () => {
  test("a stage's FLOPs are those of its compiled step, times its steps", async () => {
    const shape = { batchSize: 2, length: 12, segments: true };
    const step = await TrainingStep.compile(
      await nodeDeviceByName('cpu', { numThreads: 1 }),
      languageModelObjective(config, shape),
      parameterSpecs(config),
      { optimizer: DEFAULT_OPTIMIZER, clipNorm: 1, accumulate: 1 },
    );
    await step.dispose();
    // As `train` tells them: rates over a smoothed time, tokens since the start.
    const events: PlinthEvent[] = [0.013, 0.27, 0.0041].map((seconds, i) => ({
      ...({ type: 'train-step', stage: 'sft', numSteps: 3, loss: 1, learningRate: 1 } as TrainStepEvent),
      step: i + 1,
      tokens: (i + 1) * 24,
      tokensPerSecond: 24 / seconds,
      gflops: step.flops / seconds / 1e9,
    }));
    const work = trainingWork([...events, { ...events[0]!, stage: 'other' } as TrainStepEvent], 'sft')!;
    expect(work.flops / (3 * step.flops)).toBeCloseTo(1, 12);
    expect(work.tokens).toBe(72);
    // Three passes over matrices, head and full scores, within the 5 % that segments and such add.
    const counted = 24 * 3 * (2 * (MATRICES + HEAD) + attention(12));
    expect(Math.abs(step.flops / counted - 1)).toBeLessThan(0.05);
    expect(trainingWork(events, 'prefer')).toBeUndefined();
  });
});

describe('accounts', () => {
  const account = accountFor([
    { stage: 'pretrain', seconds: 60, training: { flops: 6e12, tokens: 1000 } },
    {
      stage: 'rl',
      seconds: 30,
      training: { flops: 1e12, tokens: 100 },
      generation: { flops: 2e12, tokens: 50 },
      scoring: { flops: 1e12, tokens: 100 },
    },
    { stage: 'plan', seconds: 10 },
  ]);

  test('shares are of all FLOPs and of all seconds, and add up', () => {
    expect(account.total).toMatchObject({ flops: 1e13, seconds: 100 });
    expect(account.stages.map(({ shareOfFlops }) => shareOfFlops)).toEqual([0.6, 0.4, 0]);
    expect(account.stages.map(({ shareOfSeconds }) => shareOfSeconds)).toEqual([0.6, 0.3, 0.1]);
    expect(account.stages[1]!.flops).toBe(4e12);
  });

  test('dollars are those of the same FLOPs by the cost of training, with its sources', () => {
    const { dollars } = trainingCost({ flops: 1e13 });
    expect(account.total.dollars!.typical / dollars!.typical).toBeCloseTo(1, 10);
    expect(account.stages[0]!.dollars!.high / account.total.dollars!.high).toBeCloseTo(0.6, 10);
    expect(
      account.terms.assumptions.some(({ source }) => source.includes(rentalPrice('h100-sxm')!.source)),
    ).toBe(true);
  });

  test('another accelerator has another price, one of no known price none, and nothing done costs nothing', () => {
    const use = { stage: 'sft', seconds: 1, training: { flops: 1e12, tokens: 1 } };
    const at = (pricePerHour: number) =>
      accountFor([use], { accelerator: 'l4', pricePerHour, utilization: 0.5 }).total.dollars!;
    expect(at(2).typical / at(1).typical).toBeCloseTo(2, 12);
    expect(accountFor([use], { peakFlops: 1e12 }).total.dollars).toBeNull();
    const nothing = accountFor([]);
    expect(nothing.total).toMatchObject({ flops: 0, seconds: 0 });
    expect(accountFor([{ stage: 'facts', seconds: 0 }]).stages[0]).toMatchObject({
      shareOfFlops: 0,
      shareOfSeconds: 0,
    });
  });
});
