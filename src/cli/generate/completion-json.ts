/**
 * A completion as `--json` and `--prompts` print it. Four fields always stand, in this order: text, tokens,
 * finishReason, usage; others come only with the option that asks for them. An infinite log-probability is null.
 */
import type { Completion, PositionLogprobs, TokenLogprob } from '../../decode/language-model.ts';
import type { Tokenizer } from '../../tokenizer/index.ts';

export interface CompletionJsonOptions {
  readonly tokenizer: Tokenizer | undefined;
  readonly id?: string | number | undefined;
  readonly choice?: number | undefined;
  readonly showSeed?: boolean;
  readonly showStopToken?: boolean;
}

export function completionJson(
  { text, tokens, finishReason, usage, stopToken, seed, logprobs, promptLogprobs }: Completion,
  { tokenizer, id, choice, showSeed, showStopToken }: CompletionJsonOptions,
): Record<string, unknown> {
  return {
    ...(id !== undefined && { id }),
    ...(choice !== undefined && { choice }),
    text,
    tokens,
    finishReason,
    usage,
    ...(showStopToken && { stopToken: stopToken ?? null }),
    ...(showSeed && { seed }),
    ...(logprobs && { logprobs: logprobs.map((place) => placeJson(place, tokenizer)) }),
    ...(promptLogprobs && { promptLogprobs: promptLogprobs.map((place) => placeJson(place, tokenizer)) }),
  };
}

const placeJson = ({ top, ...chosen }: PositionLogprobs, tokenizer: Tokenizer | undefined) => ({
  ...tokenJson(chosen, tokenizer),
  top: top.map((one) => tokenJson(one, tokenizer)),
});

/** A token's own bytes as text; half a character is U+FFFD, and the id tells which. */
const tokenJson = ({ token, logprob }: TokenLogprob, tokenizer: Tokenizer | undefined) => ({
  token,
  ...(tokenizer && { text: new TextDecoder().decode(tokenizer.tokenBytes(token)) }),
  logprob,
});
