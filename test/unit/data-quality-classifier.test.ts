/** The linear text classifier: what it separates, that training repeats, its file, and the rules that keep by score. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { DataError, FormatError, PlinthError } from '../../src/core/errors.ts';
import {
  keepByQuality,
  type LabelledText,
  LinearClassifier,
  loadClassifier,
  saveClassifier,
  trainClassifier,
} from '../../src/data/quality/index.node.ts';
import { TextFeatures } from '../../src/data/quality/text-features.ts';
import { JUNK_KINDS, junkFrom, mobyDick, passages, speeches } from '../fixtures/data/prose-and-junk.ts';

let examples: LabelledText[];
let trained: ReturnType<typeof trainClassifier>;
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'plinth-quality-'));
  // Every tenth speech stays unseen.
  const seen = speeches().filter((_, i) => i % 10 !== 0);
  const real = [...passages(seen, 1500), ...passages(mobyDick(), 700)];
  const junk = junkFrom(real, 1);
  examples = real.flatMap((text, i) => [
    { text, label: 'good' },
    { text: junk[i]!.text, label: 'bad' },
  ]);
  trained = trainClassifier(examples);
});

afterAll(() => rm(folder, { recursive: true, force: true }));

describe('prose against junk', () => {
  test('held-out accuracy is at least .95 with an interval that holds it, and scores are calibrated', () => {
    const { report } = trained;
    expect(report.accuracy).toBeGreaterThanOrEqual(0.95);
    const [low, high] = report.accuracyInterval95;
    expect(low).toBeLessThan(report.accuracy);
    expect(high).toBeGreaterThan(report.accuracy);
    expect(high - low).toBeLessThan(0.05);
    expect(report.calibrationError).toBeLessThan(0.03);
    expect(report.logLoss).toBeLessThan(0.15);
    expect(report.numTrained + report.numHeldOut + report.numDuplicates + report.numConflicting).toBe(
      examples.length,
    );
  });

  test('holds on speeches that neither training nor the report saw, kind by kind', () => {
    const unseen = passages(
      speeches().filter((_, i) => i % 10 === 0),
      800,
    );
    const isBad = (text: string): boolean => trained.classifier.classify(text).label === 'bad';
    expect(unseen.filter(isBad).length / unseen.length).toBeLessThan(0.05);
    const junk = junkFrom(unseen, 2);
    const caught = junk.filter(({ text }) => isBad(text)).length / junk.length;
    expect(caught).toBeGreaterThanOrEqual(0.95);
    for (const kind of JUNK_KINDS) {
      const ofKind = junk.filter((item) => item.kind === kind);
      expect(ofKind.filter(({ text }) => isBad(text)).length / ofKind.length, kind).toBeGreaterThan(0.85);
    }
  });

  test("score is the first label's probability; probabilities sum to 1", () => {
    const { classifier } = trained;
    const { probabilities } = classifier.classify('The committee met and considered the report.');
    expect(classifier.labels).toEqual(['good', 'bad']);
    expect(classifier.score('The committee met and considered the report.')).toBe(probabilities[0]);
    expect(probabilities[0]! + probabilities[1]!).toBeCloseTo(1, 12);
    expect(() => classifier.score('x', 'ugly')).toThrow(/No label "ugly"; this classifier knows good, bad/);
  });
});

test('training is the same bit for bit, and another seed is another model', () => {
  const some = examples.slice(0, 600);
  const first = trainClassifier(some, { seed: 3, numBuckets: 1 << 14 });
  const second = trainClassifier(some, { seed: 3, numBuckets: 1 << 14 });
  expect(second.classifier.toBytes()).toEqual(first.classifier.toBytes());
  expect(second.report).toEqual(first.report);
  const other = trainClassifier(some, { seed: 4, numBuckets: 1 << 14 });
  expect(other.classifier.toBytes()).not.toEqual(first.classifier.toBytes());
});

test('several labels, very unequal in number, come out balanced', () => {
  const ofKind = (kind: string, count: number): LabelledText[] =>
    junkFrom(passages(speeches(), 2000), 5)
      .filter((item) => item.kind === kind)
      .slice(0, count)
      .map(({ text }) => ({ text, label: kind }));
  const texts = [
    ...passages(speeches(), 400).map((text) => ({ text, label: 'prose' })),
    ...ofKind('keywords', 30),
    ...ofKind('menu', 80),
  ];
  const { classifier, report } = trainClassifier(texts, { labels: ['menu', 'prose', 'keywords'] });
  expect(classifier.labels).toEqual(['menu', 'prose', 'keywords']);
  expect(report.balancedAccuracy).toBeGreaterThan(0.95);
  expect(report.labels.map(({ numHeldOut }) => numHeldOut)).toEqual([16, 80, 6]);
  expect([...classifier.probabilities('Home | About us | Login')].reduce((a, b) => a + b)).toBeCloseTo(1, 12);
});

test('scripts without spaces are told apart by their characters', () => {
  const random = (i: number, letters: string): string =>
    Array.from({ length: 40 }, (_, k) => letters[(i * 7 + k * k * 3 + i * k) % letters.length]).join('');
  const texts = Array.from({ length: 60 }, (_, i) => [
    { text: random(i, '我们今天去学校学习中文数学'), label: 'a' },
    { text: random(i, '天校学习文数我中们去今学很好'), label: 'b' },
  ]).flat();
  expect(trainClassifier(texts).report.accuracy).toBeGreaterThan(0.9);
});

describe('texts that cannot serve', () => {
  test('equal ones count once, contradictory and empty ones not at all', () => {
    const many = Array.from({ length: 40 }, (_, i) => ({
      text: `word${'abcdefgh'[i % 8]} ${'qrstuv'[i % 5]} unique ${'xyzw'.repeat(i)}`,
      label: i % 2 ? 'a' : 'b',
    }));
    const { report } = trainClassifier([
      ...many,
      many[0]!,
      many[0]!,
      { text: many[1]!.text, label: 'b' },
      { text: many[1]!.text, label: 'a' },
      { text: ' \t', label: 'a' },
    ]);
    expect(report).toMatchObject({ numDuplicates: 2, numConflicting: 3, numWithoutWords: 1, numCut: 0 });
    expect(report.numTrained + report.numHeldOut).toBe(39);
  });

  test('too few of a label, or one label only, is an error that says so', () => {
    const good = examples.slice(0, 40).map(({ text }) => ({ text, label: 'good' }));
    expect(() => trainClassifier(good)).toThrow(/1 label \("good"\); expected two or more/);
    expect(() => trainClassifier([...good, { text: 'x', label: 'bad' }])).toThrow(DataError);
    expect(() => trainClassifier([...good, { text: 'x', label: 'bad' }], { labels: ['good'] })).toThrow(
      /Label "bad" is not among the given ones: good/,
    );
    expect(() => trainClassifier(good, { numBuckets: 1000 })).toThrow(/power of two/);
  });
});

describe('the file', () => {
  test('gives back the same classifier', async () => {
    const path = join(folder, 'quality.bin');
    await saveClassifier(path, trained.classifier);
    const loaded = await loadClassifier(path);
    for (const { text } of examples.slice(0, 50)) {
      expect(loaded.probabilities(text)).toEqual(trained.classifier.probabilities(text));
    }
  });

  test('cut short, changed, of another kind or missing is a clear error', async () => {
    const small = trainClassifier(examples.slice(0, 100), { numBuckets: 256 }).classifier.toBytes();
    expect(() => LinearClassifier.fromBytes(small)).not.toThrow();
    fc.assert(
      fc.property(fc.nat(small.length - 1), fc.integer({ min: 1, max: 255 }), (at, change) => {
        expect(() => LinearClassifier.fromBytes(small.subarray(0, at))).toThrow(FormatError);
        const bytes = small.slice();
        bytes[at]! ^= change;
        expect(() => LinearClassifier.fromBytes(bytes)).toThrow(FormatError);
      }),
    );
    const path = join(folder, 'text.bin');
    await writeFile(path, 'not a model at all');
    await expect(loadClassifier(path)).rejects.toThrow(/text\.bin: Not a model file of Plinth/);
    await expect(loadClassifier(join(folder, 'none'))).rejects.toThrow(DataError);
    expect((await readFile(path)).length).toBeGreaterThan(0);
  });

  test('with settings that do not fit its arrays is refused', () => {
    const { parameters } = trained.classifier;
    for (const wrong of [
      { numBuckets: 1 << 17 },
      { labels: ['a'] },
      { labels: ['a', 'a'] },
      { temperature: 0 },
    ]) {
      expect(() => new LinearClassifier({ ...parameters, ...wrong })).toThrow(PlinthError);
    }
  });
});

test('features of a text do not depend on the texts before, and any text has some or none', () => {
  const shared = new TextFeatures(1 << 12);
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 300 }), (text) => {
      const fresh = new TextFeatures(1 << 12);
      expect(shared.read(text)).toBe(fresh.read(text));
      expect(shared.buckets.slice(0, shared.count)).toEqual(fresh.buckets.slice(0, fresh.count));
      expect(fresh.count).toBeLessThanOrEqual(3 * text.length);
    }),
  );
  expect(new TextFeatures(256).read('one two one two')).toBe(7);
  const bucketsOf = (text: string): Uint32Array => {
    const features = new TextFeatures(1 << 12);
    return features.buckets.slice(0, features.read(text));
  };
  expect(bucketsOf('ONE  Two\tone 12')).toEqual(bucketsOf('one two one 99'));
  expect(bucketsOf('one\ntwo')).not.toEqual(bucketsOf('one\n\ntwo'));
});

describe('keepByQuality', () => {
  test('a threshold keeps from itself on', () => {
    expect(keepByQuality(0.5, { threshold: 0.5 })).toBe(true);
    expect(keepByQuality(0.4999, { threshold: 0.5 })).toBe(false);
    expect(() => keepByQuality(Number.NaN, { threshold: 0.5 })).toThrow(/score is NaN/);
    expect(() => keepByQuality(0.5, { threshold: 50 })).toThrow(/threshold is 50/);
  });

  // Source of the rule: Brown et al. 2020, appendix A, np.random.pareto(9) > 1 - score; P = (2 - score)^-9.
  test.each([0, 0.5, 0.8, 0.95, 1])('the Pareto rule keeps (2 - score)^-9 of score %d', (score) => {
    const numDraws = 20_000;
    let numKept = 0;
    for (let i = 0; i < numDraws; i++) {
      if (keepByQuality(score, { pareto: 9, seed: 1 }, `document ${i}`)) numKept++;
    }
    const expected = (2 - score) ** -9;
    const deviation = Math.sqrt((expected * (1 - expected)) / numDraws);
    expect(Math.abs(numKept / numDraws - expected)).toBeLessThanOrEqual(4 * deviation + 1e-9);
  });

  test('the same document meets the same fate; a better score never loses it', () => {
    fc.assert(
      fc.property(fc.string({ minLength: 1 }), fc.double({ min: 0, max: 1, noNaN: true }), (id, score) => {
        const rule = { pareto: 9, seed: 7 };
        const kept = keepByQuality(score, rule, id);
        expect(keepByQuality(score, rule, id)).toBe(kept);
        if (kept) expect(keepByQuality(Math.min(1, score + 0.1), rule, id)).toBe(true);
      }),
    );
    expect(() => keepByQuality(0.5, { pareto: 9, seed: 7 })).toThrow(/empty id/);
  });
});
