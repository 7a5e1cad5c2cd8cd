/**
 * An accelerator: what its maker says it can compute, hold, move and draw, and what renting it costs. Peaks are
 * for dense matrices; makers often print twice that, for matrices of which half is zero, which training does not
 * have. A peak is a ceiling: what a program reaches of it is its utilization (utilization.ts).
 */
import { ConfigError } from '../../core/errors.ts';
import { nearestNames } from '../../core/nearest-name.ts';
import { ACCELERATORS } from './accelerators.ts';
import { checkNumber } from './range.ts';
import type { RentalPrice } from './rental-prices.ts';

/** Multiplication format; sums are kept in FP32, except where a note says otherwise. */
export type NumberFormat = 'fp32' | 'tf32' | 'fp16' | 'bf16' | 'fp8' | 'fp4';

export interface Accelerator {
  readonly id: string;
  readonly name: string;
  readonly maker: string;
  /** Announcement or release, YYYY-MM-DD; empty for a machine of one's own. */
  readonly released: string;
  /** Dense peak by format, in FLOP/s. */
  readonly peakFlops: Readonly<Partial<Record<NumberFormat, number>>>;
  readonly memoryBytes: number | null;
  readonly bandwidthBytesPerSecond: number | null;
  /** Thermal design power of the chip or module alone; null where the maker does not say. */
  readonly powerWatts: number | null;
  readonly price: RentalPrice | null;
  readonly source: string;
  /** What is approximate or easily misread. */
  readonly note: string;
}

/** What training uses, best first: a chip without BF16 trains in FP16, one without either in FP32. */
const TRAINING_FORMATS: readonly NumberFormat[] = ['bf16', 'fp16', 'fp32'];

/**
 * The peak in FLOP/s and the format it is for.
 * @throws ConfigError when the accelerator does not have the format, or no public figure for it.
 */
export function peakOf(
  accelerator: Accelerator,
  format?: NumberFormat,
): { format: NumberFormat; flopsPerSecond: number } {
  const chosen = format ?? TRAINING_FORMATS.find((name) => accelerator.peakFlops[name] !== undefined);
  const flopsPerSecond = chosen && accelerator.peakFlops[chosen];
  if (chosen && flopsPerSecond) return { format: chosen, flopsPerSecond };
  throw new ConfigError(
    `${accelerator.name} has no public dense peak for ${chosen ?? 'training'}; ` +
      `it has ${Object.keys(accelerator.peakFlops).join(', ')}. Choose one of them or give the peak yourself.`,
  );
}

const MAKERS = /nvidia|geforce|amd|instinct|google|cloud|aws|amazon|intel|habana|apple|tesla/g;

function key(name: string): string {
  return name
    .toLowerCase()
    .replace(MAKERS, '')
    .replace(/[^a-z0-9]/g, '');
}

/** What people say when they mean the usual variant. */
const SHORT_NAMES: Readonly<Record<string, string>> = {
  a100: 'a100-80gb',
  a100sxm: 'a100-80gb',
  h100: 'h100-sxm',
  h100sxm5: 'h100-sxm',
  h200sxm: 'h200',
  h800sxm: 'h800',
  trillium: 'tpu-v6e',
  ironwood: 'tpu-v7',
  '3090': 'rtx-3090',
  '4090': 'rtx-4090',
  '5090': 'rtx-5090',
  trainium: 'trainium1',
};

/**
 * By id or name, whatever the case, spaces and maker: "H100", "h100-sxm", "NVIDIA H100 SXM".
 * @throws ConfigError with the nearest names.
 */
export function findAccelerator(name: string): Accelerator {
  const wanted = key(name);
  const short = Object.hasOwn(SHORT_NAMES, wanted) ? SHORT_NAMES[wanted] : undefined;
  const found = ACCELERATORS.find(
    (accelerator) =>
      accelerator.id === short || key(accelerator.id) === wanted || key(accelerator.name) === wanted,
  );
  if (found) return found;
  const known = ACCELERATORS.map(({ id }) => id);
  throw new ConfigError(
    `Accelerator "${name}" is not in the table. Known: ${nearestNames(name, known)}. ` +
      'For another one give its peak in FLOP/s, its power and its price.',
  );
}

/** The id of accelerators that `machine` makes. */
export const OWN_MACHINE_ID = 'machine';

/** A machine that is not in the table, by what was measured or is printed on it. Rates in FLOP/s, FP32. */
export function machine(options: {
  name?: string;
  flopsPerSecond: number;
  memoryBytes?: number;
  bandwidthBytesPerSecond?: number;
  powerWatts?: number;
}): Accelerator {
  const { name = 'this machine', flopsPerSecond, memoryBytes, bandwidthBytesPerSecond, powerWatts } = options;
  const optional = (label: string, value: number | undefined) =>
    value === undefined ? null : checkNumber(label, value);
  return {
    id: OWN_MACHINE_ID,
    name,
    maker: '',
    released: '',
    peakFlops: { fp32: checkNumber('The peak in FLOP/s', flopsPerSecond) },
    memoryBytes: optional('The memory in bytes', memoryBytes),
    bandwidthBytesPerSecond: optional('The bandwidth in bytes per second', bandwidthBytesPerSecond),
    powerWatts: optional('The power in watts', powerWatts),
    price: null,
    source: 'given',
    note: '',
  };
}
