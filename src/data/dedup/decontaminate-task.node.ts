/** Takes evaluation items out of a shard of documents and writes what is left. */
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
import { openContaminationIndex } from './contamination-index-file.node.ts';
import { type DecontaminationCounts, Decontaminator, type DecontaminatorOptions } from './decontaminator.ts';

export const decontaminateTask = import.meta.url;

export interface DecontaminateTaskSettings {
  readonly files: ShardFilesOptions;
  readonly options: DecontaminatorOptions;
  /** File with the index of evaluation items. */
  readonly index: string;
  /** Changes when the items do. */
  readonly evaluation: unknown;
}

export interface DecontaminateShardResult extends DecontaminationCounts {
  readonly noText: number;
  /** Evaluation items found, with the number of documents. */
  readonly found: readonly (readonly [item: string, documents: number])[];
}

export async function openTask(
  settings: DecontaminateTaskSettings,
): Promise<ShardProcessor<DecontaminateShardResult>> {
  await prepareShardFiles(settings.files);
  const contamination = await openContaminationIndex(settings.index);
  return {
    async process({ index, documents }: Shard): Promise<DecontaminateShardResult> {
      const decontaminator = new Decontaminator(contamination, settings.options);
      const kept: Document[] = [];
      const dropped: Drop[] = [];
      let noText = 0;
      for (const raw of documents) {
        const document = extractText(raw);
        if (!document) {
          noText++;
          decontaminator.counts.documents.in++;
          decontaminator.counts.bytes.in += Buffer.byteLength(raw.text);
          dropped.push({ document: raw, rule: NO_TEXT_RULE, detail: 'the page has no main text' });
          continue;
        }
        const verdict = decontaminator.apply(document);
        if (verdict.kept) kept.push(...verdict.documents);
        else dropped.push({ document, rule: verdict.rule, detail: verdict.detail });
      }
      await writeShardFiles(index, kept, dropped, settings.files);
      return { ...decontaminator.counts, noText, found: [...decontaminator.foundItems] };
    },
  };
}
