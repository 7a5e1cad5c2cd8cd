/**
 * Training runs whose makers say what they took, to hold the arithmetic of this folder against. Only what is printed
 * in the source stands here; what is compared with it is computed.
 */

export interface PublishedRun {
  readonly name: string;
  readonly source: string;
  readonly accelerator: string;
  /** Total training FLOPs: printed, or 6 x active parameters x tokens. */
  readonly flops: number;
  readonly flopsSource: string;
  /** Of the whole run, in hours of one accelerator. */
  readonly acceleratorHours: number;
  readonly dollars?: number;
  readonly pricePerHour?: number;
  readonly energyKWh?: number;
  readonly carbonKg?: number;
  /** What the source's energy and carbon count. */
  readonly powerWatts?: number;
  readonly pue?: number;
  readonly carbonGramsPerKWh?: number;
}

const SIX_N_D = '6 x active parameters x tokens';

export const PUBLISHED_RUNS: readonly PublishedRun[] = [
  {
    name: 'GPT-3',
    source:
      'Patterson et al. 2021, arXiv:2104.10350, table 4 (10,000 V100 for 14.8 days, 330 W each, PUE 1.1)',
    accelerator: 'v100',
    flops: 3.14e23,
    flopsSource: 'Brown et al. 2020, table D.1',
    acceleratorHours: 10_000 * 14.8 * 24,
    energyKWh: 1_287_000,
    carbonKg: 552_100,
    powerWatts: 330,
    pue: 1.1,
    carbonGramsPerKWh: 429,
  },
  {
    name: 'BLOOM',
    source: 'Luccioni et al. 2022, arXiv:2211.02001 (power of the chips, no PUE)',
    accelerator: 'a100-80gb',
    flops: 6 * 176.247e9 * 366e9,
    flopsSource: SIX_N_D,
    acceleratorHours: 1_082_990,
    energyKWh: 433_196,
    carbonKg: 24_690,
    powerWatts: 400,
    pue: 1,
    carbonGramsPerKWh: 57,
  },
  {
    name: 'Llama 2 70B',
    source:
      'Touvron et al. 2023, arXiv:2307.09288, table 2; PUE and grid of Touvron et al. 2023, arXiv:2302.13971, table 15',
    accelerator: 'a100-80gb',
    flops: 6 * 68_976_648_192 * 2e12,
    flopsSource: SIX_N_D,
    acceleratorHours: 1_720_320,
    carbonKg: 291_420,
    powerWatts: 400,
    pue: 1.1,
    carbonGramsPerKWh: 385,
  },
  {
    name: 'Llama 3.1 405B',
    source: 'Llama 3.1 model card, July 2024',
    accelerator: 'h100-sxm',
    flops: 3.8e25,
    flopsSource: 'Dubey et al. 2024, arXiv:2407.21783, section 1',
    acceleratorHours: 30.84e6,
  },
  {
    name: 'DeepSeek-V3',
    source:
      'DeepSeek-AI 2024, arXiv:2412.19437, table 1 (trained in FP8, hours with context extension and post-training)',
    accelerator: 'h800',
    flops: 6 * 37e9 * 14.8e12,
    flopsSource: SIX_N_D,
    acceleratorHours: 2.788e6,
    dollars: 5_576_000,
    pricePerHour: 2,
  },
];
