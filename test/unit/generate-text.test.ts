/** Text out of chosen tokens: characters and stop strings across the borders of tokens. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Generation } from '../../src/decode/generation.ts';
import type { CompletionChunk } from '../../src/decode/index.ts';
import { StopStrings } from '../../src/decode/stop-strings.ts';
import { trainBpe } from '../../src/tokenizer/index.ts';

const tokenizer = trainBpe([], { vocabSize: 259 });

/** Runs an answer whose most probable tokens are the bytes of a text, one by one. */
async function answer(
  bytes: Uint8Array,
  stop: string[],
  options: { maxTokens?: number; stopToken?: number } = {},
) {
  const chunks: CompletionChunk[] = [];
  const generation = new Generation(
    {
      prompt: Int32Array.of(1),
      maxTokens: options.maxTokens ?? bytes.length,
      chain: [{ stage: 'temperature', temperature: 0 }],
      seed: 0,
      choice: 0,
      stopTokens: new Set(options.stopToken === undefined ? [] : [options.stopToken]),
      stop,
      logprobs: undefined,
      logprobsMode: 'raw',
      promptLogprobs: undefined,
      signal: undefined,
      tokenizer,
    },
    { isAbandoned: false },
    (chunk) => chunks.push(chunk),
  );
  const ids = Array.from(bytes, (byte) => idOfByte[byte]!);
  if (options.stopToken !== undefined) ids.push(options.stopToken);
  for (const id of ids) {
    // The vocabulary of the model is padded beyond the tokenizer's: those ids must never be chosen.
    const logits = new Float32Array(tokenizer.vocabSize + 5).fill(0, 0).fill(9, tokenizer.vocabSize);
    logits[id] = 1;
    if (generation.next(logits) === undefined) break;
  }
  return { completion: await generation.completion, chunks };
}

const idOfByte = Array.from({ length: 256 }, (_, byte) =>
  Array.from({ length: tokenizer.vocabSize }, (_, id) => id).find((id) => {
    const bytes = tokenizer.tokenBytes(id);
    return id > 2 && bytes.length === 1 && bytes[0] === byte;
  }),
);
const utf8 = (text: string) => new TextEncoder().encode(text);

describe('a generated text', () => {
  it('is never given out with half a character', async () => {
    const text = 'a\u{1f600}\u00e9\u4f60!';
    const { completion, chunks } = await answer(utf8(text), []);
    expect(completion.text).toBe(text);
    expect(chunks.map((chunk) => chunk.text)).toEqual(['a', '\u{1f600}', '\u00e9', '\u4f60', '!']);
    expect(chunks.map(({ tokens }) => tokens.length)).toEqual([1, 4, 2, 3, 1]);
  });

  it('ends with U+FFFD when the last character is cut', async () => {
    const { completion, chunks } = await answer(utf8('ab\u{1f600}').subarray(0, 4), []);
    expect(completion.text).toBe('ab\ufffd');
    expect(chunks.map((chunk) => chunk.text).join('')).toBe(completion.text);
    expect(chunks.flatMap(({ tokens }) => tokens)).toEqual(completion.tokens);
  });

  it('ends at a stop token, which is counted and not shown', async () => {
    const end = tokenizer.idOf('<|im_end|>')!;
    const { completion } = await answer(utf8('yes'), [], { stopToken: end, maxTokens: 10 });
    expect(completion).toMatchObject({
      text: 'yes',
      finishReason: 'stop',
      stopToken: end,
      usage: { promptTokens: 1, completionTokens: 4 },
    });
  });

  it('ends before a stop string whose bytes come one by one, in several alphabets', async () => {
    for (const [text, stop, want] of [
      ['one\n\ntwo', ['\n\n'], 'one'],
      ['abcabcabd-', ['abd'], 'abcabc'],
      ['aaab', ['aab'], 'a'],
      ['x \u{1f600}\u{1f601} y', ['\u{1f601}'], 'x \u{1f600}'],
      ['\u{1f600}\u{1f601}', ['\u{1f600}\u{1f601}'], ''],
      ['stop', ['op', 'sto'], ''],
      ['no such thing', ['STOP'], 'no such thing'],
    ] as const) {
      const { completion, chunks } = await answer(utf8(text), [...stop]);
      expect(completion.text).toBe(want);
      expect(chunks.map((chunk) => chunk.text).join('')).toBe(want);
      expect(completion.finishReason).toBe(want === text ? 'length' : 'stop');
    }
  });

  it('gives out what was held back for a stop string that did not come', async () => {
    const { completion, chunks } = await answer(utf8('halt sto'), ['stop']);
    expect(completion.text).toBe('halt sto');
    expect(completion.finishReason).toBe('length');
    expect(chunks.at(-1)!.text).toBe('sto');
  });
});

describe('StopStrings', () => {
  it('gives the text before the first stop string, however it is cut, and holds back no more than needed', () => {
    const letters = fc.string({ unit: fc.constantFrom('a', 'b', '\u{1f600}'), maxLength: 12 });
    const stops = fc.array(
      fc.string({ unit: fc.constantFrom('a', 'b', '\u{1f600}'), minLength: 1, maxLength: 4 }),
      {
        maxLength: 3,
      },
    );
    fc.assert(
      fc.property(fc.array(letters, { maxLength: 6 }), stops, (pieces, strings) => {
        const text = pieces.join('');
        const found = strings.map((string) => text.indexOf(string)).filter((at) => at >= 0);
        const stopper = new StopStrings(strings);
        let given = '';
        let read = '';
        for (const piece of pieces) {
          given += stopper.push(piece);
          read += piece;
          if (stopper.isFound) break;
          const held = read.slice(given.length);
          expect(strings.some((string) => string.startsWith(held)) || held === '').toBe(true);
        }
        expect(stopper.isFound).toBe(found.length > 0);
        // A longer text may hold an earlier start of another stop string; what is read decides.
        const first = strings.map((string) => read.indexOf(string)).filter((at) => at >= 0);
        if (stopper.isFound) expect(given).toBe(read.slice(0, Math.min(...first)));
        else expect(given + stopper.flush()).toBe(text);
      }),
      { numRuns: 1000, seed: 2 },
    );
  });

  it('refuses strings that cannot be found, or too many', () => {
    expect(() => new StopStrings([''])).toThrow(/1 to 1024/);
    expect(() => new StopStrings(['x'.repeat(1025)])).toThrow(/1 to 1024/);
    expect(() => new StopStrings([5 as unknown as string])).toThrow(/stop: 5/);
    expect(() => new StopStrings(new Array(65).fill('x'))).toThrow(/at most 64/);
  });
});
