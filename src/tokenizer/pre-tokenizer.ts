/**
 * Pre-tokenization: where a text is cut before merges run, so that no token crosses from one word into the
 * next. A pre-tokenizer is a pattern; what it does not match is a chunk too (the "isolated" behaviour of
 * `tokenizer.json`), so chunks joined are the text. The named ones come with a fast scanner and with the name
 * by which llama.cpp knows the same pattern.
 */
import { ConfigError } from '../core/errors.ts';
import { type ChunkScanner, cl100kScanner, gpt2Scanner } from './chunk-scanners.ts';
import { compilePattern } from './pattern-translation.ts';

export interface PreTokenizer {
  readonly name: PreTokenizerName | 'custom';
  /** As written to `tokenizer.json`; '' when the text is not cut. */
  readonly pattern: string;
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
  return { name, pattern: alternatives.join('|'), llamaCppPre, ignoreMerges, scanner: () => scan };
}

/** A preset by name, or a pattern of one's own. A pattern equal to a preset's gives the preset. */
export function preTokenizerOf(choice: PreTokenizerName | { pattern: string }): PreTokenizer {
  if (typeof choice === 'string') {
    if (!Object.hasOwn(PRESETS, choice)) {
      throw new ConfigError(
        `Pre-tokenizer ${JSON.stringify(choice)} is unknown: expected one of ${PRE_TOKENIZER_NAMES.join(', ')}, ` +
          "or a pattern of your own as { pattern: '...' }.",
      );
    }
    return PRESETS[choice];
  }
  for (const known of Object.values(PRESETS)) if (known.pattern === choice.pattern) return known;
  return patternPreTokenizer(choice.pattern);
}

/** Does not cut at all: the whole text is one chunk. */
export const WHOLE_TEXT: PreTokenizer = {
  name: 'custom',
  pattern: '',
  llamaCppPre: null,
  ignoreMerges: false,
  scanner: () => (text) => text.length,
};

/** Cuts by the pattern itself, with the regular expression engine. */
export function patternPreTokenizer(pattern: string): PreTokenizer {
  const compiled = compilePattern(pattern);
  return {
    name: 'custom',
    pattern,
    llamaCppPre: null,
    ignoreMerges: false,
    scanner: () => regExpScanner(new RegExp(compiled)),
  };
}

/** Isolated matches and the gaps between them. Remembers a match found beyond a gap. */
function regExpScanner(expression: RegExp): ChunkScanner {
  let matchStart = -1;
  let matchEnd = -1;
  return (text, start) => {
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
