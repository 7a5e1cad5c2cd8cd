/**
 * Pre-tokenization: where a text is cut before merges run, so that no token crosses from one word into the
 * next. A pre-tokenizer is a pattern; what it does not match is a chunk too (the "isolated" behaviour of
 * `tokenizer.json`), so chunks joined are the text. Several patterns cut one after the other, each within the
 * chunks of the one before. The named ones come with a fast scanner and with the name by which llama.cpp knows
 * the same pattern.
 */
import { ConfigError } from '../core/errors.ts';
import { type ChunkScanner, cl100kScanner, gpt2Scanner } from './chunk-scanners.ts';
import { compilePattern } from './pattern-translation.ts';
import { TextUnits } from './text-units.ts';

export interface PreTokenizer {
  readonly name: PreTokenizerName | 'custom';
  /** As written to `tokenizer.json`; none when the text is not cut. */
  readonly patterns: readonly string[];
  /** `tokenizer.ggml.pre` of a GGUF file, or null when llama.cpp has no such pattern. */
  readonly llamaCppPre: string | null;
  /** llama.cpp's name implies that a chunk found whole in the vocabulary is not merged piecewise. */
  readonly ignoreMerges: boolean;
  /** A scanner to walk one text from index 0; do not share it between texts. */
  scanner(): ChunkScanner;
}

export type PreTokenizerName = 'gpt2' | 'gpt2-digits' | 'llama3' | 'qwen2';

const CONTRACTIONS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)";
const WORDS_AND_LINES = '[^\\r\\n\\p{L}\\p{N}]?\\p{L}+';
const MARKS_AND_SPACE = ' ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+';

const PRESETS: Record<PreTokenizerName, PreTokenizer> = {
  // llama.cpp also knows this pattern as "gpt-2", but then cleans up spaces when it decodes.
  gpt2: preset('gpt2', 'granite-docling', false, gpt2Scanner(false), [
    "'s|'t|'re|'ve|'m|'ll|'d",
    ' ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+',
  ]),
  // One pattern for what others write as two passes: first single digits, then GPT-2's pattern.
  'gpt2-digits': preset('gpt2-digits', 'smollm', false, gpt2Scanner(true), [
    "'s|'t|'re|'ve|'m|'ll|'d",
    ' ?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+|\\s+(?![^\\s\\p{N}])|\\s+',
  ]),
  llama3: preset('llama3', 'llama-bpe', true, cl100kScanner(3), [
    CONTRACTIONS,
    WORDS_AND_LINES,
    '\\p{N}{1,3}',
    MARKS_AND_SPACE,
  ]),
  qwen2: preset('qwen2', 'qwen2', false, cl100kScanner(1), [
    CONTRACTIONS,
    WORDS_AND_LINES,
    '\\p{N}',
    MARKS_AND_SPACE,
  ]),
};

export const PRE_TOKENIZER_NAMES = Object.keys(PRESETS) as PreTokenizerName[];
export const DEFAULT_PRE_TOKENIZER: PreTokenizerName = 'qwen2';

function preset(
  name: PreTokenizerName,
  llamaCppPre: string,
  ignoreMerges: boolean,
  scan: ChunkScanner,
  alternatives: string[],
): PreTokenizer {
  return { name, patterns: [alternatives.join('|')], llamaCppPre, ignoreMerges, scanner: () => scan };
}

/** A preset by name, or a pattern of one's own. A pattern equal to a preset's gives the preset. */
export function preTokenizerOf(choice: PreTokenizerName | { pattern: string }): PreTokenizer {
  if (typeof choice !== 'string') return preTokenizerOfPatterns([choice.pattern]);
  if (!Object.hasOwn(PRESETS, choice)) {
    throw new ConfigError(
      `Pre-tokenizer ${JSON.stringify(choice)} is unknown: expected one of ${PRE_TOKENIZER_NAMES.join(', ')}, ` +
        "or a pattern of your own as { pattern: '...' }.",
    );
  }
  return PRESETS[choice];
}

/** GPT-2's pattern, for files that name it without writing it down. */
export const GPT2_PATTERN = PRESETS.gpt2.patterns[0]!;

/** The preset that cuts as these patterns do one after the other, else the patterns themselves. */
export function preTokenizerOfPatterns(patterns: readonly string[]): PreTokenizer {
  if (patterns.length === 2 && patterns[0] === '\\p{N}' && patterns[1] === GPT2_PATTERN)
    return PRESETS['gpt2-digits'];
  for (const known of Object.values(PRESETS)) {
    if (patterns.length === 1 && known.patterns[0] === patterns[0]) return known;
  }
  return patternPreTokenizer(patterns);
}

/** Cuts by the patterns themselves, with the regular expression engine. No patterns: the text is not cut. */
export function patternPreTokenizer(patterns: readonly string[]): PreTokenizer {
  const compiled = patterns.map((pattern) => compilePattern(pattern));
  return {
    name: 'custom',
    patterns,
    llamaCppPre: null,
    ignoreMerges: false,
    scanner: () =>
      compiled.reduce<ChunkScanner>(
        (outer, expression) => within(outer, () => regExpScanner(new RegExp(expression))),
        (source) => source.length,
      ),
  };
}

/** Cuts each chunk of `outer` as a text of its own. */
function within(outer: ChunkScanner, makeInner: () => ChunkScanner): ChunkScanner {
  let inner = makeInner();
  const chunk = new TextUnits();
  let chunkStart = 0;
  let chunkEnd = 0;
  return (source, start) => {
    if (start === 0 || start >= chunkEnd) {
      chunkStart = start;
      chunkEnd = outer(source, start);
      chunk.set(source.text.slice(chunkStart, chunkEnd));
      inner = makeInner();
    }
    return chunkStart + inner(chunk, start - chunkStart);
  };
}

/** Isolated matches and the gaps between them. Remembers a match found beyond a gap. */
function regExpScanner(expression: RegExp): ChunkScanner {
  let matchStart = -1;
  let matchEnd = -1;
  return ({ text }, start) => {
    if (start === 0 || start > matchStart) {
      expression.lastIndex = start;
      let match = expression.exec(text);
      // An empty match cuts nothing off: look one code point further.
      while (match !== null && match[0] === '') {
        expression.lastIndex = match.index + ((text.codePointAt(match.index) ?? 0) > 0xffff ? 2 : 1);
        match = expression.lastIndex > text.length ? null : expression.exec(text);
      }
      matchStart = match === null ? text.length : match.index;
      matchEnd = match === null ? text.length : match.index + match[0].length;
    }
    return start < matchStart ? matchStart : matchEnd;
  };
}
