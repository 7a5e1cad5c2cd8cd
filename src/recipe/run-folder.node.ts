/**
 * The folder of a run: what is kept where, and what must survive a stop. `recipe.json` holds the request and
 * the resolved settings; `progress.json` adds up time over sessions; `metrics.jsonl` keeps the events of
 * training and is cut back to the checkpoint on resume.
 */
import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { resourceUsage } from 'node:process';
import { removeStaleTemporaries, writeFileAtomic } from '../core/atomic-file.node.ts';
import { digest } from '../core/digest.node.ts';
import { ConfigError, FormatError, messageOf, PlinthError } from '../core/errors.ts';
import type { PlinthEvent } from '../core/events.ts';
import { readJsonFile } from '../core/json-file.node.ts';
import { MetricsLog } from './metrics-log.node.ts';
import type { PredictedLoss } from './predicted-loss.ts';
import type { RecipeOverrides, RecipeSettings } from './recipe.ts';
import { requestDifferences } from './request-differences.ts';

/** What was asked for; a folder belongs to one request. */
export interface RunRequest {
  readonly recipe: string;
  readonly minutes: number;
  readonly params?: number;
  readonly flops?: number;
  readonly device: string;
  readonly overrides: RecipeOverrides;
  /** Digest of the facts, so that edited data starts a new run. */
  readonly dataDigest: string;
}

/** What was decided, once, after measuring. */
export interface ResolvedRun {
  readonly settings: RecipeSettings;
  readonly sgemmGflops: number;
  readonly secondsPerStep: number;
  readonly plannedSeconds: number;
  /** Of the validation after pre-training. */
  readonly predictedLoss?: PredictedLoss;
  /** The finetuning steps have been adjusted to the speed that pre-training had. */
  readonly settled?: boolean;
}

interface Progress {
  seconds: number;
  peakRssBytes: number;
  startedAt: string;
  stageSeconds: Record<string, number>;
}

/** What a run puts into its folder, in the order in which `fresh` deletes it. */
const RUN_ENTRIES = [
  // First, so that a half-deleted run never looks finished.
  'report.json',
  'report.html',
  'model',
  'checkpoints',
  'metrics.jsonl',
  'data',
  'tokenizer',
  'progress.json',
  // Last, so that a half-deleted run is still known as one.
  'recipe.json',
] as const;

export class RunFolder {
  readonly path: string;
  readonly request: RunRequest;
  readonly #sessionStart = performance.now();
  readonly #progress: Progress;
  readonly #metrics: MetricsLog;
  #resolved: ResolvedRun | undefined;
  #stage: { name: string; startMs: number } | undefined;

  private constructor(
    path: string,
    request: RunRequest,
    progress: Progress,
    resolved: ResolvedRun | undefined,
  ) {
    this.path = path;
    this.request = request;
    this.#progress = progress;
    this.#resolved = resolved;
    this.#metrics = new MetricsLog(this.file('metrics.jsonl'));
  }

  /**
   * Opens or makes the folder. Throws ConfigError when it holds a run of another request, or files but no run;
   * FormatError when the run's files are damaged. `fresh` deletes what a run left there, and nothing else.
   */
  static async open(path: string, request: RunRequest, fresh: boolean): Promise<RunFolder> {
    await makeFolder(path);
    await removeStaleTemporaries(path);
    const stored = fresh ? await deleteRun(path) : await readStoredRun(path);
    if (!stored) await refuseOtherFiles(path);
    if (stored && digest(stored.request) !== digest(request)) {
      throw new ConfigError(
        `${path} holds a run with other settings (${requestDifferences(stored.request, request)}). ` +
          'Add --fresh to replace it, or --out DIR for another folder.',
      );
    }
    const progress = (stored && (await readProgress(path))) ?? {
      seconds: 0,
      peakRssBytes: 0,
      startedAt: new Date().toISOString(),
      stageSeconds: {},
    };
    const folder = new RunFolder(path, request, progress, stored?.resolved);
    if (!stored) await folder.#writeRecipe();
    return folder;
  }

  file(...parts: string[]): string {
    return join(this.path, ...parts);
  }

  get resolved(): ResolvedRun | undefined {
    return this.#resolved;
  }

  /** Fixes the settings for good. */
  async resolve(resolved: ResolvedRun): Promise<void> {
    this.#resolved = resolved;
    await this.#writeRecipe();
  }

  async #writeRecipe(): Promise<void> {
    const value = { request: this.request, ...(this.#resolved && { resolved: this.#resolved }) };
    await writeFileAtomic(this.file('recipe.json'), `${JSON.stringify(value, null, 2)}\n`);
  }

  get startedAt(): string {
    return this.#progress.startedAt;
  }

  /** Wall-clock seconds of all sessions so far. */
  get seconds(): number {
    return this.#progress.seconds + (performance.now() - this.#sessionStart) / 1000;
  }

  get peakRssBytes(): number {
    return Math.max(this.#progress.peakRssBytes, resourceUsage().maxRSS * 1024);
  }

  /** Seconds by stage of all sessions so far, the running stage included. */
  get stageSeconds(): Readonly<Record<string, number>> {
    const seconds = { ...this.#progress.stageSeconds };
    if (this.#stage) {
      const { name, startMs } = this.#stage;
      seconds[name] = (seconds[name] ?? 0) + (performance.now() - startMs) / 1000;
    }
    return seconds;
  }

  /** From now on time counts for this stage, until the next one begins; undefined ends the last. */
  beginStage(name: string | undefined): void {
    this.#progress.stageSeconds = { ...this.stageSeconds };
    this.#stage = name === undefined ? undefined : { name, startMs: performance.now() };
  }

  /** Saves the clocks; called with every checkpoint, so that a killed session loses at most what it redoes. */
  async saveProgress(): Promise<void> {
    const { startedAt } = this.#progress;
    const { seconds, peakRssBytes, stageSeconds } = this;
    const value: Progress = { seconds, peakRssBytes, startedAt, stageSeconds };
    await writeFileAtomic(this.file('progress.json'), `${JSON.stringify(value, null, 2)}\n`);
  }

  /** Drops the events of a stage after `step` (they will be made again) and a line that a kill cut short. */
  async cutMetrics(stage: string, step: number): Promise<void> {
    await this.#metrics.cut((event) => !('step' in event) || event.stage !== stage || event.step <= step);
  }

  async appendMetrics(events: readonly PlinthEvent[]): Promise<void> {
    await this.#metrics.append(events);
  }

  async readMetrics(): Promise<PlinthEvent[]> {
    return this.#metrics.read();
  }
}

async function makeFolder(path: string): Promise<void> {
  try {
    await mkdir(path, { recursive: true });
  } catch (error) {
    throw new PlinthError('disk', `Could not make the folder ${path}: ${messageOf(error)}.`, {
      cause: error,
    });
  }
}

/** The run that the folder holds, or undefined. Throws FormatError for a damaged or foreign recipe.json. */
async function readStoredRun(
  path: string,
): Promise<{ request: RunRequest; resolved?: ResolvedRun } | undefined> {
  const file = join(path, 'recipe.json');
  const stored = await readJsonFile(file, 'Add --fresh to start the run again.');
  if (stored === undefined) return undefined;
  const { request, resolved } = (stored ?? {}) as { request?: RunRequest; resolved?: ResolvedRun };
  if (typeof request?.recipe !== 'string' || typeof request.dataDigest !== 'string') {
    throw new FormatError(`${file} is not of a run. Choose another folder with --out DIR.`);
  }
  if (!resolved) return { request };
  // JSON knows no Infinity, which stands for no clipping.
  const clipNorm = resolved.settings.clipNorm ?? Number.POSITIVE_INFINITY;
  return { request, resolved: { ...resolved, settings: { ...resolved.settings, clipNorm } } };
}

/** Deletes a run's own files. A damaged recipe.json may go too, if other files show that it was a run's. */
async function deleteRun(path: string): Promise<undefined> {
  try {
    if (!(await readStoredRun(path))) return;
  } catch (error) {
    if (!(error instanceof FormatError && error.cause instanceof SyntaxError)) throw error;
    if (!(await readdir(path)).includes('progress.json')) {
      throw new FormatError(
        `${join(path, 'recipe.json')} is damaged, and no progress.json shows that it was a run's. Nothing was ` +
          'deleted; delete the folder yourself if it may go.',
        { cause: error },
      );
    }
  }
  for (const name of RUN_ENTRIES) {
    try {
      await rm(join(path, name), { recursive: true, force: true });
    } catch (error) {
      throw new PlinthError('disk', `Could not delete ${join(path, name)}: ${messageOf(error)}.`, {
        cause: error,
      });
    }
  }
}

/** A run must not settle among files of something else: a later `fresh` could not tell them apart. */
async function refuseOtherFiles(path: string): Promise<void> {
  const own: ReadonlySet<string> = new Set(RUN_ENTRIES);
  const found = (await readdir(path)).filter((name) => own.has(name));
  if (found.length === 0) return;
  throw new ConfigError(
    `${path} holds ${found.join(', ')} but no recipe.json, so it is no run's folder. ` +
      'Choose another folder with --out DIR, or delete them.',
  );
}

async function readProgress(path: string): Promise<Progress | undefined> {
  const file = join(path, 'progress.json');
  const advice = 'Delete it to go on without the time used so far.';
  const progress = (await readJsonFile(file, advice)) as Partial<Progress> | null | undefined;
  if (progress === undefined) return undefined;
  const numbers = [
    progress?.seconds,
    progress?.peakRssBytes,
    ...Object.values(progress?.stageSeconds ?? { none: Number.NaN }),
  ];
  if (typeof progress?.startedAt === 'string' && numbers.every(Number.isFinite)) return progress as Progress;
  throw new FormatError(`${file} is damaged: it lacks times. ${advice}`);
}
