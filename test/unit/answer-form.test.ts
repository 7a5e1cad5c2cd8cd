/** What an answer must look like, on forms taken from a recipe's facts; and behaviour before and after. */
import { describe, expect, test } from 'vitest';
import atlas from '../../recipes/atlas.ts';
import type { Completion } from '../../src/decode/language-model.ts';
import { answerForms, FORM_FAULTS, formFault } from '../../src/recipe/facts/answer-form.ts';
import { writeFacts } from '../../src/recipe/facts/index.ts';
import { type Behaviour, behaviourChanges } from '../../src/recipe/stages/measure-behaviour.ts';

const corpus = writeFacts(await atlas.sources(), { seed: 1 });
const forms = answerForms(corpus);
const fault = (attribute: string, text: string, finishReason: Completion['finishReason'] = 'stop') =>
  formFault(forms, attribute, { text, finishReason });

describe('forms of the atlas', () => {
  test('are of every kind, taken from the answers', () => {
    const kinds = Object.fromEntries(
      [...forms.byAttribute].map(([attribute, { kind }]) => [attribute, kind]),
    );
    expect(kinds).toMatchObject({
      'countries/capital': 'text',
      'countries/region': 'choice',
      'countries/landlocked': 'choice',
      'countries/domain': 'pattern',
      'countries/callingCode': 'pattern',
      'elements/symbol': 'pattern',
      'elements/atomicNumber': 'number',
    });
  });

  test('every right answer and every refusal fits its attribute', () => {
    const { heldOutPhrasing, unknown } = corpus.evaluation;
    for (const { attribute, answer, question } of [
      ...corpus.questions,
      ...corpus.unknownQuestions,
      ...heldOutPhrasing,
      ...unknown,
    ]) {
      expect(fault(attribute, answer), `${question} -> ${answer}`).toBeUndefined();
    }
  });

  test.each([
    ['countries/capital', 'Lima and so on', 'length', 'no end'],
    ['countries/capital', ' ', 'stop', 'empty'],
    ['countries/capital', 'Lima\nQuito', 'stop', 'several lines'],
    ['countries/capital', 'Lima Lima Lima', 'stop', 'repetition'],
    ['countries/languages', 'Swiss German, Swiss German', 'stop', 'repetition'],
    ['countries/neighbours', 'Libya, Zambia, Zambia and Chad', 'stop', 'repetition'],
    ['countries/domain', '.b and r', 'stop', 'too long'],
    ['countries/domain', 'Lima', 'stop', 'wrong form'],
    ['countries/region', 'Caribbean', 'stop', 'wrong form'],
    ['countries/capital', 'Marillean26', 'stop', 'wrong form'],
    ['countries/callingCode', '+5x', 'stop', 'wrong form'],
    ['elements/atomicNumber', '11em', 'stop', 'wrong form'],
    ['elements/symbol', 'au', 'stop', 'wrong form'],
  ] as const)('%s: %j, ended by %s, has the fault "%s"', (attribute, text, finishReason, expected) => {
    expect(fault(attribute, text, finishReason)).toBe(expected);
    expect(FORM_FAULTS).toContain(expected);
  });

  test.each([
    ['countries/capital', 'Pago Pago'],
    ['countries/capital', 'Quito.'],
    ['countries/domain', '.zz'],
    ['elements/symbol', 'Xy'],
    ['elements/atomicNumber', '999'],
    ['countries/region', "I don't know."],
    ['rivers/sea', 'anything at all, 12 times'],
  ])('%s: %j may be wrong, but has the form', (attribute, text) => {
    expect(fault(attribute, text)).toBeUndefined();
  });

  test('numbers keep their unit', () => {
    const fact = { sheet: 's', attribute: 'area', direction: 'forward' as const };
    const facts = ['1,200 km', '35 km', '0.5 km'].map((answer) => ({ ...fact, answer }));
    const own = answerForms({ facts, unknownAnswers: [] } as unknown as typeof corpus);
    const of = (text: string) => formFault(own, 's/area', { text, finishReason: 'stop' });
    expect(own.byAttribute.get('s/area')).toMatchObject({ kind: 'number', unit: 'km' });
    expect(of('7,000 km')).toBeUndefined();
    expect(of('7 miles')).toBe('wrong form');
    expect(of('7')).toBe('wrong form');
  });
});

describe('behaviour before and after', () => {
  const [known] = corpus.evaluation.heldOutPhrasing;
  const [invented] = corpus.evaluation.unknown;
  const behaviour = (changes: Partial<Behaviour>): Behaviour => ({
    graded: [],
    sampledFaults: [],
    greedyFaults: [],
    open: [],
    completions: [],
    ...changes,
  });
  /** Answers that the model gave this probability, some of them right. */
  const graded = (probability: number, right: readonly boolean[], question = known!) =>
    right.map((isRight) => ({
      question,
      completion: { logprobs: [{ logprob: Math.log(probability) }] } as unknown as Completion,
      isRight,
      isRefusal: false,
    }));

  test('shares are of their own questions, and changes are paired', () => {
    const half = [true, false, true, false];
    const changes = behaviourChanges(
      behaviour({
        graded: [...graded(0.9, half), ...graded(0.9, [false], invented)],
        sampledFaults: [true, true, false, false],
      }),
      behaviour({
        graded: [...graded(0.5, half), ...graded(0.5, [true], invented)],
        sampledFaults: [false, true, false, false],
      }),
    );
    const of = (name: string) => changes.find((change) => change.name === name)!;
    expect(of('right')).toMatchObject({
      before: { value: 0.5 },
      after: { value: 0.5 },
      // The same answers are right: nothing varies however questions are drawn.
      change: { value: 0, interval: [0, 0] },
      numAnswers: 4,
    });
    expect(of('refusedInvented')).toMatchObject({ before: { value: 0 }, after: { value: 1 } });
    expect(of('wrongForm')).toMatchObject({ before: { value: 0.5 }, after: { value: 0.25 } });
    expect(of('wrongForm').change!.value).toBe(-0.25);
    // .9 promised and 2 of 5 right; then .5 promised and 3 of 5 right.
    expect(of('calibrationError').before.value).toBeCloseTo(0.5, 12);
    expect(of('calibrationError').after.value).toBeCloseTo(0.1, 12);
    expect(of('distinct')).toBeUndefined();
  });

  test('diversity is by open prompt: distinct answers and their entropy', () => {
    const changes = behaviourChanges(
      behaviour({
        open: [
          ['a', 'b', 'c', 'd'],
          ['a', 'A.', 'b', 'b'],
        ],
      }),
      behaviour({
        open: [
          ['a', 'a', 'a', 'a'],
          ['a', 'a', 'a', 'b'],
        ],
      }),
    );
    const of = (name: string) => changes.find((change) => change.name === name)!;
    expect(of('distinct')).toMatchObject({ before: { value: 0.75 }, after: { value: 0.375 } });
    expect(of('entropy').before.value).toBeCloseTo((Math.log(4) + Math.log(2)) / 2, 12);
    expect(of('distinct').numAnswers).toBe(8);
  });
});
