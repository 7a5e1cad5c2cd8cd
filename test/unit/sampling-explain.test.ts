import { describe, expect, it } from 'vitest';
import { ConfigError } from '../../src/core/errors.ts';
import { explain, logprobs, logprobsOf, Sampler, type SamplerChain } from '../../src/sampling/index.ts';

const logits = [0.1, 0.2, 0.3, 0.4].map(Math.log);
const close = (got: number, want: number) => expect(got).toBeCloseTo(want, 12);

describe('explain', () => {
  const chain: SamplerChain = [
    { stage: 'penalties', frequency: Math.LN2 },
    { stage: 'top-k', k: 3 },
    { stage: 'min-p', p: 0.6 },
  ];

  it('tells for each stage what is left and what it dropped', () => {
    // One occurrence halves the weight: .1 .2 .3 .2 of .8.
    const { steps, token } = explain(logits, chain, { history: [3] });
    expect(token).toBeUndefined();
    expect(steps.map(({ stage }) => stage?.stage)).toEqual([undefined, 'penalties', 'top-k', 'min-p']);
    expect(steps.map(({ numLeft }) => numLeft)).toEqual([4, 4, 3, 3]);
    expect(steps.map(({ numDropped }) => numDropped)).toEqual([0, 0, 1, 0]);
    expect(steps[0]!.top.map((one) => one.token)).toEqual([3, 2, 1, 0]);
    expect(steps[1]!.top.map((one) => one.token)).toEqual([2, 1, 3, 0]);
    close(steps[1]!.top[0]!.probability, 3 / 8);
    expect(steps[2]!.dropped.map((one) => one.token)).toEqual([0]);
    close(steps[2]!.droppedProbability, 1 / 8);
    close(steps[2]!.top[0]!.probability, 3 / 7);
    close(steps[0]!.entropy, -[0.1, 0.2, 0.3, 0.4].reduce((sum, p) => sum + p * Math.log(p), 0));
  });

  it('lists as many tokens as asked for, and counts all', () => {
    const [, step] = explain(logits, [{ stage: 'top-k', k: 1 }], { count: 2 }).steps;
    expect(step).toMatchObject({ numLeft: 1, numDropped: 3 });
    expect(step!.dropped.map(({ token }) => token)).toEqual([2, 1]);
  });

  it('tells the token that is drawn, the one that the sampler draws', () => {
    for (const u of [0, 0.2, 0.5, 0.8, 0.99]) {
      const draws = { uniform: () => u };
      const place = { history: [3], promptLength: 0 };
      expect(explain(logits, chain, { ...place, draws }).token).toBe(
        new Sampler(chain).sample(logits, draws, [3], 0),
      );
    }
  });

  it('asks for draws where a stage draws', () => {
    const xtc: SamplerChain = [{ stage: 'xtc', probability: 0.5, threshold: 0.1 }];
    expect(() => explain(logits, xtc)).toThrow(ConfigError);
    expect(() => explain(logits, xtc)).toThrow(/draws are not given/);
    expect(explain(logits, xtc, { draws: { uniform: () => 0 } }).steps[1]!.numDropped).toBe(3);
  });

  it('shows a sampler with state as it stands and leaves it there', () => {
    const sampler = new Sampler([{ stage: 'mirostat', version: 2, tau: 1, eta: 1 }]);
    const numLeft = () => explain(logits, sampler).steps[1]!.numLeft;
    // mu = 2 bits: probabilities of at least 1/4.
    expect([numLeft(), numLeft()]).toEqual([2, 2]);
    // Of .3 and .4 the first is drawn, 1.22 bits: mu = 2 - 0.22 = 1.78, and .3 (1.74 bits of all) stays.
    const first = { uniform: () => 0 };
    sampler.sample(logits, first);
    expect(numLeft()).toBe(2);
    // Again: mu = 1.56, and .4 (1.32 bits) is alone.
    sampler.sample(logits, first);
    expect(numLeft()).toBe(1);
    // It has no surprise any more: mu = 2.56, and .2 (2.32 bits) is back.
    sampler.sample(logits, first);
    expect(numLeft()).toBe(3);
  });
});

describe('logprobs', () => {
  it('are the model’s own by default', () => {
    const { token, logprob, top } = logprobs(logits, 1, 2);
    expect(token).toBe(1);
    close(logprob, Math.log(0.2));
    expect(top.map((one) => one.token)).toEqual([3, 2]);
    close(top[0]!.logprob, Math.log(0.4));
  });

  it('are those of what the chain leaves when processed; a dropped token has -Infinity', () => {
    const mode = {
      mode: 'processed' as const,
      sampler: [{ stage: 'top-k' as const, k: 2 }],
      draws: { uniform: () => 0 },
    };
    const { logprob, top } = logprobs(logits, 1, 4, mode);
    expect(logprob).toBe(Number.NEGATIVE_INFINITY);
    expect(top.map((one) => one.token)).toEqual([3, 2]);
    close(top[0]!.logprob, Math.log(4 / 7));
  });

  it('cost no second run when an observer takes them', () => {
    for (const stage of [
      { stage: 'top-k' as const, k: 2 },
      { stage: 'temperature' as const, temperature: 0 },
    ]) {
      let seen: unknown;
      const draws = { uniform: () => 0.9 };
      const token = new Sampler([stage]).sample(logits, draws, [], 0, (left, drawn) => {
        seen = logprobsOf(left, drawn, 3);
      });
      expect(seen).toEqual(logprobs(logits, token, 3, { mode: 'processed', sampler: [stage], draws }));
    }
  });

  it('order equals by id, keep forbidden tokens out, and refuse tokens that do not exist', () => {
    const row = [0, Number.NEGATIVE_INFINITY, 0, 0];
    expect(logprobs(row, 1, 2).top.map(({ token }) => token)).toEqual([0, 2]);
    expect(logprobs(row, 1, 2).logprob).toBe(Number.NEGATIVE_INFINITY);
    expect(() => logprobs(row, 4, 1)).toThrow(ConfigError);
    expect(() => logprobs(row, -1, 1)).toThrow(ConfigError);
    expect(() => logprobs(row, 0, 1.5)).toThrow(/count is 1.5/);
  });
});
