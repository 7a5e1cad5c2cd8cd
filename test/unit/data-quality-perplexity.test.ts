/** The n-gram language model and the buckets by perplexity. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ConfigError, FormatError } from '../../src/core/errors.ts';
import {
  bucketOf,
  loadPerplexityModel,
  PerplexityModel,
  PerplexitySample,
  perplexityBuckets,
  savePerplexityModel,
  trainPerplexityModel,
} from '../../src/data/quality/index.node.ts';
import { NgramCounter } from '../../src/data/quality/ngram-counter.ts';
import { estimateNgramModel, type NgramModel } from '../../src/data/quality/ngram-model.ts';
import { trainBpe } from '../../src/tokenizer/index.ts';
import { junkFrom, passages, speeches } from '../fixtures/data/prose-and-junk.ts';

function modelOf(
  sequences: number[][],
  order: number,
  numOrdinary: number,
  minCounts?: number[],
  maxNodes = 100_000,
): NgramModel {
  const counter = new NgramCounter(order, numOrdinary, maxNodes);
  for (const sequence of sequences) counter.add(sequence);
  return estimateNgramModel(counter.finish(), minCounts ?? Array.from({ length: order }, () => 1));
}

/** Sum over all symbols and the end after a context. */
function totalAfter(model: NgramModel, context: readonly number[]): number {
  model.start();
  for (const symbol of context) model.next(symbol);
  let total = 0;
  for (let symbol = 0; symbol < model.numSymbols; symbol++) total += model.peek(symbol);
  return total;
}

/**
 * Interpolated modified Kneser-Ney straight from its definition (Chen and Goodman 1998, section 3), with maps of
 * strings: p(w | h) = max(a(hw) - D(a(hw)), 0) / sum_v a(hv) + weight(h) p(w | h'), the weight what is missing to 1.
 */
function slowProbability(sequences: number[][], order: number, numOrdinary: number) {
  const end = numOrdinary;
  const occurrences = new Map<string, number>();
  const before = new Map<string, Set<string>>();
  for (const sequence of sequences) {
    const padded = ['B', ...sequence.map(String), String(end)];
    for (let i = 1; i < padded.length; i++) {
      for (let n = 1; n <= Math.min(order, i + 1); n++) {
        const key = padded.slice(i - n + 1, i + 1).join(' ');
        occurrences.set(key, (occurrences.get(key) ?? 0) + 1);
        if (i - n >= 0) {
          if (!before.has(key)) before.set(key, new Set());
          before.get(key)!.add(padded[i - n]!);
        }
      }
    }
  }
  const lengthOf = (key: string): number => key.split(' ').length;
  const adjusted = new Map<string, number>();
  for (const [key, count] of occurrences) {
    const isRaw = lengthOf(key) === order || key.startsWith('B');
    adjusted.set(key, isRaw ? count : before.get(key)!.size);
  }
  const discounts = Array.from({ length: order + 1 }, (_, n) => {
    const numWith = (count: number): number =>
      [...adjusted].filter(([key, value]) => lengthOf(key) === n && value === count).length;
    const [n1, n2, n3, n4] = [1, 2, 3, 4].map(numWith) as [number, number, number, number];
    const y = n1 / (n1 + 2 * n2);
    const found = [1 - (2 * y * n2) / n1, 2 - (3 * y * n3) / n2, 3 - (4 * y * n4) / n3];
    return found.every((d, i) => d > 0 && d <= i + 1) ? found : [0.5, 1, 1.5];
  });
  const probability = (symbol: number, history: readonly string[]): number => {
    const context = history.slice(Math.max(0, history.length - order + 1));
    const shorter = context.length === 0 ? 1 / (numOrdinary + 1) : probability(symbol, context.slice(1));
    let total = 0;
    let taken = 0;
    let own = 0;
    for (let other = 0; other <= end; other++) {
      const key = [...context, other].join(' ');
      const count = adjusted.get(key) ?? 0;
      if (count === 0) continue;
      total += count;
      const rest = count - discounts[context.length + 1]![Math.min(count, 3) - 1]!;
      taken += rest;
      if (other === symbol) own = rest;
    }
    return total === 0 ? shorter : own / total + (1 - taken / total) * shorter;
  };
  return probability;
}

const sequences = fc.array(fc.array(fc.nat(5), { maxLength: 30 }), { minLength: 1, maxLength: 12 });

describe('the n-gram model', () => {
  test('gives the probabilities of modified Kneser-Ney as its definition does', () => {
    fc.assert(
      fc.property(
        sequences,
        fc.integer({ min: 1, max: 5 }),
        fc.array(fc.nat(5), { maxLength: 8 }),
        (texts, order, context) => {
          const model = modelOf(texts, order, 6);
          const slow = slowProbability(texts, order, 6);
          model.start();
          const history = ['B'];
          for (const symbol of [...context, 6]) {
            expect(model.peek(symbol)).toBeCloseTo(slow(symbol, history), 5);
            expect(model.next(symbol)).toBeCloseTo(slow(symbol, history), 5);
            history.push(String(symbol));
          }
        },
      ),
      { numRuns: 60 },
    );
  });

  test('sums to 1 after any context, also when rare n-grams were cut away or memory was short', () => {
    fc.assert(
      fc.property(
        sequences,
        fc.integer({ min: 1, max: 5 }),
        fc.array(fc.nat(5), { maxLength: 8 }),
        fc.nat(3),
        (texts, order, context, least) => {
          const minCounts = Array.from({ length: order }, (_, i) => 1 + Math.min(i, least));
          expect(totalAfter(modelOf(texts, order, 6, minCounts), context)).toBeCloseTo(1, 5);
          expect(totalAfter(modelOf(texts, order, 6, minCounts, 40), context)).toBeCloseTo(1, 5);
        },
      ),
    );
  });

  test('takes its discounts from counts of counts where there are enough', () => {
    // 3,000 skewed bigrams: all counts of counts are there, so the fallback is not used.
    const text = Array.from({ length: 3000 }, (_, i) => Math.floor(40 * (((i * 7919) % 1000) / 1000) ** 3));
    const model = modelOf([text], 3, 40);
    const slow = slowProbability([text], 3, 40);
    model.start();
    const history = ['B'];
    for (const symbol of text.slice(0, 40)) {
      expect(model.next(symbol)).toBeCloseTo(slow(symbol, history), 5);
      history.push(String(symbol));
    }
  });

  test('stays within its nodes and says how many n-grams it dropped', () => {
    const texts = Array.from({ length: 200 }, (_, i) =>
      Array.from({ length: 50 }, (_, k) => (i * 31 + k * k * 7 + i * k) % 50),
    );
    const counter = new NgramCounter(5, 50, 1000);
    for (const text of texts) counter.add(text);
    const counted = counter.finish();
    expect(counted.numPruned).toBeGreaterThan(1000);
    expect(counted.trie.numNodes).toBeLessThanOrEqual(1000);
    expect(() => new NgramCounter(9, 50, 1000)).toThrow(ConfigError);
    expect(() => new NgramCounter(5, 50, 100)).toThrow(/maxNodes is 100; expected a whole number from 200/);
    expect(() => estimateNgramModel(counted, [1, 2, 1, 1, 1])).toThrow(/never fall/);
  });
});

describe('the perplexity model', () => {
  const train = speeches().filter((_, i) => i % 20 === 1);
  const unseen = passages(
    speeches().filter((_, i) => i % 20 === 0),
    200,
  );
  const { model, report } = trainPerplexityModel(train, { symbols: 1024, order: 3 });

  test('finds real prose less surprising than its shuffled words, and junk more so', () => {
    const junk = junkFrom(unseen, 3);
    let numRight = 0;
    let numShuffled = 0;
    for (const [i, { kind, text }] of junk.entries()) {
      if (kind !== 'shuffled') continue;
      numShuffled++;
      if (model.perplexity(unseen[i]!) < model.perplexity(text)) numRight++;
    }
    expect(numRight / numShuffled).toBeGreaterThan(0.97);
    const mean = (texts: string[]): number =>
      texts.reduce((sum, text) => sum + model.bitsPerByte(text), 0) / texts.length;
    expect(mean(junk.filter(({ kind }) => kind === 'keywords').map(({ text }) => text))).toBeGreaterThan(
      mean(unseen) + 1,
    );
    expect(mean(unseen)).toBeLessThan(2.2);
    expect(report).toMatchObject({ numTexts: train.length, numPruned: 0 });
  });

  test('measures in bits, bytes, words and symbols that fit together', () => {
    const text = 'We hold these truths, ünlike others.\nYes.';
    const { bits, numBytes, numWords, numSymbols, ...rates } = model.measure(text);
    expect(numBytes).toBe(new TextEncoder().encode(text).length);
    expect(numWords).toBe(7);
    expect(numSymbols).toBe(model.tokenizer!.encode(text).length + 1);
    expect(rates.bitsPerByte).toBeCloseTo(bits / numBytes, 12);
    expect(rates.perplexity).toBeCloseTo(2 ** (bits / numSymbols), 9);
    expect(rates.perplexityPerWord).toBeCloseTo(2 ** (bits / numWords), 3);
    expect(model.measure('')).toMatchObject({ numBytes: 0, bitsPerByte: 0, numSymbols: 1 });
  });

  test('over bytes knows every text, and over a given tokenizer its tokens', () => {
    const bytes = trainPerplexityModel(train.slice(0, 3), { symbols: 'bytes', order: 4 }).model;
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 50 }), (text) => {
        expect(Number.isFinite(bytes.measure(text).bits)).toBe(true);
        expect(Number.isFinite(model.measure(text).bits)).toBe(true);
      }),
    );
    const tokenizer = trainBpe(train.slice(0, 3), { vocabSize: 400, specialTokens: [] });
    const own = trainPerplexityModel(train.slice(0, 3), { symbols: tokenizer, order: 2 });
    expect(own.model.tokenizer).toBe(tokenizer);
    expect(own.report.numTexts).toBe(3);
  });

  test('training is the same bit for bit; its file gives back the same model and a damaged one is refused', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'plinth-perplexity-'));
    try {
      const small = trainPerplexityModel(train.slice(0, 2), { symbols: 300, order: 3 }).model;
      const again = trainPerplexityModel(train.slice(0, 2), { symbols: 300, order: 3 }).model;
      const bytes = small.toBytes();
      expect(again.toBytes()).toEqual(bytes);
      const path = join(folder, 'model.bin');
      await savePerplexityModel(path, small);
      const loaded = await loadPerplexityModel(path);
      for (const text of unseen.slice(0, 20)) expect(loaded.measure(text)).toEqual(small.measure(text));
      for (let i = 0; i < 50; i++) {
        const at = Math.floor((i / 50) * bytes.length);
        expect(() => PerplexityModel.fromBytes(bytes.subarray(0, at))).toThrow(FormatError);
        const changed = bytes.slice();
        changed[at]! ^= 1 << (i % 8);
        expect(() => PerplexityModel.fromBytes(changed)).toThrow(FormatError);
      }
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });

  test('without text, or with texts that can be read only once, is an error', () => {
    expect(() => trainPerplexityModel(['', ''], { symbols: 'bytes' })).toThrow(/No text to learn from/);
    const once = (function* () {
      yield 'a text';
    })();
    expect(() => trainPerplexityModel(once)).toThrow(/reads the texts twice/);
  });
});

describe('buckets', () => {
  test('are terciles of each language by default', () => {
    const scored = Array.from({ length: 300 }, (_, i) => ({
      language: i % 2 ? 'en' : 'my',
      perplexity: ((i * 7919) % 300) * (i % 2 ? 1 : 10),
    }));
    const { thresholds, buckets } = perplexityBuckets(scored);
    for (const language of ['en', 'my']) {
      const own = scored.flatMap((text, i) =>
        text.language === language ? [{ ...text, bucket: buckets[i]! }] : [],
      );
      for (const bucket of ['head', 'middle', 'tail'])
        expect(own.filter((text) => text.bucket === bucket)).toHaveLength(50);
      const worstHead = Math.max(
        ...own.filter(({ bucket }) => bucket === 'head').map(({ perplexity }) => perplexity),
      );
      const bestTail = Math.min(
        ...own.filter(({ bucket }) => bucket === 'tail').map(({ perplexity }) => perplexity),
      );
      expect(worstHead).toBeLessThan(thresholds[language]!.head);
      expect(bestTail).toBe(thresholds[language]!.tail);
    }
    expect(bucketOf(thresholds, 'xx', 5)).toBeUndefined();
    expect(bucketOf(thresholds, 'toString', 5)).toBeUndefined();
  });

  test('take other shares, and refuse impossible ones and what is no number', () => {
    const scored = Array.from({ length: 100 }, (_, perplexity) => ({ language: 'en', perplexity }));
    const { buckets } = perplexityBuckets(scored, { head: 0.3, middle: 0.3 });
    expect(buckets.filter((bucket) => bucket === 'tail')).toHaveLength(40);
    expect(
      perplexityBuckets(scored, { head: 1, middle: 0 }).buckets.every((bucket) => bucket === 'head'),
    ).toBe(true);
    expect(() => perplexityBuckets(scored, { head: 0.8, middle: 0.3 })).toThrow(ConfigError);
    expect(() => perplexityBuckets([{ language: 'en', perplexity: Number.NaN }])).toThrow(/NaN/);
  });

  test('from a bounded sample are near those of all texts, in any order', () => {
    const scored = Array.from({ length: 20_000 }, (_, i) => ({
      language: 'en',
      perplexity: (i * 7919) % 20_000,
    }));
    const exact = perplexityBuckets(scored).thresholds.en!;
    const forwards = new PerplexitySample({ maxPerLanguage: 2000, seed: 1 });
    const backwards = new PerplexitySample({ maxPerLanguage: 2000, seed: 1 });
    for (let i = 0; i < scored.length; i++) {
      forwards.add(`document ${i}`, scored[i]!);
      const k = scored.length - 1 - i;
      backwards.add(`document ${k}`, scored[k]!);
    }
    const sampled = forwards.thresholds().en!;
    expect(backwards.thresholds().en).toEqual(sampled);
    expect(sampled.numScored).toBe(2000);
    expect(Math.abs(sampled.head - exact.head)).toBeLessThan(800);
    expect(Math.abs(sampled.tail - exact.tail)).toBeLessThan(800);
  });
});
