/**
 * Audits a shard: facets of every document, counted; signatures for duplicates, written beside; what rule sets
 * would drop, with examples. Changes nothing.
 */
import { join } from 'node:path';
import { loadTokenizer } from '../../tokenizer/index.node.ts';
import { CoverageCounter, type CoverageCounts, domainOf, lengthClassOf } from '../coverage/index.ts';
import { type DedupMethod, SignatureShardWriter } from '../dedup/index.node.ts';
import type { Shard, ShardProcessor } from '../jobs/index.ts';
import { loadLanguageIdentifier } from '../language/index.node.ts';
import { extractText } from '../readers/extract-text.ts';
import { languageOf } from './document-language.ts';
import { type QualitySettings, qualityGrader } from './quality-grader.node.ts';
import { type CleanSettings, ShardCleaning, type ShardCleanResult } from './shard-cleaning.ts';

export const auditTask = import.meta.url;

export interface AuditSettings {
  /** Work folder for signatures. */
  readonly folder: string;
  readonly domainColumn?: string;
  readonly roots: readonly string[];
  /** Folder with a tokenizer.json; without it tokens are not counted. */
  readonly tokenizer?: string;
  /** How duplicates are found; each method writes into a folder of its name. */
  readonly duplicates: Readonly<Record<string, DedupMethod>>;
  readonly quality?: QualitySettings;
  /** Rule sets that are tried on every document. */
  readonly rules?: CleanSettings;
}

export interface AuditShardResult {
  readonly coverage: CoverageCounts;
  /** UTF-8 bytes of each document, for the size of duplicates. */
  readonly sizes: readonly number[];
  readonly noText: number;
  readonly removed?: ShardCleanResult;
}

export async function openTask(settings: AuditSettings): Promise<ShardProcessor<AuditShardResult>> {
  const identifier = await loadLanguageIdentifier();
  const tokenizer = settings.tokenizer ? (await loadTokenizer(settings.tokenizer)).tokenizer : undefined;
  const grade = settings.quality && (await qualityGrader(settings.quality));
  return {
    async process({ index, firstOrdinal, documents }: Shard): Promise<AuditShardResult> {
      const counter = new CoverageCounter();
      const cleaning =
        settings.rules && new ShardCleaning(settings.rules, (text) => identifier.identify(text));
      const writers = Object.entries(settings.duplicates).map(
        ([name, method]) =>
          new SignatureShardWriter(join(settings.folder, name), index, firstOrdinal, method),
      );
      const sizes: number[] = [];
      let noText = 0;
      for (const raw of documents) {
        const document = extractText(raw);
        for (const writer of writers) writer.add(document ?? { ...raw, text: '' });
        if (!document) {
          noText++;
          sizes.push(0);
          continue;
        }
        const bytes = Buffer.byteLength(document.text);
        sizes.push(bytes);
        const language = languageOf(document, identifier);
        counter.add(
          {
            language,
            domain: domainOf(document, settings),
            quality: grade ? grade(document) : 'not graded',
            length: lengthClassOf(document.text),
          },
          bytes,
          tokenizer?.encode(document.text).length ?? 0,
        );
        cleaning?.add(document);
      }
      for (const writer of writers) await writer.finish();
      return { coverage: counter.counts, sizes, noText, ...(cleaning && { removed: cleaning.result }) };
    },
  };
}
