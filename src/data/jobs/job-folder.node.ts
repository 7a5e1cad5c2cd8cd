/**
 * The folder of a job over documents: `job.json` says what was asked for, `journal.jsonl` has one line for each
 * finished shard with its result. A shard's files are in place before its line is written, so a kill costs the
 * shards that were under way and nothing else. A folder belongs to one request; another one is refused.
 */
import { existsSync } from 'node:fs';
import { appendFile, mkdir, readFile, rm, truncate } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { removeStaleTemporaries, writeFileAtomic } from '../../core/atomic-file.node.ts';
import { digest } from '../../core/digest.node.ts';
import { ConfigError, FormatError, messageOf, PlinthError } from '../../core/errors.ts';
import { readJsonFile } from '../../core/json-file.node.ts';
import type { CutShard, InputPosition, ReadCounts } from './shard-documents.ts';

/** Marks a folder that a job wrote; readers of folders look for it. */
export const JOB_MARK = 'data-job';
const JOB_FILE = 'job.json';
const JOURNAL_FILE = 'journal.jsonl';
/** In the place of a fingerprint while a folder is emptied for a new job. */
const CLEARING = 'clearing';

export interface JobRequest {
  /** 'clean', 'dedup' ...: names the job. */
  readonly kind: string;
  /** All that the result depends on, as JSON. */
  readonly settings: unknown;
  /** Files with size and time of change: changed content is another job. */
  readonly inputs: readonly { path: string; sizeBytes: number; modified: string }[];
}

export interface JournalEntry<Result> {
  readonly index: number;
  readonly firstOrdinal: number;
  readonly numDocuments: number;
  readonly end: InputPosition;
  readonly inputBytes: number;
  readonly read: ReadCounts;
  readonly result: Result;
}

interface JobFile {
  plinth: typeof JOB_MARK;
  kind: string;
  fingerprint: string;
  done: boolean;
  seconds: number;
  settings: unknown;
  inputs: JobRequest['inputs'];
}

export class JobFolder<Result> {
  readonly path: string;
  readonly #entries: Map<number, JournalEntry<Result>>;
  #file: JobFile;

  private constructor(path: string, file: JobFile, entries: JournalEntry<Result>[]) {
    this.path = path;
    this.#file = file;
    this.#entries = new Map(entries.map((entry) => [entry.index, entry]));
  }

  /**
   * Opens or begins a job. `owned` names what else the job keeps in the folder; with `fresh` it is removed.
   * @throws ConfigError when the folder holds another request's job or something else.
   */
  static async open<Result>(
    path: string,
    request: JobRequest,
    options: { fresh: boolean; owned: readonly string[] },
  ): Promise<JobFolder<Result>> {
    const folder = resolve(path);
    try {
      await mkdir(folder, { recursive: true });
    } catch (error) {
      throw new PlinthError(
        'disk',
        `The folder ${folder} cannot be made (${messageOf(error)}). Choose another --out.`,
        {
          cause: error,
        },
      );
    }
    await removeStaleTemporaries(folder);
    const fingerprint = digest(request);
    const stored = await readJob(join(folder, JOB_FILE));
    const isCleared = options.fresh || stored?.fingerprint === CLEARING;
    if (stored && !isCleared && stored.fingerprint !== fingerprint) {
      throw new ConfigError(
        `${folder} holds a '${stored.kind}' job with other ${whatDiffers(stored, request)}. ` +
          'Add --fresh to replace it, or choose another folder with --out.',
      );
    }
    if (stored && !isCleared) {
      for (const name of options.owned) await removeStaleTemporaries(join(folder, name)).catch(() => {});
      const entries = await readJournal<Result>(join(folder, JOURNAL_FILE));
      return new JobFolder(folder, stored, entries);
    }
    if (stored) {
      // From here until the new job.json is in place, a kill leaves a folder that is cleared again.
      await writeFileAtomic(
        join(folder, JOB_FILE),
        jobText({ ...stored, fingerprint: CLEARING, done: false }),
      );
      for (const name of [JOURNAL_FILE, ...options.owned]) {
        await rm(join(folder, name), { recursive: true, force: true });
      }
    } else {
      const foreign = [JOURNAL_FILE, ...options.owned].filter((name) => existsSync(join(folder, name)));
      if (foreign.length > 0) {
        throw new ConfigError(
          `${folder} holds ${foreign.join(' and ')}, which no job of ours wrote. Choose another folder with --out.`,
        );
      }
    }
    const file: JobFile = {
      plinth: JOB_MARK,
      kind: request.kind,
      fingerprint,
      done: false,
      seconds: 0,
      settings: request.settings,
      inputs: request.inputs,
    };
    const opened = new JobFolder<Result>(folder, file, []);
    await opened.#write();
    return opened;
  }

  get isDone(): boolean {
    return this.#file.done;
  }

  /** Seconds that all sessions of the job took together. */
  get seconds(): number {
    return this.#file.seconds;
  }

  /** Finished shards in the order of the input. */
  get entries(): readonly JournalEntry<Result>[] {
    return [...this.#entries.values()].sort((a, b) => a.index - b.index);
  }

  has(index: number): boolean {
    return this.#entries.has(index);
  }

  /** Where reading must begin: after the last shard before which none is missing. */
  get start(): { index: number; ordinal: number; position: InputPosition } | undefined {
    let last: JournalEntry<Result> | undefined;
    for (let index = 0; this.#entries.has(index); index++) last = this.#entries.get(index);
    return (
      last && {
        index: last.index + 1,
        ordinal: last.firstOrdinal + last.numDocuments,
        position: last.end,
      }
    );
  }

  async finishShard(shard: CutShard, result: Result): Promise<void> {
    const { index, firstOrdinal, documents, end, inputBytes, read } = shard;
    const entry: JournalEntry<Result> = {
      index,
      firstOrdinal,
      numDocuments: documents.length,
      end,
      inputBytes,
      read,
      result,
    };
    try {
      await appendFile(join(this.path, JOURNAL_FILE), `${JSON.stringify(entry)}\n`);
    } catch (error) {
      throw new PlinthError(
        'disk',
        `Could not write ${join(this.path, JOURNAL_FILE)}: ${messageOf(error)}. Finished shards are kept; ` +
          'free some space and run the same command again.',
        { cause: error },
      );
    }
    this.#entries.set(index, entry);
  }

  /** Notes the time of a session, and that the job is over. */
  async close(seconds: number, done: boolean): Promise<void> {
    this.#file = { ...this.#file, seconds: this.#file.seconds + seconds, done: this.#file.done || done };
    await this.#write();
  }

  async #write(): Promise<void> {
    await writeFileAtomic(join(this.path, JOB_FILE), jobText(this.#file));
  }
}

function jobText(file: JobFile): string {
  return `${JSON.stringify(file, null, 2)}\n`;
}

async function readJob(path: string): Promise<JobFile | undefined> {
  const advice = 'Add --fresh to start the job again.';
  const value = (await readJsonFile(path, advice)) as Partial<JobFile> | null | undefined;
  if (value === undefined) return undefined;
  if (value?.plinth === JOB_MARK && typeof value.fingerprint === 'string') return value as JobFile;
  throw new FormatError(
    `${path} is not the record of a job over documents. Choose another folder with --out.`,
  );
}

/** Whole lines up to the first damaged one; a kill may have cut the last. What is damaged is cut off. */
async function readJournal<Result>(path: string): Promise<JournalEntry<Result>[]> {
  let bytes: Buffer;
  try {
    bytes = await readFile(path);
  } catch {
    return [];
  }
  const entries: JournalEntry<Result>[] = [];
  let start = 0;
  for (let end = bytes.indexOf(10); end !== -1; end = bytes.indexOf(10, start)) {
    try {
      entries.push(JSON.parse(bytes.toString('utf8', start, end)) as JournalEntry<Result>);
    } catch {
      break;
    }
    start = end + 1;
  }
  if (start < bytes.length) await truncate(path, start);
  return entries;
}

function whatDiffers(stored: JobFile, request: JobRequest): string {
  if (stored.kind !== request.kind) return `work to do ('${request.kind}' is asked for now)`;
  const different = digest(stored.settings) === digest(request.settings) ? 'input files' : 'settings';
  return different;
}
