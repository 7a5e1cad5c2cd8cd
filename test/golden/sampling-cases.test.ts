/**
 * What stages leave of a distribution, by the numbers of llama.cpp's tests/test-sampling.cpp (MIT, commit
 * 07e4038f07a83cd729bbac700e6681757b313b73): probabilities in, probabilities out, logit = ln p in float32.
 */
import { describe, expect, it } from 'vitest';
import { Candidates, Sampler, type StageSettings } from '../../src/sampling/index.ts';

const PROBABILITIES = [0.1, 0.2, 0.3, 0.4];

const cases: [name: string, stage: StageSettings, expected: number[]][] = [
  ['temp_0', { stage: 'temperature', temperature: 1 }, [0.1, 0.2, 0.3, 0.4]],
  ['temp_1', { stage: 'temperature', temperature: 0 }, [0, 0, 0, 1]],
  ['top_k_0', { stage: 'top-k', k: 1 }, [1]],
  ['top_k_2', { stage: 'top-k', k: 4 }, [0.4, 0.3, 0.2, 0.1]],
  ['top_k_3', { stage: 'top-k', k: 0 }, [0.1, 0.2, 0.3, 0.4]],
  ['top_p_1', { stage: 'top-p', p: 0.7, minKeep: 0 }, [0.571429, 0.428571]],
  ['top_p_2', { stage: 'top-p', p: 0.8, minKeep: 0 }, [0.44444, 0.33333, 0.22222]],
  ['min_p_0', { stage: 'min-p', p: 0 }, [0.1, 0.2, 0.3, 0.4]],
  ['min_p_1', { stage: 'min-p', p: 0.24 }, [0.1, 0.2, 0.3, 0.4]],
  ['min_p_3', { stage: 'min-p', p: 0.49 }, [0.22222222222222224, 0.3333333333333333, 0.4444444444444445]],
  ['min_p_4', { stage: 'min-p', p: 0.51 }, [0.4285714285714286, 0.5714285714285715]],
  ['min_p_6', { stage: 'min-p', p: 0.76 }, [1]],
  ['min_p_7', { stage: 'min-p', p: 1 }, [1]],
];

const context = { draws: { uniform: () => 0.5 }, history: [] };

describe('stages of the sampler chain leave the probabilities of llama.cpp', () => {
  it.each(cases)('%s', (_, stage, expected) => {
    const candidates = new Candidates();
    new Sampler([stage]).run(
      candidates,
      Float32Array.from(PROBABILITIES, (p) => Math.log(p)),
      context,
    );
    const total = candidates.totalWeight();
    const got = Array.from(
      candidates.scores.subarray(0, candidates.size),
      (score) => Math.exp(score - candidates.maximum) / total,
    ).sort((a, b) => a - b);
    // Where llama.cpp lists a probability of 0, the candidate is gone here.
    const want = expected.filter((p) => p > 0).sort((a, b) => a - b);
    expect(got).toHaveLength(want.length);
    for (const [i, p] of want.entries()) expect(Math.abs(got[i]! - p)).toBeLessThan(1e-5);
  });
});
