import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import atlas from '../../recipes/atlas.ts';
import { ConfigError } from '../../src/core/errors.ts';
import { numParameters } from '../../src/model/config.ts';
import { modelConfig, planModel, planSteps, type RecipeSettings } from '../../src/recipe/index.ts';
import { secondsPerPreferStep, settleFinetuning } from '../../src/recipe/plan.ts';
import type { RecipeOverrides } from '../../src/recipe/recipe.ts';
import { DEFAULT_OPTIMIZER } from '../../src/train/index.ts';

const TOKENS = { vocabSize: 2048, endOfTextId: 0, endOfTurnId: 2 };
const sizeOf = (minutes: number, overrides?: RecipeOverrides) =>
  numParameters(modelConfig(planModel({ minutes }, overrides), TOKENS));
const MEASURED = { secondsPerStep: 0.2, flopsPerStep: 2e10, numEvaluationQuestions: 500, secondsSoFar: 3 };

describe('planModel', () => {
  test('more minutes never give a smaller model, and a day gives a larger one than a minute', () => {
    const minutes = [0.1, 0.5, 1, 2, 3.9, 4, 5, 10, 20, 59, 60, 120, 240, 1440, 10_080];
    const sizes = minutes.map((value) => sizeOf(value));
    expect(sizes).toEqual([...sizes].sort((a, b) => a - b));
    expect(sizes.at(-1)).toBeGreaterThan(10 * sizes[0]!);
  });

  test.each([100_000, 1_000_000, 5_000_000, 30_000_000])(
    'asked for %i parameters it comes near',
    (params) => {
      const settings = planModel({ minutes: 5, params });
      const count = numParameters(modelConfig(settings, TOKENS));
      expect(Math.abs(Math.log(count / params))).toBeLessThan(Math.log(1.7));
    },
  );

  test('overrides are kept as given, and what depends on them follows', () => {
    const overrides: Partial<RecipeSettings> = {
      seed: 9,
      vocabSize: 700,
      hiddenSize: 64,
      numLayers: 7,
      contextLength: 48,
      batchSize: 5,
      clipNorm: Number.POSITIVE_INFINITY,
      unknownShare: 0,
    };
    const settings = planModel({ minutes: 30 }, overrides);
    expect(settings).toMatchObject(overrides);
    expect(settings.numHeads).toBe(2);
    expect(settings.numKvHeads).toBe(2);
    expect(settings.intermediateSize).toBe(192);
    expect(modelConfig(settings, TOKENS)).toMatchObject({
      hiddenSize: 64,
      numLayers: 7,
      headDim: 32,
      maxPositionEmbeddings: 48,
    });
  });

  test('a day gives no size beyond maxParams; a size given by hand may be larger; none within it is an error', () => {
    const maxParams = 1_600_000;
    expect(sizeOf(1440)).toBeGreaterThan(maxParams);
    expect(sizeOf(1440, { maxParams })).toBeLessThanOrEqual(maxParams);
    // The next smaller shape, not just any.
    expect(sizeOf(1440, { maxParams })).toBeGreaterThan(maxParams / 2);
    expect(sizeOf(2, { maxParams: 500_000_000 })).toBe(sizeOf(2));
    expect(sizeOf(5, { maxParams, hiddenSize: 256 })).toBeGreaterThan(maxParams);
    expect(() => planModel({ minutes: 5 }, { maxParams: 50_000 })).toThrow(
      /maxParams is 50000.*vocabulary of 2048/,
    );
  });

  test('the atlas stays within 2 MB at 8 bits: a code and a 32nd of a scale for every weight', () => {
    const { settings } = atlas;
    const params = sizeOf(1440, settings);
    const numBytes = params * (1 + 4 / 32);
    expect(numBytes).toBeLessThan(1.95e6);
  });

  test('an override of undefined is no override', () => {
    const overrides = { vocabSize: undefined, hiddenSize: undefined } as unknown as Partial<RecipeSettings>;
    expect(planModel({ minutes: 5 }, overrides)).toEqual(planModel({ minutes: 5 }));
  });

  test('wider models learn at smaller rates', () => {
    const rate = (hiddenSize: number) =>
      planModel({ minutes: 5 }, { hiddenSize }).pretrainOptimizer.learningRate;
    expect(rate(256)).toBeCloseTo(rate(128) / 2, 12);
    expect(rate(64)).toBe(rate(128));
  });

  test.each([
    [{ minutes: 0 }, /minutes must be above 0.*got 0/],
    [{ minutes: Number.NaN }, /minutes.*NaN/],
    [{ minutes: 1e6 }, /minutes.*10080/],
    [{ minutes: 5, params: 10 }, /params must be between 50000 and 500000000, got 10/],
    [{ minutes: 5, flops: -1 }, /flops must be a number above 0, got -1/],
  ])('a dial of %o is refused', (dial, message) => {
    expect(() => planModel(dial)).toThrow(ConfigError);
    expect(() => planModel(dial)).toThrow(message);
  });

  test.each([
    [{ hiddenSize: 100 }, /hiddenSize 100 must be a multiple of twice numHeads \(3\); try hiddenSize 102/],
    [{ numLayers: 0 }, /numLayers must be a whole number from 1 .*got 0/],
    [{ numLayers: 1e9 }, /numLayers.*1000000000/],
    [{ batchSize: 2.5 }, /batchSize.*2\.5/],
    [{ batchSize: 65_536 }, /batchSize 65536 of contextLength 128 is 8388608 tokens/],
    [{ contextLength: 1e9 }, /contextLength.*1000000000/],
    [{ seed: -1 }, /seed.*-1/],
    [{ clipNorm: 0 }, /clipNorm.*0/],
    [{ unknownShare: 1 }, /unknownShare.*1/],
    [{ proseShare: 1 }, /proseShare.*1/],
    [{ pretrainSteps: 0 }, /pretrainSteps.*0/],
    [{ sftSteps: Number.NaN }, /sftSteps.*NaN/],
    [{ numHeads: 4, numKvHeads: 3 }, /numHeads 4 must be a multiple of numKvHeads 3/],
    [{ vocabulary: 5 } as Partial<RecipeSettings>, /no setting "vocabulary".*vocabSize/],
    [
      { sftSchedule: { ...planModel({ minutes: 5 }).sftSchedule, decayShare: 2 } },
      /sftSchedule\.decayShare.*2/,
    ],
    [
      { pretrainOptimizer: { ...planModel({ minutes: 5 }).pretrainOptimizer, beta1: 1 } },
      /pretrainOptimizer\.beta1.*1/,
    ],
  ])('settings of %o are refused', (overrides, message) => {
    expect(() => planModel({ minutes: 5 }, overrides)).toThrow(ConfigError);
    expect(() => planModel({ minutes: 5 }, overrides)).toThrow(message);
  });

  test('a model above the limit is refused before anything is allocated', () => {
    const settings = planModel({ minutes: 5 }, { hiddenSize: 8192, numLayers: 256 });
    expect(() => modelConfig(settings, TOKENS)).toThrow(/parameters; the limit is 500000000/);
  });
});

describe('planSteps', () => {
  const stepsFor = (minutes: number) => planSteps({ minutes }, MEASURED);

  test('more minutes never give fewer steps, and the plan keeps to the budget', () => {
    let before = { pretrainSteps: 0, sftSteps: 0 };
    for (let minutes = 0.5; minutes < 300; minutes *= 1.3) {
      const steps = stepsFor(minutes);
      expect(steps.pretrainSteps).toBeGreaterThanOrEqual(before.pretrainSteps);
      expect(steps.sftSteps).toBeGreaterThanOrEqual(before.sftSteps);
      if (steps.sftSteps > 30) expect(steps.plannedSeconds).toBeLessThanOrEqual(minutes * 60);
      before = steps;
    }
    expect(before.pretrainSteps).toBeGreaterThan(10_000);
  });

  test('preferences take a small share of the time, and their steps fit beside the others', () => {
    const { pretrainSteps, sftSteps, preferSteps, plannedSeconds } = stepsFor(10);
    const others = (pretrainSteps + sftSteps) * MEASURED.secondsPerStep;
    const preferring = preferSteps * secondsPerPreferStep(MEASURED.secondsPerStep);
    expect(preferring / (preferring + others)).toBeCloseTo(0.06, 2);
    expect(plannedSeconds).toBeLessThan(600);
    expect(stepsFor(600).preferSteps).toBe(200);
    const without = planSteps({ minutes: 10 }, MEASURED, { preferSteps: 0 });
    expect(without.preferSteps).toBe(0);
    expect(without.pretrainSteps + without.sftSteps).toBeGreaterThan(pretrainSteps + sftSteps);
    expect(planSteps({ minutes: 10 }, MEASURED, {}, 1)).toMatchObject({ sftSteps: 0, preferSteps: 0 });
  });

  test('a budget too small for anything still trains a little, and the planned time says so', () => {
    const steps = stepsFor(0.1);
    expect(steps).toMatchObject({ pretrainSteps: 30, sftSteps: 30 });
    expect(steps.plannedSeconds).toBeGreaterThan(6);
  });

  test('a slower machine, more questions and time already used all cost steps', () => {
    const base = stepsFor(5).pretrainSteps;
    const other = (changes: Partial<typeof MEASURED>) =>
      planSteps({ minutes: 5 }, { ...MEASURED, ...changes }).pretrainSteps;
    expect(other({ secondsPerStep: 0.4 })).toBeLessThan(0.6 * base);
    expect(other({ numEvaluationQuestions: 5000 })).toBeLessThan(base);
    expect(other({ secondsSoFar: 60 })).toBeLessThan(base);
  });

  test('a FLOP budget counts steps by FLOPs, whatever the minutes', () => {
    const steps = planSteps({ minutes: 1, flops: 2e13 }, MEASURED);
    // A step of preferences is 0.3 of one of the others.
    expect(steps.pretrainSteps + steps.sftSteps).toBe(940);
    expect(steps.preferSteps).toBe(200);
  });

  test('given steps are kept', () => {
    const given = { pretrainSteps: 12, sftSteps: 7, preferSteps: 3 };
    expect(planSteps({ minutes: 5 }, MEASURED, given)).toMatchObject(given);
  });

  test('a budget of too many steps is refused', () => {
    expect(() => planSteps({ minutes: 5, flops: 1e30 }, MEASURED)).toThrow(/limit is 100000000/);
    expect(() => planSteps({ minutes: 5 }, { ...MEASURED, secondsPerStep: 0 })).toThrow(ConfigError);
  });
});

describe('settleFinetuning', () => {
  const settle = (changes: Partial<Parameters<typeof settleFinetuning>[1]>) =>
    settleFinetuning(
      { minutes: 5 },
      {
        plannedSteps: 400,
        secondsPerStep: 0.2,
        secondsSoFar: 200,
        numEvaluationQuestions: 500,
        preferSteps: 0,
        ...changes,
      },
    );

  test('gives the steps that fit into what is left', () => {
    const steps = settle({});
    expect(steps).toBeGreaterThan(240);
    expect(steps).toBeLessThan(500);
    expect(200 + steps * 0.2).toBeLessThan(300);
    expect(settle({ secondsSoFar: 210 })).toBe(steps - 50);
    // What preferences will need is kept for them.
    const kept = (20 * secondsPerPreferStep(0.2)) / 0.2;
    expect(Math.abs(settle({ preferSteps: 20 }) - (steps - kept))).toBeLessThanOrEqual(1);
  });

  test('keeps within the bounds of the plan, also when time is over', () => {
    expect(settle({ secondsSoFar: 10_000 })).toBe(200);
    expect(settle({ secondsSoFar: 0, secondsPerStep: 0.01 })).toBe(800);
    expect(settle({ plannedSteps: 30, secondsSoFar: 10_000 })).toBe(30);
  });
});

test('docs/recipe.md and docs/training.md give the defaults that hold', () => {
  const read = (name: string) => readFileSync(new URL(`../../docs/${name}`, import.meta.url), 'utf8');
  const recipe = read('recipe.md');
  const settings = planModel({ minutes: 5 });
  const { pretrainSteps, sftSteps } = planSteps({ minutes: 500 }, MEASURED);
  const share = Math.round((100 * pretrainSteps) / (pretrainSteps + sftSteps));
  const { pretrainSchedule: pretrain, sftSchedule: sft } = settings;
  for (const row of [
    `| \`seed\` | ${settings.seed} |`,
    `| \`vocabSize\` | ${settings.vocabSize} |`,
    `| \`maxParams\` | ${settings.maxParams};`,
    `| \`contextLength\` | ${settings.contextLength} |`,
    `| \`batchSize\` | ${settings.batchSize}, more from`,
    `| \`clipNorm\` | ${settings.clipNorm} |`,
    `| \`unknownShare\` | ${settings.unknownShare} of`,
    `| \`proseShare\` | ${settings.proseShare} of`,
    `| ${share} % and ${100 - share} % of the steps`,
    `| ${settings.pretrainOptimizer.name === 'muon' ? 'Muon' : 'AdamW'}, \`learningRate\` ${settings.pretrainOptimizer.learningRate} times`,
    `| ${settings.preferOptimizer.name === 'muon' ? 'Muon' : 'AdamW'}, \`learningRate\` ${settings.preferOptimizer.learningRate} whatever`,
    `| ${pretrain.warmupSteps} steps of warm-up, constant, the last ${100 * pretrain.decayShare} % down to ${pretrain.finalShare} |`,
    `| ${sft.warmupSteps} steps of warm-up, constant, the last ${100 * sft.decayShare} % down to ${sft.finalShare} |`,
  ])
    expect(recipe).toContain(row);
  const { name, learningRate, ...others } = DEFAULT_OPTIMIZER;
  expect(read('training.md')).toContain(`\`${name}\` (default)`);
  for (const [field, value] of Object.entries({ learningRate, ...others }))
    expect(read('training.md')).toContain(`\`${field}\` ${value}`);
});
