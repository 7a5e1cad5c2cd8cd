/** What holds for every mixture: caps, budgets, determinism, and that sources do not disturb one another. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type MixtureItem, type MixtureSource, planMixture } from '../../src/data/mix/index.ts';

const sizes = fc.array(fc.integer({ min: 0, max: 500 }), { maxLength: 30 });
const weight = fc.oneof(fc.constant(0), fc.double({ min: 0.001, max: 9, noNaN: true }));
const sourceList = fc
  .array(fc.record({ sizeBytes: sizes, weight }), {
    minLength: 1,
    maxLength: 6,
  })
  .filter((sources) => sources.some(({ weight }) => weight > 0));
const named = (list: { sizeBytes: number[]; weight: number }[]) => ({
  sources: list.map(({ sizeBytes }, i): MixtureSource => ({ name: `s${i}`, sizeBytes })),
  weights: Object.fromEntries(list.map(({ weight }, i) => [`s${i}`, weight])),
});
const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
const ofSource = (items: Iterable<MixtureItem>, source: number) =>
  [...items].filter((item) => item.source === source).map(({ document, epoch }) => `${epoch}:${document}`);

describe('any mixture', () => {
  test('repeats no document beyond the cap, gives exactly what it says, and misses the budget by one document at most', () => {
    fc.assert(
      fc.property(
        sourceList,
        fc.integer({ min: 0, max: 20_000 }),
        fc.integer({ min: 1, max: 5 }),
        fc.constantFrom('bytes' as const, 'documents' as const),
        fc.integer(),
        (list, budget, maxEpochs, unit, seed) => {
          const { sources, weights } = named(list);
          const plan = planMixture(sources, { weights, budget, maxEpochs, unit, seed });
          const times = new Map<string, number>();
          const given = sources.map(() => 0);
          for (const { source, document, epoch } of plan.items()) {
            const key = `${source}:${document}`;
            times.set(key, (times.get(key) ?? 0) + 1);
            expect(epoch).toBe(times.get(key)! - 1);
            given[source]! += unit === 'bytes' ? sources[source]!.sizeBytes[document]! : 1;
          }
          expect(Math.max(0, ...times.values())).toBeLessThanOrEqual(maxEpochs);
          expect(given).toEqual(plan.phases[0]!.takes.map(({ size }) => size));
          expect(plan.size).toBe(sum(given));
          const capacity = sum(
            list.map(({ sizeBytes, weight }) =>
              weight > 0 ? maxEpochs * (unit === 'bytes' ? sum(sizeBytes) : sizeBytes.length) : 0,
            ),
          );
          const largest = unit === 'bytes' ? Math.max(0, ...list.flatMap(({ sizeBytes }) => sizeBytes)) : 0;
          expect(Math.abs(plan.size - Math.min(budget, capacity))).toBeLessThanOrEqual(largest);
        },
      ),
    );
  });

  test('is the same for the same seed, and a source keeps its order when another comes beside it', () => {
    fc.assert(
      fc.property(sourceList, sizes, fc.integer(), (list, added, seed) => {
        const { sources } = named(list);
        const items = [...planMixture(sources, { seed, maxEpochs: 2 }).items()];
        expect([...planMixture(sources, { seed, maxEpochs: 2 }).items()]).toEqual(items);
        const more = planMixture([{ name: 'added', sizeBytes: added }, ...sources], { seed, maxEpochs: 2 });
        for (let i = 0; i < sources.length; i++) {
          const before = ofSource(items, i);
          const after = ofSource(more.items(), i + 1);
          const shared = Math.min(before.length, after.length);
          expect(after.slice(0, shared)).toEqual(before.slice(0, shared));
        }
      }),
    );
  });

  test('in stages goes on where the stage before stopped: together no document beyond the cap', () => {
    fc.assert(
      fc.property(
        sourceList,
        fc.integer({ min: 1, max: 20_000 }),
        fc.double({ min: 0.05, max: 0.95, noNaN: true }),
        (list, budget, share) => {
          const { sources, weights } = named(list);
          const plan = planMixture(sources, {
            budget,
            maxEpochs: 2,
            stages: [
              { name: 'main', share, alpha: 0 },
              { name: 'anneal', share: 1 - share, weights },
            ],
          });
          const items = [...plan.items()];
          expect(items.map(({ phase }) => phase)).toEqual(items.map(({ phase }) => phase).sort());
          const keys = items.map(({ source, document, epoch }) => `${source}:${document}:${epoch}`);
          expect(new Set(keys).size).toBe(keys.length);
          expect(Math.max(0, ...items.map(({ epoch }) => epoch))).toBeLessThan(2);
        },
      ),
    );
  });

  test('easy to hard: holds the same documents as shuffled, ascending within each pass', () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.array(fc.record({ size: fc.integer({ min: 1, max: 99 }), value: fc.integer() }), {
            maxLength: 20,
          }),
          {
            minLength: 1,
            maxLength: 4,
          },
        ),
        fc.integer({ min: 1, max: 3 }),
        (lists, epochs) => {
          const sources = lists.map((list, i) => ({
            name: `s${i}`,
            sizeBytes: list.map(({ size }) => size),
            difficulty: list.map(({ value }) => value),
          }));
          const budget = epochs * sum(lists.flat().map(({ size }) => size));
          const key = ({ source, document, epoch }: MixtureItem) => `${source}:${document}:${epoch}`;
          const shuffled = [...planMixture(sources, { budget }).items()].map(key);
          const order = { kind: 'easy-to-hard' as const, by: 'value' };
          const items = [...planMixture(sources, { budget, order }).items()];
          expect(items.map(key).sort()).toEqual(shuffled.sort());
          const values = items.map(({ source, document }) => sources[source]!.difficulty[document]!);
          const falls = values.filter((value, i) => i > 0 && value < values[i - 1]!).length;
          expect(falls).toBeLessThan(epochs);
        },
      ),
    );
  });
});
