/**
 * The speeds of gathering and preparing data, as a user gets them: cleaning and deduplication run the command line
 * on a generated WET archive, the rest run their own benches. Peak memory is that of the whole process with its
 * worker threads. One JSON line on stdout.
 *
 *   npx tsx bench/data.ts                  # 200 MB of text, about three minutes on 2 quiet cores
 *   npx tsx bench/data.ts --megabytes 2000 --only clean
 */
import { execFile, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs, promisify } from 'node:util';
import { writeWetArchive } from './wet-corpus.ts';

const RULES = 'fineweb';
const MEMORY_POLL_MS = 50;

const { values } = parseArgs({
  options: { megabytes: { type: 'string', default: '200' }, only: { type: 'string' } },
});
const megabytes = Number(values.megabytes);
const wanted = (name: string): boolean => values.only === undefined || values.only.split(',').includes(name);
const round = (value: number) => Number(value.toPrecision(4));
const plinthPath = fileURLToPath(new URL('../bin/plinth.js', import.meta.url));

interface Run {
  result: { documents: { in: number; out: number }; bytes: { in: number; out: number } };
  wallSeconds: number;
  peakMegabytes: number;
}

/** Runs the command line; the kernel's own high-water mark of the process is read while it runs. */
async function plinth(...args: string[]): Promise<Run> {
  const startedAt = performance.now();
  const child = spawn(process.execPath, [plinthPath, ...args, '--json'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let peakKilobytes = 0;
  const timer = setInterval(() => {
    try {
      const status = readFileSync(`/proc/${child.pid}/status`, 'utf8');
      peakKilobytes = Math.max(peakKilobytes, Number(/VmHWM:\s+(\d+)/.exec(status)?.[1] ?? 0));
    } catch {
      // It has just ended.
    }
  }, MEMORY_POLL_MS);
  let stdout = '';
  for await (const chunk of child.stdout) stdout += chunk;
  clearInterval(timer);
  const wallSeconds = (performance.now() - startedAt) / 1000;
  const result = JSON.parse(stdout) as Run['result'];
  if ('error' in result) throw new Error(stdout);
  return { result, wallSeconds, peakMegabytes: peakKilobytes / 1000 };
}

async function bench(name: string): Promise<Record<string, unknown>> {
  const script = fileURLToPath(new URL(`./${name}.ts`, import.meta.url));
  const { stdout } = await promisify(execFile)(process.execPath, ['--import', 'tsx', script], {
    maxBuffer: 1 << 26,
  });
  return JSON.parse(stdout.trim().split('\n').at(-1)!) as Record<string, unknown>;
}

const rateOf = ({ result, wallSeconds, peakMegabytes }: Run) => ({
  MBps: round(result.bytes.in / 1e6 / wallSeconds),
  seconds: round(wallSeconds),
  megabytes: round(result.bytes.in / 1e6),
  documents: result.documents,
  peakMegabytes: round(peakMegabytes),
});

const folder = mkdtempSync(join(tmpdir(), 'plinth-bench-data-'));
try {
  const measured: Record<string, unknown> = {};
  if (wanted('clean') || wanted('dedup')) {
    const archive = join(folder, 'crawl.warc.wet.gz');
    await writeWetArchive(archive, megabytes * 1e6);
    measured.archiveMegabytes = round(statSync(archive).size / 1e6);
    if (wanted('clean')) {
      const out = join(folder, 'clean');
      measured.clean = {
        rules: RULES,
        ...rateOf(await plinth('data', 'clean', archive, '--rules', RULES, '--out', out)),
      };
    }
    if (wanted('dedup')) {
      const out = join(folder, 'unique');
      measured.dedup = {
        method: 'minhash, datatrove',
        ...rateOf(await plinth('data', 'dedup', archive, '--out', out)),
      };
    }
  }
  if (wanted('language')) {
    const { megabytesPerCpuSecond, accuracy } = await bench('language');
    measured.language = { megabytesPerCpuSecond, accuracy };
  }
  if (wanted('tokenizer')) {
    const { ratio, encodeMBps, gptTokenizerMBps, sameVocabulary } = await bench('tokenizer');
    measured.encoding = { ratio, encodeMBps, gptTokenizerMBps, sameVocabulary };
    measured.bpeTraining = await bench('tokenizer-large');
  }
  console.log(JSON.stringify({ ...measured, numCores: availableParallelism(), node: process.version }));
} finally {
  rmSync(folder, { recursive: true, force: true });
}
