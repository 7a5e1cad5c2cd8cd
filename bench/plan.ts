/**
 * The estimate of a training step's time (src/scaling/plan/step-time.ts) beside the time that steps take, for several
 * sizes. Prints one JSON line; ratios are measured over estimated.
 *
 *   npx tsx bench/plan.ts [--depths 2,3,4,6,8] [--threads 2]
 */
import { parseArgs } from 'node:util';
import { randomBatches } from '../src/recipe/machine-plan.node.ts';
import { modelConfig, planModel } from '../src/recipe/plan.ts';
import { measureStep } from '../src/recipe/stages/measure-step.ts';
import { nodeDeviceByName } from '../src/runtime/index.node.ts';
import { measureSgemm } from '../src/runtime/index.ts';
import { secondsPerStep, shapeOfDepth } from '../src/scaling/plan/index.ts';

const { values } = parseArgs({
  options: { depths: { type: 'string', default: '2,3,4,6,8' }, threads: { type: 'string' } },
});
const device = await nodeDeviceByName('cpu', values.threads ? { numThreads: Number(values.threads) } : {});
const steps: Record<string, unknown>[] = [];
for (const depth of values.depths.split(',').map(Number)) {
  for (const optimizer of ['muon', 'adamw'] as const) {
    const settings = planModel(
      { minutes: 9 },
      { ...shapeOfDepth(depth), batchSize: 32, pretrainOptimizer: { name: optimizer } },
    );
    const config = modelConfig(settings, { vocabSize: settings.vocabSize, endOfTextId: 0, endOfTurnId: 0 });
    // Before and after, since the machine may be busy for a while.
    const before = await measureSgemm(device);
    const { secondsPerStep: measured } = await measureStep(
      device,
      config,
      randomBatches(settings),
      settings.pretrainOptimizer,
    );
    const gflops = (before + (await measureSgemm(device))) / 2;
    const estimated = secondsPerStep(settings, { ...settings, optimizer }, { gflops });
    steps.push({
      hiddenSize: settings.hiddenSize,
      optimizer,
      gflops: Math.round(gflops),
      milliseconds: Math.round(measured * 1e3),
      ratio: Number((measured / estimated).toFixed(2)),
    });
  }
}
console.log(JSON.stringify({ bench: 'plan', numThreads: device.numThreads, steps }));
