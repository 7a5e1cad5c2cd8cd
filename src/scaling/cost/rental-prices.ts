/**
 * What an hour of a chip costs to rent on demand, in US dollars. Derived from Epoch AI's table of hardware prices
 * (https://epoch.ai/data/machine-learning-hardware, CC BY 4.0): of the last twelve months that the table has for
 * a chip, each vendor's lowest price at its latest date; low and high are the extremes over vendors, typical is
 * their median. Large clouds ask three to four times what small ones do, and contracts are 30 to 60 % cheaper
 * than on demand: prices move fast, so give your own where you have one.
 */
import type { Range } from './range.ts';

export interface RentalPrice extends Range {
  /** Date of the oldest and of the newest price, YYYY-MM-DD. */
  readonly from: string;
  readonly to: string;
  readonly numVendors: number;
  readonly source: string;
}

const EPOCH = 'Epoch AI, hardware prices (CC BY 4.0)';

type Row = readonly [
  low: number,
  typical: number,
  high: number,
  numVendors: number,
  from: string,
  to: string,
];

// biome-ignore format: a table
const ROWS: Readonly<Record<string, Row>> = {
  'v100':       [2.48, 2.77, 3.06, 2, '2025-03-03', '2025-03-03'],
  't4':         [0.53, 0.53, 0.82, 3, '2022-08-04', '2022-08-05'],
  'a100-40gb':  [1.29, 3.05, 4.10, 3, '2025-02-28', '2025-03-17'],
  'a100-80gb':  [1.57, 3.30, 5.12, 6, '2025-03-02', '2025-03-17'],
  'a100-pcie':  [1.29, 1.485, 1.64, 4, '2025-02-28', '2025-03-03'],
  'a10':        [2.00, 2.00, 2.00, 1, '2023-10-23', '2023-10-23'],
  'a40':        [0.12, 0.39, 0.44, 3, '2025-03-03', '2025-03-03'],
  'a6000':      [0.45, 0.525, 0.76, 4, '2025-03-03', '2025-03-03'],
  'l4':         [0.43, 0.43, 0.43, 1, '2025-03-03', '2025-03-03'],
  'l40s':       [0.86, 0.87, 0.88, 2, '2025-03-03', '2025-03-03'],
  'h100-pcie':  [1.98, 2.42, 2.49, 4, '2025-02-28', '2025-03-03'],
  'h100-sxm':   [2.45, 3.62, 12.29, 8, '2025-02-28', '2025-03-17'],
  'h100-nvl':   [6.98, 6.98, 6.98, 1, '2025-03-17', '2025-03-17'],
  'h800':       [3.42, 3.42, 3.42, 1, '2025-03-03', '2025-03-03'],
  'h200':       [10.60, 10.60, 10.60, 1, '2025-03-17', '2025-03-17'],
  'rtx-3090':   [0.12, 0.18, 0.43, 3, '2025-03-03', '2025-03-03'],
  'rtx-4090':   [0.20, 0.495, 0.69, 4, '2025-03-03', '2025-03-03'],
  'tpu-v2':     [1.13, 1.13, 1.13, 1, '2018-10-09', '2018-10-09'],
  'tpu-v3':     [2.00, 2.00, 2.00, 1, '2021-11-17', '2021-11-17'],
  'tpu-v4':     [3.22, 3.22, 3.22, 1, '2025-03-03', '2025-03-03'],
  'tpu-v5e':    [1.20, 1.20, 1.20, 1, '2025-03-03', '2025-03-03'],
  'tpu-v6e':    [2.70, 2.70, 2.70, 1, '2025-03-03', '2025-03-03'],
};

/** The price of an accelerator of the table, or null where the source has no rental price. */
export function rentalPrice(id: string): RentalPrice | null {
  const row = Object.hasOwn(ROWS, id) ? ROWS[id] : undefined;
  if (!row) return null;
  const [low, typical, high, numVendors, from, to] = row;
  return { low, typical, high, numVendors, from, to, source: EPOCH };
}
