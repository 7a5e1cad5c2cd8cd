/** Bits per byte on the prose kept aside: of the model after pre-training, and after finetuning on chats. */
import { estimateBitsPerByte } from '../../evaluate/index.ts';
import type { TransformerConfig } from '../../model/config.ts';
import type { Weights } from '../../model/initialize.ts';
import type { Device } from '../../runtime/device.ts';
import type { Tokenizer } from '../../tokenizer/index.ts';
import type { Report } from '../report/report.ts';
import { DocumentLoss } from './document-loss.ts';

const BATCH_SIZE = 16;
/** Enough for an interval of a few per cent in a second or two. */
const MAX_DOCUMENTS = 100;

export type ProseEvaluation = NonNullable<Report['evaluation']['prose']>;

export async function measureProse(
  device: Device,
  config: TransformerConfig,
  tokenizer: Tokenizer,
  heldOut: readonly { text: string }[],
  weights: { pretrained: Weights; finetuned: Weights },
): Promise<ProseEvaluation> {
  const texts = heldOut.slice(0, MAX_DOCUMENTS).map(({ text }) => text);
  const length = config.maxPositionEmbeddings;
  const loss = await DocumentLoss.compile(device, config, { batchSize: BATCH_SIZE, length });
  try {
    const pretrained = await loss.measure(weights.pretrained, tokenizer, texts);
    const finetuned = await loss.measure(weights.finetuned, tokenizer, texts);
    return {
      numDocuments: texts.length,
      numBytes: pretrained.reduce((sum, { bytes }) => sum + bytes, 0),
      pretrained: estimateBitsPerByte([pretrained]),
      finetuned: estimateBitsPerByte([finetuned]),
    };
  } finally {
    await loss.dispose();
  }
}
