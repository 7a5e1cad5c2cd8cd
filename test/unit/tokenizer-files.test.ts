/** tokenizer.json and tokenizer_config.json: what is written, what is refused and why, and files on disk. */
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ConfigError, DataError, FormatError } from '../../src/core/errors.ts';
import type { PlinthEvent } from '../../src/core/events.ts';
import { loadTokenizer, saveTokenizer } from '../../src/tokenizer/index.node.ts';
import {
  CHATML_TEMPLATE,
  DEFAULT_TOKENIZER_CONFIG,
  formatTokenizerConfig,
  formatTokenizerJson,
  PRE_TOKENIZER_NAMES,
  parseTokenizerConfig,
  parseTokenizerJson,
  preTokenizerOf,
  type Tokenizer,
  tokenizerJsonOf,
  trainBpe,
} from '../../src/tokenizer/index.ts';
import { trainingTexts } from '../fixtures/tokenizer/fuzz-texts.ts';
import { sentencePieceJson } from '../fixtures/tokenizer/sentencepiece-files.ts';

// biome-ignore lint/suspicious/noExplicitAny: files are changed at random depths
type Json = any;
const tokenizer = trainBpe(trainingTexts(), { vocabSize: 600 });

describe('tokenizer.json', () => {
  it('has every key that loaders ask for, ids in order, and the special tokens last', () => {
    const json = JSON.parse(formatTokenizerJson(tokenizer)) as Json;
    for (const key of ['model', 'decoder', 'post_processor', 'pre_tokenizer', 'normalizer', 'added_tokens']) {
      expect(json).toHaveProperty(key);
    }
    expect(json.normalizer).toBeNull();
    expect(json.added_tokens.map((token: Json) => [token.id, token.content, token.special])).toEqual([
      [597, '<|endoftext|>', true],
      [598, '<|im_start|>', true],
      [599, '<|im_end|>', true],
    ]);
    const ids = Object.values(json.model.vocab) as number[];
    expect(ids.sort((a, b) => a - b)).toEqual(Array.from({ length: 597 }, (_, id) => id));
    expect(json.model.vocab['\u0120']).toBe(0x20);
    expect(json.model.vocab['!']).toBe(0x21);
    expect(json.model.merges).toHaveLength(341);
    expect(json.model.merges[0]).toHaveLength(2);
  });

  it('keeps a token named like a property of every object', () => {
    const odd = trainBpe(['__proto__ constructor '.repeat(50)], {
      vocabSize: 300,
      preTokenizer: { pattern: '\\S+' },
    });
    expect(odd.idOf('__proto__')).toBeDefined();
    const again = parseTokenizerJson(formatTokenizerJson(odd));
    for (const name of ['__proto__', 'constructor', '__pro']) {
      expect(again.idOf(name)).toBe(odd.idOf(name));
      expect(again.encode(name)).toEqual(odd.encode(name));
    }
  });

  it('keeps a post_processor from elsewhere and never applies it', () => {
    const json = tokenizerJsonOf(tokenizer) as Json;
    json.post_processor = {
      type: 'TemplateProcessing',
      single: [{ SpecialToken: { id: '<|im_start|>', type_id: 0 } }],
    };
    const read = parseTokenizerJson(json);
    expect(read.encode('abc')).toEqual(tokenizer.encode('abc'));
    expect(JSON.parse(formatTokenizerJson(read)).post_processor).toEqual(json.post_processor);
  });

  const refused: [string, (json: Json) => void, string][] = [
    [
      'another model',
      (json) => {
        json.model.type = 'Unigram';
      },
      'model.type is "Unigram"; supported: BPE',
    ],
    [
      'dropout',
      (json) => {
        json.model.dropout = 0.1;
      },
      'model.dropout is 0.1',
    ],
    [
      'a suffix',
      (json) => {
        json.model.end_of_word_suffix = '</w>';
      },
      'model.end_of_word_suffix is "</w>"',
    ],
    [
      'another normalizer',
      (json) => {
        json.normalizer = { type: 'Lowercase' };
      },
      'normalizer.type is "Lowercase"; supported: NFC, NFKC, Sequence',
    ],
    [
      'another pre-tokenizer',
      (json) => {
        json.pre_tokenizer = { type: 'Whitespace' };
      },
      'pre_tokenizer.type is "Whitespace"',
    ],
    [
      'no pre-tokenizer',
      (json) => {
        json.pre_tokenizer = null;
      },
      'pre_tokenizer is null',
    ],
    [
      'a prefix space',
      (json) => {
        json.pre_tokenizer.pretokenizers.at(-1).add_prefix_space = true;
      },
      'add_prefix_space is true',
    ],
    [
      'another split',
      (json) => {
        json.pre_tokenizer.pretokenizers[0].behavior = 'Removed';
      },
      'pretokenizers[0].behavior is "Removed"; supported: Isolated',
    ],
    [
      'a possessive pattern',
      (json) => {
        json.pre_tokenizer.pretokenizers[0].pattern.Regex = '\\p{L}++';
      },
      'possessive',
    ],
    [
      'a pattern of exponential time',
      (json) => {
        json.pre_tokenizer.pretokenizers[0].pattern.Regex = '(a+)+b';
      },
      'exponential',
    ],
    [
      'a broken pattern',
      (json) => {
        json.pre_tokenizer.pretokenizers[0].pattern.Regex = '(a';
      },
      'not a pattern',
    ],
    [
      'another decoder',
      (json) => {
        json.decoder = { type: 'WordPiece' };
      },
      'decoder.type is "WordPiece"',
    ],
    [
      'single_word',
      (json) => {
        json.added_tokens[0].single_word = true;
      },
      'added_tokens[0].single_word is true',
    ],
    [
      'an id twice',
      (json) => {
        json.added_tokens[1].id = json.added_tokens[0].id;
      },
      'added_tokens[1]',
    ],
    [
      'a huge id',
      (json) => {
        json.added_tokens[0].id = 4e9;
      },
      'added_tokens[0].id is 4000000000',
    ],
    [
      'an id that is no number',
      (json) => {
        json.model.vocab['!'] = '33';
      },
      'model.vocab["!"] is "33"',
    ],
    [
      'a byte too few',
      (json) => {
        delete json.model.vocab['!'];
        json.model.merges = [];
      },
      'no token for byte 0x21',
    ],
    [
      'a name outside the byte alphabet',
      (json) => {
        json.model.vocab['\u4f60'] = 9000;
      },
      'byte alphabet',
    ],
    [
      'a merge of nothing',
      (json) => {
        json.model.merges[3] = ['q', 'zzz'];
      },
      'model.merges[3] is ["q","zzz"]',
    ],
    [
      'a merge of three',
      (json) => {
        json.model.merges[3] = 'a b c';
      },
      'model.merges[3] is "a b c"',
    ],
    [
      'no vocabulary',
      (json) => {
        json.model.vocab = [];
      },
      'model.vocab is []',
    ],
    [
      'no model',
      (json) => {
        delete json.model;
      },
      'model is missing',
    ],
  ];
  it.each(refused)('refuses %s and says so', (_, change, text) => {
    const json = JSON.parse(formatTokenizerJson(tokenizer)) as Json;
    change(json);
    expect(() => parseTokenizerJson(json)).toThrow(FormatError);
    expect(() => parseTokenizerJson(JSON.stringify(json))).toThrow(text);
  });

  const refusedSentencePiece: [string, (json: Json) => void, string][] = [
    [
      'a missing byte token',
      (json) => {
        delete json.model.vocab['<0x41>'];
      },
      '255 byte tokens',
    ],
    [
      'another normalizer',
      (json) => {
        json.normalizer.normalizers.push({ type: 'NFKC' });
      },
      'normalizer.normalizers[2].type is "NFKC"',
    ],
    [
      'no rule for spaces',
      (json) => {
        json.normalizer = null;
      },
      'Metaspace',
    ],
    [
      'another decoder',
      (json) => {
        json.decoder.decoders.push({ type: 'CTC' });
      },
      'decoder.decoders[4].type is "CTC"',
    ],
    [
      'another strip',
      (json) => {
        json.decoder.decoders[3].start = 2;
      },
      'decoder.decoders[3]',
    ],
  ];
  it.each(refusedSentencePiece)('SentencePiece style: refuses %s and says so', (_, change, text) => {
    const json = structuredClone(sentencePieceJson('llama-2')) as Json;
    change(json);
    expect(() => parseTokenizerJson(json)).toThrow(text);
  });

  it.each(['', '{', 'null', '[]', '3'])('refuses %j as a file', (text) => {
    expect(() => parseTokenizerJson(text)).toThrow(FormatError);
    expect(() => parseTokenizerJson(text)).toThrow('tokenizer.json');
  });

  it('is not written for a tokenizer that did not come from here', () => {
    expect(() => formatTokenizerJson({} as Tokenizer)).toThrow(FormatError);
  });
});

describe('tokenizer_config.json', () => {
  it('holds the chat template and never cleans up spaces', () => {
    const json = JSON.parse(
      formatTokenizerConfig(tokenizer, { ...DEFAULT_TOKENIZER_CONFIG, modelMaxLength: 512 }),
    );
    expect(json).toMatchObject({
      clean_up_tokenization_spaces: false,
      chat_template: CHATML_TEMPLATE,
      bos_token: null,
      eos_token: '<|im_end|>',
      pad_token: '<|endoftext|>',
      model_max_length: 512,
    });
    expect(json.added_tokens_decoder['599']).toMatchObject({ content: '<|im_end|>', special: true });
    expect(parseTokenizerConfig(json)).toEqual({ ...DEFAULT_TOKENIZER_CONFIG, modelMaxLength: 512 });
  });

  it('reads tokens as objects, named templates and "no limit"', () => {
    const config = parseTokenizerConfig({
      bos_token: { content: '<s>', lstrip: false },
      eos_token: '</s>',
      model_max_length: 1e30,
      chat_template: [
        { name: 'tool_use', template: 'T' },
        { name: 'default', template: 'D' },
      ],
    });
    expect(config).toMatchObject({
      bosToken: '<s>',
      eosToken: '</s>',
      padToken: null,
      modelMaxLength: null,
      chatTemplate: 'D',
    });
    expect(() => parseTokenizerConfig({ chat_template: [{ name: 'rag', template: 'R' }] })).toThrow(
      '"default"',
    );
    expect(() => parseTokenizerConfig({ eos_token: 7 })).toThrow('eos_token is 7');
  });

  it('refuses a token that the tokenizer does not have', () => {
    const config = { ...DEFAULT_TOKENIZER_CONFIG, eosToken: '</s>' };
    expect(() => formatTokenizerConfig(tokenizer, config)).toThrow(ConfigError);
  });
});

describe('on disk', () => {
  let directory = '';
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'plinth-tokenizer-'));
  });
  afterAll(() => rm(directory, { recursive: true, force: true }));

  it('comes back as it was saved, and leaves no other file', async () => {
    const folder = join(directory, 'new', 'folder');
    await saveTokenizer(folder, tokenizer);
    await saveTokenizer(folder, tokenizer);
    expect((await readdir(folder)).sort()).toEqual(['tokenizer.json', 'tokenizer_config.json']);
    const loaded = await loadTokenizer(folder);
    expect(loaded.config).toEqual(DEFAULT_TOKENIZER_CONFIG);
    expect(loaded.tokenizer.encode('the quick 123')).toEqual(tokenizer.encode('the quick 123'));
    expect(await readFile(join(folder, 'tokenizer.json'), 'utf8')).toBe(
      formatTokenizerJson(loaded.tokenizer),
    );
  });

  it('reads a chat template in a file of its own, and does without tokenizer_config.json', async () => {
    await writeFile(join(directory, 'tokenizer.json'), formatTokenizerJson(tokenizer));
    expect((await loadTokenizer(directory)).config.chatTemplate).toBeNull();
    await writeFile(join(directory, 'chat_template.jinja'), '{{ messages }}');
    expect((await loadTokenizer(directory)).config.chatTemplate).toBe('{{ messages }}');
  });

  it('says what is missing', async () => {
    await expect(loadTokenizer(join(directory, 'nothing'))).rejects.toThrow(DataError);
    await expect(loadTokenizer(join(directory, 'nothing'))).rejects.toThrow('no tokenizer.json');
  });
});

describe('training options', () => {
  it.each([
    [{ vocabSize: 258 }, 'vocabSize is 258; expected an integer from 259'],
    [{ vocabSize: 300.5 }, 'vocabSize is 300.5'],
    [{ vocabSize: 1e9 }, 'vocabSize is 1000000000'],
    [{ vocabSize: 300, specialTokens: ['a', 'a'] }, 'given twice'],
    [{ vocabSize: 300, specialTokens: [''] }, 'empty'],
    [{ vocabSize: 300, minFrequency: 0 }, 'minFrequency is 0'],
    [{ vocabSize: 300, preTokenizer: 'gpt9' as never }, 'gpt9'],
  ])('refuses %j', (options, text) => {
    expect(() => trainBpe(['abc'], options)).toThrow(ConfigError);
    expect(() => trainBpe(['abc'], options)).toThrow(text);
  });

  it('is deterministic, keeps special tokens out of merges and reports progress', () => {
    const events: PlinthEvent[] = [];
    const documents = trainingTexts().map((text) => `${text}<|qqzz|>${text}`);
    const specialTokens = ['<|qqzz|>'];
    const a = trainBpe(documents, {
      vocabSize: 800,
      specialTokens,
      onProgress: (event) => events.push(event),
    });
    expect(formatTokenizerJson(trainBpe(documents, { vocabSize: 800, specialTokens }))).toBe(
      formatTokenizerJson(a),
    );
    expect(a.idOf('qqzz')).toBeUndefined();
    expect(trainBpe(documents, { vocabSize: 800, specialTokens: ['<|other|>'] }).idOf('qqzz')).toBeDefined();
    const stages = new Set(events.map((event) => (event.type === 'progress' ? event.stage : event.type)));
    expect([...stages]).toEqual(['count-chunks', 'learn-merges']);
    expect(events.at(-1)).toMatchObject({ done: 543, total: 543, unit: 'merges' });
  });

  it('warns when the text is too small for the vocabulary', () => {
    const events: PlinthEvent[] = [];
    const small = trainBpe(['ab ab'], { vocabSize: 500, onProgress: (event) => events.push(event) });
    // Merges of "ab" (twice); " ab" occurs once.
    expect(small.vocabSize).toBe(256 + 1 + 3);
    expect(events.at(-1)).toMatchObject({ type: 'note', level: 'warning' });
    expect(trainBpe([], { vocabSize: 300 }).vocabSize).toBe(259);
  });

  it('names the pattern for llama.cpp', () => {
    expect(PRE_TOKENIZER_NAMES.map((name) => preTokenizerOf(name).llamaCppPre)).toEqual([
      'granite-docling',
      'smollm',
      'llama-bpe',
      'qwen2',
    ]);
    expect(preTokenizerOf({ pattern: '\\S+' }).llamaCppPre).toBeNull();
    expect(preTokenizerOf({ pattern: preTokenizerOf('qwen2').patterns[0]! })).toBe(preTokenizerOf('qwen2'));
  });
});
