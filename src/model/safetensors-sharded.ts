/**
 * A model's weights as its files hold them: `model.safetensors`, or several shards listed in
 * `model.safetensors.index.json`. Shards are plain file names in the same folder; every tensor of the index
 * must stand in its shard, and every tensor of a shard in the index.
 */
import { FormatError, LimitError } from '../core/errors.ts';
import {
  type CheckpointFiles,
  readJsonObject,
  WEIGHTS_INDEX_NAME,
  WEIGHTS_NAME,
} from './checkpoint-files.ts';
import type { TensorSource } from './safetensors.ts';
import { quoteName, type TensorInfo } from './safetensors-header.ts';

/** Files open at once. The largest published models have fewer than 200 shards. */
export const MAX_SHARDS = 1000;
/** A name, not a path: no separators, no leading dot. */
const SHARD_NAME = /^[A-Za-z0-9_][A-Za-z0-9_.+=-]*\.safetensors$/;

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
  readonly #sourceOf: ReadonlyMap<string, TensorSource>;
  readonly #sources: readonly TensorSource[];

  constructor(sources: readonly TensorSource[], sourceOf: ReadonlyMap<string, TensorSource>) {
    this.#sources = sources;
    this.#sourceOf = sourceOf;
    this.tensors = new Map([...sourceOf].map(([name, source]) => [name, source.tensors.get(name)!]));
  }

  #source(name: string): TensorSource {
    const source = this.#sourceOf.get(name);
    if (source === undefined) throw new FormatError(`The model's shards have no tensor ${quoteName(name)}.`);
    return source;
  }

  readFloat32(name: string): Promise<Float32Array> {
    return this.#source(name).readFloat32(name);
  }

  readBytes(name: string): Promise<Uint8Array> {
    return this.#source(name).readBytes(name);
  }

  async close(): Promise<void> {
    for (const source of this.#sources) await source.close();
  }
}

/** Opens all shards of an index. See the file's first lines for what must hold. */
async function openShards(files: CheckpointFiles, index: Record<string, unknown>): Promise<TensorSource> {
  const indexPath = files.pathOf(WEIGHTS_INDEX_NAME);
  const shardOf = parseWeightMap(indexPath, index);
  const shards = [...new Set(shardOf.values())].sort();
  if (shards.length > MAX_SHARDS) {
    throw new LimitError(`${indexPath} names ${shards.length} shards; at most ${MAX_SHARDS} are opened.`);
  }
  const sources: TensorSource[] = [];
  try {
    const sourceOf = new Map<string, TensorSource>();
    for (const shard of shards) {
      const source = await files.openTensors(shard);
      if (source === undefined) throw files.missing([shard], `${WEIGHTS_INDEX_NAME} lists it.`);
      sources.push(source);
      for (const name of source.tensors.keys()) {
        if (shardOf.get(name) !== shard) {
          const expected = shardOf.has(name) ? `puts it into ${shardOf.get(name)}` : 'does not list it';
          throw new FormatError(
            `${files.pathOf(shard)} holds tensor ${quoteName(name)}, but ${WEIGHTS_INDEX_NAME} ${expected}.`,
          );
        }
        sourceOf.set(name, source);
      }
    }
    for (const [name, shard] of shardOf) {
      if (!sourceOf.has(name)) {
        throw new FormatError(
          `${indexPath} puts tensor ${quoteName(name)} into ${shard}, which does not hold it.`,
        );
      }
    }
    return new ShardedSafetensors(sources, sourceOf);
  } catch (error) {
    for (const source of sources) await source.close();
    throw error;
  }
}

/**
 * Opens a model's weights: `model.safetensors` if there is one (as transformers does), else the shards.
 * @throws FormatError, LimitError, or the place's own error when there are no weights or they cannot be read.
 */
export async function openTensorFiles(files: CheckpointFiles): Promise<TensorSource> {
  const single = await files.openTensors(WEIGHTS_NAME);
  if (single !== undefined) return single;
  const index = await readJsonObject(files, WEIGHTS_INDEX_NAME);
  if (index !== undefined) return openShards(files, index);
  throw files.missing(
    [WEIGHTS_NAME, WEIGHTS_INDEX_NAME],
    'Pickled weights (pytorch_model.bin) are never loaded: convert them to safetensors first.',
  );
}
