/**
 * The data stage: facts to texts, texts to a tokenizer, texts to token sets on disk. Everything is a pure
 * function of the sources and the settings, so what a stop left unfinished is simply made again.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { EventSink } from '../../core/events.ts';
import { KeyedRandom } from '../../core/random.ts';
import {
  openTokenShards,
  readTokenSetEntries,
  type SourcedTokenDocument,
  type TokenDataset,
  tokenizeText,
  writeTokenShards,
} from '../../data/index.node.ts';
import { loadTokenizer, saveTokenizer } from '../../tokenizer/index.node.ts';
import {
  chatMl,
  DEFAULT_TOKENIZER_CONFIG,
  encodeChat,
  type Tokenizer,
  trainBpe,
} from '../../tokenizer/index.ts';
import { type FactCorpus, factChat } from '../facts/index.ts';
import type { Prose, ProseText } from './prose-data.node.ts';

export const END_OF_TEXT = '<|endoftext|>';
export const END_OF_TURN = '<|im_end|>';

/** Training texts of a corpus: statements, and questions with their answers on one line. */
export function pretrainingTexts(corpus: FactCorpus): { text: string; source: string }[] {
  return [
    ...corpus.statements.map(({ text, attribute }) => ({ text, source: attribute })),
    ...corpus.questions.map(({ question, answer, attribute }) => ({
      text: `${question} ${answer}`,
      source: attribute,
    })),
    ...corpus.unknownQuestions.map(({ question, answer }) => ({
      text: `${question} ${answer}`,
      source: 'unknown',
    })),
  ];
}

/** Held-out questions with their answers: text that training never saw, for validation. */
export function validationTexts(corpus: FactCorpus): { text: string; source: string }[] {
  return corpus.evaluation.heldOutPhrasing.map(({ question, answer, attribute }) => ({
    text: `${question} ${answer}`,
    source: attribute,
  }));
}

/**
 * Trains (or loads) the tokenizer. The words of the chat format count as text, so that they are short. Prose is
 * taken in the share that it has in pre-training: more of it would leave fewer tokens for names.
 */
export async function prepareTokenizer(
  folder: string,
  corpus: FactCorpus,
  prose: { texts: readonly ProseText[]; share: number },
  vocabSize: number,
  onEvent: EventSink,
): Promise<{ tokenizer: Tokenizer; trainSeconds: number }> {
  const start = performance.now();
  // The second file is written last: with it, both are whole.
  const isWhole = existsSync(join(folder, 'tokenizer_config.json'));
  const existing = isWhole ? await loadTokenizer(folder).catch(() => undefined) : undefined;
  if (existing) return { tokenizer: existing.tokenizer, trainSeconds: 0 };
  const texts = pretrainingTexts(corpus).map(({ text }) => text);
  const turns = corpus.questions.flatMap(({ question, answer }) => [
    `user\n${question}`,
    `assistant\n${answer}`,
  ]);
  const factTexts = [...texts, ...turns];
  const numFactCharacters = factTexts.reduce((sum, text) => sum + text.length, 0);
  const proseTexts = upTo(prose.texts, (numFactCharacters * prose.share) / (1 - prose.share));
  const tokenizer = trainBpe([...factTexts, ...proseTexts], { vocabSize, onProgress: onEvent });
  await saveTokenizer(folder, tokenizer, DEFAULT_TOKENIZER_CONFIG);
  return { tokenizer, trainSeconds: (performance.now() - start) / 1000 };
}

/** The first texts that fit into so many characters together. */
function upTo(texts: readonly ProseText[], numCharacters: number): string[] {
  let left = numCharacters;
  return texts.flatMap(({ text }) => {
    left -= text.length;
    return left >= 0 ? [text] : [];
  });
}

export interface FactTokenSets {
  readonly pretrain: TokenDataset;
  readonly prose: TokenDataset | undefined;
  readonly sft: TokenDataset;
  readonly validation: TokenDataset;
}

/** Writes (or opens) the token sets. */
export async function prepareTokenSets(
  folder: string,
  corpus: FactCorpus,
  prose: Prose | undefined,
  tokenizer: Tokenizer,
  seed: number,
  signal?: AbortSignal,
): Promise<FactTokenSets> {
  const endOfTextId = tokenizer.specialTokens.get(END_OF_TEXT)!;
  const options = { vocabSize: tokenizer.vocabSize, endOfTextId, ...(signal && { signal }) };
  const ready = Object.keys(await readTokenSetEntries(folder).catch(() => ({})));
  const texts = (items: readonly { text: string; source: string }[]) =>
    shuffled(items, seed).map(
      ({ text, source }): SourcedTokenDocument => ({ ...tokenizeText(text, tokenizer, endOfTextId), source }),
    );
  if (!ready.includes('pretrain'))
    await writeTokenShards(folder, 'pretrain', texts(pretrainingTexts(corpus)), options);
  if (!ready.includes('validation'))
    await writeTokenShards(folder, 'validation', texts(validationTexts(corpus)), options);
  const hasProse = prose !== undefined && prose.train.length > 0;
  if (hasProse && !ready.includes('prose'))
    await writeTokenShards(folder, 'prose', texts(prose.train), options);
  if (!ready.includes('sft')) {
    const questions = shuffled([...corpus.questions, ...corpus.unknownQuestions], seed);
    const chats = questions.map((question): SourcedTokenDocument => {
      const { ids, lossMask } = encodeChat(tokenizer, chatMl, factChat(question).messages);
      return { tokens: ids, lossMask, source: question.attribute };
    });
    await writeTokenShards(folder, 'sft', chats, options);
  }
  return {
    pretrain: await openTokenShards(folder, 'pretrain'),
    prose: hasProse ? await openTokenShards(folder, 'prose') : undefined,
    sft: await openTokenShards(folder, 'sft'),
    validation: await openTokenShards(folder, 'validation'),
  };
}

function shuffled<T>(items: readonly T[], seed: number): T[] {
  return Array.from(new KeyedRandom(seed).fork('documents').permutation(items.length), (i) => items[i]!);
}
