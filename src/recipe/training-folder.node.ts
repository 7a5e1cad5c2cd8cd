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

/** What was decided when the training began, once: steps at least. */
export interface TrainingDecision {
  readonly numSteps: number;
}

interface Stored {
  request: TrainingRequest;
  decided?: TrainingDecision;
}

/** What a training leaves; some leave only part of it. */
const CONTENTS = [
  'settings.json',
  'report.json',
  'evaluation.json',
  'metrics.jsonl',
  'data',
  'checkpoints',
  'last-good',
  'adapter',
  'model',
];

export class TrainingFolder {
  readonly path: string;
  readonly request: TrainingRequest;
  readonly #metrics: MetricsLog;
  #decided: TrainingDecision | undefined;

  private constructor(path: string, request: TrainingRequest, decided: TrainingDecision | undefined) {
    this.path = path;
    this.request = request;
    this.#decided = decided;
    this.#metrics = new MetricsLog(join(path, 'metrics.jsonl'));
  }

  /** Throws ConfigError when the folder holds another request's training; `fresh` replaces that instead. */
  static async open(path: string, request: TrainingRequest, fresh: boolean): Promise<TrainingFolder> {
    const folder = resolve(path);
    await mkdir(folder, { recursive: true });
    await removeStaleTemporaries(folder);
    const stored = await readStored(join(folder, 'settings.json'));
    if (stored && fresh) {
      for (const name of CONTENTS) {
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
    const opened = new TrainingFolder(folder, request, fresh ? undefined : stored?.decided);
    if (!stored || fresh) await opened.#write();
    return opened;
  }

  file(...parts: string[]): string {
    return join(this.path, ...parts);
  }

  /** Identifies what was asked for and what was decided; checkpoints carry it. */
  get fingerprint(): string {
    return digest([this.request, this.#decided]);
  }

  /**
   * Fixed the first time, so that a resumed training ends where it was to end, whatever the machine's speed is then.
   * What `make` returns must survive JSON.
   */
  async decide<Decision extends TrainingDecision>(
    make: () => Promise<Decision> | Decision,
  ): Promise<Decision> {
    if (this.#decided === undefined) {
      this.#decided = await make();
      await this.#write();
    }
    return this.#decided as Decision;
  }

  async #write(): Promise<void> {
    const stored: Stored = {
      request: this.request,
      ...(this.#decided && { decided: this.#decided }),
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
    .map((key) => `${key}: ${shown(before[key])} before, ${shown(after[key])} now`);
}

const shown = (value: unknown) => JSON.stringify(value) ?? 'not given';

/** A file as part of a request: changed content is another training. */
export async function fileIdentity(path: string): Promise<string> {
  try {
    const { size, mtimeMs } = await stat(path);
    return `${resolve(path)} (${size} bytes, ${new Date(mtimeMs).toISOString()})`;
  } catch (error) {
    throw new DataError(`${path} could not be read. Check the path.`, { cause: error });
  }
}
