/**
 * The quality classifier (real prose against synthetic junk, on speeches it never saw) and the perplexity model
 * (trained on nine tenths of the speeches, measured on the rest): how good, how fast by CPU time, how large. One JSON
 * line on stdout.
 *
 *   npx tsx bench/quality.ts
 */
import { LinearClassifier, trainClassifier, trainPerplexityModel } from '../src/data/quality/index.ts';
import { JUNK_KINDS, junkFrom, mobyDick, passages, speeches } from '../test/fixtures/data/prose-and-junk.ts';

const NUM_ROUNDS = 5;

const round = (value: number): number => Number(value.toPrecision(4));
const megabytesOf = (texts: readonly string[]): number =>
  texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0) / 1e6;

function cpuSeconds(work: () => void): number {
  const before = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1e6;
}

function bestRate(texts: readonly string[], work: (text: string) => void): number {
  let best = Number.POSITIVE_INFINITY;
  for (let i = 0; i < NUM_ROUNDS; i++) {
    best = Math.min(
      best,
      cpuSeconds(() => {
        for (const text of texts) work(text);
      }),
    );
  }
  return megabytesOf(texts) / best;
}

const seen = speeches().filter((_, i) => i % 10 !== 0);
const unseen = speeches().filter((_, i) => i % 10 === 0);

const real = [...passages(seen, 3000), ...passages(mobyDick(), 1500)];
const junk = junkFrom(real, 1);
const examples = real.flatMap((text, i) => [
  { text, label: 'good' },
  { text: junk[i]!.text, label: 'bad' },
]);
let trained = trainClassifier(examples);
const trainSeconds = cpuSeconds(() => {
  trained = trainClassifier(examples);
});
const classifier = LinearClassifier.fromBytes(trained.classifier.toBytes());
const { accuracy, accuracyInterval95, logLoss, calibrationError, numTrained } = trained.report;
const test = passages(unseen, 1000);
const testJunk = junkFrom(test, 2);
const shareBad = (texts: readonly string[]): number =>
  round(texts.filter((text) => classifier.classify(text).label === 'bad').length / texts.length);

let learned = trainPerplexityModel(seen.slice(0, 5), { symbols: 512 });
const learnSeconds = cpuSeconds(() => {
  learned = trainPerplexityModel(seen);
});
const { model, report } = learned;
let bits = 0;
let numBytes = 0;
for (const text of unseen) {
  const measured = model.measure(text);
  bits += measured.bits;
  numBytes += measured.numBytes;
}

console.log(
  JSON.stringify({
    classifier: {
      numTrained,
      trainCpuSeconds: round(trainSeconds),
      heldOutAccuracy: round(accuracy),
      interval95: accuracyInterval95.map(round),
      logLoss: round(logLoss),
      calibrationError: round(calibrationError),
      unseenProseCalledBad: shareBad(test),
      unseenJunkCaught: Object.fromEntries(
        JUNK_KINDS.map((kind) => [
          kind,
          shareBad(testJunk.filter((item) => item.kind === kind).map(({ text }) => text)),
        ]),
      ),
      megabytesPerCpuSecond: round(bestRate(speeches(), (text) => classifier.probabilities(text))),
    },
    perplexity: {
      trainMegabytes: round(megabytesOf(seen)),
      trainCpuSeconds: round(learnSeconds),
      numNgrams: report.numNgrams,
      fileMegabytes: round(model.toBytes().length / 1e6),
      unseenBitsPerByte: round(bits / numBytes),
      megabytesPerCpuSecond: round(bestRate(unseen, (text) => model.measure(text))),
    },
  }),
);
