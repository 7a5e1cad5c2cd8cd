/** Documents of the inputs of `plinth data quality`; whatever is left out is told. */
import type { EventSink } from '../../core/events.ts';
import { formatBytes } from '../../core/units.ts';
import type { Document } from '../../data/document.ts';
import type { InputFlags } from '../data-session.ts';

/** What was read, complete when the documents have ended. */
export interface DocumentCounts {
  numRead: number;
  numSkipped: number;
}

/** Reads up to about `maxBytes` of text. */
export async function* qualityDocuments(
  paths: readonly string[],
  { textColumn, root }: InputFlags,
  onEvent: EventSink,
  counts: DocumentCounts = { numRead: 0, numSkipped: 0 },
  maxBytes = Number.POSITIVE_INFINITY,
): AsyncGenerator<Document> {
  const { openInputs } = await import('../../data/readers/index.node.ts');
  const note = (message: string): void => onEvent({ type: 'note', level: 'warning', message });
  const inputs = await openInputs(paths, {
    ...(textColumn !== undefined && { textColumn }),
    ...(root !== undefined && { root }),
  });
  const reader = inputs.read();
  let sizeBytes = 0;
  for await (const document of reader.read()) {
    counts.numRead++;
    yield document;
    sizeBytes += Buffer.byteLength(document.text);
    if (sizeBytes >= maxBytes) {
      note(
        `Stopped reading at ${formatBytes(sizeBytes)} in ${document.source}; --max-bytes raises the bound.`,
      );
      break;
    }
  }
  const { numSkipped, skipped } = reader.report;
  counts.numSkipped += numSkipped;
  const first = skipped[0];
  if (numSkipped > 0) note(`${numSkipped} skipped; the first, ${first?.position}: ${first?.reason}.`);
}
