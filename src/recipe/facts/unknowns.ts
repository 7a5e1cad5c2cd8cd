/**
 * Questions whose right answer is "I don't know": every phrasing of every attribute asked about invented names,
 * and reverse questions asked about invented values. Training and evaluation names are disjoint, and
 * each invented name is asked about once, so that what is learned is the look of the unknown, not a list.
 */
import { KeyedRandom } from '../../core/random.ts';
import { isEmptyCell } from '../../data/table.ts';
import type { FactSource } from './collect-facts.ts';
import type { FactAttribute, FactSheet } from './fact-sheet.ts';
import { cleanText, formatNumber, formatValue, listItems } from './fact-values.ts';
import { createNameInventor, foldName, type NameInventor } from './invented-names.ts';
import { renderTemplate } from './templates.ts';
import type { FactCorpus, QuestionAnswer } from './write-facts.ts';

interface Phrasing {
  sheet: FactSheet;
  attribute: string;
  index: number;
  template: string;
  /** What invents the subject: the sheet's names, or the values of one column. */
  subjects: SubjectMaker;
}

/** Gives unused subjects for a purpose; `train` and `test` never share one. */
interface SubjectMaker {
  train(): string;
  test(): string;
}

/** Training asks about each name of the sheet's own list this often, in different phrasings. */
const numUsesOfGivenNames = 4;

export function writeUnknowns(
  sources: readonly FactSource[],
  corpus: FactCorpus,
  options: { seed: number; numTrain: number; numPerPhrasing: number },
): void {
  const { seed, numTrain, numPerPhrasing } = options;
  const phrasings = sources.flatMap((source) => phrasingsOf(source, corpus, seed));
  for (const phrasing of phrasings) {
    for (let i = 0; i < numPerPhrasing; i++) {
      corpus.evaluation.unknown.push(ask(phrasing, phrasing.subjects.test(), 'unknown'));
    }
  }
  const order = new KeyedRandom(seed).fork('unknown-phrasings').permutation(phrasings.length);
  for (let i = 0; i < numTrain; i++) {
    const phrasing = phrasings[order[i % order.length]!]!;
    corpus.unknownQuestions.push(ask(phrasing, phrasing.subjects.train(), 'train'));
  }
}

function ask(phrasing: Phrasing, subject: string, split: QuestionAnswer['split']): QuestionAnswer {
  const { sheet, attribute, index, template } = phrasing;
  const question = renderTemplate(template, sheet, subject, subject);
  return { entity: subject, attribute, phrasing: index, question, answer: sheet.unknown.answer, split };
}

function phrasingsOf(source: FactSource, corpus: FactCorpus, seed: number): Phrasing[] {
  const { sheet } = source;
  const out: Phrasing[] = [];
  const attributesWithFacts = new Set(
    corpus.facts
      .filter((fact) => fact.sheet === sheet.name)
      .map((fact) => `${fact.attribute}/${fact.direction}`),
  );
  const names = entityMaker(source, seed);
  for (const attribute of sheet.attributes) {
    if (!attributesWithFacts.has(`${attribute.column}/forward`)) continue;
    attribute.questions.forEach((template, index) => {
      out.push({ sheet, attribute: `${sheet.name}/${attribute.column}`, index, template, subjects: names });
    });
    const reverse = sheet.reverse?.find(({ column }) => column === attribute.column);
    if (!reverse || !attributesWithFacts.has(`${attribute.column}/reverse`)) continue;
    const values = valueMaker(source, attribute, seed);
    reverse.questions.forEach((template, index) => {
      out.push({
        sheet,
        attribute: `${sheet.name}/${attribute.column}/reverse`,
        index,
        template,
        subjects: values,
      });
    });
  }
  return out;
}

/** Invented entity names; the sheet's own lists of unknown names are used up first. */
function entityMaker({ table, sheet }: FactSource, seed: number): SubjectMaker {
  const realNames = textsOf(table.rows.map((row) => row[sheet.entity.key]));
  const aliases = sheet.entity.aliases;
  const allTexts = textsOf(table.rows.flatMap((row) => Object.values(row)));
  const forbidden = new Set(allTexts);
  if (aliases !== undefined)
    for (const name of textsOf(table.rows.map((row) => row[aliases]))) forbidden.add(name);
  const real = new Set([...realNames, ...forbidden].map(foldName));
  const { trainNames = [], testNames = [], styles } = sheet.unknown;
  const givenTest = testNames.filter((name) => !real.has(foldName(name)));
  const heldBack = new Set(givenTest.map(foldName));
  const givenTrain = trainNames.filter((name) => !real.has(foldName(name)) && !heldBack.has(foldName(name)));
  for (const name of [...givenTest, ...givenTrain]) forbidden.add(name);
  return disjointMaker({
    realNames,
    forbidden,
    seed,
    label: sheet.name,
    givenTest,
    givenTrain,
    ...(styles && { styles }),
  });
}

function valueMaker({ table, sheet }: FactSource, attribute: FactAttribute, seed: number): SubjectMaker {
  const cells = table.rows.map((row) => row[attribute.column]);
  const numbers = cells.filter((cell) => typeof cell === 'number');
  if (attribute.number && numbers.length > 0) return numberMaker(numbers, attribute);
  const realNames: string[] = [];
  for (const cell of cells) {
    if (attribute.list && cell !== undefined && !isEmptyCell(cell)) {
      realNames.push(...listItems(cell!, attribute.list.separator));
      continue;
    }
    const formatted = formatValue(cell, attribute);
    if ('text' in formatted) realNames.push(formatted.text);
  }
  const forbidden = new Set(textsOf(table.rows.flatMap((row) => Object.values(row))));
  return disjointMaker({
    realNames,
    forbidden,
    seed,
    label: `${sheet.name}/${attribute.column}`,
    givenTest: [],
    givenTrain: [],
  });
}

/** Test and train subjects come from one inventor, which never repeats itself: they cannot meet. */
function disjointMaker(options: {
  realNames: string[];
  forbidden: Set<string>;
  seed: number;
  label: string;
  givenTest: readonly string[];
  givenTrain: readonly string[];
  styles?: FactSheet['unknown']['styles'];
}): SubjectMaker {
  const { realNames, forbidden, seed, label, styles } = options;
  const seedOfLabel = new KeyedRandom(seed).fork(`unknown/${label}`).uint32(0);
  const inventor: NameInventor = createNameInventor({
    realNames,
    forbidden,
    seed: seedOfLabel,
    ...(styles && { styles }),
  });
  const givenTest = [...options.givenTest];
  const givenTrain = Array.from({ length: numUsesOfGivenNames }, () => options.givenTrain).flat();
  const queueOf = (given: string[]) => (): string => given.shift() ?? inventor.next();
  return { test: queueOf(givenTest), train: queueOf(givenTrain) };
}

/** Whole numbers beyond the largest real one; evaluation takes the odd steps, training the even ones. */
function numberMaker(numbers: readonly number[], attribute: FactAttribute): SubjectMaker {
  const largest = Math.ceil(numbers.reduce((max, value) => Math.max(max, value), 0));
  let numTest = 0;
  let numTrain = 0;
  const { unit, grouping } = attribute.number!;
  const write = (step: number): string => formatNumber(largest + step, { unit, grouping });
  return { test: () => write(2 * numTest++ + 1), train: () => write(2 * numTrain++ + 2) };
}

function textsOf(cells: readonly unknown[]): string[] {
  const out: string[] = [];
  for (const cell of cells) {
    if (Array.isArray(cell)) out.push(...textsOf(cell));
    else if (typeof cell === 'string' && !isEmptyCell(cell)) out.push(cleanText(cell));
  }
  return out;
}
