/**
 * A model's folder as exports need it: weights as they are stored (quantised ones stay so), the tokenizer if there
 * is one, and token ids gathered from all files that may name them.
 */
import { basename, dirname, join, resolve } from 'node:path';
import { type LoadedTokenizer, loadTokenizer } from '../../tokenizer/index.node.ts';
import { loadCheckpoint } from '../checkpoint.node.ts';
import { isPresent } from '../checkpoint-folder.node.ts';
import type { TransformerConfig } from '../config.ts';
import type { MixedWeights } from '../quantized.ts';
import { specialTokenId, stopTokenIds } from '../read-checkpoint.ts';

export interface ModelFiles {
  readonly folder: string;
  /** A name for people: the folder's, or that of the run it lies in. */
  readonly name: string;
  /** `eosTokenIds` are all tokens that end a text. */
  readonly config: TransformerConfig;
  readonly weights: MixedWeights;
  readonly rawGenerationConfig: Record<string, unknown> | null;
  readonly loaded?: LoadedTokenizer;
}

/** @throws what `loadCheckpoint` and `loadTokenizer` throw. */
export async function readModelFiles(folder: string): Promise<ModelFiles> {
  const path = resolve(folder);
  const { config, weights, rawGenerationConfig } = await loadCheckpoint(path, { quantized: 'keep' });
  const loaded = (await isPresent(join(path, 'tokenizer.json'))) ? await loadTokenizer(path) : undefined;
  const idOf = (name: string | null | undefined) =>
    (loaded && specialTokenId(loaded, name ?? null, config)) ?? null;
  const folderName = basename(path);
  return {
    folder: path,
    name: folderName === 'model' ? basename(dirname(path)) : folderName,
    config: {
      ...config,
      eosTokenIds: stopTokenIds(config, rawGenerationConfig, loaded),
      bosTokenId: config.bosTokenId ?? idOf(loaded?.config.bosToken),
      padTokenId: config.padTokenId ?? idOf(loaded?.config.padToken),
    },
    weights,
    rawGenerationConfig,
    ...(loaded && { loaded }),
  };
}
