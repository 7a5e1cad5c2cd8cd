/** Bytes that optimizers keep per weight beside the weight and its gradient. */
import { ConfigError } from '../../core/errors.ts';
import { nearestNames } from '../../core/nearest-name.ts';
import type { Weight } from '../architecture/block.ts';

interface OptimizerState {
  readonly description: string;
  /** @param numberBytes bytes of a number of state in this training scheme */
  bytes(weight: Weight, numberBytes: number): number;
}

/** bitsandbytes keeps smaller tensors in 32 bits (Dettmers et al. 2022, arXiv 2110.02861; library's default). */
const MIN_QUANTISED_SIZE = 4096;
/** Numbers that share one 32-bit scale there. */
const QUANTISED_BLOCK = 256;

/** Matrices between layers; not embeddings, heads, norms and other vectors. */
function isHiddenMatrix({ role, part }: Weight): boolean {
  return role === 'matrix' && part !== 'embedding' && part !== 'head';
}

const OPTIMIZERS: Readonly<Record<string, OptimizerState>> = {
  adamw: {
    description: 'AdamW: first and second moment of each number',
    bytes: ({ size }, numberBytes) => 2 * size * numberBytes,
  },
  'adamw-8bit': {
    description:
      'AdamW with both moments in 8 bits and a 32-bit scale per 256; tensors below 4096 numbers in 32 bits',
    bytes: ({ size }) =>
      size < MIN_QUANTISED_SIZE ? 2 * size * 4 : 2 * (size + 4 * Math.ceil(size / QUANTISED_BLOCK)),
  },
  adafactor: {
    description:
      'Adafactor (arXiv 1804.04235) without momentum: row and column sums of matrices, all of vectors',
    bytes: ({ shape, size, role }, numberBytes) => {
      if (role !== 'matrix' && role !== 'lookup') return size * numberBytes;
      const rows = size / shape.at(-1)!;
      const columns = size / shape.at(-2)!;
      return (rows + columns) * numberBytes;
    },
  },
  muon: {
    description: 'Muon for matrices between layers (one momentum), AdamW for embeddings, head and vectors',
    bytes: (weight, numberBytes) => (isHiddenMatrix(weight) ? 1 : 2) * weight.size * numberBytes,
  },
  lion: {
    description: 'Lion: one momentum of each number',
    bytes: ({ size }, numberBytes) => size * numberBytes,
  },
  momentum: {
    description: 'SGD with momentum: one number for each',
    bytes: ({ size }, numberBytes) => size * numberBytes,
  },
  sgd: { description: 'SGD without momentum: nothing', bytes: () => 0 },
};

export const OPTIMIZER_NAMES: readonly string[] = Object.keys(OPTIMIZERS);

/** @throws ConfigError listing the optimizers. */
export function optimizerState(name: string): OptimizerState {
  const state = Object.hasOwn(OPTIMIZERS, name) ? OPTIMIZERS[name] : undefined;
  if (state) return state;
  throw new ConfigError(
    `There is no optimizer "${name.slice(0, 50)}"; expected one of ${nearestNames(name, OPTIMIZER_NAMES)}.`,
  );
}
