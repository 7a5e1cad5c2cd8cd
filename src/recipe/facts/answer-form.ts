/**
 * What an answer must look like, whether it is right or not: one line that ends by itself, repeats nothing and has the
 * form of its attribute's answers. Forms are taken from the facts themselves, so that every sheet has them.
 */
import type { FinishReason } from '../../decode/language-model.ts';
import { gradeExact } from './grade.ts';
import type { FactCorpus } from './write-facts.ts';
import { attributeKey } from './write-facts.ts';

/** In the order in which they are looked for; an answer has the first that holds. */
export const FORM_FAULTS = [
  'no end',
  'empty',
  'several lines',
  'repetition',
  'too long',
  'wrong form',
] as const;
export type FormFault = (typeof FORM_FAULTS)[number];

/** What the answers of one attribute have in common. */
export interface AnswerForm {
  /** `number`: digits with this unit; `choice`: one of a few; `pattern`: of a few shapes; `text`: anything else. */
  readonly kind: 'number' | 'choice' | 'pattern' | 'text';
  readonly unit?: string;
  readonly choices?: readonly string[];
  /** As `shapeOf` gives them: `.a`, `+9`, `Aa`. */
  readonly shapes?: readonly string[];
  /** Text with digits occurs. */
  readonly hasDigits: boolean;
  readonly maxCharacters: number;
}

export interface AnswerForms {
  /** By attribute, as `QuestionAnswer.attribute`. */
  readonly byAttribute: ReadonlyMap<string, AnswerForm>;
  /** Refusals, which fit every attribute. */
  readonly refusals: readonly string[];
}

/** Attributes with at most so many different answers are choices among them. */
const MAX_CHOICES = 12;
/** Attributes whose answers have at most so many shapes are patterns: domains, codes, symbols. */
const MAX_SHAPES = 3;
/** An answer may be so much longer than the longest right one. */
const LENGTH_FACTOR = 1.5;
const NUMBER = /^[-−]?\d{1,3}(?:,?\d{3})*(?:\.\d+)?(?: (.+))?$/;

export function answerForms(corpus: Pick<FactCorpus, 'facts' | 'unknownAnswers'>): AnswerForms {
  const answers = new Map<string, Set<string>>();
  for (const fact of corpus.facts) {
    const key = attributeKey(fact);
    const known = answers.get(key);
    if (known) known.add(fact.answer);
    else answers.set(key, new Set([fact.answer]));
  }
  return {
    byAttribute: new Map([...answers].map(([attribute, known]) => [attribute, formOf([...known])])),
    refusals: corpus.unknownAnswers,
  };
}

function formOf(answers: readonly string[]): AnswerForm {
  const common = {
    hasDigits: answers.some((answer) => /\d/.test(answer)),
    maxCharacters: Math.ceil(LENGTH_FACTOR * Math.max(...answers.map((answer) => answer.length))),
  };
  const numbers = answers.map((answer) => NUMBER.exec(answer));
  const unit = numbers[0]?.[1];
  if (numbers.every((match) => match !== null && match[1] === unit)) {
    return { kind: 'number', ...(unit !== undefined && { unit }), ...common };
  }
  if (answers.length <= MAX_CHOICES) return { kind: 'choice', choices: answers, ...common };
  const shapes = [...new Set(answers.map(shapeOf))];
  if (shapes.length <= MAX_SHAPES) return { kind: 'pattern', shapes, ...common };
  return { kind: 'text', ...common };
}

/** Kinds of characters: a capital A, small letters a, digits 9, anything else itself. */
function shapeOf(answer: string): string {
  return answer
    .replace(/\p{Lu}/gu, 'A')
    .replace(/(?:(?!A)\p{L})+/gu, 'a')
    .replace(/\p{N}+/gu, '9');
}

/** What is wrong with the look of an answer; undefined when nothing is. An attribute without facts has no form. */
export function formFault(
  forms: AnswerForms,
  attribute: string,
  { text, finishReason }: { readonly text: string; readonly finishReason: FinishReason },
): FormFault | undefined {
  const answer = text.trim();
  if (finishReason !== 'stop') return 'no end';
  if (answer === '') return 'empty';
  if (/[\n\r]/.test(answer)) return 'several lines';
  if (forms.refusals.some((refusal) => gradeExact(answer, refusal))) return undefined;
  if (repeatsItself(answer)) return 'repetition';
  const form = forms.byAttribute.get(attribute);
  if (!form) return undefined;
  if (answer.length > form.maxCharacters) return 'too long';
  return fits(answer, form) ? undefined : 'wrong form';
}

function fits(answer: string, { kind, unit, choices, shapes, hasDigits }: AnswerForm): boolean {
  const plain = answer.replace(/\.$/, '');
  if (kind === 'choice') return choices!.some((choice) => gradeExact(answer, choice));
  if (kind === 'pattern') return shapes!.includes(shapeOf(plain));
  if (kind === 'number') {
    const match = NUMBER.exec(plain);
    return match !== null && match[1] === unit;
  }
  return /\p{L}|\p{N}/u.test(plain) && (hasDigits || !/\d/.test(plain));
}

/** A word three times in a row ("Pago Pago" is a place), two words or more twice, or an item twice in a list. */
function repeatsItself(answer: string): boolean {
  const text = answer.toLowerCase();
  if (/(?<![^\s,])(\S+)(?:[\s,]+\1){2}(?![^\s,.])/u.test(text)) return true;
  if (/(?<![^\s,])(\S+(?:\s\S+)+?)[\s,]+\1(?![^\s,.])/u.test(text)) return true;
  const items = text.replace(/\.$/, '').split(/, | and /);
  return new Set(items).size < items.length;
}
