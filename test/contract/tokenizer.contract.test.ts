/** What every `Tokenizer` must do, run against every implementation. */
import { describe, expect, it } from 'vitest';
import { PlinthError } from '../../src/core/errors.ts';
import {
  PRE_TOKENIZER_NAMES,
  parseTokenizerJson,
  TextStream,
  type Tokenizer,
  TokenizerError,
  tokenizerJsonOf,
  trainBpe,
} from '../../src/tokenizer/index.ts';
import { fuzzTexts, trainingTexts } from '../fixtures/tokenizer/fuzz-texts.ts';
import { sentencePieceJson } from '../fixtures/tokenizer/sentencepiece-files.ts';

const TEXTS = [
  '',
  'a',
  'Hello, world! 1234 \u{1f600}',
  ...fuzzTexts(300, 41).map((text) => text.replaceAll('\u2581', '_')),
];

export function describeTokenizer(name: string, make: () => Tokenizer): void {
  describe(`Tokenizer contract: ${name}`, () => {
    const tokenizer = make();
    const [special, specialId] = [...tokenizer.specialTokens][0]!;

    it('decodes what it encoded', () => {
      for (const text of TEXTS) expect(tokenizer.decode(tokenizer.encode(text))).toBe(text);
    });

    it('gives ids in [0, vocabSize) and the same ids every time', () => {
      for (const text of TEXTS) {
        const ids = tokenizer.encode(text);
        expect(ids.every((id) => Number.isInteger(id) && id >= 0 && id < tokenizer.vocabSize)).toBe(true);
        expect(tokenizer.encode(text)).toEqual(ids);
      }
    });

    it('keeps names of special tokens as text by default and parses them on request', () => {
      const text = `a${special}b`;
      expect(tokenizer.encode(text)).not.toContain(specialId);
      expect(tokenizer.decode(tokenizer.encode(text))).toBe(text);
      const parsed = tokenizer.encode(text, { special: 'parse' });
      expect(parsed.filter((id) => id === specialId)).toHaveLength(1);
    });

    it('skips special tokens in decoded text unless told to keep them', () => {
      const ids = [specialId, ...tokenizer.encode('abc'), specialId];
      expect(tokenizer.decode(ids).trim()).toBe('abc');
      expect(tokenizer.decode(ids, { special: 'keep' }).replaceAll(' ', '')).toBe(`${special}abc${special}`);
      expect(tokenizer.decodeBytes([specialId])).toHaveLength(0);
    });

    it('has bytes for every id, and they make up the text', () => {
      for (let id = 0; id < tokenizer.vocabSize; id++)
        expect(tokenizer.tokenBytes(id)).toBeInstanceOf(Uint8Array);
      for (const text of TEXTS.slice(0, 60)) {
        const ids = tokenizer.encode(text, { continues: true });
        const joined = ids.flatMap((id) => [...tokenizer.tokenBytes(id)]);
        expect(joined).toEqual([...new TextEncoder().encode(text)]);
      }
      expect(tokenizer.tokenBytes(specialId)).toEqual(new TextEncoder().encode(special));
    });

    it('finds ids by name', () => {
      expect(tokenizer.idOf(special)).toBe(specialId);
      expect(tokenizer.tokenBytes(tokenizer.idOf('t')!)).toEqual(Uint8Array.of(0x74));
      expect(tokenizer.idOf(' the')).toBeDefined();
      expect(tokenizer.decodeBytes([tokenizer.idOf('t')!, tokenizer.idOf(' the')!])).toEqual(
        new TextEncoder().encode('t the'),
      );
      expect(tokenizer.idOf('no such token, surely')).toBeUndefined();
    });

    it.each([-1, 1.5, Number.NaN, 1e9, undefined as unknown as number])('refuses the id %s', (id) => {
      for (const attempt of [() => tokenizer.decode([id]), () => tokenizer.tokenBytes(id)]) {
        expect(attempt).toThrow(TokenizerError);
        expect(attempt).toThrow(PlinthError);
        expect(attempt).toThrow(`0 to ${tokenizer.vocabSize - 1}`);
      }
    });

    it('decodes from any array-like', () => {
      const ids = tokenizer.encode('hello world');
      expect(tokenizer.decode(Int32Array.from(ids))).toBe('hello world');
      expect(tokenizer.decode(Uint32Array.from(ids))).toBe('hello world');
    });

    it('writes broken UTF-8 as U+FFFD, and encodes lone surrogates as U+FFFD', () => {
      const bytes = tokenizer.encode('\u{1f9a5}', { continues: true });
      expect(bytes.length).toBeGreaterThan(1);
      expect(tokenizer.decode(bytes.slice(0, -1))).toBe('\ufffd');
      expect(tokenizer.encode('x\ud800y')).toEqual(tokenizer.encode('x\ufffdy'));
      expect(tokenizer.encode('\udc00')).toEqual(tokenizer.encode('\ufffd'));
    });

    it('streams text token by token without broken characters', () => {
      for (const text of TEXTS) {
        const stream = new TextStream(tokenizer);
        const pieces = tokenizer.encode(text, { continues: true }).map((id) => stream.push(id));
        expect(pieces.join('') + stream.flush()).toBe(text);
        if (!text.includes('\ufffd')) expect(pieces.join('')).not.toContain('\ufffd');
      }
      const broken = new TextStream(tokenizer);
      const half = tokenizer.encode('\u{1f9a5}', { continues: true }).slice(0, -1);
      expect(half.map((id) => broken.push(id)).join('')).toBe('');
      expect(broken.push(specialId)).toBe('');
      expect(broken.flush()).toBe('\ufffd');
      expect(new TextStream(tokenizer, { special: 'keep' }).push(specialId)).toBe(special);
      expect(() => broken.push(0)).toThrow(TokenizerError);
    });

    it('takes a hostile text of a million characters without a break', () => {
      for (const text of ['a'.repeat(1e6), ' '.repeat(3e5), '\u{1f600}'.repeat(1e5), '<|'.repeat(1e5)]) {
        const ids = tokenizer.encode(text, { special: 'parse' });
        expect(tokenizer.decode(ids) === text).toBe(true);
      }
    });
  });
}

const TRAINING = trainingTexts();

for (const preTokenizer of PRE_TOKENIZER_NAMES) {
  describeTokenizer(`trained, ${preTokenizer}`, () => trainBpe(TRAINING, { vocabSize: 900, preTokenizer }));
}
describeTokenizer('trained, own pattern', () =>
  trainBpe(TRAINING, { vocabSize: 900, preTokenizer: { pattern: ' ?\\p{L}+' } }),
);
describeTokenizer('read from a byte-level file', () =>
  parseTokenizerJson(JSON.stringify(tokenizerJsonOf(trainBpe(TRAINING, { vocabSize: 900 })))),
);
for (const style of ['llama-2', 'gemma'] as const) {
  describeTokenizer(`read from a file in the style of ${style}`, () =>
    parseTokenizerJson(sentencePieceJson(style)),
  );
}
