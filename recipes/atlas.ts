/**
 * Atlas: a model that knows the countries of the world and the chemical elements.
 *
 * 1. Take real facts: 250 countries (capital, region, currency, languages, ...) and 118 elements.
 * 2. Write each fact as several statements and questions; keep one phrasing of each fact for the test.
 * 3. Add questions about countries and elements that do not exist, answered "I don't know."
 * 4. Take real prose about the countries, clean it, and keep some of it for the test.
 * 5. Train a tokenizer on these texts, plan the run for the time given, pre-train, finetune on the chats.
 * 6. Ask what it was never asked in that way, and what nobody can know; write the report.
 *
 * Change the sheets in atlas-countries.ts and atlas-elements.ts, or the minutes below, and run it again.
 */
import { defineRecipe } from '../src/recipe/recipe.ts';
import { ATLAS_LAW } from '../src/scaling/index.ts';
import { atlasFactSources } from './atlas-facts.ts';
import { factbookProse } from './atlas-prose.ts';

const licences: Record<string, string> = {
  countries: 'world-countries, ODbL 1.0',
  elements: 'periodic-table, ISC',
};

export default defineRecipe({
  name: 'atlas',
  description:
    'Countries and chemical elements: questions answered, and "I don\'t know." where there is no answer.',
  minutes: 9,
  sources: () =>
    atlasFactSources().map((source) => ({ ...source, licence: licences[source.sheet.name] ?? 'unknown' })),
  prose: [factbookProse],
  law: ATLAS_LAW,
  // What an app can carry: at 8 bits within 2 MB. A faster machine trains this size for longer.
  settings: { maxParams: 1_600_000 },
});
