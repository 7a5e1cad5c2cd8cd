/** Chats in JSON Lines files, one a line; lines that are none are counted in the file's report. */
import { DataError } from '../../core/errors.ts';
import { ReadReport } from '../document.ts';
import { jsonlRecords } from '../readers/jsonl-reader.node.ts';
import { type ChatRecord, chatRecordOf } from './chat-record.ts';

export interface ReadChat {
  readonly chat: ChatRecord;
  /** The file. */
  readonly source: string;
  /** 'line 12' */
  readonly position: string;
  /** Of the file: whoever takes the chat counts it there, as read or as skipped. */
  readonly report: ReadReport;
}

/** @param reports gets one report for each file. */
export async function* readChats(
  files: readonly string[],
  reports: ReadReport[],
): AsyncGenerator<ReadChat, void, undefined> {
  for (const source of files) {
    const report = new ReadReport(source);
    reports.push(report);
    for await (const { record, position } of jsonlRecords(source, report)) {
      const chat = chatRecordOf(record);
      if (typeof chat === 'string') report.skip(position, chat);
      else yield { chat, source, position, report };
    }
  }
}

/** What is thrown when none of the lines is a chat; undefined when there was nothing to skip. */
export function noChatError(reports: readonly ReadReport[], cause?: unknown): DataError | undefined {
  const first = reports.flatMap(({ skipped }) => skipped)[0];
  if (!first || reports.some(({ numRead }) => numRead > 0)) return undefined;
  return new DataError(
    `No chat in ${reports.map(({ source }) => source).join(', ')}. The first line that is none, ${first.position}: ` +
      `${clause(first.reason)}. Expected lines such as ` +
      '{"messages":[{"role":"user","content":"Hi"},{"role":"assistant","content":"Hello"}]}.',
    { cause },
  );
}

/** Told for each file that has lines which are no chats. */
export function skipNotes(reports: readonly ReadReport[]): string[] {
  return reports
    .filter(({ numSkipped }) => numSkipped > 0)
    .map(
      ({ source, numSkipped, skipped }) =>
        `${source}: ${numSkipped} lines skipped; the first, ${skipped[0]?.position}: ${clause(skipped[0]?.reason)}.`,
    );
}

/** A reason inside a sentence: those of templates and formats are sentences of their own. */
function clause(reason = 'unknown'): string {
  return reason.replace(/\.$/, '');
}
