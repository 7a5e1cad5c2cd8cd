/** Bytes of numbers, and what mixed-precision training keeps in which. */
import { ConfigError } from '../../core/errors.ts';
import { nearestNames } from '../../core/nearest-name.ts';

/** Bytes per number. Scales and zero points of integer and 8-bit formats are not included (0.4 to 6 % more). */
const NUMBER_BYTES = { fp32: 4, bf16: 2, fp16: 2, fp8: 1, int8: 1, int4: 0.5 } as const;
export type Precision = keyof typeof NUMBER_BYTES;
export const PRECISIONS = Object.keys(NUMBER_BYTES) as Precision[];

/** @throws ConfigError listing the precisions. */
export function numberBytes(precision: string): number {
  if (Object.hasOwn(NUMBER_BYTES, precision)) return NUMBER_BYTES[precision as Precision];
  throw new ConfigError(
    `There is no precision "${precision.slice(0, 50)}"; expected one of ${nearestNames(precision, PRECISIONS)}.`,
  );
}

/** What one number costs while training; bytes. */
export interface TrainingScheme {
  readonly description: string;
  readonly weightBytes: number;
  readonly gradientBytes: number;
  /** The copy that the optimizer updates, beside low-precision weights. */
  readonly masterBytes: number;
  /** Each of the optimizer's own numbers. */
  readonly stateBytes: number;
  readonly activationBytes: number;
}

const MIXED = { weightBytes: 2, gradientBytes: 2, masterBytes: 4, stateBytes: 4, activationBytes: 2 };

const SCHEMES = {
  fp32: {
    description: 'everything in 32 bits',
    weightBytes: 4,
    gradientBytes: 4,
    masterBytes: 0,
    stateBytes: 4,
    activationBytes: 4,
  },
  bf16: {
    description:
      'mixed: weights, gradients and activations in 16 bits, a 32-bit master copy (ZeRO, arXiv 1910.02054, section 3.1)',
    ...MIXED,
  },
  fp16: {
    description:
      'mixed: weights, gradients and activations in 16 bits, a 32-bit master copy (ZeRO, arXiv 1910.02054, section 3.1)',
    ...MIXED,
  },
  'bf16-pure': {
    description: 'everything in 16 bits, optimizer state too, no master copy',
    ...MIXED,
    masterBytes: 0,
    stateBytes: 2,
  },
} as const satisfies Record<string, TrainingScheme>;

export const TRAINING_SCHEMES = Object.keys(SCHEMES) as (keyof typeof SCHEMES)[];

/** Undefined for precisions that models are used in but not trained in here (fp8, int8, int4). */
export function trainingScheme(precision: string): TrainingScheme | undefined {
  return Object.hasOwn(SCHEMES, precision) ? SCHEMES[precision as keyof typeof SCHEMES] : undefined;
}
