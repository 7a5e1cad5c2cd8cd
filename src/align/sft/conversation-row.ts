/** A whole conversation as one row: what the assistant wrote in it are actions, all else is evidence. */
import { trainingTargets } from '../../data/tokens/training-targets.ts';
import type { EncodedChat } from '../../tokenizer/index.ts';
import type { SequenceRow } from '../sequence-row.ts';

export interface ConversationRowOptions {
  /**
   * `assistant` (default): every turn of the assistant, calls of tools among them; `last`: its last one, so that
   * earlier ones are given like a prompt. Results of tools are evidence always.
   */
  readonly actions?: 'assistant' | 'last';
}

/** The row of a chat with answers, from `encodeChat`. */
export function conversationRow(
  { ids, lossMask }: Pick<EncodedChat, 'ids' | 'lossMask'>,
  { actions = 'assistant' }: ConversationRowOptions = {},
): SequenceRow {
  return { tokens: Int32Array.from(ids), actions: trainingTargets(lossMask, actions) };
}
