/**
 * Trains 32,768 ids on 100 MB of varied text (`varied-text.ts`). Prints one JSON line: seconds of training alone (on a
 * shared machine the CPU's seconds say more), peak memory of the process with all texts held as strings, merges
 * learned. The bound that it is held to: 60 s and 2 GB.
 *
 *   npx tsx bench/tokenizer-large.ts [megabytes] [vocabulary size]
 */
import { DEFAULT_SPECIAL_TOKENS, trainBpe } from '../src/tokenizer/index.ts';
import { variedDocuments } from './varied-text.ts';

const megabytesWanted = Number(process.argv[2] ?? 100);
const vocabSize = Number(process.argv[3] ?? 32_768);

const documents = [...variedDocuments(megabytesWanted * 1e6)];
const megabytes = documents.reduce((sum, text) => sum + Buffer.byteLength(text), 0) / 1e6;
const megabytesBefore = process.memoryUsage.rss() / 1e6;

const stageSeconds: Record<string, number> = {};
let stageStart = performance.now();
let stage = '';
const startedAt = performance.now();
const cpuBefore = process.cpuUsage();
const tokenizer = trainBpe(documents, {
  vocabSize,
  onProgress: (event) => {
    if (event.type !== 'progress') return;
    if (event.stage !== stage) {
      stage = event.stage;
      stageStart = stage === 'count-chunks' ? startedAt : performance.now();
    }
    stageSeconds[stage] = (performance.now() - stageStart) / 1000;
  },
});
const seconds = (performance.now() - startedAt) / 1000;
const cpu = process.cpuUsage(cpuBefore);
// In kB; read before the words are counted below.
const peakMegabytes = process.resourceUsage().maxRSS / 1000;

const words = new Set<string>();
for (const text of documents) for (const [word] of text.matchAll(/\p{L}+/gu)) words.add(word);
const round = (value: number) => Number(value.toPrecision(4));
console.log(
  JSON.stringify({
    seconds: round(seconds),
    cpuSeconds: round((cpu.user + cpu.system) / 1e6),
    countSeconds: round(stageSeconds['count-chunks'] ?? 0),
    megabytes: round(megabytes),
    merges: tokenizer.vocabSize - 256 - DEFAULT_SPECIAL_TOKENS.length,
    vocabSize: tokenizer.vocabSize,
    distinctWords: words.size,
    peakMegabytes: round(peakMegabytes),
    megabytesBefore: round(megabytesBefore),
    node: process.version,
  }),
);
