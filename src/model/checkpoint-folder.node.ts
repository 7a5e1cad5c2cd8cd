/** A model's folder on disk, as the readers of checkpoints take it. */
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { LimitError, messageOf, PlinthError } from '../core/errors.ts';
import type { CheckpointFiles } from './checkpoint-files.ts';
import { SafetensorsFile } from './safetensors.node.ts';
import type { TensorSource } from './safetensors.ts';
import { openTensorFiles } from './safetensors-sharded.ts';

export async function isPresent(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

async function readText(path: string, maxBytes: number): Promise<string | undefined> {
  try {
    const info = await stat(path);
    if (!info.isFile()) throw new Error('not an ordinary file');
    if (info.size > maxBytes) {
      throw new LimitError(`${path} has ${info.size} bytes; at most ${maxBytes} are read.`);
    }
    return await readFile(path, 'utf8');
  } catch (error) {
    if (error instanceof PlinthError) throw error;
    if ((error as { code?: string }).code === 'ENOENT') return undefined;
    throw new PlinthError('disk', `Could not read ${path}: ${messageOf(error)}.`, { cause: error });
  }
}

/** Whatever cannot be read is a PlinthError `disk`. */
export function folderFiles(folder: string): CheckpointFiles {
  const pathOf = (name: string) => join(folder, name);
  return {
    place: folder,
    pathOf,
    readText: (name, maxBytes) => readText(pathOf(name), maxBytes),
    openTensors: async (name) =>
      (await isPresent(pathOf(name))) ? SafetensorsFile.open(pathOf(name)) : undefined,
    missing: (names, advice) => {
      const what =
        names.length === 1
          ? `Could not read ${pathOf(names[0]!)}: there is no such file.`
          : `${folder} holds neither ${names.join(' nor ')}.`;
      return new PlinthError('disk', advice === undefined ? what : `${what} ${advice}`);
    },
  };
}

/** `openTensorFiles` of a folder. Close it when done. */
export function openWeights(folder: string): Promise<TensorSource> {
  return openTensorFiles(folderFiles(folder));
}
