/**
 * Does the learning rate found at width 64 serve width 256? `npx tsx bench/transfer.ts [FOLDER]`
 *
 * The sweep of `plinth scale transfer` with its defaults, on one thread: widths 64, 128 and 256, four layers, 200
 * steps of 8 x 64 tokens of the World Factbook, AdamW. One JSON line: for each parametrisation the best rate by width
 * as a power of two, the factor between them, and what the widest model loses with the smallest one's rate. Results
 * are kept in FOLDER (default: a temporary one), so that a stopped bench goes on.
 */
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { factbookProse } from '../recipes/atlas-prose.ts';
import { runTransfer } from '../src/recipe/transfer/index.node.ts';
import { cpuDevice } from '../src/runtime/index.node.ts';

const documents = [...(await factbookProse.documents())];
const { report } = await runTransfer({
  texts: () => documents,
  description: `${factbookProse.name} (${factbookProse.licence})`,
  folder: process.argv[2] ?? (await mkdtemp(join(tmpdir(), 'plinth-transfer-'))),
  device: cpuDevice({ numThreads: 1 }),
  depths: [2, 4, 8, 16],
  command: 'npx tsx bench/transfer.ts',
  onEvent: (event) => {
    if (event.type === 'progress') process.stderr.write(`${event.stage}: ${event.done} of ${event.total}\n`);
  },
});
const { curves, verdicts, numRuns, seconds, widths } = report.transfer!;
console.log(
  JSON.stringify({
    widths,
    parametrisations: verdicts.map(({ parametrisation, factor, transfers, lossOfTransfer }) => ({
      ...parametrisation,
      bestRatePowers: curves
        .filter((curve) => curve.parametrisation.kind === parametrisation.kind)
        .map(({ best }) => round(Math.log2(best?.learningRate ?? Number.NaN))),
      bestLosses: curves
        .filter((curve) => curve.parametrisation.kind === parametrisation.kind)
        .map(({ best }) => round(best?.loss ?? Number.NaN)),
      factor: round(factor),
      transfers,
      lossOfTransfer: round(lossOfTransfer),
    })),
    checks: report.checks.map(({ axis, series }) => ({
      axis,
      slopes: series.map(({ parametrisation, layer, slopes, verdict }) => [
        parametrisation.kind,
        layer,
        round(slopes.at(-1)!),
        verdict,
      ]),
    })),
    numRuns,
    seconds: Math.round(seconds),
  }),
);

function round(value: number): number {
  return Math.round(value * 1000) / 1000;
}
