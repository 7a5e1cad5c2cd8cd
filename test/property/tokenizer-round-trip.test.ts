/** Encoding and decoding are inverse on any bytes and any text; scanners cut exactly as their patterns do. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  BpeTokenizer,
  PRE_TOKENIZER_NAMES,
  preTokenizerOf,
  TextStream,
  trainBpe,
} from '../../src/tokenizer/index.ts';
import { patternPreTokenizer } from '../../src/tokenizer/pre-tokenizer.ts';
import { TextUnits } from '../../src/tokenizer/text-units.ts';
import { fuzzTexts, trainingTexts } from '../fixtures/tokenizer/fuzz-texts.ts';

const tokenizer = trainBpe(trainingTexts(), { vocabSize: 1000 });

/** Any UTF-16 string, lone surrogates included, leaning to what pre-tokenizers care about. */
const anyText = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 80 }),
  fc
    .array(
      fc.oneof(
        fc.constantFrom(
          "'",
          ' ',
          '\n',
          '\r',
          '\t',
          '\u00a0',
          '\u0085',
          '\ufeff',
          '\u017f',
          's',
          'S',
          'll',
          'VE',
          '1',
          '\u00bd',
        ),
        fc.constantFrom(
          '\ud83d',
          '\ude00',
          '\u{1f600}',
          '\u{1d7d8}',
          '\u{20000}',
          'e\u0301',
          '.',
          '<|im_end|>',
          'the',
        ),
        fc.string({ unit: 'binary', maxLength: 3 }),
      ),
      { maxLength: 40 },
    )
    .map((parts) => parts.join('')),
);

/** Lone surrogates as U+FFFD, by the platform's own coders. */
function wellFormed(text: string): string {
  return new TextDecoder('utf-8', { ignoreBOM: true }).decode(new TextEncoder().encode(text));
}

function chunksOf(scanner: ReturnType<ReturnType<typeof preTokenizerOf>['scanner']>, text: string): string[] {
  const source = new TextUnits().set(text);
  const chunks: string[] = [];
  for (let start = 0; start < text.length; ) {
    const end = scanner(source, start);
    chunks.push(text.slice(start, end));
    if (end <= start) throw new Error(`no progress at ${start}`);
    start = end;
  }
  return chunks;
}

describe('round trips', () => {
  it('any bytes come back from encodeBytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        expect(tokenizer.decodeBytes(tokenizer.encodeBytes(bytes))).toEqual(bytes);
      }),
      { numRuns: 2000 },
    );
    const all = Uint8Array.from({ length: 65536 }, (_, i) => (i * 2654435761) >>> 24);
    expect(tokenizer.decodeBytes(tokenizer.encodeBytes(all))).toEqual(all);
  });

  it('any text comes back, with lone surrogates as U+FFFD', () => {
    fc.assert(
      fc.property(anyText, (text) => {
        expect(tokenizer.decode(tokenizer.encode(text))).toBe(wellFormed(text));
        expect(tokenizer.encodeBytes(new TextEncoder().encode(text))).toEqual(tokenizer.encode(text));
      }),
      { numRuns: 2000 },
    );
  });

  it('parsed special tokens come back when they are kept', () => {
    fc.assert(
      fc.property(anyText, (text) => {
        const ids = tokenizer.encode(text, { special: 'parse' });
        expect(tokenizer.decode(ids, { special: 'keep' })).toBe(wellFormed(text));
      }),
      { numRuns: 500 },
    );
  });

  it('a stream of any ids is the decoding of all of them', () => {
    const anyIds = fc.array(fc.integer({ min: 0, max: tokenizer.vocabSize - 1 }), { maxLength: 60 });
    fc.assert(
      fc.property(anyIds, fc.constantFrom('skip' as const, 'keep' as const), (ids, special) => {
        const stream = new TextStream(tokenizer, { special });
        const text = ids.map((id) => stream.push(id)).join('') + stream.flush();
        expect(text).toBe(tokenizer.decode(ids, { special }));
      }),
      { numRuns: 1000 },
    );
  });

  it('a full cache of chunks changes no result', () => {
    // 140,000 different words, more than the cache takes.
    const letters = 'abcdefghijklmnopqrstuvwxyz';
    const words = Array.from({ length: 140_000 }, (_, i) =>
      [26 ** 3, 26 ** 2, 26, 1].map((place) => letters[Math.floor(i / place) % 26]).join(''),
    );
    expect(new Set(words).size).toBe(140_000);
    const text = words.join(' ');
    const fresh = new BpeTokenizer({
      tokens: Array.from({ length: tokenizer.vocabSize }, (_, id) =>
        tokenizer.isOrdinary(id) ? tokenizer.tokenBytes(id) : undefined,
      ),
      merges: tokenizer.merges.triples,
      addedTokens: tokenizer.addedTokens,
      preTokenizer: tokenizer.preTokenizer,
    });
    const first = fresh.encode(text);
    expect(fresh.decode(first) === text).toBe(true);
    expect(fresh.encode(text).join() === first.join()).toBe(true);
  });
});

describe('scanners', () => {
  it.each(PRE_TOKENIZER_NAMES)('%s cuts exactly where its pattern does', (name) => {
    const preTokenizer = preTokenizerOf(name);
    const byPattern = patternPreTokenizer(preTokenizer.patterns);
    const compare = (text: string) => {
      const fast = chunksOf(preTokenizer.scanner(), text);
      const slow = chunksOf(byPattern.scanner(), text);
      if (fast.join('\u0001') !== slow.join('\u0001'))
        expect({ text, chunks: fast }).toEqual({ text, chunks: slow });
    };
    fc.assert(fc.property(anyText, compare), { numRuns: 3000 });
    fuzzTexts(3000, 77).forEach(compare);
    // Every code point of the basic plane, each between a space and a letter.
    for (let code = 0; code < 0x10000; code++) compare(` ${String.fromCharCode(code)}a`);
    expect(chunksOf(preTokenizer.scanner(), 'a b')).toEqual(['a', ' b']);
  });

  it('gpt2-digits cuts as single digits followed by the pattern of GPT-2', () => {
    const twoPasses = patternPreTokenizer(['\\p{N}', ...preTokenizerOf('gpt2').patterns]);
    const onePass = preTokenizerOf('gpt2-digits');
    for (const text of fuzzTexts(4000, 78)) {
      expect(chunksOf(onePass.scanner(), text)).toEqual(chunksOf(twoPasses.scanner(), text));
    }
  });
});
