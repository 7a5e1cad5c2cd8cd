/**
 * The largest training run that each constraint allows by 2030, in FLOPs: Sevilla et al. 2024, "Can AI scaling continue
 * through 2030?" (Epoch AI, August 2024). Forecasts with wide ranges; the authors' overall answer is 2e29.
 */
import type { Range } from '../cost/range.ts';

export interface ComputeLimit {
  readonly id: string;
  readonly name: string;
  readonly flops: Range;
  readonly source: string;
}

const SOURCE = 'Sevilla et al. 2024 (Epoch AI)';

export const COMPUTE_BY_2030: readonly ComputeLimit[] = [
  {
    id: 'power-2030',
    name: 'power by 2030',
    flops: { low: 2e28, typical: 2e29, high: 2e30 },
    source: `${SOURCE}; a network of 2 to 45 GW`,
  },
  {
    id: 'chips-2030',
    name: 'chips by 2030',
    flops: { low: 1e29, typical: 9e29, high: 5e30 },
    source: `${SOURCE}; 20 to 400 million H100 equivalents`,
  },
  {
    id: 'data-2030',
    name: 'data by 2030, images and sound included',
    flops: { low: 6e28, typical: 2e30, high: 2e32 },
    source: `${SOURCE}; 400 to 20,000 T tokens`,
  },
  {
    id: 'latency-2030',
    name: 'latency of one run',
    flops: { low: 3e30, typical: 1e31, high: 1e32 },
    source: SOURCE,
  },
];
