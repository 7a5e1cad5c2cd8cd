/** The facts writer: what training may see, what evaluation may ask, and that every answer is the only one. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { atlasFactSources } from '../../recipes/atlas-facts.ts';
import { normalizeKey, tableOf } from '../../src/data/index.ts';
import {
  type FactCorpus,
  type FactSheet,
  factArticles,
  factChats,
  factStatistics,
  gradeExact,
  writeFacts,
} from '../../src/recipe/facts/index.ts';
import { foldName } from '../../src/recipe/facts/invented-names.ts';

const atlas = writeFacts(atlasFactSources(), { seed: 11 });
const atlasAll = writeFacts(atlasFactSources('all'), { seed: 12 });

const sheet: FactSheet = {
  name: 'towns',
  entity: { noun: 'town', key: 'town' },
  attributes: [
    {
      column: 'river',
      label: 'river',
      statements: ['{entity} lies on the {value}.', 'The {value} flows through {entity}.'],
      questions: ['Which river flows through {entity}?', 'On which river is {entity}?', '{name}: river?'],
    },
  ],
  reverse: [
    {
      column: 'river',
      questions: ['Which town lies on the {value}?', 'The {value} flows through which town?'],
    },
  ],
  unknown: { answer: "I don't know." },
};

function expectSound(corpus: FactCorpus) {
  const training = [...corpus.questions, ...corpus.unknownQuestions];
  const trained = new Set(training.map(({ question }) => normalizeKey(question)));
  for (const item of [
    ...corpus.evaluation.heldOutPhrasing,
    ...corpus.evaluation.heldOutEntity,
    ...corpus.evaluation.unknown,
  ]) {
    expect(trained.has(normalizeKey(item.question)), item.question).toBe(false);
  }
  for (const { question, answer } of [
    ...training,
    ...corpus.evaluation.heldOutPhrasing,
    ...corpus.evaluation.unknown,
  ]) {
    expect(answer.trim()).not.toBe('');
    expect(question).not.toMatch(/\{(entity|name|value)\}|undefined|null|NaN|\[object/);
  }
  // One question, one answer: over training and evaluation together.
  const answers = new Map<string, string>();
  for (const { question, answer } of [
    ...training,
    ...corpus.evaluation.heldOutPhrasing,
    ...corpus.evaluation.unknown,
  ]) {
    expect(answers.get(question) ?? answer, question).toBe(answer);
    answers.set(question, answer);
  }
}

describe.each([
  ['the five-minute atlas', atlas],
  ['the whole atlas', atlasAll],
])('%s', (_, corpus) => {
  it('asks in evaluation nothing that training asks, and gives each question one answer', () => {
    expectSound(corpus);
  });

  it('holds out exactly one phrasing of each fact and trains that phrasing for others', () => {
    expect(corpus.evaluation.heldOutPhrasing.length).toBe(corpus.facts.length);
    const trainedPhrasings = new Set(
      corpus.questions.map(({ attribute, phrasing }) => `${attribute}/${phrasing}`),
    );
    const trainedFacts = new Map<string, number>();
    for (const { attribute, entity } of corpus.questions) {
      const key = `${attribute}/${entity}`;
      trainedFacts.set(key, (trainedFacts.get(key) ?? 0) + 1);
    }
    for (const { attribute, phrasing, entity } of corpus.evaluation.heldOutPhrasing) {
      expect(trainedPhrasings.has(`${attribute}/${phrasing}`)).toBe(true);
      // Six or seven other phrasings of the same fact are trained.
      expect(trainedFacts.get(`${attribute}/${entity}`)).toBeGreaterThanOrEqual(6);
    }
  });

  it('invents names that are real nowhere in the tables and differ between training and evaluation', () => {
    const real = new Set<string>();
    for (const { table, sheet } of atlasFactSources('all')) {
      for (const row of table.rows) {
        for (const cell of Object.values(row).flat()) {
          if (typeof cell === 'string') real.add(`${sheet.name}/${foldName(cell)}`);
        }
      }
    }
    // Names, and the values of each column that is asked back, are invented apart.
    const subjectOf = ({ entity, attribute }: { entity: string; attribute: string }): string =>
      `${attribute.endsWith('/reverse') ? attribute : attribute.split('/')[0]}/${foldName(entity)}`;
    const trained = new Set(corpus.unknownQuestions.map(subjectOf));
    for (const { entity, attribute } of [...corpus.unknownQuestions, ...corpus.evaluation.unknown]) {
      const sheetName = attribute.split('/')[0];
      expect(real.has(`${sheetName}/${foldName(entity)}`), entity).toBe(false);
    }
    for (const item of corpus.evaluation.unknown)
      expect(trained.has(subjectOf(item)), item.entity).toBe(false);
    expect(trained.size).toBeGreaterThan(0.8 * corpus.unknownQuestions.length);
  });

  it('asks about invented names in every phrasing, in training and in evaluation', () => {
    const phrasingsOf = (items: { attribute: string; phrasing: number }[]) =>
      new Set(items.map(({ attribute, phrasing }) => `${attribute}/${phrasing}`));
    const all = phrasingsOf([...corpus.questions, ...corpus.evaluation.heldOutPhrasing]);
    expect(phrasingsOf(corpus.unknownQuestions)).toEqual(all);
    expect(phrasingsOf(corpus.evaluation.unknown)).toEqual(all);
    const share = corpus.unknownQuestions.length / (corpus.unknownQuestions.length + corpus.questions.length);
    expect(share).toBeCloseTo(0.12, 3);
  });

  it('tells every fact in five or more statements, and asks each in seven or more ways', () => {
    for (const fact of corpus.facts) {
      if (fact.direction === 'forward')
        expect(new Set(fact.statements).size, fact.id).toBeGreaterThanOrEqual(5);
      expect(new Set(fact.questions).size, fact.id).toBeGreaterThanOrEqual(7);
    }
  });

  it('keeps answers short and answers of the statements in place', () => {
    for (const fact of corpus.facts) {
      expect(fact.answer.length).toBeLessThanOrEqual(80);
      if (fact.value === 'yes' || fact.value === 'no' || fact.value === 'none') continue;
      for (const statement of fact.statements)
        expect(statement.includes(fact.value.replace(/\.$/, '')), statement).toBe(true);
    }
  });
});

describe('the atlas', () => {
  const answerOf = (id: string): string | undefined => atlasAll.facts.find((fact) => fact.id === id)?.answer;

  it('has two and a half to three and a half thousand facts in its five-minute selection', () => {
    const { numFacts } = factStatistics(atlas);
    expect(numFacts).toBeGreaterThan(2500);
    expect(numFacts).toBeLessThan(3500);
  });

  // From the packages' own data, read by hand.
  it.each([
    ['countries/capital/France', 'Paris'],
    ['countries/capital/South Africa', 'Pretoria, Bloemfontein and Cape Town'],
    ['countries/capital/Antarctica', 'none'],
    ['countries/capital/reverse/Canada', 'Canada'],
    ['countries/capital/reverse/Jamaica', undefined], // Kingston is Norfolk Island's capital too
    ['countries/capital/reverse/Aruba', undefined], // Oranjestad stands in another row's list
    ['countries/currency/Germany', 'euro'],
    ['countries/currency/Svalbard and Jan Mayen', 'Norwegian krone'],
    ['countries/currency/Zimbabwe', undefined],
    ['countries/callingCode/United States', '+1'],
    ['countries/callingCode/Russia', '+7'],
    ['countries/callingCode/Vatican City', undefined],
    ['countries/domain/United Kingdom', '.uk'],
    ['countries/domain/Russia', '.ru'],
    ['countries/languages/Switzerland', 'French, Italian, Romansh and Swiss German'],
    ['countries/languages/Zimbabwe', undefined],
    ['countries/neighbours/Portugal', 'Spain'],
    ['countries/neighbours/Iceland', 'none'],
    ['countries/neighbours/China', undefined],
    ['countries/landlocked/Austria', 'yes'],
    ['countries/area/France', '550,000 square kilometres'],
    ['countries/area/Svalbard and Jan Mayen', undefined],
    ['elements/symbol/Iron', 'Fe'],
    ['elements/atomicNumber/reverse/Gold', 'Gold'],
  ])('answers %s with %s', (id, answer) => {
    expect(answerOf(id)).toBe(answer);
  });

  it('writes names as sentences need them', () => {
    const texts = new Set([
      ...atlasAll.statements.map(({ text }) => text),
      ...atlasAll.facts.flatMap((fact) => fact.questions),
    ]);
    for (const text of [
      'The Netherlands has its capital in Amsterdam.',
      'What is the capital of the United States?',
      'United States: capital?',
      "What is the Philippines' capital?",
      'The capital of the United States is Washington D.C.',
      'Iron has the symbol Fe.',
      'What is the symbol for iron?',
    ]) {
      expect(texts.has(text), text).toBe(true);
    }
  });
});

describe('writing facts', () => {
  const rows = (names: readonly string[]) =>
    tableOf(names.map((town, i) => ({ town, river: `River ${i % 7}` })));
  const name = fc.stringMatching(/^[A-Z][a-z]{2,9}( [A-Z][a-z]{2,6})?$/);

  it('is sound for any table', () => {
    fc.assert(
      fc.property(fc.array(name, { minLength: 2, maxLength: 30 }), fc.nat(1000), (names, seed) => {
        expectSound(writeFacts([{ table: rows(names), sheet }], { seed, statementOnlyShare: 0.2 }));
      }),
      { numRuns: 30 },
    );
  });

  it('gives the same corpus for the same seed and another for another', () => {
    const table = rows(['Ulm', 'Basel', 'Linz', 'Passau', 'Bonn', 'Mainz', 'Worms', 'Trier', 'Metz']);
    const make = (seed: number) => writeFacts([{ table, sheet }], { seed });
    expect(make(1)).toEqual(make(1));
    expect(make(1).evaluation).not.toEqual(make(2).evaluation);
    expect(factChats(make(1), 3)).toEqual(factChats(make(1), 3));
    expect(factChats(make(1), 3)).not.toEqual(factChats(make(1), 4));
  });

  it('shows entities chosen for statements only in no training question', () => {
    const table = rows(['Ulm', 'Basel', 'Linz', 'Passau', 'Bonn', 'Mainz', 'Worms', 'Trier', 'Metz', 'Toul']);
    const corpus = writeFacts([{ table, sheet }], { statementOnlyShare: 0.3 });
    const held = new Set(
      corpus.evaluation.heldOutEntity
        .filter(({ attribute }) => attribute === 'towns/river')
        .map(({ entity }) => entity),
    );
    expect(held.size).toBe(3);
    for (const { entity } of corpus.questions) expect(held.has(entity)).toBe(false);
    for (const entity of held)
      expect(corpus.statements.some((statement) => statement.entity === entity)).toBe(true);
  });

  it('leaves out and lists what has no single answer', () => {
    const table = tableOf([
      { town: 'Ulm', river: 'Danube' },
      { town: 'Linz', river: 'Danube' },
      { town: 'Bonn', river: 'Rhine' },
      { town: 'Graz', river: '' },
      { town: ' ulm', river: 'Iller' },
      { town: '', river: 'Elbe' },
      { town: 'Long', river: 'x'.repeat(100) },
    ]);
    const { facts, leftOut } = writeFacts([{ table, sheet }]);
    expect(facts.map(({ id }) => id)).toEqual([
      'towns/river/Ulm',
      'towns/river/Linz',
      'towns/river/Bonn',
      'towns/river/reverse/Bonn',
    ]);
    expect(leftOut.map(({ entity, direction, reason }) => [entity, direction, reason])).toEqual([
      ['ulm', 'forward', 'duplicate-entity'],
      ['', 'forward', 'no-name'],
      ['Graz', 'forward', 'missing'],
      ['Long', 'forward', 'too-long'],
      ['Ulm', 'reverse', 'not-unique'],
      ['Linz', 'reverse', 'not-unique'],
    ]);
  });

  it('puts a name or value with braces in as it is', () => {
    const table = tableOf([
      { town: '{value}', river: '{entity}' },
      { town: 'Ulm', river: '$&' },
    ]);
    const { facts } = writeFacts([{ table, sheet }], { unknownShare: 0, numUnknownPerPhrasing: 0 });
    expect(facts[0]!.statements[0]).toBe('{value} lies on the {entity}.');
    expect(facts.find(({ entity }) => entity === 'Ulm')!.statements[0]).toBe('Ulm lies on the $&.');
  });

  it('names every fault of a sheet at once', () => {
    const broken: FactSheet = {
      ...sheet,
      attributes: [
        {
          ...sheet.attributes[0]!,
          questions: ['Which river?', '{entity} {valeu}?', '{name}, {entity}?', '{entity}, {name}?'],
        },
      ],
      reverse: [{ column: 'mayor', questions: [] }],
    };
    const write = () => writeFacts([{ table: rows(['Ulm', 'Bonn']), sheet: broken }]);
    for (const fault of [
      '"Which river?" needs {entity} or {name}',
      'uses {valeu}',
      'stands already under',
      "'mayor': there is no attribute",
    ]) {
      expect(write).toThrow(fault);
    }
    const noColumn = { ...sheet, entity: { ...sheet.entity, key: 'city' } };
    expect(() => writeFacts([{ table: rows(['Ulm', 'Bonn']), sheet: noColumn }])).toThrow(
      'Its columns: town, river',
    );
  });

  it('tells each entity in articles that together hold every statement of every fact', () => {
    const articles = factArticles(atlas, 5);
    expect(articles.length).toBeGreaterThanOrEqual(5 * 368);
    const france = articles.filter(({ entity }) => entity === 'France').map(({ text }) => text);
    const statements = atlas.statements.filter(({ entity }) => entity === 'France');
    for (const { text } of statements)
      expect(
        france.some((article) => article.includes(text)),
        text,
      ).toBe(true);
    const firstWords = new Set(france.map((text) => text.slice(0, 25)));
    expect(firstWords.size).toBe(france.length);
  });
});

describe('exact grading', () => {
  it('forgives outer white space and one final full stop, nothing else', () => {
    expect(gradeExact(' Paris.\n', 'Paris')).toBe(true);
    expect(gradeExact('Washington D.C', 'Washington D.C.')).toBe(true);
    for (const wrong of ['paris', 'Paris, France', '', 'Paris..', 'The Paris'])
      expect(gradeExact(wrong, 'Paris')).toBe(false);
  });
});
