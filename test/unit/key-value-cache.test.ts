/** The cache against a plain list of rows for each slot; and that hidden places hold finite numbers, whatever came. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LimitError } from '../../src/core/errors.ts';
import { KeyValueCache } from '../../src/decode/key-value-cache.ts';
import { MASKED } from '../../src/model/transformer.ts';
import { tinyConfig } from '../fixtures/models/random-model.ts';

const config = tinyConfig({ numLayers: 2, numKvHeads: 2, headDim: 3 });
const NUM_ARRAYS = 4;
const H = 2;
const C = 3;

/** What a run gives for `counts.length` rows of `length` tokens, every number telling where it stands. */
function presentOf(numRows: number, length: number, value: (row: number, t: number) => number): Float32Array {
  const present = new Float32Array(NUM_ARRAYS * numRows * H * length * C);
  let at = 0;
  for (let i = 0; i < NUM_ARRAYS; i++) {
    for (let row = 0; row < numRows; row++) {
      for (let head = 0; head < H; head++) {
        for (let t = 0; t < length; t++) {
          for (let c = 0; c < C; c++) present[at++] = value(row, t) + 0.25 * i + 0.125 * head + 0.01 * c;
        }
      }
    }
  }
  return present;
}

/** The values of a slot's places in one array and head, as they were given; and whether all the rest is finite. */
function look(cache: KeyValueCache, slot: number, numSlots: number) {
  const feeds = cache.feeds(0, numSlots);
  const { capacity } = cache;
  const length = cache.lengthOf(slot);
  const mask = feeds['past/mask']!.data.slice(slot * capacity, (slot + 1) * capacity) as Float32Array;
  expect([...mask]).toEqual(
    Array.from({ length: capacity }, (_, i) => (i < length ? 0 : Math.fround(MASKED))),
  );
  const values: number[][] = [];
  let i = 0;
  for (const name of ['past/key/0', 'past/value/0', 'past/key/1', 'past/value/1']) {
    const { data, shape } = feeds[name]!;
    expect(shape).toEqual([numSlots, H, capacity, C]);
    for (let head = 0; head < H; head++) {
      const from = (slot * H + head) * capacity * C;
      const rows = (data as Float32Array).subarray(from, from + capacity * C);
      expect(rows.subarray(length * C).every(Number.isFinite)).toBe(true);
      values.push(
        Array.from({ length }, (_, t) => Math.round((rows[t * C]! - 0.25 * i - 0.125 * head) * 4) / 4),
      );
    }
    i++;
  }
  for (const other of values) expect(other).toEqual(values[0]);
  return values[0]!;
}

const action = fc.oneof(
  fc.record({
    kind: fc.constant('append' as const),
    slot: fc.nat(4),
    count: fc.integer({ min: 1, max: 50 }),
    poison: fc.integer({ min: 0, max: 5 }),
  }),
  fc.record({ kind: fc.constantFrom('truncate' as const), slot: fc.nat(4), to: fc.nat(100) }),
  fc.record({
    kind: fc.constantFrom('swap' as const, 'copy' as const, 'move' as const),
    slot: fc.nat(4),
    other: fc.nat(4),
  }),
  fc.record({ kind: fc.constantFrom('clear' as const, 'grow' as const), slot: fc.nat(4) }),
);

describe('slots', () => {
  it('hold what was given, through copies, swaps, cuts and growth, and hide finite numbers only', () => {
    fc.assert(
      fc.property(fc.array(action, { minLength: 1, maxLength: 25 }), (actions) => {
        const cache = new KeyValueCache(config, 2 ** 30);
        const want: number[][] = [[], [], [], [], []];
        // Memory for some growth without new arrays.
        cache.reserve(5, 200);
        let stamp = 0;
        for (const one of actions) {
          const { slot } = one;
          if (one.kind === 'append') {
            const { count } = one;
            const start = ++stamp * 100;
            cache.reserve(5, Math.max(...want.map((rows) => rows.length)) + count);
            const bad = one.poison === 0 ? count - 1 : -1;
            const value = (row: number, t: number) =>
              row === 1 ? (t === bad ? Number.NaN : start + t) : Number.POSITIVE_INFINITY;
            // Row 1 of 2, of which the first `count` of some more tokens count.
            const present = presentOf(2, count + 2, value);
            cache.append(slot, present, 2, 1, count);
            want[slot]!.push(...Array.from({ length: count }, (_, t) => value(1, t)));
          } else if (one.kind === 'truncate') {
            cache.truncate(slot, one.to);
            want[slot]!.length = Math.min(want[slot]!.length, one.to);
          } else if (one.kind === 'swap') {
            if (slot === one.other) continue;
            cache.swap(slot, one.other);
            [want[slot], want[one.other]] = [want[one.other]!, want[slot]!];
          } else if (one.kind === 'copy' || one.kind === 'move') {
            cache.copy(slot, one.other);
            want[one.other] = [...want[slot]!];
            if (one.kind === 'move' && slot !== one.other) {
              cache.clear(slot);
              want[slot] = [];
            }
          } else if (one.kind === 'clear') {
            cache.clear(slot);
            want[slot] = [];
          } else cache.reserve(5, cache.capacity + 1);
          for (const [i, rows] of want.entries()) {
            expect(cache.lengthOf(i)).toBe(rows.length);
            // A slot may be called damaged a little too long, never too short.
            if (rows.some(Number.isNaN)) expect(cache.isDamaged(i)).toBe(true);
            if (rows.length === 0) expect(cache.isDamaged(i)).toBe(false);
          }
        }
        for (const [i, rows] of want.entries()) expect(look(cache, i, 5)).toEqual(rows);
      }),
      { seed: 5, numRuns: 100 },
    );
  });

  it('are taken out and put back elsewhere, whole or in part', () => {
    const cache = new KeyValueCache(config, 2 ** 30);
    cache.reserve(2, 100);
    cache.append(
      0,
      presentOf(1, 70, (_, t) => t),
      1,
      0,
      70,
    );
    cache.restore(1, cache.extract(0, 10, 50), 50);
    cache.restore(1, cache.extract(0, 0, 16), 7);
    expect(look(cache, 1, 2)).toEqual([...Array.from({ length: 50 }, (_, t) => 10 + t), 0, 1, 2, 3, 4, 5, 6]);
    expect(look(cache, 0, 2)).toEqual(Array.from({ length: 70 }, (_, t) => t));
  });
});

describe('memory', () => {
  const bytes = 4 * (2 * 2 * H * C + 1);

  it('grows by 64 positions, by twice the slots while its limit allows, and shrinks where most is unused', () => {
    const cache = new KeyValueCache(config, 10 * 64 * bytes);
    expect(cache.bytesPerPosition).toBe(bytes);
    expect(cache.sizeBytes).toBe(0);
    const sizes = [1, 2, 3, 5, 6].map((slots) => {
      cache.reserve(slots, 1);
      return cache.sizeBytes / (64 * bytes);
    });
    // 8 for 5; 10 is what the limit allows.
    expect(sizes).toEqual([1, 2, 4, 8, 8]);
    cache.reserve(9, 64);
    expect(cache.sizeBytes).toBe(10 * 64 * bytes);
    cache.reserve(9, 65);
    expect([cache.capacity, cache.sizeBytes]).toEqual([128, 9 * 128 * bytes]);
    cache.append(
      0,
      presentOf(1, 5, (_, t) => t),
      1,
      0,
      5,
    );
    cache.shrink(3);
    expect(cache.sizeBytes).toBe(9 * 128 * bytes);
    cache.shrink(2);
    expect(cache.sizeBytes).toBe(2 * 128 * bytes);
    expect(look(cache, 0, 2)).toEqual([0, 1, 2, 3, 4]);
    cache.release();
    expect(cache.sizeBytes).toBe(0);
  });

  it('is laid out anew for a short text once it is empty, and grows again without more', () => {
    const cache = new KeyValueCache(config, 2 ** 30);
    cache.reserve(1, 300);
    const { sizeBytes } = cache;
    const fill = (from: number, count: number) =>
      cache.append(
        0,
        presentOf(1, count, (_, t) => from + t),
        1,
        0,
        count,
      );
    fill(0, 300);
    cache.reserve(1, 1);
    expect(cache.capacity).toBe(320);
    cache.clear(0);
    cache.reserve(2, 1);
    expect(cache.capacity).toBe(64);
    fill(0, 60);
    for (let length = 70; length <= 300; length += 10) {
      cache.reserve(1, length);
      expect([cache.capacity, cache.sizeBytes]).toEqual([KeyValueCache.capacityFor(length), sizeBytes]);
      fill(length - 10, 10);
    }
    expect(look(cache, 0, 1)).toEqual(Array.from({ length: 300 }, (_, t) => t));
  });

  it('that is not there is an error with the numbers', () => {
    const cache = new KeyValueCache(tinyConfig({ numKvHeads: 4096, headDim: 4096 }), 2 ** 52);
    expect(() => cache.reserve(4096, 1e6)).toThrow(LimitError);
    expect(() => cache.reserve(4096, 1e6)).toThrow(/4096 sequences of 1000000 positions at \d+ bytes/);
  });
});
