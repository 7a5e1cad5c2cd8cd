/**
 * The folder of a training that is not a recipe's run: `settings.json` (what was asked for and what was decided),
 * `data/`, `checkpoints/`, `metrics.jsonl` and `model/`, the result. A folder belongs to one request; the same
 * request goes on where it stopped, another one is refused.
 */
import { mkdir, rm, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { removeStaleTemporaries, writeFileAtomic } from '../core/atomic-file.node.ts';
import { digest } from '../core/digest.node.ts';
import { ConfigError, DataError, FormatError } from '../core/errors.ts';
import type { PlinthEvent } from '../core/events.ts';
import { readJsonFile } from '../core/json-file.node.ts';
import { MetricsLog } from './metrics-log.node.ts';

/** Flat, so that a difference can be named. */
export type TrainingRequest = Readonly<Record<string, string | number | boolean | readonly string[] | null>>;

interface Stored {
  request: TrainingRequest;
  numSteps?: number;
}

export class TrainingFolder {
  readonly path: string;
  readonly request: TrainingRequest;
  readonly #metrics: MetricsLog;
  #numSteps: number | undefined;

  private constructor(path: string, request: TrainingRequest, numSteps: number | undefined) {
    this.path = path;
    this.request = request;
    this.#numSteps = numSteps;
    this.#metrics = new MetricsLog(join(path, 'metrics.jsonl'));
  }

  /** Throws ConfigError when the folder holds another request's training; `fresh` replaces that instead. */
  static async open(path: string, request: TrainingRequest, fresh: boolean): Promise<TrainingFolder> {
    const folder = resolve(path);
    await mkdir(folder, { recursive: true });
    await removeStaleTemporaries(folder);
    const stored = await readStored(join(folder, 'settings.json'));
    if (stored && fresh) {
      for (const name of ['settings.json', 'data', 'checkpoints', 'metrics.jsonl', 'model']) {
        await rm(join(folder, name), { recursive: true, force: true });
      }
    } else if (stored) {
      const changed = differences(stored.request, request);
      if (changed.length > 0) {
        throw new ConfigError(
          `${folder} holds a training with other settings (${changed.join('; ')}). ` +
            'Add --fresh to replace it, or choose another folder with --out.',
        );
      }
    }
    const opened = new TrainingFolder(folder, request, fresh ? undefined : stored?.numSteps);
    if (!stored || fresh) await opened.#write();
    return opened;
  }

  file(...parts: string[]): string {
    return join(this.path, ...parts);
  }

  /** Identifies settings and number of steps; checkpoints carry it. */
  get fingerprint(): string {
    return digest([this.request, this.#numSteps]);
  }

  /** Fixed the first time, so that a resumed training ends where it was to end. */
  async numSteps(decide: () => Promise<number> | number): Promise<number> {
    if (this.#numSteps === undefined) {
      this.#numSteps = await decide();
      await this.#write();
    }
    return this.#numSteps;
  }

  async #write(): Promise<void> {
    const stored: Stored = {
      request: this.request,
      ...(this.#numSteps !== undefined && { numSteps: this.#numSteps }),
    };
    await writeFileAtomic(this.file('settings.json'), `${JSON.stringify(stored, null, 2)}\n`);
  }

  appendMetrics(events: readonly PlinthEvent[]): Promise<void> {
    return this.#metrics.append(events);
  }

  /** Drops what was noted of steps after `step`: they are taken again. Also a last line that a kill cut short. */
  cutMetrics(step: number): Promise<void> {
    return this.#metrics.cut((event) => !('step' in event) || event.step <= step);
  }
}

async function readStored(path: string): Promise<Stored | undefined> {
  const advice = 'Delete it to start the training again.';
  const stored = (await readJsonFile(path, advice)) as Stored | null | undefined;
  if (stored === undefined) return undefined;
  if (typeof stored?.request === 'object' && stored.request !== null) return stored;
  throw new FormatError(`${path} is damaged (it holds no "request"). ${advice}`);
}

function differences(before: TrainingRequest, after: TrainingRequest): string[] {
  const keys = [...new Set([...Object.keys(before), ...Object.keys(after)])];
  return keys
    .filter((key) => JSON.stringify(before[key]) !== JSON.stringify(after[key]))
    .map((key) => `${key}: ${JSON.stringify(before[key])} before, ${JSON.stringify(after[key])} now`);
}

/** A file as part of a request: changed content is another training. */
export async function fileIdentity(path: string): Promise<string> {
  try {
    const { size, mtimeMs } = await stat(path);
    return `${resolve(path)} (${size} bytes, ${new Date(mtimeMs).toISOString()})`;
  } catch (error) {
    throw new DataError(`${path} could not be read. Check the path.`, { cause: error });
  }
}
