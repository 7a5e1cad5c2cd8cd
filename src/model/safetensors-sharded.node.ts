/**
 * A model's weights as a folder holds them: `model.safetensors`, or several shards listed in
 * `model.safetensors.index.json`. Shards are plain file names in the same folder; every tensor of the index
 * must stand in its shard, and every tensor of a shard in the index.
 */
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { FormatError, LimitError, messageOf, PlinthError } from '../core/errors.ts';
import { SafetensorsFile, type TensorSource } from './safetensors.node.ts';
import { quoteName, type TensorInfo } from './safetensors-header.ts';

export const WEIGHTS_NAME = 'model.safetensors';
export const WEIGHTS_INDEX_NAME = 'model.safetensors.index.json';
/** Files open at once. The largest published models have fewer than 200 shards. */
export const MAX_SHARDS = 1000;
const MAX_JSON_BYTES = 100_000_000;
/** A name, not a path: no separators, no leading dot. */
const SHARD_NAME = /^[A-Za-z0-9_][A-Za-z0-9_.+=-]*\.safetensors$/;

/**
 * Reads a JSON object from a file.
 * @throws PlinthError `disk` when unreadable, LimitError over 100 MB, FormatError when not a JSON object.
 */
export async function readJsonObject(path: string): Promise<Record<string, unknown>> {
  let text: string;
  try {
    const info = await stat(path);
    if (!info.isFile()) throw new Error('not an ordinary file');
    if (info.size > MAX_JSON_BYTES) {
      throw new LimitError(`${path} has ${info.size} bytes; JSON files up to ${MAX_JSON_BYTES} are read.`);
    }
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (error instanceof PlinthError) throw error;
    throw new PlinthError('disk', `Could not read ${path}: ${messageOf(error)}.`, { cause: error });
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new FormatError(`${path} is not JSON: ${messageOf(error)}.`, { cause: error });
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new FormatError(`${path} must hold a JSON object.`);
  }
  return value as Record<string, unknown>;
}

function parseWeightMap(path: string, index: Record<string, unknown>): Map<string, string> {
  const { weight_map: weightMap } = index;
  if (typeof weightMap !== 'object' || weightMap === null || Array.isArray(weightMap)) {
    throw new FormatError(`${path}: "weight_map" must be an object of tensor name to file name.`);
  }
  const shardOf = new Map<string, string>();
  for (const [name, shard] of Object.entries(weightMap)) {
    if (typeof shard !== 'string' || !SHARD_NAME.test(shard)) {
      const got = typeof shard === 'string' ? quoteName(shard) : typeof shard;
      throw new FormatError(
        `${path}: tensor ${quoteName(name)} points to ${got}; expected the name of a .safetensors file in the same folder, without any path.`,
      );
    }
    shardOf.set(name, shard);
  }
  return shardOf;
}

/** Several files that together hold one model's tensors. */
class ShardedSafetensors implements TensorSource {
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  readonly #fileOf: ReadonlyMap<string, SafetensorsFile>;
  readonly #files: readonly SafetensorsFile[];

  constructor(files: readonly SafetensorsFile[], fileOf: ReadonlyMap<string, SafetensorsFile>) {
    this.#files = files;
    this.#fileOf = fileOf;
    this.tensors = new Map([...fileOf].map(([name, file]) => [name, file.tensors.get(name)!]));
  }

  #file(name: string): SafetensorsFile {
    const file = this.#fileOf.get(name);
    if (file === undefined) throw new FormatError(`The model's shards have no tensor ${quoteName(name)}.`);
    return file;
  }

  readFloat32(name: string): Promise<Float32Array> {
    return this.#file(name).readFloat32(name);
  }

  readBytes(name: string): Promise<Uint8Array> {
    return this.#file(name).readBytes(name);
  }

  async close(): Promise<void> {
    for (const file of this.#files) await file.close();
  }
}

/** Opens all shards of an index. See the file's first lines for what must hold. */
async function openShards(folder: string, indexPath: string): Promise<TensorSource> {
  const shardOf = parseWeightMap(indexPath, await readJsonObject(indexPath));
  const shards = [...new Set(shardOf.values())].sort();
  if (shards.length > MAX_SHARDS) {
    throw new LimitError(`${indexPath} names ${shards.length} shards; at most ${MAX_SHARDS} are opened.`);
  }
  const files: SafetensorsFile[] = [];
  try {
    const fileOf = new Map<string, SafetensorsFile>();
    for (const shard of shards) {
      const file = await SafetensorsFile.open(join(folder, shard));
      files.push(file);
      for (const name of file.tensors.keys()) {
        if (shardOf.get(name) !== shard) {
          const expected = shardOf.has(name) ? `puts it into ${shardOf.get(name)}` : 'does not list it';
          throw new FormatError(
            `${file.path} holds tensor ${quoteName(name)}, but ${WEIGHTS_INDEX_NAME} ${expected}.`,
          );
        }
        fileOf.set(name, file);
      }
    }
    for (const [name, shard] of shardOf) {
      if (!fileOf.has(name)) {
        throw new FormatError(
          `${indexPath} puts tensor ${quoteName(name)} into ${shard}, which does not hold it.`,
        );
      }
    }
    return new ShardedSafetensors(files, fileOf);
  } catch (error) {
    for (const file of files) await file.close();
    throw error;
  }
}

async function isPresent(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

/**
 * Opens the weights in `folder`: `model.safetensors` if there is one (as transformers does), else the shards.
 * @throws FormatError, LimitError, or PlinthError `disk` when there are no weights or they cannot be read.
 */
export async function openWeights(folder: string): Promise<TensorSource> {
  const single = join(folder, WEIGHTS_NAME);
  if (await isPresent(single)) return SafetensorsFile.open(single);
  const index = join(folder, WEIGHTS_INDEX_NAME);
  if (await isPresent(index)) return openShards(folder, index);
  throw new PlinthError(
    'disk',
    `${folder} holds neither ${WEIGHTS_NAME} nor ${WEIGHTS_INDEX_NAME}. Pickled weights (pytorch_model.bin) are never loaded: convert them to safetensors first.`,
  );
}
