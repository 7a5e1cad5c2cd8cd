import { spawnSync } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { FormatError, PlinthError } from '../../src/core/errors.ts';
import { openWeights } from '../../src/model/checkpoint-folder.node.ts';
import { SafetensorsFile, writeSafetensors } from '../../src/model/safetensors.node.ts';
import { encodeSafetensors, type TensorInput } from '../../src/model/safetensors.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'plinth-safetensors-'));
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

const floats = (length: number): Float32Array =>
  Float32Array.from({ length }, (_, i) => Math.sin(0.1 + 0.7 * i));
const TENSORS: TensorInput[] = [
  { name: 'f32', dtype: 'F32', shape: [3, 5], data: floats(15) },
  { name: 'bf16', dtype: 'BF16', shape: [7], data: floats(7) },
  { name: 'f16', dtype: 'F16', shape: [9], data: floats(9) },
  { name: 'f64', dtype: 'F64', shape: [2], data: floats(2) },
  { name: 'ids', dtype: 'I64', shape: [1], data: new Uint8Array([1, 2, 3, 4, 5, 6, 7, 8]) },
  { name: 'empty', dtype: 'F32', shape: [0, 4], data: new Float32Array(0) },
];

test('a streamed file has the same bytes as one made in memory', async () => {
  const path = join(folder, 'a.safetensors');
  await writeSafetensors(path, TENSORS, { step: '3' });
  expect(new Uint8Array(await readFile(path))).toEqual(encodeSafetensors(TENSORS, { step: '3' }));
  expect(await readdir(folder)).toEqual(['a.safetensors']);
});

test('tensors are read one by one, each into memory of its own', async () => {
  const path = join(folder, 'a.safetensors');
  await writeSafetensors(path, TENSORS);
  const file = await SafetensorsFile.open(path);
  expect(file.metadata.get('format')).toBe('pt');
  expect(file.tensors.get('f32')).toMatchObject({ dtype: 'F32', shape: [3, 5] });
  expect(await file.readFloat32('f32')).toEqual(floats(15));
  expect(await file.readFloat32('f64')).toEqual(floats(2));
  expect((await file.readFloat32('empty')).length).toBe(0);
  // bfloat16 keeps 8 significant bits, binary16 11.
  (await file.readFloat32('bf16')).forEach((value, i) => {
    expect(Math.abs(value / floats(7)[i]! - 1)).toBeLessThan(2 ** -8);
  });
  (await file.readFloat32('f16')).forEach((value, i) => {
    expect(Math.abs(value / floats(9)[i]! - 1)).toBeLessThan(2 ** -11);
  });
  expect([...(await file.readBytes('ids'))]).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
  await expect(file.readFloat32('ids')).rejects.toThrow(/"ids" is I64; expected F32, F16, BF16 or F64/);
  await expect(file.readFloat32('none')).rejects.toThrow(/has no tensor "none"/);
  await file.close();
});

test('tensors longer than a chunk are converted without seams', async () => {
  const length = 2 * 1024 * 1024 + 5;
  const data = Float32Array.from({ length }, (_, i) => (i % 256) - 128); // exact in every type
  const path = join(folder, 'long.safetensors');
  const shape = [length];
  await writeSafetensors(path, [
    { name: 'a', dtype: 'BF16', shape, data },
    { name: 'b', dtype: 'F16', shape, data },
    { name: 'c', dtype: 'F32', shape, data },
  ]);
  const file = await SafetensorsFile.open(path);
  for (const name of ['a', 'b', 'c']) {
    const read = await file.readFloat32(name);
    expect(Buffer.compare(Buffer.from(read.buffer), Buffer.from(data.buffer))).toBe(0);
  }
  await file.close();
});

test('an open file survives its replacement on disk', async () => {
  const path = join(folder, 'a.safetensors');
  await writeSafetensors(path, TENSORS);
  const file = await SafetensorsFile.open(path);
  await writeSafetensors(path, [{ name: 'f32', dtype: 'F32', shape: [1], data: floats(1) }]);
  expect(await file.readFloat32('f32')).toEqual(floats(15));
  await file.close();
});

describe('files that cannot be read', () => {
  async function opening(path: string): Promise<unknown> {
    return SafetensorsFile.open(path).then(
      async (file) => file.close(),
      (error: unknown) => error,
    );
  }

  test('name the path and say what is wrong', async () => {
    const none = await opening(join(folder, 'none.safetensors'));
    expect(none).toBeInstanceOf(PlinthError);
    expect(none).toMatchObject({ code: 'disk' });
    expect(await opening(folder)).toMatchObject({ code: 'disk' });
    expect(await opening('/dev/zero')).toMatchObject({ code: 'disk' });
    const path = join(folder, 'bad.safetensors');
    for (const content of ['', 'version https://git-lfs.github.com/spec/v1\n', '\x02\0\0\0\0\0\0\0{]']) {
      await writeFile(path, content);
      const error = await opening(path);
      expect(error).toBeInstanceOf(FormatError);
      expect((error as Error).message).toContain(path);
    }
  });

  test.skipIf(process.platform === 'win32')('a pipe is refused instead of waited for', async () => {
    const pipe = join(folder, 'pipe.safetensors');
    expect(spawnSync('mkfifo', [pipe]).status).toBe(0);
    expect(await opening(pipe)).toMatchObject({ code: 'disk' });
  });

  test('a file that shrinks after it was opened is noticed', async () => {
    const path = join(folder, 'a.safetensors');
    await writeSafetensors(path, TENSORS);
    const file = await SafetensorsFile.open(path);
    await truncate(path, 10);
    await expect(file.readFloat32('bf16')).rejects.toThrow(/changed after it was opened/);
    await file.close();
  });
});

test('nothing is written when a tensor does not fit its shape', async () => {
  const bad: TensorInput = { name: 'x', dtype: 'F32', shape: [2], data: floats(3) };
  await expect(writeSafetensors(join(folder, 'a.safetensors'), [...TENSORS, bad])).rejects.toThrow(
    FormatError,
  );
  expect(await readdir(folder)).toEqual([]);
});

describe('shards', () => {
  const INDEX = 'model.safetensors.index.json';
  async function writeIndex(weightMap: unknown): Promise<void> {
    await writeFile(join(folder, INDEX), JSON.stringify({ metadata: {}, weight_map: weightMap }));
  }
  async function writeShard(name: string, ...tensors: string[]): Promise<void> {
    await writeSafetensors(
      join(folder, name),
      tensors.map((tensor) => ({ name: tensor, dtype: 'F32', shape: [2], data: floats(2) })),
    );
  }

  test('are one source of tensors', async () => {
    await writeShard('one.safetensors', 'a', '__proto__');
    await writeShard('two.safetensors', 'b');
    await writeFile(
      join(folder, INDEX),
      '{"weight_map":{"a":"one.safetensors","__proto__":"one.safetensors","b":"two.safetensors"}}',
    );
    const source = await openWeights(folder);
    expect([...source.tensors.keys()].sort()).toEqual(['__proto__', 'a', 'b']);
    expect(await source.readFloat32('__proto__')).toEqual(floats(2));
    expect((await source.readBytes('b')).length).toBe(8);
    expect(() => source.readFloat32('c')).toThrow(/no tensor "c"/);
    await source.close();
  });

  test('a single file goes before an index', async () => {
    await writeShard('model.safetensors', 'single');
    await writeIndex({ a: 'one.safetensors' });
    const source = await openWeights(folder);
    expect([...source.tensors.keys()]).toEqual(['single']);
    await source.close();
  });

  test.each([
    '../outside.safetensors',
    '/etc/passwd',
    '..\\outside.safetensors',
    'sub/one.safetensors',
    '.hidden.safetensors',
    'one.bin',
    'one.safetensors\n',
    'C:one.safetensors',
    '',
    7,
    null,
  ])('a shard called %j is refused, even where there is such a file', async (shard) => {
    await writeShard('outside.safetensors', 'a');
    const inner = join(folder, 'inner');
    await mkdir(inner);
    await writeFile(join(inner, INDEX), JSON.stringify({ weight_map: { a: shard } }));
    const error = await openWeights(inner).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(FormatError);
    expect((error as Error).message).toContain('without any path');
  });

  test.each<[string, unknown, RegExp]>([
    ['a tensor that the index does not list', { a: 'one.safetensors' }, /"b".*does not list it/],
    [
      'a tensor that stands elsewhere',
      { a: 'two.safetensors', b: 'one.safetensors', c: 'two.safetensors' },
      /"a".*puts it into two/,
    ],
    [
      'a tensor that is nowhere',
      { a: 'one.safetensors', b: 'one.safetensors', c: 'two.safetensors', d: 'two.safetensors' },
      /"d" into two\.safetensors, which does not hold it/,
    ],
    ['no weight map', undefined, /"weight_map" must be an object/],
    ['a list', ['one.safetensors'], /"weight_map" must be an object/],
  ])('the index and the shards must agree: %s', async (_, weightMap, message) => {
    await writeShard('one.safetensors', 'a', 'b');
    await writeShard('two.safetensors', 'c');
    await writeIndex(weightMap);
    await expect(openWeights(folder)).rejects.toThrow(message);
    await expect(openWeights(folder)).rejects.toThrow(FormatError);
  });

  test('a missing shard and a folder without weights say what is missing', async () => {
    await writeIndex({ a: 'one.safetensors' });
    await expect(openWeights(folder)).rejects.toMatchObject({
      code: 'disk',
      message: expect.stringMatching(/one\.safe/),
    });
    await rm(join(folder, INDEX));
    await writeFile(join(folder, 'pytorch_model.bin'), 'pickle');
    await expect(openWeights(folder)).rejects.toThrow(/neither model\.safetensors.*Pickled weights/);
  });

  test('an index that is not JSON, or too many shards, are refused', async () => {
    await writeFile(join(folder, INDEX), '{"weight_map":');
    await expect(openWeights(folder)).rejects.toThrow(/is not JSON/);
    await writeIndex(
      Object.fromEntries(Array.from({ length: 1001 }, (_, i) => [`t${i}`, `s${i}.safetensors`])),
    );
    await expect(openWeights(folder)).rejects.toMatchObject({ code: 'limit' });
  });
});
