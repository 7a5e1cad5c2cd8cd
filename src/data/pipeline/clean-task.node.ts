/** Cleans a shard: applies rule sets, writes what is kept and what is dropped, gives counts and examples. */
import { ruleSetOf } from '../clean/index.ts';
import type { Document } from '../document.ts';
import { type Drop, prepareShardFiles, type ShardFilesOptions, writeShardFiles } from '../jobs/index.node.ts';
import type { Shard, ShardProcessor } from '../jobs/index.ts';
import { loadLanguageIdentifier } from '../language/index.node.ts';
import type { LanguageGuess } from '../language/index.ts';
import { extractText, NO_TEXT_RULE } from '../readers/extract-text.ts';
import { type CleanSettings, ShardCleaning, type ShardCleanResult } from './shard-cleaning.ts';

export const cleanTask = import.meta.url;

export interface CleanTaskSettings extends CleanSettings {
  readonly files: ShardFilesOptions;
}

export interface CleanShardResult extends ShardCleanResult {
  /** Pages of HTML without a text; they are among no rule's counts. */
  readonly noText: { documents: number; bytes: number };
}

export async function openTask(settings: CleanTaskSettings): Promise<ShardProcessor<CleanShardResult>> {
  const identify = await languageOfRules(settings);
  await prepareShardFiles(settings.files);
  return {
    async process({ index, documents }: Shard): Promise<CleanShardResult> {
      let guess: (LanguageGuess & { text: string }) | undefined;
      const cleaning = new ShardCleaning(settings, identify && remembered);
      const kept: Document[] = [];
      const dropped: Drop[] = [];
      const noText = { documents: 0, bytes: 0 };
      for (const raw of documents) {
        const document = extractText(raw);
        if (!document) {
          noText.documents++;
          noText.bytes += Buffer.byteLength(raw.text);
          dropped.push({ document: raw, rule: NO_TEXT_RULE, detail: 'the page has no main text' });
          continue;
        }
        guess = undefined;
        const result = cleaning.add(document);
        if (result.kept) kept.push(withLanguage(result.document));
        else dropped.push({ document: withLanguage(document), rule: result.rule, detail: result.detail });
      }
      await writeShardFiles(index, kept, dropped, settings.files);
      return { ...cleaning.result, noText };

      function remembered(text: string): LanguageGuess {
        const found = identify!(text);
        guess ??= { ...found, text };
        return found;
      }

      /** What a rule found out about the text stays with the document. */
      function withLanguage(document: Document): Document {
        if (guess === undefined) return document;
        const { language, score } = guess;
        return { ...document, meta: { ...document.meta, language, languageScore: Number(score.toFixed(4)) } };
      }
    },
  };
}

/** Loaded only when a rule asks for it. */
async function languageOfRules({
  ruleSets,
}: CleanSettings): Promise<((text: string) => LanguageGuess) | undefined> {
  const isAsked = ruleSets.some((spec) =>
    ruleSetOf(spec).rules.some((rule) => rule.needsLanguage !== 'never'),
  );
  if (!isAsked) return undefined;
  const identifier = await loadLanguageIdentifier();
  return (text) => identifier.identify(text);
}
