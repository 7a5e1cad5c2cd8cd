/** Training gives the merges that are known for published examples, and those of a slow reference on others. */
import { describe, expect, it } from 'vitest';
import { KeyedRandom } from '../../src/core/random.ts';
import { type BpeTokenizer, type TieBreak, trainBpe } from '../../src/tokenizer/index.ts';
import { referenceEncode, referenceTrain } from '../fixtures/tokenizer/reference-bpe.ts';

/** Merges as "left right" in text. */
function mergesOf(tokenizer: BpeTokenizer): string[] {
  const { triples, size } = tokenizer.merges;
  const name = (id: number) => new TextDecoder().decode(tokenizer.tokenBytes(id));
  return Array.from({ length: size }, (_, i) => `${name(triples[3 * i]!)} ${name(triples[3 * i + 1]!)}`);
}

function triplesOf(tokenizer: BpeTokenizer): [number, number, number][] {
  const { triples, size } = tokenizer.merges;
  return Array.from(
    { length: size },
    (_, i) => [...triples.subarray(3 * i, 3 * i + 3)] as [number, number, number],
  );
}

// Sennrich et al. 2016, with the counts of Stanford CS336, assignment 1, section 2.4:
// low 5, lower 2, widest 3, newest 6.
const STANFORD =
  'low low low low low lower lower widest widest widest newest newest newest newest newest newest';
const WORDS = { pattern: '\\S+' };

describe('published examples', () => {
  it('the first six merges of the CS336 example (ties: greater bytes first)', () => {
    const tokenizer = trainBpe([STANFORD], {
      vocabSize: 256 + 6 + 1,
      specialTokens: ['<|endoftext|>'],
      preTokenizer: WORDS,
      tieBreak: 'greater-bytes',
    });
    expect(mergesOf(tokenizer)).toEqual(['s t', 'e st', 'o w', 'l ow', 'w est', 'n e']);
    expect(tokenizer.specialTokens.get('<|endoftext|>')).toBe(262);
    // The same section encodes "newest" with these merges as [ne, west].
    expect(tokenizer.encode('newest')).toEqual([tokenizer.idOf('ne'), tokenizer.idOf('west')]);
  });

  it('the same text with ties by pair ids (counts worked out by hand)', () => {
    // e s and s t both occur 9 times: e = 0x65 is less than s = 0x73, so "e s" comes first, then "es t" (9).
    // Then l o 7 and o w 7 (l is less): "l o", then "lo w"; then n e 6, e w 6, w est 6: "e w" (0x65) first;
    // that leaves n ew 6 and ew est 6: "n ew" (0x6e) comes before "ew est", whose left id is above 255.
    const tokenizer = trainBpe([STANFORD], { vocabSize: 256 + 6, specialTokens: [], preTokenizer: WORDS });
    expect(mergesOf(tokenizer)).toEqual(['e s', 'es t', 'l o', 'lo w', 'e w', 'n ew']);
  });

  it('the example "aaabdaaabac" of the Wikipedia article on byte-pair encoding', () => {
    // Z = aa, Y = ab, X = ZY; the article gives "XdXac" as the result.
    const tokenizer = trainBpe(['aaabdaaabac'], {
      vocabSize: 256 + 3,
      specialTokens: [],
      preTokenizer: { pattern: '[^]+'.replace('[^]', '[\\s\\S]') },
    });
    expect(mergesOf(tokenizer)).toEqual(['a a', 'a b', 'aa ab']);
    expect(tokenizer.encode('aaabdaaabac')).toEqual([258, 100, 258, 97, 99]);
  });
});

describe('a slow reference', () => {
  const alphabets = ['ab', 'abc', 'ab c', 'the quick brown', '\u4f60\u597d \u{1f600}\u{1f601}', 'aAbB 01\n'];
  for (const tieBreak of ['pair-ids', 'greater-bytes'] satisfies TieBreak[]) {
    it(`learns the same merges and encodes to the same ids on random corpora (${tieBreak})`, () => {
      const random = new KeyedRandom(11);
      let draw = 0;
      for (let round = 0; round < 40; round++) {
        const letters = [...alphabets[round % alphabets.length]!];
        const documents = Array.from({ length: 1 + random.integer(draw++, 6) }, () => {
          const length = random.integer(draw++, 120);
          return Array.from({ length }, () => random.pick(draw++, letters)).join('');
        });
        const numTokens = 256 + 1 + random.integer(draw++, 40);
        // Cut by a regular expression here, so that the scanners are not trusted either.
        const chunks = documents.flatMap((text) => text.match(/ ?\p{L}+|[^\p{L}]/gu) ?? []);
        const reference = referenceTrain(
          chunks.map((chunk) => new TextEncoder().encode(chunk)),
          numTokens,
          tieBreak,
        );
        const tokenizer = trainBpe(documents, {
          vocabSize: numTokens,
          specialTokens: [],
          preTokenizer: { pattern: ' ?\\p{L}+|[^\\p{L}]' },
          tieBreak,
        });
        expect(triplesOf(tokenizer)).toEqual(reference.triples);
        expect(tokenizer.vocabSize).toBe(reference.tokens.length);
        expect(new Set(reference.tokens.map((bytes) => bytes.join())).size).toBe(reference.tokens.length);
        for (const chunk of chunks.slice(0, 40)) {
          expect(tokenizer.encode(chunk)).toEqual(
            referenceEncode(new TextEncoder().encode(chunk), reference.triples),
          );
        }
      }
    });
  }

  it('agrees on one long chunk, where merging keeps a heap instead of scanning', () => {
    const random = new KeyedRandom(12);
    for (let round = 0; round < 10; round++) {
      const text = Array.from({ length: 700 }, (_, i) => random.pick(1000 * round + i, [...'aab'])).join('');
      const bytes = new TextEncoder().encode(text);
      const reference = referenceTrain([bytes], 300, 'pair-ids');
      const tokenizer = trainBpe([text], { vocabSize: 300, specialTokens: [], preTokenizer: WORDS });
      expect(triplesOf(tokenizer)).toEqual(reference.triples);
      expect(tokenizer.encode(text)).toEqual(referenceEncode(bytes, reference.triples));
      // The first bytes are pieces of the same size that take the scanning path.
      for (const length of [1, 2, 3, 47, 48, 49, 50]) {
        const part = bytes.subarray(0, length);
        expect(tokenizer.encodeBytes(part)).toEqual(referenceEncode(part, reference.triples));
      }
    }
  });
});
