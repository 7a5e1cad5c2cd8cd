/**
 * MinHash and banding against theory. A signature of k functions estimates the Jaccard similarity J with standard
 * error sqrt(J(1-J)/k); a pair is found with probability 1 - (1 - J^rows)^bands (Leskovec, Rajaraman, Ullman,
 * Mining of Massive Datasets, 3.3-3.4). True similarities are computed from the sets of shingles themselves.
 */
import { describe, expect, test } from 'vitest';
import { KeyedRandom } from '../../src/core/random.ts';
import { estimateJaccard, findDuplicatesInMemory, MinHasher } from '../../src/data/dedup/index.ts';
import { speeches } from '../fixtures/data/speeches.ts';

const SIZE = 5;

function shinglesOf(words: readonly string[]): Set<string> {
  const shingles = new Set<string>();
  for (let i = 0; i + SIZE <= words.length; i++) shingles.add(words.slice(i, i + SIZE).join(' '));
  return shingles;
}

function jaccard(a: readonly string[], b: readonly string[]): number {
  const inA = shinglesOf(a);
  const inB = shinglesOf(b);
  let numShared = 0;
  for (const shingle of inA) if (inB.has(shingle)) numShared++;
  return numShared / (inA.size + inB.size - numShared);
}

/** Words as they are after normalization, so that sets of shingles here are those of the hasher. */
const allWords = speeches(120)
  .join(' ')
  .toLowerCase()
  .replace(/[^a-z\s]/g, '')
  .split(/\s+/)
  .filter((word) => word !== '');

/** Passages of real text that do not overlap. */
function passages(count: number, numWords: number): string[][] {
  const step = Math.floor(allWords.length / count);
  if (step < numWords) throw new Error(`only ${allWords.length} words`);
  return Array.from({ length: count }, (_, i) => allWords.slice(i * step, i * step + numWords));
}

/** A word for a number, in letters alone: digits are folded. */
function letters(number: number): string {
  let word = '';
  for (let rest = number; rest >= 1; rest = Math.floor(rest / 26))
    word += String.fromCharCode(97 + (rest % 26));
  return `q${word}`;
}

/** Replaces words at drawn places until the similarity to the original is in the band; tries again if it jumps. */
function edited(words: readonly string[], low: number, high: number, random: KeyedRandom): string[] {
  for (let attempt = 0; attempt < 50; attempt++) {
    const copy = [...words];
    for (let i = 0; i < words.length; i++) {
      const draw = 1000 * attempt + i;
      copy[random.integer(2 * draw, words.length)] = letters(random.uint32(2 * draw + 1));
      // An edit changes five shingles at most: before that many edits the texts are too similar.
      const numShingles = words.length - SIZE + 1;
      const numChanged = SIZE * (i + 1);
      if ((numShingles - numChanged) / (numShingles + numChanged) > high) continue;
      const similarity = jaccard(words, copy);
      if (similarity < low) break;
      if (similarity <= high) return copy;
    }
  }
  throw new Error(`no edit reaches ${low} to ${high}`);
}

/** Two texts with similarity shared / (2 x total - shared) by construction: a common part and parts of their own. */
function pairWith(
  similarity: number,
  total: number,
  seed: number,
): { texts: [string, string]; true: number } {
  const numShared = Math.round((2 * total * similarity) / (1 + similarity));
  const word = (i: number): string => letters(1e5 * seed + i);
  const common = Array.from({ length: numShared === 0 ? 0 : numShared + SIZE - 1 }, (_, i) => word(i));
  const own = (from: number): string[] =>
    Array.from({ length: total + SIZE - 1 - common.length }, (_, i) => word(from + i));
  const a = [...common, ...own(10_000)];
  const b = [...common, ...own(20_000)];
  return { texts: [a.join(' '), b.join(' ')], true: jaccard(a, b) };
}

describe('a signature', () => {
  const hasher = new MinHasher();
  const numHashes = hasher.numHashes;

  test('estimates similarity within .21 over 20 points', () => {
    for (let point = 0; point < 20; point++) {
      const pair = pairWith(point / 20, 200, 100 + point);
      const [a, b] = pair.texts;
      const estimated = estimateJaccard(hasher.signature(a), hasher.signature(b));
      expect(Math.abs(estimated - pair.true)).toBeLessThan(0.21);
    }
  });

  test.each([3, 12, 100, 1000])('has no bias and the binomial spread on texts of %i shingles', (total) => {
    const count = total >= 1000 ? 50 : 300;
    for (const similarity of [0.25, 0.5, 0.8, 0.95]) {
      let sum = 0;
      let sumSquares = 0;
      let expectedSquares = 0;
      for (let seed = 0; seed < count; seed++) {
        const pair = pairWith(similarity, total, 5000 * total + seed);
        const [a, b] = pair.texts;
        const error = estimateJaccard(hasher.signature(a), hasher.signature(b)) - pair.true;
        sum += error;
        sumSquares += error * error;
        expectedSquares += (pair.true * (1 - pair.true)) / numHashes;
      }
      // The mean of n errors has standard deviation sqrt(J(1-J)/k/n); four of them, and .01 at most over 300.
      expect(Math.abs(sum / count)).toBeLessThan(
        Math.min(count < 300 ? 0.025 : 0.01, (4 * Math.sqrt(expectedSquares)) / count + 1e-12),
      );
      // A sum of squares of n normal errors varies by sqrt(2/n) of itself; hashing a few points adds a little.
      if (expectedSquares > 0) {
        expect(sumSquares / expectedSquares).toBeGreaterThan(1 - 5 * Math.sqrt(2 / count));
        expect(sumSquares / expectedSquares).toBeLessThan(1 + 5 * Math.sqrt(2 / count));
      }
    }
  });

  test('is the same for texts that differ in case, accents, punctuation, white space and numbers', () => {
    const a = hasher.signature('The Café, at  noon: 12,000 people came -- "all" of them.');
    const b = hasher.signature('the cafe at noon 7 PEOPLE\ncame all of them');
    expect(a).toEqual(b);
  });

  test('of a text with fewer words than a shingle is that of one shingle', () => {
    expect(hasher.sign('two words')).toBe(1);
    expect(hasher.signature('Two words!')).toEqual(hasher.signature('two words'));
    expect(estimateJaccard(hasher.signature('two words'), hasher.signature('words two'))).toBe(0);
  });

  test('of a text without words is all ones, and such texts are not duplicates', () => {
    expect(hasher.sign('... !')).toBe(0);
    expect(hasher.signature(' ')).toEqual(new Uint32Array(numHashes).fill(0xffffffff));
    const set = findDuplicatesInMemory([{ text: '' }, { text: '' }, { text: '--' }], { kind: 'minhash' });
    expect(set.numDuplicates).toBe(0);
  });

  test('depends on the seed', () => {
    const text = 'one two three four five six';
    expect(new MinHasher({ seed: 2 }).signature(text)).not.toEqual(hasher.signature(text));
    expect(new MinHasher({ seed: 1 }).signature(text)).toEqual(hasher.signature(text));
  });

  test.each(['zh', 'th', 'my'])('tells texts of a script without spaces apart (%s)', (language) => {
    const sentences = {
      zh: [
        '人人生而自由在尊严和权利上一律平等他们赋有理性和良心',
        '人人有资格享有本宣言所载的一切权利和自由不分种族',
      ],
      th: ['มนุษย์ทั้งหลายเกิดมามีอิสระและเสมอภาคกันในเกียรติศักดิ์', 'ทุกคนย่อมมีสิทธิและอิสรภาพบรรดาที่กำหนดไว้ในปฏิญญานี้'],
      my: ['လူတိုင်းသည်တူညီလွတ်လပ်သောဂုဏ်သိက္ခာဖြင့်လည်းကောင်း', 'လူတိုင်းသည်ဤကြေညာစာတမ်းတွင်ဖော်ပြထားသည့်အခွင့်အရေး'],
    }[language]!;
    const [a, b] = sentences as [string, string];
    const similar = `${a.slice(0, -1)}`;
    expect(estimateJaccard(hasher.signature(a), hasher.signature(similar))).toBeGreaterThan(0.75);
    expect(estimateJaccard(hasher.signature(a), hasher.signature(b))).toBeLessThan(0.35);
  });
});

describe("clusters at datatrove's settings", () => {
  test('six planted clusters keep exactly six documents', () => {
    const random = new KeyedRandom(6);
    const originals = passages(6, 300);
    const documents = originals.flatMap((words, cluster) => [
      words,
      ...Array.from({ length: 4 }, (_, copy) => edited(words, 0.9, 0.97, random.fork(`${cluster}.${copy}`))),
    ]);
    // Copies of different clusters alternate.
    const order = random.permutation(documents.length);
    const texts = [...order].map((i) => ({ text: documents[i]!.join(' ') }));
    const set = findDuplicatesInMemory(texts, { kind: 'minhash', preset: 'datatrove' });
    expect(set.numDocuments - set.numDuplicates).toBe(6);
    expect(set.numClusters).toBe(6);
    for (let i = 0; i < order.length; i++) {
      const representative = set.representativeOf(i);
      expect(Math.floor(order[representative]! / 5)).toBe(Math.floor(order[i]! / 5));
      expect(representative).toBeLessThanOrEqual(i);
    }
  });

  test('find .9 of 1,000 planted pairs of similarity .8, and little else', () => {
    const numPairs = 1000;
    const random = new KeyedRandom(8);
    // Four edits of five shingles each in 180: (180 - 20) / (180 + 20) = .8.
    const originals = passages(2 * numPairs, 184);
    const planted = originals
      .slice(0, numPairs)
      .map((words, i) => [words, edited(words, 0.79, 0.81, random.fork(`pair ${i}`))] as const);
    const distractors = originals.slice(numPairs).flatMap((words, i) =>
      // Half of the others have a partner too, that shares up to .4 of their shingles.
      i % 2 === 0 ? [words] : [words, edited(words, 0.3, 0.4, random.fork(`distractor ${i}`))],
    );
    const texts = [...planted.flat(), ...distractors].map((words) => ({ text: words.join(' ') }));
    const set = findDuplicatesInMemory(texts, { kind: 'minhash', preset: 'datatrove' });
    let numFound = 0;
    for (let i = 0; i < numPairs; i++) if (set.representativeOf(2 * i + 1) === 2 * i) numFound++;
    // Theory: 1 - (1 - .8^8)^14 = .924.
    expect(numFound / numPairs).toBeGreaterThanOrEqual(0.9);
    expect(numFound / set.numDuplicates).toBeGreaterThanOrEqual(0.95);
  });

  test('are found at every similarity as often as theory says', () => {
    const numPairs = 250;
    const rows = [];
    for (const similarity of [0.5, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9]) {
      const pairs = Array.from({ length: numPairs }, (_, i) =>
        pairWith(similarity, 120, 1000 * Math.round(100 * similarity) + i),
      );
      const set = findDuplicatesInMemory(
        pairs.flatMap(({ texts }) => texts.map((text) => ({ text }))),
        { kind: 'minhash' },
      );
      const { true: s } = pairs[0]!;
      const expected = 1 - (1 - s ** 8) ** 14;
      rows.push({ s, expected, found: set.numDuplicates / numPairs });
    }
    let chiSquare = 0;
    for (const { expected, found } of rows) {
      chiSquare += (found - expected) ** 2 / ((expected * (1 - expected)) / numPairs);
    }
    // Chi-square with 8 degrees of freedom passes 26.1 once in a thousand draws.
    expect(chiSquare).toBeLessThan(26.1);
  });

  test('hold only similar documents when similarity is asked for', () => {
    const numPairs = 200;
    const pairs = (similarity: number): { text: string }[] =>
      Array.from({ length: numPairs }, (_, i) => pairWith(similarity, 120, 31 * i + 1))
        .flatMap(({ texts }) => texts)
        .map((text) => ({ text }));
    const loose = { kind: 'minhash', preset: 'text-dedup' } as const;
    const strict = { ...loose, minSimilarity: 0.7 } as const;
    // Bands of four rows find nearly all pairs of similarity .5; verification leaves none of them.
    expect(findDuplicatesInMemory(pairs(0.5), loose).numDuplicates).toBeGreaterThan(0.9 * numPairs);
    expect(findDuplicatesInMemory(pairs(0.5), strict).numDuplicates).toBe(0);
    expect(findDuplicatesInMemory(pairs(0.9), strict).numDuplicates).toBe(numPairs);
  });

  test('keep the longest document on request', () => {
    const words = passages(1, 200)[0]!;
    const texts = [words, [...words, 'the', 'end'], words].map((list) => ({ text: list.join(' ') }));
    const set = findDuplicatesInMemory(texts, { kind: 'minhash', keep: 'longest' });
    expect([0, 1, 2].map((i) => set.representativeOf(i))).toEqual([1, 1, 1]);
    expect(set.isDuplicate(1)).toBe(false);
  });
});
