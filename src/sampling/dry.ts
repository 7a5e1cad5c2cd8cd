/**
 * Do not repeat yourself: wherever the end of the history, at least `allowedLength` tokens of it, stands earlier
 * too, the token that followed there would lengthen the repetition, and
 * multiplier * base^(length - allowedLength) is taken from its score, with the longest such length for each token.
 * No repetition reaches over a breaker, and a breaker itself is never penalised (rules of llama.cpp, after
 * koboldcpp's). Linear in the history.
 */
import { checkSetting, checkTokens, finite, type StageKind } from './stage.ts';

export interface DrySettings {
  readonly stage: 'dry';
  readonly multiplier: number;
  /** Default 1.75. */
  readonly base?: number;
  /** Repetitions shorter than this are free. Default 2. */
  readonly allowedLength?: number;
  /** Only the last so many tokens of the history count; 0: none, -1 (default): all. */
  readonly lastN?: number;
  /** Token ids over which no repetition reaches. Default none. */
  readonly breakers?: readonly number[];
}

/** ln of the largest float32: llama.cpp stops the power there. */
const LARGEST_LOG_PENALTY = 88.7228391;

export const dryStage: StageKind<DrySettings> = {
  settings: {
    multiplier: 'number',
    base: 'number',
    allowedLength: 'number',
    lastN: 'number',
    breakers: 'ids',
  },
  create({ multiplier, base = 1.75, allowedLength = 2, lastN = -1, breakers = [] }) {
    checkSetting('dry', 'multiplier', multiplier, { least: 0 });
    checkSetting('dry', 'base', base, { least: 1 });
    checkSetting('dry', 'allowedLength', allowedLength, { least: 0, whole: true });
    checkSetting('dry', 'lastN', lastN, { least: -1, whole: true });
    checkTokens('dry', 'breakers', breakers);
    const isBreaker = new Set(breakers);
    const isIdle = multiplier === 0 || lastN === 0;
    const largestPower =
      base > 1.000001 ? Math.floor(LARGEST_LOG_PENALTY / Math.log(base)) : Number.POSITIVE_INFINITY;
    return {
      keepsFirstMaximum: isIdle,
      apply: (candidates, { history }) => {
        const size = lastN < 0 ? history.length : Math.min(lastN, history.length);
        if (isIdle || size <= allowedLength) return;
        const longest = repetitions(history, size, allowedLength, isBreaker);
        for (const [token, length] of longest) {
          const place = candidates.placeOf(token);
          if (place < 0) continue;
          const penalty = multiplier * base ** Math.min(length - allowedLength, largestPower);
          candidates.scores[place] = finite(candidates.scores[place]! - penalty);
        }
        if (longest.size > 0) candidates.rescored();
      },
    };
  },
};

/**
 * The longest repetition that each next token would lengthen, where it has at least `least` tokens, within the
 * last `size` tokens of the history.
 */
function repetitions(
  history: ArrayLike<number>,
  size: number,
  least: number,
  breakers: ReadonlySet<number>,
): Map<number, number> {
  const last = history.length - 1;
  let mostTokens = 0;
  while (mostTokens < size && !breakers.has(history[last - mostTokens]!)) mostTokens++;
  const longest = new Map<number, number>();
  if (mostTokens < least) return longest;
  const lengths = suffixLengths(history, size);
  for (let distance = 1; distance < size; distance++) {
    const length = Math.min(lengths[distance]!, mostTokens);
    if (length < least) continue;
    const next = history[last - distance + 1]!;
    if (!breakers.has(next) && length > (longest.get(next) ?? -1)) longest.set(next, length);
  }
  return longest;
}

let lengthsBuffer = new Int32Array(0);

/**
 * Entry d: how many tokens up to the one d before the last agree with the end of the history. The Z-function of
 * the reversed history (Gusfield 1997, 1.4): each comparison that succeeds moves `right`, so it is linear.
 */
function suffixLengths(history: ArrayLike<number>, size: number): Int32Array {
  if (lengthsBuffer.length < size) lengthsBuffer = new Int32Array(2 * size);
  const z = lengthsBuffer;
  const last = history.length - 1;
  // The stretch [left, right) agrees with the start of the reversed history.
  let left = 0;
  let right = 0;
  for (let i = 1; i < size; i++) {
    let length = i < right ? Math.min(right - i, z[i - left]!) : 0;
    while (i + length < size && history[last - length] === history[last - i - length]) length++;
    z[i] = length;
    if (i + length > right) {
      left = i;
      right = i + length;
    }
  }
  return z;
}
