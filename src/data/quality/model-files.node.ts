/** Classifiers and perplexity models on disk: one file each, written in one piece. */
import { readFile } from 'node:fs/promises';
import { writeFileAtomic } from '../../core/atomic-file.node.ts';
import { DataError, FormatError, messageOf } from '../../core/errors.ts';
import { arrayFileKind } from './array-file.ts';
import { LinearClassifier } from './linear-classifier.ts';
import { PERPLEXITY_FILE_KIND, PerplexityModel } from './perplexity-model.ts';

export async function saveClassifier(path: string, classifier: LinearClassifier): Promise<void> {
  await writeFileAtomic(path, classifier.toBytes());
}

/** @throws DataError when the file cannot be read, FormatError when it is not a classifier or damaged */
export async function loadClassifier(path: string): Promise<LinearClassifier> {
  return parsed(path, await read(path), LinearClassifier.fromBytes);
}

/** @throws FormatError for a tokenizer that cannot be written */
export async function savePerplexityModel(path: string, model: PerplexityModel): Promise<void> {
  await writeFileAtomic(path, model.toBytes());
}

/** @throws DataError when the file cannot be read, FormatError when it is no such model or damaged */
export async function loadPerplexityModel(path: string): Promise<PerplexityModel> {
  return parsed(path, await read(path), PerplexityModel.fromBytes);
}

/** Either of the two, by what the file says it is. */
export async function loadQualityModel(path: string): Promise<LinearClassifier | PerplexityModel> {
  const bytes = await read(path);
  return arrayFileKind(bytes) === PERPLEXITY_FILE_KIND
    ? parsed(path, bytes, PerplexityModel.fromBytes)
    : parsed(path, bytes, LinearClassifier.fromBytes);
}

async function read(path: string): Promise<Uint8Array> {
  try {
    return await readFile(path);
  } catch (error) {
    throw new DataError(`${path} could not be read: ${messageOf(error)}. Check the path.`, { cause: error });
  }
}

function parsed<T>(path: string, bytes: Uint8Array, parse: (bytes: Uint8Array) => T): T {
  try {
    return parse(bytes);
  } catch (error) {
    throw new FormatError(`${path}: ${messageOf(error)}`, { cause: error });
  }
}
