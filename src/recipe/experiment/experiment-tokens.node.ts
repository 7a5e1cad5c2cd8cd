/** One tokenizer for all arms, each part of a mix encoded once, and the batches of an arm. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { EventSink } from '../../core/events.ts';
import {
  type BatchSource,
  type Document,
  MemoryTokenDataset,
  type TokenDataset,
  tokenizeText,
} from '../../data/index.ts';
import { loadTokenizer, saveTokenizer } from '../../tokenizer/index.node.ts';
import { DEFAULT_TOKENIZER_CONFIG, type Tokenizer, trainBpe } from '../../tokenizer/index.ts';
import { MixedBatches, rowsByShare } from '../stages/mixed-batches.ts';
import type { Arm, ArmPart, EvaluationSet, ExperimentData } from './experiment.ts';

/** Text of one part that the tokenizer is trained on, so that no part takes the whole vocabulary. */
const MAX_PART_CHARACTERS = 500_000;

/** The distinct parts of all arms: those that share their documents are one. */
export function distinctParts(arms: readonly Arm[]): ArmPart[] {
  const parts = new Map<readonly Document[], ArmPart>();
  for (const arm of arms) {
    for (const part of arm.parts) if (!parts.has(part.documents)) parts.set(part.documents, part);
  }
  return [...parts.values()];
}

/** Trains (or loads) the vocabulary on the union of all arms, up to 500,000 characters of each part. */
export async function sharedTokenizer(
  folder: string,
  { arms }: ExperimentData,
  vocabSize: number,
  onEvent: EventSink,
): Promise<Tokenizer> {
  // The second file is written last: with it, both are whole.
  const isWhole = existsSync(join(folder, 'tokenizer_config.json'));
  const existing = isWhole ? await loadTokenizer(folder).catch(() => undefined) : undefined;
  if (existing) return existing.tokenizer;
  const texts = new Set(
    distinctParts(arms).flatMap(({ documents }) => {
      let left = MAX_PART_CHARACTERS;
      return documents.flatMap(({ text }) => {
        if (left <= 0) return [];
        const taken = text.slice(0, left).toWellFormed();
        left -= taken.length;
        return [taken];
      });
    }),
  );
  const tokenizer = trainBpe([...texts], { vocabSize, onProgress: onEvent });
  await saveTokenizer(folder, tokenizer, DEFAULT_TOKENIZER_CONFIG);
  return tokenizer;
}

export type PartTokens = ReadonlyMap<readonly Document[], TokenDataset>;

export function prepareTokens(arms: readonly Arm[], tokenizer: Tokenizer, endOfTextId: number): PartTokens {
  return new Map(
    distinctParts(arms).map(({ documents }) => [
      documents,
      new MemoryTokenDataset(
        documents.map(({ text }) => tokenizeText(text, tokenizer, endOfTextId)),
        tokenizer.vocabSize,
      ),
    ]),
  );
}

/** Throws DataError when a part holds less than a window, ConfigError when a batch has fewer rows than parts. */
export function armBatches(
  arm: Arm,
  tokens: PartTokens,
  { batchSize, contextLength, seed }: { batchSize: number; contextLength: number; seed: number },
): BatchSource {
  const rows = armRows(arm, batchSize);
  return new MixedBatches(
    arm.parts.map(({ documents }, i) => ({ dataset: tokens.get(documents)!, numRows: rows[i]! })),
    { sequenceLength: contextLength, seed, documentSegments: true },
  );
}

/** Rows of every batch for each part. */
export function armRows(arm: Arm, batchSize: number): number[] {
  return rowsByShare(
    arm.parts.map(({ share }) => share),
    batchSize,
  );
}

/** Windows that measuring all evaluations reads. */
export function numWindows(
  evaluations: readonly EvaluationSet[],
  tokenizer: Tokenizer,
  contextLength: number,
): number {
  let count = 0;
  for (const { documents } of evaluations) {
    for (const { text } of documents) count += Math.ceil((tokenizer.encode(text).length - 1) / contextLength);
  }
  return count;
}
