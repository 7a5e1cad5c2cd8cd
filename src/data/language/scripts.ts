/**
 * Which scripts a text's letters belong to, and which languages of lid.176 are written in each. It serves as a
 * check on the classifier, which sees only hashed n-grams: a text in Khmer letters is not Welsh, and a text in a
 * script that no language of the model is written in (Cherokee, N'Ko, Tifinagh ...) is unknown to it. Latin
 * letters decide nothing. Letters are `\p{L}`; digits, marks, punctuation and emoji count for no script.
 */

interface Script {
  readonly name: string;
  /** Pattern of its letters. */
  readonly letters: RegExp;
  /** Languages of lid.176 written in it, also the rarer ways (Kazakh in Arabic letters); undefined: any. */
  readonly languages: readonly string[] | undefined;
}

/** Bytes 0 and 1 of the letter table: no letter, and a letter of a script not listed here. */
const NO_LETTER = 0;
const OTHER_SCRIPT = 1;
const FIRST_SCRIPT = 2;

const SCRIPTS: readonly Script[] = [
  { name: 'Latin', letters: /\p{Script=Latin}/u, languages: undefined },
  {
    name: 'Cyrillic',
    letters: /\p{Script=Cyrillic}/u,
    languages: (
      'ru uk bg mk sr kk be ky mn tt ba cv tg ce sah os mhr mrj av lez xal krc bxr kv myv rue tyv sh az uz ' +
      'ku ug tk ro'
    ).split(' '),
  },
  {
    name: 'Arabic',
    letters: /\p{Script=Arabic}/u,
    languages: 'ar arz fa ur azb ckb pnb ps sd ug mzn lrc ku az kk uz tg ky tk tt ms'.split(' '),
  },
  {
    name: 'Devanagari',
    letters: /\p{Script=Devanagari}/u,
    languages: 'hi mr ne sa new mai bh dty gom sd hif'.split(' '),
  },
  { name: 'Bengali', letters: /\p{Script=Bengali}/u, languages: ['bn', 'as', 'bpy'] },
  { name: 'Han', letters: /\p{Script=Han}|\p{Script=Bopomofo}/u, languages: ['zh', 'yue', 'wuu', 'ja'] },
  { name: 'Kana', letters: /\p{Script=Hiragana}|\p{Script=Katakana}|[ー]/u, languages: ['ja'] },
  { name: 'Hangul', letters: /\p{Script=Hangul}/u, languages: ['ko'] },
  { name: 'Greek', letters: /\p{Script=Greek}/u, languages: ['el'] },
  { name: 'Hebrew', letters: /\p{Script=Hebrew}/u, languages: ['he', 'yi'] },
  { name: 'Georgian', letters: /\p{Script=Georgian}/u, languages: ['ka', 'xmf'] },
  { name: 'Armenian', letters: /\p{Script=Armenian}/u, languages: ['hy'] },
  { name: 'Thai', letters: /\p{Script=Thai}/u, languages: ['th'] },
  { name: 'Lao', letters: /\p{Script=Lao}/u, languages: ['lo'] },
  { name: 'Khmer', letters: /\p{Script=Khmer}/u, languages: ['km'] },
  { name: 'Myanmar', letters: /\p{Script=Myanmar}/u, languages: ['my'] },
  { name: 'Tibetan', letters: /\p{Script=Tibetan}/u, languages: ['bo'] },
  { name: 'Sinhala', letters: /\p{Script=Sinhala}/u, languages: ['si'] },
  { name: 'Tamil', letters: /\p{Script=Tamil}/u, languages: ['ta'] },
  { name: 'Telugu', letters: /\p{Script=Telugu}/u, languages: ['te'] },
  { name: 'Kannada', letters: /\p{Script=Kannada}/u, languages: ['kn', 'gom'] },
  { name: 'Malayalam', letters: /\p{Script=Malayalam}/u, languages: ['ml'] },
  { name: 'Gujarati', letters: /\p{Script=Gujarati}/u, languages: ['gu'] },
  { name: 'Gurmukhi', letters: /\p{Script=Gurmukhi}/u, languages: ['pa'] },
  { name: 'Oriya', letters: /\p{Script=Oriya}/u, languages: ['or'] },
  { name: 'Ethiopic', letters: /\p{Script=Ethiopic}/u, languages: ['am'] },
  { name: 'Thaana', letters: /\p{Script=Thaana}/u, languages: ['dv'] },
];

const NUM_CLASSES = FIRST_SCRIPT + SCRIPTS.length;
const classOf = (name: string): number => FIRST_SCRIPT + SCRIPTS.findIndex((script) => script.name === name);
const LATIN = classOf('Latin');
const HAN = classOf('Han');
const KANA = classOf('Kana');
const HANGUL = classOf('Hangul');

/** A script speaks for a text when it has this share of the letters. */
const DECISIVE_SHARE = 0.8;
/** Counting never ends before so many letters, so that a least number of letters can be told. */
const MIN_COUNT_TO_STOP = 1000;
/** Among Han and kana, the share of kana from which a text is Japanese; measured Japanese prose has over .4. */
const JAPANESE_KANA_SHARE = 0.15;
/** A Han, kana or Hangul letter carries about as much as three letters of an alphabet. */
const LETTERS_PER_SYLLABOGRAM = 3;

/** The languages that the letters allow. */
export interface ScriptVerdict {
  /** Letters, with Han, kana and Hangul counted three times. A lower bound when Latin letters end the count. */
  numLetters: number;
  /** The languages of the script that has at least 80 % of the letters; undefined: no script rules any out. */
  languages: readonly string[] | undefined;
  /** That script's share of the letters. */
  share: number;
}

let letterClasses: Uint8Array | undefined;

function classOfLetter(letter: string): number {
  if (!/\p{L}/u.test(letter)) return NO_LETTER;
  for (let i = 0; i < SCRIPTS.length; i++) if (SCRIPTS[i]!.letters.test(letter)) return FIRST_SCRIPT + i;
  return /\p{Script=Common}|\p{Script=Inherited}/u.test(letter) ? NO_LETTER : OTHER_SCRIPT;
}

/** Class of every code unit; built once, at the first text (about 50,000 letters). */
function letterTable(): Uint8Array {
  if (letterClasses) return letterClasses;
  const table = new Uint8Array(65536);
  // Blocks of one script by far: tested once instead of letter by letter.
  const uniform: [number, number, number][] = [
    [0x3400, 0x4dbf, HAN],
    [0x4e00, 0x9fff, HAN],
    [0xac00, 0xd7a3, HANGUL],
  ];
  for (const [first, last, scriptClass] of uniform) table.fill(scriptClass, first, last + 1);
  for (let unit = 0; unit < 65536; unit++) {
    if (table[unit] === 0 && (unit < 0xd800 || unit > 0xdfff)) {
      table[unit] = classOfLetter(String.fromCharCode(unit));
    }
  }
  letterClasses = table;
  return table;
}

/** Counts letters by script. One instance must not be shared between threads. */
export class ScriptCounter {
  readonly #counts = new Int32Array(NUM_CLASSES);

  /** Looks at text[start, end). */
  verdict(text: string, start: number, end: number): ScriptVerdict {
    const counts = this.#counts.fill(0);
    const table = letterTable();
    // With so many Latin letters no other script can reach its share, whatever comes after.
    const enoughLatin = Math.ceil((1 - DECISIVE_SHARE) * (end - start)) + 1;
    let numAscii = 0;
    for (let i = start; i < end; i++) {
      const unit = text.charCodeAt(i);
      if (unit < 0x80) {
        if (((unit | 32) - 97) >>> 0 < 26 && ++numAscii >= Math.max(enoughLatin, MIN_COUNT_TO_STOP)) break;
        continue;
      }
      if (unit >= 0xd800 && unit < 0xdc00) {
        const code = text.codePointAt(i)!;
        if (code > 0xffff && i + 1 < end) {
          counts[code >= 0x20000 && code < 0x32000 ? HAN : classOfLetter(String.fromCodePoint(code))]!++;
          i++;
        }
        continue;
      }
      counts[table[unit]!]!++;
    }
    counts[LATIN]! += numAscii;
    if (counts[LATIN]! >= enoughLatin) {
      return { numLetters: counts[LATIN]!, languages: undefined, share: 1 - DECISIVE_SHARE };
    }
    let total = 0;
    let top = OTHER_SCRIPT;
    for (let scriptClass = OTHER_SCRIPT; scriptClass < NUM_CLASSES; scriptClass++) {
      total += counts[scriptClass]!;
      if (counts[scriptClass]! > counts[top]!) top = scriptClass;
    }
    const numSyllabograms = counts[HAN]! + counts[KANA]! + counts[HANGUL]!;
    const numLetters = total + (LETTERS_PER_SYLLABOGRAM - 1) * numSyllabograms;
    if (total === 0) return { numLetters, languages: undefined, share: 0 };
    let numTop = counts[top]!;
    if (top === HAN || top === KANA) {
      numTop = counts[HAN]! + counts[KANA]!;
      top = counts[KANA]! >= JAPANESE_KANA_SHARE * numTop ? KANA : HAN;
    }
    const share = numTop / total;
    if (share < DECISIVE_SHARE) return { numLetters, languages: undefined, share };
    return {
      numLetters,
      languages: top === OTHER_SCRIPT ? [] : SCRIPTS[top - FIRST_SCRIPT]!.languages,
      share,
    };
  }
}
