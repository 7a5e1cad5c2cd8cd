/** Time and peak memory of a run over all its sessions, kept in the folder's `progress.json`. */
import { join } from 'node:path';
import { resourceUsage } from 'node:process';
import { writeFileAtomic } from '../core/atomic-file.node.ts';
import { readJsonFile } from '../core/json-file.node.ts';

interface Progress {
  readonly seconds: number;
  readonly peakRssBytes: number;
  readonly startedAt: string;
}

export class SessionClock {
  readonly startedAt: string;
  readonly #path: string;
  readonly #before: Progress;
  readonly #sessionStart = performance.now();

  private constructor(path: string, before: Progress) {
    this.#path = path;
    this.#before = before;
    this.startedAt = before.startedAt;
  }

  /** Goes on from what the folder holds, or begins at nothing. Throws FormatError for a damaged file. */
  static async open(folder: string, goesOn: boolean): Promise<SessionClock> {
    const path = join(folder, 'progress.json');
    const before = goesOn ? await readJsonFile(path, 'Delete it to go on.') : undefined;
    const nothing = { seconds: 0, peakRssBytes: 0, startedAt: new Date().toISOString() };
    return new SessionClock(path, (before as Progress | undefined) ?? nothing);
  }

  /** Wall-clock seconds of all sessions so far. */
  get seconds(): number {
    return this.#before.seconds + (performance.now() - this.#sessionStart) / 1000;
  }

  get peakRssBytes(): number {
    return Math.max(this.#before.peakRssBytes, resourceUsage().maxRSS * 1024);
  }

  async save(): Promise<void> {
    const { seconds, peakRssBytes, startedAt } = this;
    const progress: Progress = { seconds, peakRssBytes, startedAt };
    await writeFileAtomic(this.#path, `${JSON.stringify(progress, null, 2)}\n`);
  }
}
