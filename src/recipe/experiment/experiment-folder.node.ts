/**
 * The folder of an experiment: `experiment.json` (what was asked for and what was decided), `tokenizer/`, one folder
 * a model below `arms/`, `progress.json` (time of all sessions) and the report. A folder belongs to one request.
 */
import { mkdir, readdir, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { removeStaleTemporaries, writeFileAtomic } from '../../core/atomic-file.node.ts';
import { digest } from '../../core/digest.node.ts';
import { ConfigError, FormatError } from '../../core/errors.ts';
import { readJsonFile } from '../../core/json-file.node.ts';
import type { RecipeOverrides } from '../recipe.ts';
import { requestDifferences } from '../request-differences.ts';
import { SessionClock } from '../session-clock.node.ts';
import type { ExperimentSettings } from './plan-experiment.ts';

/** What was asked for. */
export interface ExperimentRequest {
  readonly experiment: string;
  readonly minutes: number;
  readonly params?: number;
  readonly numSeeds: number;
  readonly seed: number;
  readonly device: string;
  readonly overrides: RecipeOverrides;
  /** Digest of all texts, so that other texts begin a new experiment. */
  readonly dataDigest: string;
}

/** What was decided, once, after measuring. */
export interface ResolvedExperiment {
  readonly settings: ExperimentSettings;
  readonly numSteps: number;
  readonly flopsPerStep: number;
  readonly secondsPerStep: number;
  readonly sgemmGflops: number;
  readonly plannedSeconds: number;
}

interface Stored {
  readonly request: ExperimentRequest;
  readonly resolved?: ResolvedExperiment;
}

const FILE = 'experiment.json';
/** In the order in which `fresh` deletes them: a half-deleted experiment never looks finished, and is still known. */
const ENTRIES = ['report.json', 'report.html', 'arms', 'tokenizer', 'progress.json', FILE] as const;

export class ExperimentFolder {
  readonly path: string;
  readonly request: ExperimentRequest;
  readonly clock: SessionClock;
  #resolved: ResolvedExperiment | undefined;

  private constructor(path: string, { request, resolved }: Stored, clock: SessionClock) {
    this.path = path;
    this.request = request;
    this.#resolved = resolved;
    this.clock = clock;
  }

  /** Throws ConfigError when the folder holds something else; `fresh` deletes an experiment's own files first. */
  static async open(folder: string, request: ExperimentRequest, fresh: boolean): Promise<ExperimentFolder> {
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
        `${path} holds an experiment with other settings (${requestDifferences(stored.request, request)}). ` +
          'Add --fresh to replace it, or --out DIR for another folder.',
      );
    }
    const opened = new ExperimentFolder(
      path,
      stored ?? { request },
      await SessionClock.open(path, stored !== undefined),
    );
    if (!stored) await opened.#write();
    return opened;
  }

  file(...parts: string[]): string {
    return join(this.path, ...parts);
  }

  get resolved(): ResolvedExperiment | undefined {
    return this.#resolved;
  }

  async resolve(resolved: ResolvedExperiment): Promise<ResolvedExperiment> {
    this.#resolved = resolved;
    await this.#write();
    return resolved;
  }

  async #write(): Promise<void> {
    const stored: Stored = {
      request: this.request,
      ...(this.#resolved && { resolved: this.#resolved }),
    };
    await writeFileAtomic(this.file(FILE), `${JSON.stringify(stored, null, 2)}\n`);
  }
}

async function readStored(path: string): Promise<Stored | undefined> {
  const advice = 'Add --fresh to start the experiment again.';
  const stored = (await readJsonFile(join(path, FILE), advice)) as Stored | null | undefined;
  if (stored === undefined) return undefined;
  if (typeof stored?.request?.experiment !== 'string' || typeof stored.request.dataDigest !== 'string') {
    throw new FormatError(
      `${join(path, FILE)} is not of an experiment. Choose another folder with --out DIR.`,
    );
  }
  if (!stored.resolved) return stored;
  // JSON knows no Infinity, which stands for no clipping.
  const clipNorm = stored.resolved.settings.clipNorm ?? Number.POSITIVE_INFINITY;
  return { ...stored, resolved: { ...stored.resolved, settings: { ...stored.resolved.settings, clipNorm } } };
}

/** An experiment must not settle among files of something else: a later `fresh` could not tell them apart. */
async function refuseOtherFiles(path: string): Promise<void> {
  const own: ReadonlySet<string> = new Set([...ENTRIES, 'recipe.json']);
  const found = (await readdir(path)).filter((name) => own.has(name));
  if (found.length === 0) return;
  throw new ConfigError(
    `${path} holds ${found.join(', ')} but no ${FILE}, so it is no experiment's folder. ` +
      'Choose another folder with --out DIR, or delete them.',
  );
}
