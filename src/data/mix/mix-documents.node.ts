/**
 * `data mix` as one job: read, plan, write. The folder appears as a whole when all is done; a stop or kill before
 * leaves what was there. A folder that already holds the same mixture of the same inputs is left as it is.
 */
import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { dirname, join, relative, resolve } from 'node:path';
import { removeStaleTemporaries, writeFileAtomic, writeFolderAtomic } from '../../core/atomic-file.node.ts';
import { digest } from '../../core/digest.node.ts';
import { CancelledError, ConfigError, DataError } from '../../core/errors.ts';
import { readJsonFile } from '../../core/json-file.node.ts';
import { JOB_MARK } from '../jobs/index.node.ts';
import type { MixtureRecord } from './describe-mixture.ts';
import {
  type DocumentSpill,
  type MixInput,
  type SpillCounts,
  type SpillOptions,
  spillDocuments,
} from './document-spill.node.ts';
import { type MixtureOptions, planMixture } from './plan-mixture.ts';
import { writeMixture } from './write-mixture.node.ts';

export interface MixJobOptions extends SpillOptions {
  readonly folder: string;
  readonly mixture: MixtureOptions;
  /** The files behind the inputs, with what tells a changed one. */
  readonly files: readonly { path: string; sizeBytes: number; modified: string }[];
  /** What the result depends on beside the mixture: how inputs are named and read. */
  readonly inputSettings?: unknown;
  /** Replace another mixture in the folder. */
  readonly fresh?: boolean;
  readonly shardBytes?: number;
}

export interface MixJobResult {
  readonly mixture: MixtureRecord;
  readonly counts: SpillCounts;
  readonly seconds: number;
  /** False when the folder held the same mixture already. */
  readonly worked: boolean;
}

interface MixJobFile {
  plinth: typeof JOB_MARK;
  kind: 'mix';
  fingerprint: string;
  done: true;
  seconds: number;
  settings: unknown;
  inputs: MixJobOptions['files'];
  read: SpillCounts;
}

/**
 * @throws ConfigError when the folder holds something else, or an input; DataError without any document;
 *   CancelledError when the signal fires; and what reading, planning and writing throw. The folder is then as before.
 */
export async function mixDocuments(
  inputs: readonly MixInput[],
  options: MixJobOptions,
): Promise<MixJobResult> {
  const { mixture, by, difficultyKey, files, signal } = options;
  const startedAt = performance.now();
  const folder = resolve(options.folder);
  const settings = {
    mixture,
    by: by ?? 'source',
    difficultyKey: difficultyKey ?? null,
    input: options.inputSettings,
  };
  const fingerprint = digest({ kind: 'mix', settings, inputs: files });
  checkPlaces(folder, files);
  if (existsSync(dirname(folder))) await removeStaleTemporaries(dirname(folder));
  const stored = await readStored(folder, fingerprint, options.fresh ?? false);
  if (stored) return stored;

  let spill: DocumentSpill | undefined;
  try {
    spill = await spillDocuments(inputs, folder, options);
    const { sources } = spill;
    const { counts } = spill;
    if (counts.numDocuments === 0) {
      const first = counts.skipped[0];
      throw new DataError(
        `No document in ${files.map(({ path }) => path).join(', ')}. ` +
          (first
            ? `${counts.numSkipped} were skipped; the first, ${first.source}, ${first.position}: ${first.reason}.`
            : 'Check the paths.'),
      );
    }
    const plan = planMixture(sources, mixture);
    let record: MixtureRecord | undefined;
    let seconds = 0;
    await writeFolderAtomic(folder, async (temporary) => {
      record = await writeMixture(spill!, plan, temporary, options);
      seconds = (performance.now() - startedAt) / 1000;
      const job: MixJobFile = {
        plinth: JOB_MARK,
        kind: 'mix',
        fingerprint,
        done: true,
        seconds,
        settings,
        inputs: files,
        read: counts,
      };
      await writeFileAtomic(join(temporary, 'job.json'), `${JSON.stringify(job, null, 2)}\n`);
    });
    return { mixture: record!, counts, seconds, worked: true };
  } catch (error) {
    throw signal?.aborted ? new CancelledError('Stopped. Nothing was written.') : error;
  } finally {
    await spill?.close();
  }
}

/** The finished job of the same request; undefined when there is room for a new one. */
async function readStored(
  folder: string,
  fingerprint: string,
  fresh: boolean,
): Promise<MixJobResult | undefined> {
  if (!existsSync(folder) || (await readdir(folder)).length === 0) return undefined;
  const advice = 'Choose another folder with --out.';
  const job = (await readJsonFile(join(folder, 'job.json'), advice)) as
    | Partial<MixJobFile>
    | null
    | undefined;
  if (job?.plinth !== JOB_MARK || job.kind !== 'mix') {
    throw new ConfigError(`${folder} holds files that are not a mixture. ${advice}`);
  }
  if (fresh) return undefined;
  const mixture = (await readJsonFile(join(folder, 'mix.json'), advice)) as MixtureRecord | undefined;
  if (job.fingerprint !== fingerprint || mixture === undefined) {
    throw new ConfigError(
      `${folder} holds a mixture of other inputs or settings. Add --fresh to replace it, or choose another folder with --out.`,
    );
  }
  return { mixture, counts: job.read!, seconds: job.seconds!, worked: false };
}

/** The folder is replaced as a whole, so it must hold no input. */
function checkPlaces(folder: string, files: MixJobOptions['files']): void {
  const inside = files.find(
    ({ path }) => !/^\.\.(?:[\\/]|$)|^[\\/]|^[a-z]:/i.test(relative(folder, resolve(path))),
  );
  if (inside === undefined) return;
  throw new ConfigError(
    `${inside.path} lies in ${folder}, which the mixture would replace. Choose another --out.`,
  );
}
