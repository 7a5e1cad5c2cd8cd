/** Tables of runs under their usual column names, and errors that name the line. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readScalingPoints } from '../../src/cli/scale/points-file.ts';

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'plinth-points-'));
});
afterAll(() => rm(folder, { recursive: true }));

async function read(name: string, content: string, columns = {}) {
  const path = join(folder, name);
  await writeFile(path, content);
  return readScalingPoints(path, columns);
}

describe('a table of runs', () => {
  it('is read whatever its columns are called', async () => {
    const expected = [{ params: 1e7, tokens: 2e8, loss: 3.5 }];
    for (const content of [
      'params,tokens,loss\n10M,200M,3.5\n',
      'N,D,L\n1e7,2e8,3.5\n',
      'Model Size;Training Tokens;Final Loss\n10000000;200000000;3.5\n',
      'name,Parameters,FLOPs (6ND),val_loss\na,0.01B,1.2e16,3.5\n',
    ]) {
      const { points } = await read('runs.csv', content);
      expect(points).toEqual(expected);
    }
    expect((await read('runs.tsv', 'n\td\tloss\n1e7\t2e8\t3.5\n')).points).toEqual(expected);
    expect((await read('runs.jsonl', '{"num_params":1e7,"num_tokens":"200M","loss":3.5}\n')).points).toEqual(
      expected,
    );
    expect(
      (await read('runs.json', '{"points":[{"params":1e7,"compute":1.2e16,"loss":3.5}]}')).points,
    ).toEqual(expected);
  });

  it('takes tokens before FLOPs and says where each figure came from', async () => {
    const { points, description } = await read('both.csv', 'params,flops,tokens,loss\n1e7,9e99,2e8,3.5\n');
    expect(points[0]!.tokens).toBe(2e8);
    expect(description).toMatch(/1 runs of .*tokens from 'tokens'/);
  });

  it('takes the columns that were named', async () => {
    const content = 'width,size_m,seen,train,held\n64,1e7,2e8,3.1,3.5\n';
    const { points } = await read('own.csv', content, { params: 'size_m', tokens: 'seen', loss: 'held' });
    expect(points).toEqual([{ params: 1e7, tokens: 2e8, loss: 3.5 }]);
  });

  it('is refused with the line and what is wrong there', async () => {
    const head = 'params,tokens,loss\n1e7,2e8,3.5\n';
    await expect(read('a.csv', `${head}1e7,2e8,diverged\n`)).rejects.toThrow(/line 3 .*'loss' is "diverged"/);
    await expect(read('b.csv', `${head}1e7,,3\n`)).rejects.toThrow(/line 3 .*'tokens' is empty/);
    await expect(read('c.csv', `${head}-5,2e8,3\n`)).rejects.toThrow(/line 3 .*'params' is "-5"/);
    await expect(read('d.csv', `${head}1e7,2e8\n`)).rejects.toThrow(/line 3 .*2 fields/);
    await expect(read('e.csv', 'params,loss\n1e7,3\n')).rejects.toThrow(
      /no column for tokens or FLOPs.*It has: params, loss/s,
    );
    await expect(read('f.csv', 'N,D,loss,Loss\n1,2,3,4\n')).rejects.toThrow(
      /2 columns for loss.*--loss-column/,
    );
    await expect(read('g.csv', head, { loss: 'nll' })).rejects.toThrow(/no column 'nll'/);
    await expect(read('h.json', '{"runs":[]}')).rejects.toThrow(/holds no runs/);
    await expect(read('i.json', '[5]')).rejects.toThrow(/item 1: expected an object/);
    await expect(read('k.txt', 'hello')).rejects.toThrow(/not a table of runs/);
    await expect(readScalingPoints(join(folder, 'none.json'))).rejects.toThrow(/There is no file/);
  });
});
