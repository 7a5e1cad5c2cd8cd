/**
 * The accelerators people train and serve on, with the dense figures of their makers' data sheets. Release dates and
 * a cross-check of every number: Epoch AI's table of machine learning hardware
 * (https://epoch.ai/data/machine-learning-hardware, CC BY 4.0). Where that table gives a peak for sparse matrices, sums in
 * FP16, or a whole server's memory or power, the data sheet's figure for one dense chip stands here instead.
 */
import type { Accelerator, NumberFormat } from './accelerator.ts';
import { rentalPrice } from './rental-prices.ts';

type Row = readonly [
  id: string,
  name: string,
  released: string,
  /** TFLOP/s; null where the chip does not have the format or its maker gives no dense figure. */
  fp32: number | null,
  tf32: number | null,
  fp16: number | null,
  bf16: number | null,
  fp8: number | null,
  fp4: number | null,
  memoryGB: number | null,
  bandwidthGBs: number | null,
  watts: number | null,
  note?: string,
];

const _ = null;

// biome-ignore format: a table
const NVIDIA: readonly Row[] = [
  // id, name, released, fp32, tf32, fp16, bf16, fp8, fp4, GB, GB/s, W, note
  ['v100', 'V100 SXM2', '2017-06-21', 15.7, _, 125, _, _, _, 32, 900, 300, 'also with 16 GB; no BF16'],
  ['t4', 'T4', '2018-09-13', 8.1, _, 65, _, _, _, 16, 320, 70, 'no BF16'],
  ['a100-40gb', 'A100 SXM 40GB', '2020-05-14', 19.5, 156, 312, 312, _, _, 40, 1555, 400],
  ['a100-80gb', 'A100 SXM 80GB', '2020-11-16', 19.5, 156, 312, 312, _, _, 80, 2039, 400],
  ['a100-pcie', 'A100 PCIe 80GB', '2021-06-28', 19.5, 156, 312, 312, _, _, 80, 1935, 300],
  ['a10', 'A10', '2021-04-12', 31.2, 62.5, 125, 125, _, _, 24, 600, 150],
  ['a40', 'A40', '2020-10-05', 37.4, 74.8, 149.7, 149.7, _, _, 48, 696, 300],
  ['a6000', 'RTX A6000', '2020-10-05', 38.7, 77.4, 154.8, 154.8, _, _, 48, 768, 300],
  ['l4', 'L4', '2023-03-21', 30.3, 60, 121, 121, 242, _, 24, 300, 72],
  ['l40s', 'L40S', '2023-08-08', 91.6, 183, 362, 362, 733, _, 48, 864, 350],
  ['h100-pcie', 'H100 PCIe', '2022-09-20', 51, 378, 756, 756, 1513, _, 80, 2000, 350],
  ['h100-sxm', 'H100 SXM', '2022-09-20', 67, 495, 989, 989, 1979, _, 80, 3350, 700],
  ['h100-nvl', 'H100 NVL', '2024-03-14', 60, 418, 835, 835, 1671, _, 94, 3938, 400, 'one of a pair'],
  ['h800', 'H800 SXM', '2023-03-21', 67, 495, 989, 989, 1979, _, 80, 3350, 700, 'H100 with slower links'],
  ['h20', 'H20', '2023-11-09', 44, 74, 148, 148, 296, _, 96, 4000, 400],
  ['h200', 'H200 SXM', '2024-11-18', 67, 495, 989, 989, 1979, _, 141, 4800, 700],
  ['gh200', 'GH200', '2023-08-08', 67, 495, 989, 989, 1979, _, 144, 4900, 1000, 'power includes the CPU'],
  ['b200', 'B200', '2024-03-18', 75, 1125, 2250, 2250, 4500, 9000, 180, 8000, 1000],
  ['gb200', 'GB200 (one GPU)', '2024-03-18', 80, 1250, 2500, 2500, 5000, 10000, 186, 8000, 1200],
  ['b300', 'B300', '2025-08-15', 75, 1125, 2250, 2250, 4500, 13500, 270, 8000, 1100, 'approximate: HGX B300 sheet / 8'],
  ['rtx-3090', 'GeForce RTX 3090', '2020-09-01', 35.6, 35.6, 71, 71, _, _, 24, 936, 350, 'sums in FP32; twice that in FP16'],
  ['rtx-4090', 'GeForce RTX 4090', '2022-09-20', 82.6, 82.6, 165.2, 165.2, 330.3, _, 24, 1008, 450, 'sums in FP32; twice that in FP16'],
  ['rtx-5090', 'GeForce RTX 5090', '2025-01-30', 104.8, 104.8, 209.5, 209.5, 419, 1676, 32, 1792, 575, 'sums in FP32; twice that in FP16'],
];

// biome-ignore format: a table
const AMD: readonly Row[] = [
  ['mi250x', 'Instinct MI250X', '2021-11-08', 47.9, _, 383, 383, _, _, 128, 3277, 500, 'two dies; 560 W at peak'],
  ['mi300x', 'Instinct MI300X', '2023-12-06', 163.4, 653.7, 1307, 1307, 2615, _, 192, 5300, 750],
  ['mi325x', 'Instinct MI325X', '2024-10-10', 163.4, 653.7, 1307, 1307, 2615, _, 256, 6000, 1000],
  ['mi355x', 'Instinct MI355X', '2025-06-12', 157.3, _, 2517, 2517, 5033, 10066, 288, 8000, 1400],
];

// biome-ignore format: a table
const GOOGLE: readonly Row[] = [
  ['tpu-v2', 'TPU v2', '2017-05-01', _, _, _, 45, _, _, 16, 700, 280],
  ['tpu-v3', 'TPU v3', '2018-05-18', _, _, _, 123, _, _, 32, 900, 220],
  ['tpu-v4', 'TPU v4', '2021-05-20', _, _, _, 275, _, _, 32, 1200, 170, 'power: mean measured by its makers'],
  ['tpu-v5e', 'TPU v5e', '2023-08-29', _, _, _, 197, _, _, 16, 819, _, 'power not public'],
  ['tpu-v5p', 'TPU v5p', '2023-12-06', _, _, _, 459, _, _, 95, 2765, _, 'power not public'],
  ['tpu-v6e', 'TPU v6e Trillium', '2024-05-14', _, _, _, 918, _, _, 32, 1640, _, 'power not public'],
  ['tpu-v7', 'TPU v7 Ironwood', '2025-04-09', _, _, _, 2307, 4614, _, 192, 7370, 980, 'power approximate'],
];

// biome-ignore format: a table
const AMAZON: readonly Row[] = [
  ['trainium1', 'Trainium1', '2022-10-15', 47.5, _, 190, 190, 190, _, 32, 820, _, 'power not public'],
  ['trainium2', 'Trainium2', '2024-12-03', 181, _, 667, 667, 1299, _, 96, 2900, 500, 'power approximate'],
];

// biome-ignore format: a table
const INTEL: readonly Row[] = [
  ['gaudi2', 'Gaudi 2', '2022-05-10', _, _, _, 432, 865, _, 96, 2450, 600],
  ['gaudi3', 'Gaudi 3', '2024-09-24', _, _, _, 1678, 1678, _, 128, 3700, 900],
];

// biome-ignore format: a table
const APPLE: readonly Row[] = [
  ['m2-ultra', 'M2 Ultra (GPU)', '2023-06-05', 27.2, _, _, _, _, _, 192, 800, _, 'power not public; largest memory'],
  ['m3-max', 'M3 Max (GPU)', '2023-10-23', 14.2, _, _, _, _, _, 128, 400, _, 'approximate; power not public'],
];

function accelerator(maker: string, row: Row): Accelerator {
  const [id, name, released, fp32, tf32, fp16, bf16, fp8, fp4, memoryGB, bandwidthGBs, watts, note] = row;
  const teraflops: Record<NumberFormat, number | null> = { fp32, tf32, fp16, bf16, fp8, fp4 };
  const peakFlops: Partial<Record<NumberFormat, number>> = {};
  for (const [format, value] of Object.entries(teraflops)) {
    if (value !== null) peakFlops[format as NumberFormat] = Math.round(value * 1e12);
  }
  return {
    id,
    name: `${maker} ${name}`,
    maker,
    released,
    peakFlops,
    memoryBytes: memoryGB === null ? null : memoryGB * 1e9,
    bandwidthBytesPerSecond: bandwidthGBs === null ? null : bandwidthGBs * 1e9,
    powerWatts: watts,
    price: rentalPrice(id),
    source: `${maker} data sheet; Epoch AI, machine learning hardware (CC BY 4.0)`,
    note: note ?? '',
  };
}

export const ACCELERATORS: readonly Accelerator[] = [
  ...NVIDIA.map((row) => accelerator('NVIDIA', row)),
  ...AMD.map((row) => accelerator('AMD', row)),
  ...GOOGLE.map((row) => accelerator('Google', row)),
  ...AMAZON.map((row) => accelerator('Amazon', row)),
  ...INTEL.map((row) => accelerator('Intel', row)),
  ...APPLE.map((row) => accelerator('Apple', row)),
];
