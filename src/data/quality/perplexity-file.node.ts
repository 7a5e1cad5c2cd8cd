/** Perplexity models on disk: one file each, written in one piece. */
import { writeFileAtomic } from '../../core/atomic-file.node.ts';
import { FormatError, messageOf } from '../../core/errors.ts';
import { readModelFile } from './classifier-file.node.ts';
import { PerplexityModel } from './perplexity-model.ts';

/** @throws FormatError for a tokenizer that cannot be written */
export async function savePerplexityModel(path: string, model: PerplexityModel): Promise<void> {
  await writeFileAtomic(path, model.toBytes());
}

/** @throws DataError when the file cannot be read, FormatError when it is no such model or damaged */
export async function loadPerplexityModel(path: string): Promise<PerplexityModel> {
  const bytes = await readModelFile(path);
  try {
    return PerplexityModel.fromBytes(bytes);
  } catch (error) {
    throw new FormatError(`${path}: ${messageOf(error)}`, { cause: error });
  }
}
