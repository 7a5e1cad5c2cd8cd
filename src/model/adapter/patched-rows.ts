/**
 * An embedding of which the rows of a few tokens are replaced by trained ones (PEFT's trainable_token_indices): tokens
 * that a base model was never shown, such as those of a chat format, have rows that adapters elsewhere cannot make up
 * for. Look-ups and products, with gradients for the replaced rows only. n rows, V vocabulary, D hidden size.
 */
import {
  add,
  concat,
  constant,
  linear,
  matmul,
  mul,
  reshape,
  scalar,
  sub,
  type Tensor,
  take,
} from '../../tensor/index.ts';

export interface PatchedRows {
  /** [V, D] */
  readonly embedding: Tensor;
  /** [n, D] */
  readonly rows: Tensor;
  /** The token of each row. */
  readonly tokens: readonly number[];
}

/** 1 for tokens that keep the embedding's row, [V]. */
function keeping({ embedding, tokens }: PatchedRows): Tensor {
  const numTokens = embedding.shape[0] as number;
  const kept = new Float32Array(numTokens).fill(1);
  for (const token of tokens) kept[token] = 0;
  return constant(kept, [numTokens], 'float32');
}

/** Rows of token ids, [...ids, D]. */
export function takePatched(patched: PatchedRows, ids: Tensor): Tensor {
  const { embedding, rows, tokens } = patched;
  const numTokens = embedding.shape[0] as number;
  const slots = new Int32Array(numTokens);
  tokens.forEach((token, slot) => {
    slots[token] = slot;
  });
  const slot = take(constant(slots, [numTokens], 'int32'), ids);
  const kept = reshape(take(keeping(patched), ids), [...ids.shape, 1]);
  return add(mul(take(embedding, ids), kept), mul(take(rows, slot), sub(scalar(1), kept)));
}

/** x W^T, [N, D] -> [N, V]: one product, in which each replaced token's score is a column that goes to its place. */
export function linearPatched(xND: Tensor, patched: PatchedRows): Tensor {
  const { embedding, rows, tokens } = patched;
  const numTokens = embedding.shape[0] as number;
  const places = new Float32Array(numTokens * tokens.length);
  tokens.forEach((token, slot) => {
    places[token * tokens.length + slot] = 1;
  });
  const kept = mul(embedding, reshape(keeping(patched), [numTokens, 1]));
  const columns = constant(places, [numTokens, tokens.length], 'float32');
  return matmul(concat([xND, linear(xND, rows)], 1), concat([kept, columns], 1), { transposeB: true });
}
