/**
 * Which tokens of a conversation are learned from. What the assistant wrote are its actions; everything else is
 * evidence that it was given. Learning evidence as if the model had chosen it makes it take its own words for facts
 * (Ortega et al. 2021, arXiv:2110.10819), so actions alone are the default.
 */
export const TRAIN_ON = ['assistant', 'last', 'all'] as const;
/** `assistant`: every turn of the assistant; `last`: the last one only; `all`: what others wrote too. */
export type TrainOn = (typeof TRAIN_ON)[number];

/**
 * @param lossMask of a whole conversation: 1 on what the assistant wrote and the token that ends its turn.
 * @returns 1 where the token is a target.
 */
export function trainingTargets(lossMask: ArrayLike<number>, trainOn: TrainOn): Uint8Array {
  const targets = Uint8Array.from(lossMask);
  if (trainOn === 'all') return targets.fill(1);
  if (trainOn === 'assistant') return targets;
  const end = targets.lastIndexOf(1);
  // A turn is a run of ones: headers and line breaks stand between turns.
  return targets.fill(0, 0, targets.lastIndexOf(0, end) + 1);
}
