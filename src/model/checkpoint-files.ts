/**
 * The files of a model, wherever they are: names, and what a place that holds them must be able to do. Readers take
 * a `CheckpointFiles`, so that a folder on disk and an address on the web are read, checked and refused alike.
 */
import { FormatError, messageOf, type PlinthError } from '../core/errors.ts';
import type { TensorSource } from './safetensors.ts';

export const CONFIG_NAME = 'config.json';
export const GENERATION_CONFIG_NAME = 'generation_config.json';
export const WEIGHTS_NAME = 'model.safetensors';
export const WEIGHTS_INDEX_NAME = 'model.safetensors.index.json';

/** Largest JSON file that is read, the index of the weights included. */
const MAX_JSON_BYTES = 100_000_000;

export interface CheckpointFiles {
  /** The folder's path or address, for errors. */
  readonly place: string;
  /** Path or address of one file, for errors. */
  pathOf(name: string): string;
  /** A file's text; undefined when there is no such file. Rejects with LimitError over `maxBytes`. */
  readText(name: string, maxBytes: number): Promise<string | undefined>;
  /** A safetensors file with its header read and checked; undefined when there is no such file. */
  openTensors(name: string): Promise<TensorSource | undefined>;
  /** The error for files of which at least one must be there and none is. */
  missing(names: readonly string[], advice?: string): PlinthError;
}

/**
 * A JSON object from a file; undefined when there is no such file.
 * @throws FormatError when it is not JSON or no object.
 */
export async function readJsonObject(
  files: CheckpointFiles,
  name: string,
): Promise<Record<string, unknown> | undefined> {
  const text = await files.readText(name, MAX_JSON_BYTES);
  if (text === undefined) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new FormatError(`${files.pathOf(name)} is not JSON: ${messageOf(error)}.`, { cause: error });
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new FormatError(`${files.pathOf(name)} must hold a JSON object.`);
  }
  return value as Record<string, unknown>;
}
