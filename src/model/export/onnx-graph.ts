/**
 * The graph of a model as transformers.js and other ONNX programs run it: token ids, the mask of the whole text
 * and the keys and values so far go in, scores and all keys and values come out. The transformer is the one that
 * trains and decodes here; this file gives it positions, a mask and a cache that grows by concatenation.
 *
 * A text may be padded on the left: positions count the tokens that the mask shows, and nobody sees the others.
 *
 * Shape suffixes: B batch, T new positions, S all positions, K key/value heads, P past positions, C head size,
 * R rows of the rotary tables, V vocabulary.
 */
import {
  add,
  and,
  cast,
  concat,
  cumsum,
  greater,
  input,
  lessEqual,
  max,
  maximum,
  reshape,
  scalar,
  scale,
  sub,
  sum,
  type Tensor,
  takeAlong,
  where,
} from '../../tensor/index.ts';
import type { TransformerConfig } from '../config.ts';
import {
  type KeyValue,
  logits,
  MASKED,
  type ModelParameters,
  type RotaryTables,
  transformer,
} from '../transformer.ts';

// The names of transformers.js: it finds the batch by name, and makes an empty cache by counting all others as 0.
const BATCH = 'batch_size';
const LENGTH = 'sequence_length';
const PAST = 'past_sequence_length';
const TOTAL = `${PAST}+${LENGTH}`;

/** The number of ones as a float, from a tensor that is never NaN. */
const onesLike = (x: Tensor): Tensor => add(scale(x, 0), scalar(1));

/**
 * Inputs: `input_ids` [B, T] and `attention_mask` [B, S], int64; `past_key_values.N.key` and `.value` [B, K, P, C].
 * Outputs: `logits` [B, T, V], `present.N.key` and `present.N.value` [B, K, S, C].
 * `rotaryTables` are of the keys' kind, [R, C / 2]; texts of more than R tokens fail.
 */
export function exportedGraph(
  parameters: ModelParameters,
  config: TransformerConfig,
  rotaryTables: RotaryTables,
): { outputs: Record<string, Tensor>; inputs: Tensor[] } {
  const idsBT = input('input_ids', [BATCH, LENGTH], 'int64');
  const maskBS = input('attention_mask', [BATCH, TOTAL], 'int64');
  const cacheShape = [BATCH, config.numKvHeads, PAST, config.headDim];
  const past = Array.from(
    { length: config.numLayers },
    (_, layer): KeyValue => ({
      keyBKTC: input(`past_key_values.${layer}.key`, cacheShape),
      valueBKTC: input(`past_key_values.${layer}.value`, cacheShape),
    }),
  );
  const shownBS = cast(maskBS, 'float32');
  const placesBS = sub(cumsum(onesLike(shownBS), 1), scalar(1));
  const ownPlacesBT = lastPlaces(shownBS, cast(idsBT, 'float32'));
  const positionsBS = maximum(sub(cumsum(shownBS, 1), scalar(1)), scalar(0));
  const positionsBT = takeAlong(positionsBS, cast(ownPlacesBT, 'int64'), 1);
  const seen = and(
    lessEqual(reshape(placesBS, [BATCH, 1, 1, TOTAL]), reshape(ownPlacesBT, [BATCH, 1, LENGTH, 1])),
    greater(reshape(shownBS, [BATCH, 1, 1, TOTAL]), scalar(0)),
  );
  const { hiddenND, present } = transformer(
    parameters,
    config,
    { idsBT, positionsBT: cast(positionsBT, 'int64'), maskTT: where(seen, scalar(0), scalar(MASKED)) },
    {
      maxPositions: config.maxPositionEmbeddings,
      rotary: { keys: rotaryTables },
      extend: (layer, own) => ({
        keyBKTC: concat([past[layer]!.keyBKTC, own.keyBKTC], 2),
        valueBKTC: concat([past[layer]!.valueBKTC, own.valueBKTC], 2),
      }),
    },
  );
  const outputs: Record<string, Tensor> = {
    logits: reshape(logits(parameters, config, hiddenND), [BATCH, LENGTH, config.vocabSize]),
  };
  present.forEach(({ keyBKTC, valueBKTC }, layer) => {
    outputs[`present.${layer}.key`] = keyBKTC;
    outputs[`present.${layer}.value`] = valueBKTC;
  });
  return { outputs, inputs: [idsBT, maskBS] };
}

/** Which of the S places the T new tokens have: the last ones, counted from 0. */
function lastPlaces(xBS: Tensor, xBT: Tensor): Tensor {
  const countB1 = sum(onesLike(xBS), 1, true);
  const nthBT = cumsum(onesLike(xBT), 1);
  const newB1 = max(nthBT, 1, true);
  return sub(add(sub(countB1, newB1), nthBT), scalar(1));
}
