/** Preferences in JSON Lines files. Lines that hold none are skipped and counted, with their places and reasons. */
import { CancelledError, DataError } from '../../core/errors.ts';
import { ReadReport } from '../../data/index.ts';
import { jsonlRecords } from '../../data/readers/jsonl-reader.node.ts';
import { type PreferenceRecord, preferenceOf } from './preference-data.ts';

export interface ReadPreferences {
  readonly records: PreferenceRecord[];
  /** What `groupOf` gave for each record, in order. */
  readonly groups: string[];
  /** One for each file. */
  readonly reports: ReadReport[];
}

/**
 * @param groupOf names the part of the data that a line belongs to; default: its file.
 * Throws DataError when no line holds a preference, with the first line's fault, and for a file that cannot be read.
 */
export async function readPreferences(
  files: readonly string[],
  signal?: AbortSignal,
  groupOf: (record: Readonly<Record<string, unknown>>, path: string) => string = (_record, path) => path,
): Promise<ReadPreferences> {
  const records: PreferenceRecord[] = [];
  const groups: string[] = [];
  const reports: ReadReport[] = [];
  for (const path of files) {
    const report = new ReadReport(path);
    reports.push(report);
    for await (const { record, position } of jsonlRecords(path, report)) {
      if (signal?.aborted)
        throw new CancelledError('Stopped while preferences were read. Nothing was changed.');
      const found = preferenceOf(record);
      if (typeof found === 'string') {
        report.skip(position, found);
        continue;
      }
      report.numRead++;
      records.push(found);
      groups.push(groupOf(record, path));
    }
  }
  if (records.length === 0) {
    const first = reports.flatMap(({ skipped }) => skipped)[0];
    const fault = first ? ` The first line that is none, ${first.position}: ${first.reason}.` : '';
    throw new DataError(
      `No preference in ${files.join(', ')}.${fault} Expected lines such as ` +
        '{"prompt":"Hi","chosen":"Hello!","rejected":"What?"}, {"prompt":"Hi","completion":"Hello!","label":true} or ' +
        '{"prompt":"Hi","completions":["best","worst"]}.',
    );
  }
  return { records, groups, reports };
}
