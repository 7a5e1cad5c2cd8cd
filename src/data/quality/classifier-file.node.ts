/** Classifiers on disk: one file each, written in one piece. */
import { readFile } from 'node:fs/promises';
import { writeFileAtomic } from '../../core/atomic-file.node.ts';
import { DataError, FormatError, messageOf } from '../../core/errors.ts';
import { LinearClassifier } from './linear-classifier.ts';

export async function saveClassifier(path: string, classifier: LinearClassifier): Promise<void> {
  await writeFileAtomic(path, classifier.toBytes());
}

/** @throws DataError when the file cannot be read, FormatError when it is not a classifier or damaged */
export async function loadClassifier(path: string): Promise<LinearClassifier> {
  const bytes = await readModelFile(path);
  try {
    return LinearClassifier.fromBytes(bytes);
  } catch (error) {
    throw new FormatError(`${path}: ${messageOf(error)}`, { cause: error });
  }
}

export async function readModelFile(path: string): Promise<Uint8Array> {
  try {
    return await readFile(path);
  } catch (error) {
    throw new DataError(`${path} could not be read: ${messageOf(error)}. Check the path.`, { cause: error });
  }
}
