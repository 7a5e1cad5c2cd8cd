import { describe, expect, it } from 'vitest';
import { cpuDevice } from '../../src/runtime/index.node.ts';
import { caseNames, goldens } from './operator-cases.ts';
import { itMatchesPyTorch } from './operator-suite.ts';

describe('the operator table', () => {
  it('has one expression for every golden case and one golden case for every expression', () => {
    expect([...caseNames].sort()).toEqual(Object.keys(goldens).sort());
  });
});

describe("operators on the CPU: value, gradient and second derivative are PyTorch's", () => {
  itMatchesPyTorch(cpuDevice({ numThreads: 1 }), 2e-6);
});
