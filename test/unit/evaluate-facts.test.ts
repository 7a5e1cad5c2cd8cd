/** Grading by a model whose answers are known. */
import { describe, expect, test } from 'vitest';
import { CancelledError } from '../../src/core/errors.ts';
import type { PlinthEvent } from '../../src/core/events.ts';
import type { LanguageModel } from '../../src/decode/language-model.ts';
import { wilsonInterval } from '../../src/evaluate/index.ts';
import { writeFacts } from '../../src/recipe/index.ts';
import { evaluateFacts } from '../../src/recipe/stages/evaluate-facts.ts';
import { tinyRecipe } from '../fixtures/training/tiny-recipe.ts';

const UNKNOWN = "I don't know that river.";
const corpus = writeFacts(await tinyRecipe.sources(), { seed: 1 });
const { heldOutPhrasing: known, unknown: invented } = corpus.evaluation;
const right = new Map([...known, ...invented].map(({ question, answer }) => [question, answer]));

/** A language model that answers by a function; only what evaluation uses exists. */
function answering(answer: (question: string) => string): LanguageModel {
  return {
    generateMany: async (prompts: { messages: { content: string }[] }[]) =>
      prompts.map(({ messages }) => ({
        text: ` ${answer(messages.at(-1)!.content)}\n`,
        finishReason: 'stop',
      })),
  } as unknown as LanguageModel;
}
const evaluate = (answer: (question: string) => string) =>
  evaluateFacts(answering(answer), corpus, { onEvent: () => {} });

describe('evaluateFacts', () => {
  test('a model that knows everything and nothing more', async () => {
    const { heldOutPhrasing, unknown, samples } = await evaluate((question) => right.get(question)!);
    expect(heldOutPhrasing.exactMatch).toBe(1);
    expect(unknown.abstention).toBe(1);
    expect(unknown.falseAbstention).toBe(0);
    expect(samples.every(({ correct }) => correct)).toBe(true);
    expect(heldOutPhrasing.score.interval).toEqual(wilsonInterval(known.length, known.length));
  });

  test('a model that refuses everything: full abstention, and every refusal of a fact is false', async () => {
    const { heldOutPhrasing, unknown } = await evaluate(() => UNKNOWN);
    expect(heldOutPhrasing.exactMatch).toBe(0);
    expect(unknown.abstention).toBe(1);
    expect(unknown.falseAbstention).toBe(1);
    expect(unknown.falseAbstentionScore.numQuestions).toBe(known.length);
  });

  test('a model that always makes something up: no abstention, and no false one', async () => {
    const { heldOutPhrasing, unknown } = await evaluate(() => 'the Blue Sea');
    expect(heldOutPhrasing.exactMatch).toBe(0);
    expect(unknown.abstention).toBe(0);
    expect(unknown.falseAbstention).toBe(0);
  });

  test('every greedy answer is graded, held-out phrasings before invented names', async () => {
    const { graded } = await evaluate((question) =>
      question === known[0]!.question ? UNKNOWN : right.get(question)!,
    );
    expect(graded.map(({ question }) => question)).toEqual([...known, ...invented]);
    expect(graded[0]).toMatchObject({ isRight: false, isRefusal: true });
    expect(graded[1]).toMatchObject({ isRight: true, isRefusal: false });
    // Of an invented name a refusal is right.
    expect(graded.at(-1)).toMatchObject({ isRight: true, isRefusal: true });
  });

  test('scores by attribute add up to the whole, and samples show wrong answers first', async () => {
    const { heldOutPhrasing, samples } = await evaluate((question) =>
      /long|length/.test(question) ? '1 km' : right.get(question)!,
    );
    const scores = Object.fromEntries(
      heldOutPhrasing.byAttribute.map(({ attribute, score }) => [attribute, score]),
    );
    expect(scores['rivers/sea']!.value).toBe(1);
    expect(scores['rivers/length']!.value).toBe(0);
    expect(heldOutPhrasing.score.numCorrect).toBe(scores['rivers/sea']!.numCorrect);
    expect(heldOutPhrasing.score.numQuestions).toBe(known.length);
    const shown = samples.filter(({ kind }) => kind === 'held-out phrasing');
    expect(shown.map(({ correct }) => correct)).toEqual([...Array(6).fill(false), ...Array(6).fill(true)]);
    for (const { question, expected, answer } of shown) {
      expect(expected).toBe(right.get(question));
      expect(answer).not.toMatch(/^\s|\s$/);
    }
  });

  test('stopped, it throws and grades nothing', async () => {
    const controller = new AbortController();
    const events: PlinthEvent[] = [];
    const model = answering((question) => {
      controller.abort();
      return right.get(question)!.slice(0, 1);
    });
    const run = evaluateFacts(model, corpus, {
      signal: controller.signal,
      onEvent: (event) => events.push(event),
    });
    await expect(run).rejects.toBeInstanceOf(CancelledError);
    expect(events).toEqual([]);
  });
});
