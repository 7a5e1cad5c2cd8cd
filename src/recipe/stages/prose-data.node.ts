/**
 * The prose stage: reads every source, drops what is not clean text of its language or stands there twice, and
 * keeps some documents aside for the test. A pure function of the sources and the seed, so that a resumed run
 * simply does it again.
 */
import { digest } from '../../core/digest.node.ts';
import { messageOf } from '../../core/errors.ts';
import type { EventSink } from '../../core/events.ts';
import { type Document, splitRecords } from '../../data/index.ts';
import { keyedShuffle } from '../facts/write-facts.ts';
import { isMissingPackage, type ProseSource, type ProseSourceReport } from '../prose.ts';
import { bytesOf, curateDocuments, droppedByRule } from './curate-documents.node.ts';

/** Share of documents that no training sees. */
const HELD_OUT_SHARE = 0.05;

export interface Prose {
  readonly train: readonly ProseText[];
  readonly heldOut: readonly ProseText[];
  readonly sources: readonly ProseSourceReport[];
}

export interface ProseText {
  readonly text: string;
  /** Name of the source. */
  readonly source: string;
}

/** Identifies what a recipe's prose holds, so that other texts begin a new run. */
export function proseDigest(read: readonly ReadProse[]): string {
  return digest(read.map(({ source, documents }) => [source.name, documents.map(({ text }) => text)]));
}

export interface ReadProse {
  readonly source: ProseSource;
  readonly documents: readonly Document[];
  /** Why there are none, when the source's package is not installed. */
  readonly missing?: string;
}

/** Reads all sources. Passes on what a source throws, but for a package that is not installed. */
export async function readProse(sources: readonly ProseSource[]): Promise<ReadProse[]> {
  return Promise.all(
    sources.map(async (source): Promise<ReadProse> => {
      try {
        return { source, documents: [...(await source.documents())] };
      } catch (error) {
        if (!isMissingPackage(error)) throw error;
        return { source, documents: [], missing: messageOf(error).split('\n')[0]! };
      }
    }),
  );
}

export async function prepareProse(
  read: readonly ReadProse[],
  { seed, onEvent }: { seed: number; onEvent: EventSink },
): Promise<Prose> {
  const train: ProseText[] = [];
  const heldOut: ProseText[] = [];
  const reports: ProseSourceReport[] = [];
  for (const { source, documents, missing } of read) {
    const { name, licence, domain, language, rules } = source;
    if (missing !== undefined) {
      onEvent({
        type: 'note',
        level: 'warning',
        message: `Prose "${name}" is left out: ${missing}. The run goes on without it.`,
      });
    }
    const { kept, steps } = await curateDocuments(documents, { language, ...(rules && { rules }) });
    // By text, so that nothing kept aside is trained on; of two documents or more at least one is kept aside.
    const split = splitRecords(kept, ({ text }) => text, { validation: 0, test: HELD_OUT_SHARE }, seed);
    train.push(...split.train.map(({ text }) => ({ text, source: name })));
    heldOut.push(...split.test.map(({ text }) => ({ text, source: name })));
    reports.push({
      name,
      licence,
      domain,
      language,
      numDocuments: { in: documents.length, out: kept.length },
      numBytes: { in: bytesOf(documents), out: bytesOf(kept) },
      dropped: droppedByRule(steps),
      ...(missing !== undefined && { missing }),
    });
  }
  return { train: keyedShuffle(train, seed, 'prose'), heldOut, sources: reports };
}
