/** Texts to tokens for a transfer experiment: as much text as its models read, a small vocabulary, and a split. */
import { digest } from '../../core/digest.node.ts';
import { ConfigError, DataError } from '../../core/errors.ts';
import { MemoryTokenDataset, splitOf, type TokenDataset, tokenizeText } from '../../data/index.ts';
import { loadTokenizer } from '../../tokenizer/index.node.ts';
import { type Tokenizer, trainBpe } from '../../tokenizer/index.ts';
import { END_OF_TEXT } from '../stages/fact-data.node.ts';

/** Share of the documents that no model trains on. */
const VALIDATION_SHARE = 0.05;
/** Characters that are read for each token needed, and at least for the vocabulary. */
const CHARACTERS_PER_TOKEN = 8;
const LEAST_CHARACTERS = 1_000_000;

export interface TransferTokens {
  readonly train: TokenDataset;
  readonly validation: TokenDataset | undefined;
  readonly vocabSize: number;
  /** Of all tokens: results of other texts must not be taken for these. */
  readonly identity: string;
  /** True when there was more text than was read. */
  readonly isCut: boolean;
}

/** Throws DataError when there is no text, ConfigError for a tokenizer without an end of text. */
export async function transferTokens(
  texts: AsyncIterable<{ readonly text: string }> | Iterable<{ readonly text: string }>,
  options: { readonly tokenizer?: string | undefined; vocabSize: number; numTokens: number; seed: number },
): Promise<TransferTokens> {
  const limit = Math.max(LEAST_CHARACTERS, options.numTokens * CHARACTERS_PER_TOKEN);
  const read: string[] = [];
  let numCharacters = 0;
  let isCut = false;
  for await (const { text } of texts) {
    if (numCharacters >= limit) {
      isCut = true;
      break;
    }
    read.push(text);
    numCharacters += text.length;
  }
  if (read.length === 0) throw new DataError('There is no text to train on. Name files with --data.');
  const tokenizer = await tokenizerFor(read, options);
  const endOfTextId = tokenizer.specialTokens.get(END_OF_TEXT);
  if (endOfTextId === undefined) {
    throw new ConfigError(
      `The tokenizer has no ${END_OF_TEXT} among its special tokens. Train one with "plinth tokenizer train".`,
    );
  }
  const shares = { validation: VALIDATION_SHARE, test: 0 };
  const parts: Record<'train' | 'validation', string[]> = { train: [], validation: [] };
  for (const text of read) {
    const split = splitOf(text, shares, options.seed);
    parts[split === 'validation' ? 'validation' : 'train'].push(text);
  }
  const datasetOf = (part: readonly string[]) =>
    new MemoryTokenDataset(
      part.map((text) => tokenizeText(text, tokenizer, endOfTextId)),
      tokenizer.vocabSize,
    );
  return {
    train: datasetOf(parts.train.length > 0 ? parts.train : read),
    validation:
      parts.validation.length > 0 && parts.train.length > 0 ? datasetOf(parts.validation) : undefined,
    vocabSize: tokenizer.vocabSize,
    identity: digest({ read, vocabulary: tokenizer.vocabSize, sample: tokenizer.encode(read[0]!) }),
    isCut,
  };
}

async function tokenizerFor(
  texts: readonly string[],
  { tokenizer, vocabSize }: { readonly tokenizer?: string | undefined; vocabSize: number },
): Promise<Tokenizer> {
  if (tokenizer !== undefined) return (await loadTokenizer(tokenizer)).tokenizer;
  return trainBpe(texts, { vocabSize });
}
