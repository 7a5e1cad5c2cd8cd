/**
 * The folder of a sweep: `sweep.json` (what was asked for and what was decided), `data/` and `tokenizer/`, `sizes/`
 * (checkpoints of unfinished sizes), `points.jsonl` (a line for each finished model), `metrics.jsonl`, `model/` (the
 * largest model), `law.json` and the report. A folder belongs to one request; the same request goes on.
 */
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { removeStaleTemporaries, writeFileAtomic } from '../../core/atomic-file.node.ts';
import { digest } from '../../core/digest.node.ts';
import { ConfigError, FormatError, messageOf } from '../../core/errors.ts';
import { readJsonFile } from '../../core/json-file.node.ts';
import { formatJsonLines } from '../../core/json-lines.ts';
import { MetricsLog } from '../metrics-log.node.ts';
import { requestDifferences } from '../request-differences.ts';
import { SessionClock } from '../session-clock.node.ts';
import type { BranchPlan, MeasuredSize } from './plan-sweep.ts';
import type { SweepPoint } from './sweep.ts';

/** What was asked for, as JSON values. Whether the largest size is trained is not in it: that can be decided later. */
export type SweepRequest = Readonly<Record<string, unknown>>;

/** What was decided, once, after measuring. */
export interface ResolvedSweep extends BranchPlan {
  readonly sizes: readonly MeasuredSize[];
  readonly numTrainTokens: number;
  readonly sgemmGflops: number;
  readonly plannedSeconds: number;
  /** Steps of each size, decided when its turn came: those planned, or fewer on a machine that had become slow. */
  readonly settled: Readonly<Record<number, readonly number[]>>;
}

interface Stored {
  readonly kind: 'sweep';
  readonly request: SweepRequest;
  readonly resolved?: ResolvedSweep;
}

const FILE = 'sweep.json';
/** In the order in which `fresh` deletes them: a half-deleted sweep never looks finished, and is still known. */
const ENTRIES = [
  'report.json',
  'report.html',
  'law.json',
  'points.jsonl',
  'metrics.jsonl',
  'sizes',
  'model',
  'data',
  'tokenizer',
  'progress.json',
  FILE,
] as const;

export class SweepFolder {
  readonly path: string;
  readonly request: SweepRequest;
  readonly clock: SessionClock;
  readonly metrics: MetricsLog;
  #resolved: ResolvedSweep | undefined;

  private constructor(path: string, { request, resolved }: Stored, clock: SessionClock) {
    this.path = path;
    this.request = request;
    this.#resolved = resolved;
    this.clock = clock;
    this.metrics = new MetricsLog(join(path, 'metrics.jsonl'));
  }

  /** Throws ConfigError when the folder holds something else; `fresh` deletes a sweep's own files first. */
  static async open(folder: string, request: SweepRequest, fresh: boolean): Promise<SweepFolder> {
    const path = resolve(folder);
    await mkdir(path, { recursive: true });
    await removeStaleTemporaries(path);
    let stored = await readStored(path);
    if (stored && fresh) {
      for (const name of ENTRIES) await rm(join(path, name), { recursive: true, force: true });
      stored = undefined;
    }
    if (!stored) await refuseOtherFiles(path);
    if (stored && digest(stored.request) !== digest(request)) {
      throw new ConfigError(
        `${path} holds a sweep with other settings (${requestDifferences(stored.request, request)}). ` +
          'Add --fresh to replace it, or --out DIR for another folder.',
      );
    }
    const opened = new SweepFolder(
      path,
      stored ?? { kind: 'sweep', request },
      await SessionClock.open(path, stored !== undefined),
    );
    if (!stored) await opened.#write();
    return opened;
  }

  file(...parts: string[]): string {
    return join(this.path, ...parts);
  }

  get resolved(): ResolvedSweep | undefined {
    return this.#resolved;
  }

  async resolve(resolved: ResolvedSweep): Promise<ResolvedSweep> {
    this.#resolved = resolved;
    await this.#write();
    return resolved;
  }

  /** Finished models, in the order of their training. Throws FormatError for a damaged line. */
  async points(): Promise<SweepPoint[]> {
    const path = this.file('points.jsonl');
    if (!existsSync(path)) return [];
    const lines = (await readFile(path, 'utf8')).split('\n').filter((line) => line !== '');
    return lines.map((line, i) => {
      try {
        const point = JSON.parse(line) as SweepPoint;
        if (typeof point?.loss !== 'number' || typeof point.size !== 'number')
          throw new Error('no loss or size');
        return { ...point, bitsPerByte: point.bitsPerByte ?? Number.NaN };
      } catch (error) {
        throw new FormatError(
          `${path}, line ${i + 1} is not a point of a sweep (${messageOf(error)}). Delete that line to train it again.`,
          { cause: error },
        );
      }
    });
  }

  /** The whole journal is written anew, so that it is either with the point or without. */
  async addPoint(point: SweepPoint): Promise<void> {
    const points = [...(await this.points()), point];
    await writeFileAtomic(this.file('points.jsonl'), formatJsonLines(points));
  }

  async writeJson(name: string, value: unknown): Promise<void> {
    await writeFileAtomic(this.file(name), `${JSON.stringify(value, null, 2)}\n`);
  }

  async #write(): Promise<void> {
    const stored: Stored = {
      kind: 'sweep',
      request: this.request,
      ...(this.#resolved && { resolved: this.#resolved }),
    };
    await this.writeJson(FILE, stored);
  }
}

async function readStored(path: string): Promise<Stored | undefined> {
  const advice = 'Add --fresh to start the sweep again.';
  const stored = (await readJsonFile(join(path, FILE), advice)) as Stored | null | undefined;
  if (stored === undefined) return undefined;
  if (stored?.kind === 'sweep' && typeof stored.request === 'object' && stored.request !== null)
    return stored;
  throw new FormatError(`${join(path, FILE)} is not of a sweep. Choose another folder with --out DIR.`);
}

/** A sweep must not settle among files of something else: a later `fresh` could not tell them apart. */
async function refuseOtherFiles(path: string): Promise<void> {
  const own: ReadonlySet<string> = new Set([...ENTRIES, 'recipe.json', 'experiment.json', 'settings.json']);
  const found = (await readdir(path)).filter((name) => own.has(name));
  if (found.length === 0) return;
  throw new ConfigError(
    `${path} holds ${found.join(', ')} but no ${FILE}, so it is no sweep's folder. ` +
      'Choose another folder with --out DIR, or delete them.',
  );
}
