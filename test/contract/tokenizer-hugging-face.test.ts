/**
 * Our `tokenizer.json` gives the same ids when `@huggingface/tokenizers` loads it, and files made elsewhere give
 * the same ids here as there.
 */
import { Tokenizer as HuggingFaceTokenizer } from '@huggingface/tokenizers';
import { describe, expect, it } from 'vitest';
import {
  DEFAULT_TOKENIZER_CONFIG,
  formatTokenizerConfig,
  formatTokenizerJson,
  PRE_TOKENIZER_NAMES,
  parseTokenizerJson,
  type Tokenizer,
  tokenizerJsonOf,
  trainBpe,
} from '../../src/tokenizer/index.ts';
import { fuzzTexts, trainingTexts } from '../fixtures/tokenizer/fuzz-texts.ts';
import { sentencePieceJson } from '../fixtures/tokenizer/sentencepiece-files.ts';

const SPECIAL = ['<|endoftext|>', '<|im_start|>', '<|im_end|>'];
type Json = Record<string, unknown>;

function loadThere(json: Json, config: Json = {}): HuggingFaceTokenizer {
  return new HuggingFaceTokenizer(json, { clean_up_tokenization_spaces: false, ...config });
}

function expectSameIds(here: Tokenizer, there: HuggingFaceTokenizer, texts: readonly string[]): void {
  for (const text of texts) {
    const expected = text === '' ? [] : there.encode(text, { add_special_tokens: false }).ids;
    const ids = here.encode(text, { special: 'parse' });
    // A direct comparison first: building a matcher's message for thousands of texts is slow.
    if (ids.join() !== expected.join()) expect({ text, ids }).toEqual({ text, ids: expected });
    if (ids.length > 0) {
      const kept = here.decode(ids, { special: 'keep' });
      const decodedThere = there.decode(ids, {
        skip_special_tokens: false,
        clean_up_tokenization_spaces: false,
      });
      if (kept !== decodedThere) expect({ text, decoded: kept }).toEqual({ text, decoded: decodedThere });
    }
  }
}

describe('files written here, read by @huggingface/tokenizers', () => {
  it.each(PRE_TOKENIZER_NAMES)('%s: equal ids and text on 3,000 fuzz strings', (preTokenizer) => {
    const tokenizer = trainBpe(trainingTexts(), { vocabSize: 1200, preTokenizer });
    expect(tokenizer.vocabSize).toBe(1200);
    const there = loadThere(
      JSON.parse(formatTokenizerJson(tokenizer)),
      JSON.parse(formatTokenizerConfig(tokenizer, DEFAULT_TOKENIZER_CONFIG)),
    );
    const texts = fuzzTexts(3000, 99, SPECIAL);
    expect(texts.some((text) => text.includes('<|im_end|>'))).toBe(true);
    expectSameIds(tokenizer, there, texts);
    // The file read again is the same tokenizer.
    const again = parseTokenizerJson(formatTokenizerJson(tokenizer));
    for (const text of texts) expect(again.encode(text).join()).toBe(tokenizer.encode(text).join());
    expect(formatTokenizerJson(again)).toBe(formatTokenizerJson(tokenizer));
  });

  it('a pattern of one own, compiled from the file there', () => {
    const tokenizer = trainBpe(trainingTexts(), {
      vocabSize: 700,
      preTokenizer: { pattern: '\\p{Lu}?\\p{Ll}+|\\d{2}|[^\\S\\n]+' },
    });
    expectSameIds(tokenizer, loadThere(tokenizerJsonOf(tokenizer)), fuzzTexts(1500, 5, SPECIAL));
  });
});

describe('files made elsewhere', () => {
  const base = () =>
    tokenizerJsonOf(trainBpe(trainingTexts(), { vocabSize: 900, preTokenizer: 'gpt2' })) as Json;
  const model = (json: Json) => json.model as Json;
  const QWEN =
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
  const O200K =
    "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|" +
    "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]+[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|" +
    '\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+';
  const byteLevel = (use_regex: boolean) => ({
    type: 'ByteLevel',
    add_prefix_space: false,
    trim_offsets: true,
    use_regex,
  });
  const split = (Regex: string) => ({
    type: 'Split',
    pattern: { Regex },
    behavior: 'Isolated',
    invert: false,
  });

  const variants: [string, (json: Json) => void][] = [
    [
      'GPT-2: ByteLevel alone, merges as "a b"',
      (json) => {
        json.pre_tokenizer = byteLevel(true);
        model(json).merges = (model(json).merges as [string, string][]).map((pair) => pair.join(' '));
      },
    ],
    [
      'Qwen: Split, then ByteLevel, NFC',
      (json) => {
        json.normalizer = { type: 'NFC' };
        json.pre_tokenizer = { type: 'Sequence', pretokenizers: [split(QWEN), byteLevel(false)] };
      },
    ],
    [
      'Llama 3: ignore_merges',
      (json) => {
        model(json).ignore_merges = true;
        // Merges that no longer lead to every token, so that the setting matters.
        model(json).merges = (model(json).merges as unknown[]).filter((_, i) => i % 5 !== 4);
        json.pre_tokenizer = {
          type: 'Sequence',
          pretokenizers: [split(QWEN.replace('\\p{N}|', '\\p{N}{1,3}|')), byteLevel(false)],
        };
      },
    ],
    [
      'o200k: a pattern without a scanner',
      (json) => {
        json.pre_tokenizer = { type: 'Sequence', pretokenizers: [split(O200K), byteLevel(false)] };
      },
    ],
    [
      'two Splits, one after the other',
      (json) => {
        json.pre_tokenizer = {
          type: 'Sequence',
          pretokenizers: [split('\\p{N}{1,3}'), split('[\\p{L}\\s]+'), byteLevel(false)],
        };
      },
    ],
    [
      'single digits, then GPT-2',
      (json) => {
        json.pre_tokenizer = {
          type: 'Sequence',
          pretokenizers: [
            split('\\p{N}'),
            split("'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"),
            byteLevel(false),
          ],
        };
      },
    ],
    [
      'added tokens that are not special, and lstrip/rstrip',
      (json) => {
        const added = json.added_tokens as Json[];
        added.push({
          id: 900,
          content: '<think>',
          special: false,
          lstrip: false,
          rstrip: false,
          single_word: false,
          normalized: false,
        });
        added.push({
          id: 901,
          content: '<mask>',
          special: true,
          lstrip: true,
          rstrip: true,
          single_word: false,
          normalized: false,
        });
      },
    ],
  ];

  it.each(variants)('%s: equal ids', (name, change) => {
    const json = base();
    change(json);
    const texts = fuzzTexts(1500, 17, [...SPECIAL, '<think>', '<mask>', ' <mask> ']);
    // There, \s in ByteLevel's own pattern is JavaScript's, which is wrong for these two characters.
    const usable = texts.filter((text) => !/[\u0085\ufeff]/.test(text));
    const here = parseTokenizerJson(JSON.stringify(json));
    expectSameIds(here, loadThere(json), usable);
    if (name.startsWith('added')) {
      expect(here.encode('a<think>b')).toContain(900);
      expect(here.encode('a<mask>b')).not.toContain(901);
    }
  });

  it.each(['llama-2', 'mistral', 'gemma'] as const)(
    'SentencePiece style, %s: equal ids and text',
    (style) => {
      const json = sentencePieceJson(style);
      const there = loadThere(json);
      const here = parseTokenizerJson(json);
      const texts = fuzzTexts(1500, 23, ['<s>', '</s>']);
      for (const text of texts) {
        const ids = here.encode(text, { special: 'parse' });
        const expected = there.encode(text, { add_special_tokens: false }).ids;
        if (ids.join() !== expected.join()) expect({ text, ids }).toEqual({ text, ids: expected });
      }
      expect(JSON.parse(formatTokenizerJson(here))).toEqual(json);
    },
  );
});
