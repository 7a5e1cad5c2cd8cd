/** Writes what is left of a shard of documents once the duplicates of the whole input are known. */
import type { Document } from '../document.ts';
import {
  type Drop,
  prepareShardFiles,
  type Shard,
  type ShardFilesOptions,
  type ShardProcessor,
  writeShardFiles,
} from '../jobs/index.node.ts';
import { extractText, NO_TEXT_RULE } from '../readers/extract-text.ts';
import type { DedupMethod } from './dedup-method.ts';
import { type DedupCounts, Deduplicator } from './deduplicator.ts';
import { openDuplicateSet } from './duplicate-set-file.node.ts';

export const dedupTask = import.meta.url;

export interface DedupTaskSettings {
  readonly files: ShardFilesOptions;
  readonly method: DedupMethod;
  /** File with the set of duplicates. */
  readonly duplicates: string;
}

export interface DedupShardResult extends DedupCounts {
  readonly noText: number;
}

export async function openTask(settings: DedupTaskSettings): Promise<ShardProcessor<DedupShardResult>> {
  await prepareShardFiles(settings.files);
  const set = await openDuplicateSet(settings.duplicates);
  return {
    async process({ index, firstOrdinal, documents }: Shard): Promise<DedupShardResult> {
      const deduplicator = new Deduplicator(set, settings.method);
      const kept: Document[] = [];
      const dropped: Drop[] = [];
      let noText = 0;
      for (const [i, raw] of documents.entries()) {
        const document = extractText(raw);
        if (!document) {
          noText++;
          deduplicator.counts.documents.in++;
          deduplicator.counts.bytes.in += Buffer.byteLength(raw.text);
          dropped.push({ document: raw, rule: NO_TEXT_RULE, detail: 'the page has no main text' });
          continue;
        }
        const verdict = deduplicator.apply(document, firstOrdinal + i);
        if (verdict.kept) kept.push(verdict.document);
        else dropped.push({ document, rule: verdict.rule, detail: verdict.detail });
      }
      await writeShardFiles(index, kept, dropped, settings.files);
      return { ...deduplicator.counts, noText };
    },
  };
}
