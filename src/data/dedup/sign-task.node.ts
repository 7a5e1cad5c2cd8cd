/** Signs a shard of documents for `findDuplicates`. Pages without a text are signed as empty: nobody's duplicate. */
import type { Shard, ShardProcessor } from '../jobs/index.ts';
import { extractText } from '../readers/extract-text.ts';
import type { DedupMethod } from './dedup-method.ts';
import { SignatureShardWriter } from './signature-shards.node.ts';

export const signTask = import.meta.url;

export interface SignSettings {
  readonly folder: string;
  readonly method: DedupMethod;
}

export async function openTask({ folder, method }: SignSettings): Promise<ShardProcessor<null>> {
  return {
    async process({ index, firstOrdinal, documents }: Shard): Promise<null> {
      const writer = new SignatureShardWriter(folder, index, firstOrdinal, method);
      for (const document of documents) writer.add(extractText(document) ?? { text: '' });
      await writer.finish();
      return null;
    },
  };
}
