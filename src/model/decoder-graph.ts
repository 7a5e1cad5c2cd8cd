/**
 * The graphs of decoding: new tokens against a cache of earlier keys and values. A graph gives the scores of
 * one token a row and only the new keys and values, so that little is copied out of a run; the number of rows
 * and the length of the cache are free, so one program serves every batch.
 *
 * Shape suffixes: B rows, T new positions, P cached positions, R rows of the rotary tables, L layers,
 * K key/value heads, C head size, V vocabulary.
 */

import { concat, input, reshape, type Tensor, take } from '../tensor/index.ts';
import type { TransformerConfig } from './config.ts';
import { parameterSpecs } from './config.ts';
import { causalMask, logits, transformer } from './transformer.ts';

export const keyName = (layer: number) => `past/key/${layer}`;
export const valueName = (layer: number) => `past/value/${layer}`;

/**
 * Inputs: the parameters by name, `ids` [B, T], `positions` [B, T], the rotary tables `rotary/...` [R, C / 2];
 * with `hasPast` also `past/mask` [B, 1, 1, P] and keys and values [B, K, P, C]; for T > 1 `last` [B], the
 * place among the B * T tokens whose scores are wanted.
 * Outputs: `logits` [B, V] and `present` [2 L, B, K, T, C], keys and values of layer after layer.
 */
export function decoderGraph(
  config: TransformerConfig,
  length: number,
  hasPast: boolean,
): Record<'logits' | 'present', Tensor> {
  const parameters = Object.fromEntries(
    parameterSpecs(config).map(({ name, shape }) => [name, input(name, shape)]),
  );
  const idsBT = input('ids', ['batch', length], 'int32');
  const positionsBT = input('positions', ['batch', length], 'int64');
  const table = (name: string) => input(`rotary/${name}`, ['positions', config.headDim / 2]);
  const cacheShape = ['batch', config.numKvHeads, 'past', config.headDim];
  const past = {
    maskP: input('past/mask', ['batch', 1, 1, 'past']),
    layers: Array.from({ length: config.numLayers }, (_, layer) => ({
      keyBKTC: input(keyName(layer), cacheShape),
      valueBKTC: input(valueName(layer), cacheShape),
    })),
  };
  const { hiddenND, present } = transformer(
    parameters,
    config,
    { idsBT, positionsBT, maskTT: causalMask(length), ...(hasPast && { past }) },
    {
      maxPositions: config.maxPositionEmbeddings,
      rotary: {
        queries: { cosine: table('query-cosine'), sine: table('query-sine') },
        keys: { cosine: table('key-cosine'), sine: table('key-sine') },
      },
    },
  );
  const wanted = length === 1 ? hiddenND : take(hiddenND, input('last', ['batch'], 'int32'));
  const layered = (x: Tensor) => reshape(x, [1, ...x.shape]);
  return {
    logits: logits(parameters, config, wanted),
    present: concat(
      present.flatMap(({ keyBKTC, valueBKTC }) => [layered(keyBKTC), layered(valueBKTC)]),
      0,
    ),
  };
}
