/**
 * Random schedules of requests on one engine: plain ones, searches over several rows, scored prompts, some cancelled,
 * with limits, prefix caches and draft models of all kinds. Every request ends exactly once, is asked nothing after
 * that, and chooses what it chooses alone.
 */
import fc from 'fast-check';
import { afterAll, expect, it } from 'vitest';
import { KeyedRandom } from '../../src/core/random.ts';
import { Decoder } from '../../src/decode/decoder.ts';
import { DecodeEngine, type EngineLimits } from '../../src/decode/engine.ts';
import type { Branch, BranchingSequence, BranchRow, Sequence } from '../../src/decode/sequence.ts';
import { cpuDevice } from '../../src/runtime/index.node.ts';
import { KeyedDraws, Sampler, type SamplerChain } from '../../src/sampling/index.ts';
import { tinyModel } from '../fixtures/models/random-model.ts';

const device = cpuDevice({ numThreads: 1 });
const VOCAB = 30;
const model = tinyModel({ vocabSize: VOCAB, hiddenSize: 16, intermediateSize: 24, numLayers: 1 }, 2);
const other = tinyModel(
  { vocabSize: VOCAB, hiddenSize: 8, intermediateSize: 8, numLayers: 1, numKvHeads: 1 },
  3,
);
const decoder = new Decoder(model.config, model.weights, device, 'strict');
const drafts = {
  none: undefined,
  itself: { decoder: new Decoder(model.config, model.weights, device, 'fast'), maxTokens: 4 },
  another: { decoder: new Decoder(other.config, other.weights, device, 'fast'), maxTokens: 3 },
};
afterAll(async () => {
  for (const one of [decoder, drafts.itself.decoder, drafts.another.decoder]) await one.dispose();
});

const CHAINS: readonly SamplerChain[] = [
  [{ stage: 'temperature', temperature: 0 }],
  [{ stage: 'temperature', temperature: 1 }],
  [
    { stage: 'penalties', repetition: 1.5, presence: 0.5 },
    { stage: 'top-k', k: 8 },
  ],
  [{ stage: 'mirostat', version: 2, tau: 3 }],
];

type Kind = 'plain' | 'scored' | 'search' | 'failing';
interface Plan {
  readonly kind: Kind;
  readonly prompt: number[];
  readonly maxTokens: number;
  readonly chain: number;
  readonly seed: number;
}

/** What every kind shares: it counts its ends and writes down all that it saw. */
abstract class Watched {
  readonly prompt: Int32Array;
  readonly maxTokens: number;
  isCancelled = false;
  numEnds = 0;
  end: 'done' | 'cancelled' | 'failed' | undefined;
  readonly seen: unknown[] = [];
  readonly ended: Promise<void>;
  #tell!: () => void;
  readonly plan: Plan;

  constructor(plan: Plan) {
    this.plan = plan;
    this.prompt = Int32Array.from(plan.prompt);
    this.maxTokens = plan.maxTokens;
    this.ended = new Promise((resolve) => {
      this.#tell = resolve;
    });
  }

  finish(how: NonNullable<Watched['end']>): undefined {
    this.numEnds++;
    this.end = how;
    this.#tell();
  }

  ask(): void {
    if (this.numEnds > 0) throw new Error('Asked after its end.');
  }

  cancel(): void {
    this.finish('cancelled');
  }

  fail(error: unknown): void {
    this.seen.push(String(error));
    this.finish('failed');
  }
}

class Plain extends Watched implements Sequence {
  readonly #sampler: Sampler;
  readonly #draws: KeyedDraws;
  readonly #history: number[];
  readonly readsPrompt: boolean;

  constructor(plan: Plan) {
    super(plan);
    this.readsPrompt = plan.kind === 'scored';
    this.#sampler = new Sampler(CHAINS[plan.chain]!);
    this.#draws = new KeyedDraws(plan.seed, 0);
    this.#history = [...plan.prompt];
  }

  readPlace(logits: Float32Array): void {
    this.ask();
    this.seen.push(['prompt', ...logits.subarray(0, 3)]);
  }

  next(logits: Float32Array): number | undefined {
    this.ask();
    const at = this.#history.length - this.prompt.length;
    if (this.plan.kind === 'failing' && at >= this.plan.seed % 4) throw new Error('cannot choose');
    const token = this.#sampler.sample(logits, this.#draws.at(at), this.#history, this.prompt.length);
    this.#history.push(token);
    this.seen.push([token, ...logits.subarray(0, 3)]);
    // Token 0 ends an answer, as a stop token does.
    return at + 1 >= this.maxTokens || token === 0 ? this.finish('done') : token;
  }

  propose(logits: Float32Array, proposed: readonly number[]): number {
    this.ask();
    const at = this.#history.length - this.prompt.length + proposed.length;
    const history = [...this.#history, ...proposed];
    return this.#sampler.peek(logits, {
      draws: this.#draws.at(at),
      history,
      promptLength: this.prompt.length,
    });
  }
}

/** Goes on with the best two tokens of its rows by turns, so that rows fork, change places and end. */
class Search extends Watched implements BranchingSequence {
  readonly width = 3;
  #numSteps = 0;

  advance(rows: readonly BranchRow[]): readonly Branch[] | undefined {
    this.ask();
    this.seen.push(rows.map(({ logits, hidden }) => [...logits.subarray(0, 2), ...hidden.subarray(0, 2)]));
    if (++this.#numSteps >= this.maxTokens) return this.finish('done');
    const all = rows.flatMap(({ logits }, parent) => {
      const order = Array.from(logits.keys()).sort((a, b) => logits[b]! - logits[a]! || a - b);
      return order.slice(0, 2).map((token) => ({ parent, token, score: logits[token]! }));
    });
    const best = all.sort((a, b) => b.score - a.score || a.parent - b.parent);
    return best.slice(0, 1 + ((this.#numSteps + this.plan.seed) % 3));
  }
}

const begin = (plan: Plan) => (plan.kind === 'search' ? new Search(plan) : new Plain(plan));

/** Requests to draw from; their prompts begin alike. */
const PLANS: readonly Plan[] = Array.from({ length: 40 }, (_, i) => {
  const random = new KeyedRandom(7).fork(`plan ${i}`);
  const text = (name: string, length: number) =>
    Array.from({ length }, (_, at) => new KeyedRandom(8).fork(name).integer(at, VOCAB));
  const shared = text('shared', random.integer(1, 60));
  return {
    kind: (['plain', 'plain', 'scored', 'search', 'failing'] as const)[i % 5]!,
    prompt: [...shared, ...text(`own ${i}`, 1 + random.integer(2, 20))],
    maxTokens: 1 + random.integer(3, 25),
    chain: i % CHAINS.length,
    seed: i,
  };
});

const LIMITS: EngineLimits = {
  maxBatchSize: 3,
  maxQueueLength: 1000,
  maxCacheBytes: 2 ** 30,
  prefixCacheBytes: 0,
  chunkLength: 2048,
};

async function runAlone(): Promise<unknown[][]> {
  const seen: unknown[][] = [];
  const engine = new DecodeEngine(decoder, LIMITS);
  for (const plan of PLANS) {
    const one = begin(plan);
    engine.submit([one]);
    await one.ended;
    seen.push(one.seen);
  }
  return seen;
}
const alone = runAlone();

const schedule = fc.record({
  limits: fc.record({
    maxBatchSize: fc.integer({ min: 3, max: 9 }),
    maxQueueLength: fc.constantFrom(4, 1000),
    maxCacheBytes: fc.constantFrom(2 ** 17, 2 ** 30),
    prefixCacheBytes: fc.constantFrom(0, 20_000, 2 ** 24),
    chunkLength: fc.constantFrom(1, 3, 16, 100),
  }),
  draft: fc.constantFrom('none', 'itself', 'another') as fc.Arbitrary<keyof typeof drafts>,
  requests: fc.array(
    fc.record({
      plan: fc.nat(PLANS.length - 1),
      /** Turns of the event loop before it is submitted, and after that until it is given up. */
      waits: fc.nat(3),
      cancelAfter: fc.option(fc.nat(12), { nil: undefined, freq: 2 }),
    }),
    { minLength: 1, maxLength: 25 },
  ),
});

it('every request ends once and as it would alone', async () => {
  const want = await alone;
  const ends = new Map<string, number>();
  await fc.assert(
    fc.asyncProperty(schedule, async ({ limits, draft, requests }) => {
      const engine = new DecodeEngine(decoder, limits, drafts[draft]);
      const turn = () => new Promise((resolve) => setImmediate(resolve));
      const all: { one: Plain | Search; plan: number; given?: number | undefined }[] = [];
      for (const { plan, waits, cancelAfter } of requests) {
        for (let i = 0; i < waits; i++) await turn();
        const one = begin(PLANS[plan]!);
        all.push({ one, plan, given: cancelAfter });
        engine.submit([one]);
        if (cancelAfter === undefined) continue;
        void (async () => {
          for (let i = 0; i < cancelAfter; i++) await turn();
          one.isCancelled = true;
        })();
      }
      await Promise.all(all.map(({ one }) => one.ended));
      // The engine notices that nothing is left.
      while (engine.use.numRunning + engine.use.numWaiting > 0) await turn();
      for (const { one, plan, given } of all) {
        expect(one.numEnds).toBe(1);
        ends.set(`${one.plan.kind} ${one.end}`, (ends.get(`${one.plan.kind} ${one.end}`) ?? 0) + 1);
        const expected = want[plan]!;
        if (one.end === 'cancelled') {
          expect(given).toBeDefined();
          expect(one.seen).toEqual(expected.slice(0, one.seen.length));
        } else if (one.end === 'failed' && one.plan.kind !== 'failing') {
          expect(one.seen.join()).toMatch(/maxQueueLength/);
          expect(limits.maxQueueLength).toBe(4);
        } else if (one.end === 'failed' && one.seen.join().includes('maxQueueLength')) {
          expect(limits.maxQueueLength).toBe(4);
        } else expect(one.seen).toEqual(expected);
      }
    }),
    { seed: 20_260, numRuns: 120, interruptAfterTimeLimit: 15_000, markInterruptAsFailure: false },
  );
  // All kinds of ends were among them.
  for (const end of [
    'plain done',
    'scored done',
    'search done',
    'failing failed',
    'plain cancelled',
    'search cancelled',
  ]) {
    expect(ends.get(end), end).toBeGreaterThan(0);
  }
});
