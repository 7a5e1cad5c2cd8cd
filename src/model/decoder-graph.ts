/**
 * The graphs of decoding: new tokens against a cache of earlier keys and values. A graph gives the scores of the
 * tokens that are asked for and only the new keys and values, so that little is copied out of a run; the number of
 * rows and the length of the cache are free, so one program serves every batch.
 *
 * Shape suffixes: B rows, T new positions, P places of the cache, R rows of the rotary tables, L layers,
 * K key/value heads, C head size, V vocabulary, D hidden size, W tokens whose scores are wanted.
 */

import { concat, input, type Tensor, take } from '../tensor/index.ts';
import type { TransformerConfig } from './config.ts';
import { logits, type ModelParameters, transformer } from './transformer.ts';

export const keyName = (layer: number) => `past/key/${layer}`;
export const valueName = (layer: number) => `past/value/${layer}`;

export interface DecoderGraphOptions {
  /**
   * `step`: one new token a row; nothing of the cache is copied. `read`: any number of new tokens a row, which see
   * each other; the run works on a copy of the cache with them in it.
   */
  readonly form: 'step' | 'read';
  /** Results that do not depend on how many rows or new tokens a run has, to the bit; see `CacheInputs`. */
  readonly strict: boolean;
}

/**
 * Inputs: `ids` [B, T], `positions` [B, T], the rotary tables `rotary/...` [R, C / 2], `past/mask` [B, 1, T, P] and
 * keys and values [B, K, P, C]; to read also `past/places` [B, K, T, 3] and `wanted` [W], the places among the
 * B * T tokens whose scores are wanted.
 * Outputs: `logits` [W, V] and `hidden` [W, D] (W = B in a step), `present` [2 L * B, K, T, C], keys and
 * values of layer after layer.
 */
export function decoderGraph(
  parameters: ModelParameters,
  config: TransformerConfig,
  { form, strict }: DecoderGraphOptions,
): Record<'logits' | 'hidden' | 'present', Tensor> {
  const isStep = form === 'step';
  const length = isStep ? 1 : 'length';
  const { numKvHeads, headDim } = config;
  const table = (name: string) => input(`rotary/${name}`, ['positions', headDim / 2]);
  const cacheShape = ['batch', numKvHeads, 'past', headDim];
  const cache = {
    maskP: input('past/mask', ['batch', 1, length, 'past']),
    layers: Array.from({ length: config.numLayers }, (_, layer) => ({
      keyBKTC: input(keyName(layer), cacheShape),
      valueBKTC: input(valueName(layer), cacheShape),
    })),
    ...(!isStep && { placesBKT: input('past/places', ['batch', numKvHeads, length, 3], 'int64') }),
    rowsAlike: strict,
  };
  const { hiddenND, present } = transformer(
    parameters,
    config,
    {
      idsBT: input('ids', ['batch', length], 'int32'),
      positionsBT: input('positions', ['batch', length], 'int64'),
      cache,
    },
    {
      maxPositions: config.maxPositionEmbeddings,
      rotary: {
        queries: { cosine: table('query-cosine'), sine: table('query-sine') },
        keys: { cosine: table('key-cosine'), sine: table('key-sine') },
      },
    },
  );
  const hidden = isStep ? hiddenND : take(hiddenND, input('wanted', ['wanted'], 'int32'));
  return {
    logits: logits(parameters, config, hidden),
    hidden,
    present: concat(
      present.flatMap(({ keyBKTC, valueBKTC }) => [keyBKTC, valueBKTC]),
      0,
    ),
  };
}
