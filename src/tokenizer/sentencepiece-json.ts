/**
 * Reads the SentencePiece style of `tokenizer.json`: a BPE model with `byte_fallback`, spaces as U+2581 by a
 * normalizer (Prepend, Replace) or by the Metaspace pre-tokenizer, and the matching decoder.
 */
import type { AddedToken } from './added-tokens.ts';
import { arrayAt, idAt, type JsonObject, objectAt, typeAt, unsupported } from './json-fields.ts';
import { byteOfName, SentencePieceBpe, type SentencePieceModel, SPACE_MARK } from './sentencepiece-bpe.ts';
import { MAX_VOCAB_SIZE, mergesOf } from './vocabulary-json.ts';

export function isSentencePieceJson(file: JsonObject, model: JsonObject): boolean {
  const pre = file.pre_tokenizer as JsonObject | null | undefined;
  return model.byte_fallback === true && pre?.type !== 'ByteLevel';
}

export function sentencePieceFromJson(
  file: JsonObject,
  model: JsonObject,
  addedTokens: AddedToken[],
): SentencePieceBpe {
  if (model.ignore_merges === true)
    throw unsupported('model.ignore_merges', true, 'false with byte_fallback');
  const names: (string | undefined)[] = [];
  const vocab = new Map(Object.entries(objectAt(model.vocab, 'model.vocab')));
  const bytes = new Set<number>();
  for (const [name, value] of vocab) {
    const id = idAt(value, `model.vocab[${JSON.stringify(name)}]`, MAX_VOCAB_SIZE);
    if (names[id] !== undefined)
      throw unsupported(`model.vocab[${JSON.stringify(name)}]`, id, 'each id once');
    names[id] = name;
    if (byteOfName(name) >= 0) bytes.add(byteOfName(name));
  }
  if (bytes.size < 256) {
    throw unsupported(
      'model.vocab',
      `${bytes.size} byte tokens`,
      'byte_fallback with all of <0x00> to <0xFF>',
    );
  }
  return new SentencePieceBpe({
    names: Array.from(names),
    merges: mergesOf(model.merges, (name) => vocab.get(name) as number | undefined),
    addedTokens,
    ...spacesOf(file),
    stripsLeadingSpace: stripsLeadingSpace(file.decoder),
    source: file,
  });
}

type Spaces = Pick<SentencePieceModel, 'prefix' | 'skipsExistingSpace' | 'splitsWords'>;

/** What normalizer and pre-tokenizer do with spaces, taken together. */
function spacesOf(file: JsonObject): Spaces {
  const spaces: Spaces = { prefix: 'never', skipsExistingSpace: false, splitsWords: false };
  let isReplaced = false;
  for (const [field, member] of componentsOf(file.normalizer, 'normalizer', 'normalizers')) {
    if (typeAt(member, field, ['Prepend', 'Replace']) === 'Prepend') {
      if (member.prepend !== SPACE_MARK)
        throw unsupported(`${field}.prepend`, member.prepend, `"${SPACE_MARK}"`);
      spaces.prefix = 'always';
    } else {
      checkReplace(member, field, ' ', SPACE_MARK);
      isReplaced = true;
    }
  }
  for (const [field, member] of componentsOf(file.pre_tokenizer, 'pre_tokenizer', 'pretokenizers')) {
    if (typeAt(member, field, ['Metaspace', 'Split']) === 'Split') {
      // Gemma splits at spaces, of which the normalizer has left none.
      const pattern = objectAt(member.pattern, `${field}.pattern`);
      if (isReplaced && pattern.String === ' ') continue;
      throw unsupported(
        `${field}.pattern`,
        pattern,
        '{"String": " "} after a normalizer that replaces spaces',
      );
    }
    if ((member.replacement ?? SPACE_MARK) !== SPACE_MARK) {
      throw unsupported(`${field}.replacement`, member.replacement, `"${SPACE_MARK}"`);
    }
    const scheme = member.prepend_scheme ?? (member.add_prefix_space === false ? 'never' : 'always');
    if (scheme !== 'always' && scheme !== 'first' && scheme !== 'never') {
      throw unsupported(`${field}.prepend_scheme`, scheme, 'always, first, never');
    }
    spaces.prefix = scheme;
    spaces.skipsExistingSpace = true;
    spaces.splitsWords = member.split !== false;
    isReplaced = true;
  }
  if (!isReplaced) {
    throw unsupported(
      'normalizer',
      file.normalizer,
      `Replace " " by "${SPACE_MARK}", or a Metaspace pre_tokenizer`,
    );
  }
  return spaces;
}

function stripsLeadingSpace(value: unknown): boolean {
  let strips = false;
  for (const [field, member] of componentsOf(value, 'decoder', 'decoders')) {
    const type = typeAt(member, field, ['Replace', 'ByteFallback', 'Fuse', 'Strip', 'Metaspace']);
    if (type === 'Replace') checkReplace(member, field, SPACE_MARK, ' ');
    if (type === 'Metaspace') strips = member.prepend_scheme !== 'never' && member.add_prefix_space !== false;
    if (type === 'Strip') {
      if (member.content !== ' ' || member.start !== 1 || (member.stop ?? 0) !== 0) {
        throw unsupported(field, member, '{"content": " ", "start": 1, "stop": 0}');
      }
      strips = true;
    }
  }
  return strips;
}

/** A component, or the members of a Sequence, each with its field's name. */
function componentsOf(value: unknown, field: string, members: string): [string, JsonObject][] {
  if (value === null || value === undefined) return [];
  const component = objectAt(value, field);
  if (component.type !== 'Sequence') return [[field, component]];
  return arrayAt(component[members], `${field}.${members}`).map((member, i) => {
    const name = `${field}.${members}[${i}]`;
    return [name, objectAt(member, name)];
  });
}

function checkReplace(replace: JsonObject, field: string, from: string, to: string): void {
  const pattern = objectAt(replace.pattern, `${field}.pattern`);
  if (pattern.String !== from || replace.content !== to) {
    throw unsupported(field, replace, `Replace ${JSON.stringify(from)} by ${JSON.stringify(to)}`);
  }
}
