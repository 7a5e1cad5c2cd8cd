/** What an answer is worth: the one interface of programs, reward models and mixtures of them. */
import type { Completion } from '../decode/language-model.ts';
import type { ChatMessage } from '../tokenizer/index.ts';

export interface AnsweredPrompt {
  readonly messages: readonly ChatMessage[];
  readonly completion: Completion;
  /** The line of data that the prompt came from: what a program needs to judge, such as the right answer. */
  readonly record: Readonly<Record<string, unknown>>;
}

export interface RewardFunction {
  readonly name: string;
  /** One finite number each, in order; higher is better. Rejects with DataError for a record that lacks what it needs. */
  score(answers: readonly AnsweredPrompt[]): readonly number[] | Promise<readonly number[]>;
}
