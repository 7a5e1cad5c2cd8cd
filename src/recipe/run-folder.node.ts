/**
 * The folder of a run: what is kept where, and what must survive a stop. `recipe.json` holds the request and
 * the resolved settings and is written once; `progress.json` adds up time over sessions; `metrics.jsonl`
 * keeps every event and is cut back to the checkpoint on resume.
 */
import { createHash } from 'node:crypto';
import { type FileHandle, mkdir, open, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { resourceUsage } from 'node:process';
import { removeStaleTemporaries, writeFileAtomic } from '../core/atomic-file.node.ts';
import { ConfigError, messageOf } from '../core/errors.ts';
import type { PlinthEvent } from '../core/events.ts';
import { formatJsonLines } from '../core/json-lines.ts';
import type { RecipeSettings } from './recipe.ts';

/** What was asked for; a folder belongs to one request. */
export interface RunRequest {
  readonly recipe: string;
  readonly minutes: number;
  readonly params?: number;
  readonly flops?: number;
  readonly device: string;
  readonly overrides: Partial<RecipeSettings>;
  /** Digest of the facts, so that edited data starts a new run. */
  readonly dataDigest: string;
}

/** What was decided, once, after measuring. */
export interface ResolvedRun {
  readonly settings: RecipeSettings;
  readonly sgemmGflops: number;
  readonly secondsPerStep: number;
  readonly plannedSeconds: number;
}

interface Progress {
  seconds: number;
  peakRssBytes: number;
  startedAt: string;
  stageSeconds: Record<string, number>;
}

export function digest(value: unknown): string {
  return createHash('sha256').update(JSON.stringify(value)).digest('hex').slice(0, 16);
}

export class RunFolder {
  readonly path: string;
  readonly request: RunRequest;
  readonly #sessionStart = performance.now();
  #progress: Progress;
  #resolved: ResolvedRun | undefined;
  #metrics: FileHandle | undefined;

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
  }

  /**
   * Opens or makes the folder. Throws ConfigError when it holds a run of another request; `fresh` empties a
   * run's folder first (and refuses to empty a folder that is no run's).
   */
  static async open(path: string, request: RunRequest, fresh: boolean): Promise<RunFolder> {
    await mkdir(path, { recursive: true });
    await removeStaleTemporaries(path);
    const stored = await readJson<{ request: RunRequest; resolved?: ResolvedRun }>(join(path, 'recipe.json'));
    if (stored && fresh) {
      await rm(path, { recursive: true, force: true });
      await mkdir(path, { recursive: true });
    } else if (stored && digest(stored.request) !== digest(request)) {
      throw new ConfigError(
        `${path} holds a run with other settings (${differences(stored.request, request)}). ` +
          'Add --fresh to replace it, or --out DIR for another folder.',
      );
    }
    const kept = fresh ? undefined : stored;
    const progress = (fresh ? undefined : await readJson<Progress>(join(path, 'progress.json'))) ?? {
      seconds: 0,
      peakRssBytes: 0,
      startedAt: new Date().toISOString(),
      stageSeconds: {},
    };
    const folder = new RunFolder(path, request, progress, kept?.resolved);
    if (!kept) await folder.#writeRecipe();
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

  get stageSeconds(): Readonly<Record<string, number>> {
    return this.#progress.stageSeconds;
  }

  addStageSeconds(stage: string, seconds: number): void {
    this.#progress.stageSeconds[stage] = (this.#progress.stageSeconds[stage] ?? 0) + seconds;
  }

  /** Saves the clock; called with every checkpoint, so that a killed session loses at most what it redoes. */
  async saveProgress(): Promise<void> {
    const value: Progress = { ...this.#progress, seconds: this.seconds, peakRssBytes: this.peakRssBytes };
    await writeFileAtomic(this.file('progress.json'), `${JSON.stringify(value, null, 2)}\n`);
  }

  /** Opens metrics.jsonl for appending, without the lines of a stage after `step` (they will be made again). */
  async cutMetrics(stage: string, step: number): Promise<void> {
    await this.#metrics?.close();
    const path = this.file('metrics.jsonl');
    const events = await readEvents(path);
    const kept = events.filter((event) => !('step' in event) || event.stage !== stage || event.step <= step);
    if (kept.length !== events.length) await writeFileAtomic(path, formatJsonLines(kept));
    this.#metrics = await open(path, 'a');
  }

  async appendMetrics(events: readonly PlinthEvent[]): Promise<void> {
    if (events.length === 0) return;
    this.#metrics ??= await open(this.file('metrics.jsonl'), 'a');
    await this.#metrics.appendFile(formatJsonLines(events));
  }

  async readMetrics(): Promise<PlinthEvent[]> {
    return readEvents(this.file('metrics.jsonl'));
  }

  async close(): Promise<void> {
    await this.#metrics?.close();
    this.#metrics = undefined;
  }
}

/** Events of a file; a last line cut short by a kill is left out. */
async function readEvents(path: string): Promise<PlinthEvent[]> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch {
    return [];
  }
  return text.split('\n').flatMap((line) => {
    try {
      return line === '' ? [] : [JSON.parse(line) as PlinthEvent];
    } catch {
      return [];
    }
  });
}

async function readJson<T>(path: string): Promise<T | undefined> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch {
    return undefined;
  }
  try {
    return JSON.parse(text) as T;
  } catch (error) {
    throw new ConfigError(`${path} is damaged (${messageOf(error)}). Add --fresh to start the run again.`, {
      cause: error,
    });
  }
}

function differences(stored: RunRequest, wanted: RunRequest): string {
  const keys = new Set([...Object.keys(stored), ...Object.keys(wanted)]) as Set<keyof RunRequest>;
  const changed = [...keys].filter((key) => JSON.stringify(stored[key]) !== JSON.stringify(wanted[key]));
  return changed
    .map((key) => `${key}: ${JSON.stringify(stored[key])}, now ${JSON.stringify(wanted[key])}`)
    .join('; ');
}
