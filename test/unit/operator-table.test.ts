/** The table in docs/compiler.md says what the code does, and the doc's example runs. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { cpuDevice } from '../../src/runtime/index.node.ts';
import * as t from '../../src/tensor/index.ts';
import { leavesGpu, NEEDS_HALF } from '../golden/operator-suite.ts';

const doc = readFileSync(new URL('../../docs/compiler.md', import.meta.url), 'utf8');

const rows = doc
  .split('\n')
  .filter((line) => line.startsWith('| `'))
  .map((line) =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim().replaceAll('`', '')),
  );

describe('the table of operators in docs/compiler.md', () => {
  it('has a row for every operator, and no other', () => {
    expect(rows.map(([name]) => name).sort()).toEqual([...t.operators.keys()].sort());
  });

  it('says which operators have a gradient', () => {
    const documented = rows.filter(([, gradient]) => gradient === 'yes').map(([name]) => name);
    const defined = [...t.operators.values()].filter(({ gradient }) => gradient).map(({ name }) => name);
    expect(documented.sort()).toEqual(defined.sort());
  });

  it('says which operators leave the GPU, as the tests on WebGPU have them', () => {
    const documented = rows.filter(([, , , , webgpu]) => webgpu !== 'yes').map(([name]) => name);
    const titles = [...leavesGpu, NEEDS_HALF].map((label) => label.split(/[. ]/)[0]!);
    expect(documented.sort()).toEqual([...new Set(titles)].filter((name) => t.operators.has(name)).sort());
    expect(rows.every(([, , cpu, wasm]) => cpu === 'yes' && wasm === 'yes')).toBe(true);
  });
});

describe('the example in docs/compiler.md', () => {
  it('runs and finds the weights', async () => {
    const code = /```ts\n([\s\S]*?)```/.exec(doc)![1]!;
    const body = code
      .replace(/^import .*$/gm, '')
      .replaceAll('!', '')
      .replace(' as typeof weights', '')
      .replace('console.log(weights);', 'return weights;');
    const scope = { ...t, cpuDevice };
    const AsyncFunction = (async () => {}).constructor as new (
      ...parts: string[]
    ) => (scope: object) => Promise<unknown>;
    const names = /import \{ (.*?) \} from '\.\.\/src\/tensor/.exec(code)![1]!;
    const run = new AsyncFunction('scope', `const { cpuDevice, ${names} } = scope;${body}`);
    const weights = (await run(scope)) as Float32Array;
    [2, -1, 0.5].forEach((want, i) => {
      expect(weights[i]).toBeCloseTo(want, 3);
    });
  });
});
