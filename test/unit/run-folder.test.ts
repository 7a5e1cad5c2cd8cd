import { mkdir, mkdtemp, open as openFile, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { digest } from '../../src/core/digest.node.ts';
import { ConfigError, FormatError, PlinthError } from '../../src/core/errors.ts';
import type { PlinthEvent } from '../../src/core/events.ts';
import { planModel } from '../../src/recipe/index.ts';
import { type ResolvedRun, RunFolder, type RunRequest } from '../../src/recipe/run-folder.node.ts';

let path: string;
beforeEach(async () => {
  path = join(await mkdtemp(join(tmpdir(), 'plinth-run-')), 'run');
});
afterEach(async () => {
  await rm(join(path, '..'), { recursive: true, force: true });
});

const request: RunRequest = {
  recipe: 'atlas',
  minutes: 5,
  device: 'cpu',
  overrides: { seed: 3, batchSize: 8 },
  dataDigest: '0123456789abcdef',
};
const resolved: ResolvedRun = {
  settings: { ...planModel({ minutes: 5 }), pretrainSteps: 10, sftSteps: 5, preferSteps: 2 },
  sgemmGflops: 100,
  secondsPerStep: 0.1,
  plannedSeconds: 12,
};
const open = (wanted: RunRequest = request, fresh = false) => RunFolder.open(path, wanted, fresh);
const lossAt = (step: number, stage = 'pretrain'): PlinthEvent => ({
  type: 'validation',
  stage,
  step,
  loss: 3 - step / 10,
  bitsPerByte: 2,
});
async function rejection(work: Promise<unknown>): Promise<PlinthError> {
  const error = await work.then(
    () => undefined,
    (e: unknown) => e,
  );
  expect(error).toBeInstanceOf(PlinthError);
  return error as PlinthError;
}

describe('whose folder it is', () => {
  test('the same request opens it again with what was resolved, whatever the order of its keys', async () => {
    await (await open()).resolve(resolved);
    const reordered = { ...request, overrides: { batchSize: 8, seed: 3 } };
    expect((await open(reordered)).resolved).toEqual(resolved);
  });

  test('no clipping survives the way through JSON, which knows no Infinity', async () => {
    const settings = { ...resolved.settings, clipNorm: Number.POSITIVE_INFINITY };
    await (await open()).resolve({ ...resolved, settings });
    expect((await open()).resolved?.settings.clipNorm).toBe(Number.POSITIVE_INFINITY);
  });

  test('another request is refused, and the error names what differs and what to do', async () => {
    await open();
    const error = await rejection(open({ ...request, minutes: 9, params: 100_000 }));
    expect(error).toBeInstanceOf(ConfigError);
    expect(error.message).toContain('minutes: 5, now 9');
    expect(error.message).toContain('params: undefined, now 100000');
    expect(error.message).toContain('--fresh');
    expect(error.message).not.toContain('seed');
  });

  test('fresh replaces a run and deletes nothing that is not its own', async () => {
    const first = await open();
    await first.resolve(resolved);
    await first.appendMetrics([lossAt(1)]);
    await first.saveProgress();
    await mkdir(join(path, 'checkpoints', 'pretrain', 'step-000005'), { recursive: true });
    await writeFile(join(path, 'report.json'), '{}');
    await writeFile(join(path, 'notes.txt'), 'mine');
    const second = await open({ ...request, minutes: 9 }, true);
    expect(second.resolved).toBeUndefined();
    expect(second.seconds).toBeLessThan(1);
    expect((await readdir(path)).sort()).toEqual(['notes.txt', 'recipe.json']);
  });

  test.each([false, true])(
    'a folder with such files but no run is refused and left alone (fresh %s)',
    async (fresh) => {
      await mkdir(join(path, 'data'), { recursive: true });
      await writeFile(join(path, 'data', 'precious.csv'), 'a,b');
      const error = await rejection(open(request, fresh));
      expect(error).toBeInstanceOf(ConfigError);
      expect(error.message).toMatch(/holds data but no recipe\.json.*--out/);
      expect(await readdir(path)).toEqual(['data']);
      expect(await readFile(join(path, 'data', 'precious.csv'), 'utf8')).toBe('a,b');
    },
  );

  test.each([false, true])(
    'a recipe.json of something else is refused and left alone (fresh %s)',
    async (fresh) => {
      await mkdir(join(path, 'data'), { recursive: true });
      for (const text of ['{"name":"soup"}', 'null', '[]', '{"request":{"recipe":1}}']) {
        await writeFile(join(path, 'recipe.json'), text);
        const error = await rejection(open(request, fresh));
        expect(error).toBeInstanceOf(FormatError);
        expect(error.message).toMatch(/recipe\.json is not of a run.*--out/);
        expect((await readdir(path)).sort()).toEqual(['data', 'recipe.json']);
      }
    },
  );

  test('a path that cannot be a folder is a disk error', async () => {
    await writeFile(path, 'a file');
    expect((await rejection(open())).code).toBe('disk');
  });
});

describe('damaged files', () => {
  test('recipe.json: an error says so, and fresh starts again where progress.json shows a run', async () => {
    const folder = await open();
    await writeFile(join(path, 'recipe.json'), '{"request": {"rec');
    const error = await rejection(open());
    expect(error).toBeInstanceOf(FormatError);
    expect(error.message).toMatch(/recipe\.json is damaged.*--fresh/);
    expect((await rejection(open(request, true))).message).toMatch(/Nothing was deleted/);
    await folder.saveProgress();
    expect((await open(request, true)).request).toEqual(request);
    expect((await open()).request).toEqual(request);
  });

  test.each([
    '{"seconds": 12',
    'null',
    '{}',
    '{"seconds":"x","peakRssBytes":1,"startedAt":"","stageSeconds":{}}',
  ])('progress.json with %s: the error names the file and the way on', async (text) => {
    await open();
    await writeFile(join(path, 'progress.json'), text);
    const error = await rejection(open());
    expect(error).toBeInstanceOf(FormatError);
    expect(error.message).toMatch(/progress\.json is damaged.*Delete it to go on/);
    await rm(join(path, 'progress.json'));
    expect((await open()).request).toEqual(request);
  });
});

describe('metrics.jsonl', () => {
  const steps = async (folder: RunFolder) =>
    (await folder.readMetrics()).map((event) => ('step' in event ? event.step : 0));

  test('resuming cuts what came after the checkpoint, of that stage only', async () => {
    const folder = await open();
    await folder.appendMetrics([1, 2, 3, 4].map((step) => lossAt(step)));
    await folder.appendMetrics([lossAt(9, 'sft'), { type: 'note', level: 'info', message: 'kept' }]);
    const again = await open();
    await again.cutMetrics('pretrain', 2);
    expect(await steps(again)).toEqual([1, 2, 9, 0]);
    await again.appendMetrics([lossAt(3)]);
    expect(await steps(again)).toEqual([1, 2, 9, 0, 3]);
  });

  test.each([1, 5, 20])(
    'a last line that a kill cut %i bytes short goes, and the next line stays whole',
    async (missing) => {
      const folder = await open();
      await folder.appendMetrics([lossAt(1), lossAt(2)]);
      const file = join(path, 'metrics.jsonl');
      const text = await readFile(file, 'utf8');
      await writeFile(file, text.slice(0, -missing));
      const again = await open();
      // Without its line end the last event can still be whole.
      const kept = missing === 1 ? [1, 2] : [1];
      expect(await steps(again)).toEqual(kept);
      await again.cutMetrics('pretrain', 2);
      await again.appendMetrics([lossAt(3)]);
      expect(await steps(again)).toEqual([...kept, 3]);
      expect(await readFile(file, 'utf8')).toMatch(/\n$/);
    },
  );

  test('a damaged line elsewhere is an error with its number', async () => {
    const folder = await open();
    await folder.appendMetrics([lossAt(1), lossAt(2), lossAt(3)]);
    const file = join(path, 'metrics.jsonl');
    const lines = (await readFile(file, 'utf8')).split('\n');
    await writeFile(file, [lines[0], lines[1]!.slice(0, 9), lines[2], ''].join('\n'));
    const error = await rejection((await open()).cutMetrics('pretrain', 3));
    expect(error).toBeInstanceOf(FormatError);
    expect(error.message).toMatch(/metrics\.jsonl, line 2/);
  });

  test('a full disk is a disk error and leaves the file as it was', async () => {
    const folder = await open();
    await folder.appendMetrics([lossAt(1)]);
    const before = await readFile(join(path, 'metrics.jsonl'), 'utf8');
    const probe = await openFile(join(path, 'recipe.json'));
    const prototype = Object.getPrototypeOf(probe) as { appendFile: unknown; write: unknown };
    await probe.close();
    const spy = vi
      .spyOn(prototype as { appendFile(text: string): Promise<void> }, 'appendFile')
      .mockImplementation(async function (this: { write(text: string): Promise<unknown> }, text) {
        await this.write(text.slice(0, 10));
        throw Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' });
      } as (text: string) => Promise<void>);
    const error = await rejection(folder.appendMetrics([lossAt(2)]));
    spy.mockRestore();
    expect(error.code).toBe('disk');
    expect(error.message).toContain('ENOSPC');
    expect(await readFile(join(path, 'metrics.jsonl'), 'utf8')).toBe(before);
    await folder.appendMetrics([lossAt(2)]);
    expect(await steps(folder)).toEqual([1, 2]);
  });
});

describe('clocks', () => {
  test('time adds up over sessions, also of a stage that was killed while it ran', async () => {
    const first = await open();
    first.beginStage('pretrain');
    await new Promise((done) => setTimeout(done, 20));
    // As with a checkpoint; the session is then killed, so nothing else is saved.
    await first.saveProgress();
    const saved = first.stageSeconds.pretrain!;
    expect(saved).toBeGreaterThan(0.015);
    const second = await open();
    expect(second.stageSeconds.pretrain).toBeGreaterThan(0.015);
    expect(second.seconds).toBeGreaterThan(0.015);
    expect(second.startedAt).toBe(first.startedAt);
    const before = second.stageSeconds.pretrain!;
    second.beginStage('pretrain');
    await new Promise((done) => setTimeout(done, 5));
    second.beginStage('sft');
    second.beginStage(undefined);
    expect(second.stageSeconds.pretrain).toBeGreaterThan(before);
    expect(Object.keys(second.stageSeconds)).toEqual(['pretrain', 'sft']);
    expect(second.peakRssBytes).toBeGreaterThan(1e7);
  });
});

test('a digest depends on values, not on the order of keys', () => {
  expect(digest({ a: 1, b: { c: [1, 2], d: null } })).toBe(digest({ b: { d: null, c: [1, 2] }, a: 1 }));
  expect(digest({ a: [1, 2] })).not.toBe(digest({ a: [2, 1] }));
  expect(digest({ a: 1 })).not.toBe(digest({ a: '1' }));
  expect(digest({})).toMatch(/^[0-9a-f]{16}$/);
});
