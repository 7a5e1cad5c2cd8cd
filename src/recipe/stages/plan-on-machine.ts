/**
 * Plans sizes for the machine at hand: its SGEMM rate gives a first plan, a few real steps of that plan correct the
 * estimate of a step's time, and if the correction is large the size is planned once more.
 */
import type { BatchSource } from '../../data/tokens/token-batch.ts';
import type { TransformerConfig } from '../../model/config.ts';
import type { Device } from '../../runtime/device.ts';
import { measureSgemm } from '../../runtime/index.ts';
import { type Machine, type ModelShape, secondsPerStep } from '../../scaling/plan/index.ts';
import type { OptimizerSettings } from '../../train/optimizer.ts';
import { measureStep } from './measure-step.ts';

export interface SizedSettings extends ModelShape {
  readonly vocabSize: number;
  readonly contextLength: number;
  readonly batchSize: number;
  readonly pretrainOptimizer: OptimizerSettings;
}

export interface PlanOnMachineOptions<Settings extends SizedSettings> {
  readonly device: Device;
  /** A pure function of the machine. */
  readonly plan: (machine: Machine) => Settings;
  readonly config: (settings: Settings) => TransformerConfig;
  readonly batches: (settings: Settings) => BatchSource;
  /** Of the machine, where it is known. */
  readonly memoryBytes?: number;
  readonly signal?: AbortSignal;
}

export interface PlannedOnMachine<Settings> {
  readonly settings: Settings;
  readonly machine: Machine;
  readonly measured: { readonly secondsPerStep: number; readonly flopsPerStep: number };
}

/** Estimates that are off by less than this factor are not worth a second plan. */
const CLOSE_ENOUGH = 1.15;

export async function planOnMachine<Settings extends SizedSettings>(
  options: PlanOnMachineOptions<Settings>,
): Promise<PlannedOnMachine<Settings>> {
  const { device, plan, signal, memoryBytes } = options;
  const bare: Machine = {
    gflops: await measureSgemm(device),
    ...(memoryBytes !== undefined && { memoryBytes }),
  };
  const measure = (settings: Settings) =>
    measureStep(
      device,
      options.config(settings),
      options.batches(settings),
      settings.pretrainOptimizer,
      signal,
    );
  const first = plan(bare);
  const measured = await measure(first);
  const slowness = measured.secondsPerStep / secondsPerStep(first, stepShape(first), bare);
  const machine = { ...bare, slowness };
  if (Math.max(slowness, 1 / slowness) < CLOSE_ENOUGH) return { settings: first, machine, measured };
  const second = plan(machine);
  const isSame = JSON.stringify(second) === JSON.stringify(first);
  return { settings: second, machine, measured: isSame ? measured : await measure(second) };
}

function stepShape(settings: SizedSettings) {
  return { ...settings, optimizer: settings.pretrainOptimizer.name };
}
