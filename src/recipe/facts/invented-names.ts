/**
 * Names that look like a table's names and are none of them, for teaching and measuring "I don't know".
 * Several styles are mixed: a Markov chain over the real letters, halves of two real names, syllables with a
 * typical ending, swapped words, words before and after. A name is never a forbidden one, never within one
 * edit of a real name, and never repeated by the same inventor. Pure: name number i depends on the seed alone.
 */
import { LimitError } from '../../core/errors.ts';
import { KeyedRandom } from '../../core/random.ts';
import { normalizeKey } from '../../data/keyed-split.ts';
import { inferNameStyles, type NameStyles } from './name-styles.ts';

export interface InventorOptions {
  realNames: readonly string[];
  /** Names never to give: aliases, other values of the table, names already used elsewhere. */
  forbidden?: Iterable<string>;
  styles?: Partial<NameStyles>;
  seed: number;
}

export interface NameInventor {
  /** @throws LimitError when the real names leave no room for another one. */
  next(): string;
}

type Draw = { pick<T>(items: readonly T[]): T; below(limit: number): number; chance(share: number): boolean };

const maxAttempts = 2000;
const onsets =
  'b c d f g h j k l m n p r s t v w z br dr gr kr tr fl gl kl pl sk st th sh ch v z l m n t k'.split(' ');
const vowels = 'a e i o u a e o a i ai au ei ou ua ia'.split(' ');
const codas = ['', '', '', 'n', 'r', 'l', 's', 'm', 'nd', 'rt', 'st', 'ck', 'x', 'rn', 'th', 'lv'];

export function createNameInventor(options: InventorOptions): NameInventor {
  const { realNames, seed } = options;
  const taken = new Set<string>([...realNames, ...(options.forbidden ?? [])].map(foldName));
  const nearReal = oneEditNeighbours(realNames.map(foldName));
  const inferred = inferNameStyles(realNames);
  const styles: NameStyles = { ...inferred, ...options.styles };
  const invent = looksLikeCodes(realNames) ? codeMaker(realNames) : nameMaker(realNames, styles);
  const random = new KeyedRandom(seed).fork('invented-names');
  let numDraws = 0;
  const draw: Draw = {
    pick: (items) => random.pick(numDraws++, items),
    below: (limit) => random.integer(numDraws++, limit),
    chance: (share) => random.uniform(numDraws++) < share,
  };
  return {
    next() {
      for (let attempt = 0; attempt < maxAttempts; attempt++) {
        const name = invent(draw);
        const folded = foldName(name);
        if (taken.has(folded) || isNear(folded, nearReal, name)) continue;
        taken.add(folded);
        return name;
      }
      throw new LimitError(
        `No new invented name found after ${maxAttempts} attempts among names like '${realNames[0]}'. ` +
          'Ask for fewer invented names or give unknown.styles with more endings and words.',
      );
    },
  };
}

/** Names as compared: normalised, without diacritics, punctuation and a leading article. */
export function foldName(name: string): string {
  return normalizeKey(name)
    .normalize('NFD')
    .replace(/\p{M}/gu, '')
    .replace(/[^\p{L}\p{N}+.-]+/gu, ' ')
    .replace(/^the /, '')
    .trim();
}

/** Names with digits, or short ones all in capitals, are codes: their shape matters, not their sound. */
function looksLikeCodes(names: readonly string[]): boolean {
  const codes = names.filter((name) => /\d/.test(name) || (name.length <= 4 && !/\s/.test(name)));
  return codes.length > names.length / 2;
}

/** A code of the same shape: each digit and letter becomes another one, at least one changes, marks stay. */
function codeMaker(names: readonly string[]): (draw: Draw) => string {
  const letters = 'abcdefghijklmnopqrstuvwxyz';
  return (draw) => {
    const model = [...draw.pick(names)];
    const keep = model.length > 5 ? draw.below(model.length - 3) : 0;
    return model
      .map((char, i) => {
        if (i < keep) return char;
        if (/\d/.test(char)) return i === 0 ? String(1 + draw.below(9)) : String(draw.below(10));
        if (!/[a-z]/i.test(char)) return char;
        const letter = draw.pick([...letters]);
        return char === char.toUpperCase() ? letter.toUpperCase() : letter;
      })
      .join('');
  };
}

function nameMaker(names: readonly string[], styles: NameStyles): (draw: Draw) => string {
  const words = [...new Set(names.flatMap((name) => name.split(/\s+/)))].filter((word) =>
    /^\p{L}[\p{L}'’-]{3,}$/u.test(word),
  );
  const blendable = words.length > 1 ? words : [...names];
  const latin = names.filter((name) => /[a-z]/i.test(name)).length > names.length / 2;
  const multiWord = names.filter((name) => /\s/.test(name));
  const chain = new LetterChain(blendable);
  const styleEndings = latin ? styles.endings : [];
  const isLowerCase = names.every((name) => name === name.toLowerCase());

  const single = (draw: Draw): string => {
    const style = draw.below(latin ? 10 : 5);
    let word: string;
    if (style < 3) word = chain.sample(draw);
    else if (style < 5) word = blend(draw.pick(blendable), draw.pick(blendable), draw);
    else if (style < 7 && styleEndings.length > 0)
      word = syllables(1 + draw.below(2), draw) + draw.pick(styleEndings);
    else if (style < 9 && styleEndings.length > 0)
      word = stem(draw.pick(blendable), draw) + draw.pick(styleEndings);
    else word = latin ? syllables(2 + draw.below(2), draw) : chain.sample(draw);
    const [first = '', ...rest] = word.toLowerCase();
    return isLowerCase ? word.toLowerCase() : first.toUpperCase() + rest.join('');
  };
  const swapWords = (draw: Draw): string => {
    const [a, b] = [draw.pick(multiWord).split(/\s+/), draw.pick(multiWord).split(/\s+/)];
    const made = draw.chance(0.5) ? single(draw) : b.at(-1)!;
    return draw.chance(0.5) ? [...a.slice(0, -1), made].join(' ') : [single(draw), ...b.slice(1)].join(' ');
  };
  const before = styles.before;
  const plainBefore = before.filter((word) => !/\s|^(the|saint|united)$/i.test(word));
  const shareOfWords = multiWord.length / Math.max(1, names.length);
  return (draw) => {
    if (
      !draw.chance(
        Math.min(0.9, before.length + styles.after.length > 0 ? shareOfWords + 0.15 : shareOfWords),
      )
    ) {
      return single(draw);
    }
    const style = draw.below(10);
    if (style < 4 && before.length > 0) return `${draw.pick(before)} ${single(draw)}`;
    if (style < 6 && styles.after.length > 0) return `${single(draw)} ${draw.pick(styles.after)}`;
    if (style < 7 && plainBefore.length > 0)
      return `${draw.pick(plainBefore)} ${draw.pick(words.length > 0 ? words : names)}`;
    if (style < 8 && names.some((name) => / and /.test(name))) return `${single(draw)} and ${single(draw)}`;
    return multiWord.length > 1 ? swapWords(draw) : single(draw);
  };
}

/** Letters by frequency after the three before them; words start and end like real ones. */
class LetterChain {
  readonly #next = new Map<string, string[]>();

  constructor(words: readonly string[]) {
    for (const word of words) {
      const letters = [...`^^^${word.toLowerCase()}$`];
      for (let i = 3; i < letters.length; i++) {
        for (const order of [2, 3]) {
          const key = letters.slice(i - order, i).join('');
          const list = this.#next.get(key);
          if (list) list.push(letters[i]!);
          else this.#next.set(key, [letters[i]!]);
        }
      }
    }
  }

  sample(draw: Draw): string {
    let text = '^^^';
    for (let i = 0; i < 12; i++) {
      const order = draw.chance(0.5) ? 3 : 2;
      const options = this.#next.get(text.slice(-order)) ?? this.#next.get(text.slice(-2)) ?? ['$'];
      const letter = draw.pick(options);
      if (letter === '$') break;
      text += letter;
    }
    return text.slice(3);
  }
}

function blend(a: string, b: string, draw: Draw): string {
  const [left, right] = [[...a], [...b]];
  const cutLeft = Math.max(2, Math.round(left.length / 2) + draw.below(3) - 1);
  const cutRight = Math.min(right.length - 2, Math.round(right.length / 2) + draw.below(3) - 1);
  return left.slice(0, cutLeft).join('') + right.slice(Math.max(0, cutRight)).join('');
}

function stem(word: string, draw: Draw): string {
  const letters = [...word];
  const cut = letters.slice(0, Math.max(2, Math.min(5, letters.length - 2 - draw.below(2)))).join('');
  return cut.replace(/[aeiouy]+$/i, '') || cut;
}

function syllables(count: number, draw: Draw): string {
  let text = draw.chance(0.2) ? draw.pick(vowels.slice(0, 5)) : '';
  for (let i = 0; i < count; i++)
    text += draw.pick(onsets) + draw.pick(vowels) + (i === count - 1 ? draw.pick(codas) : '');
  return text;
}

/** The names themselves with each single letter removed: two names within one edit share an entry. */
function oneEditNeighbours(names: readonly string[]): Set<string> {
  const out = new Set<string>();
  for (const name of names) if (name.length >= 4) for (const variant of deletions(name)) out.add(variant);
  return out;
}

function* deletions(name: string): Generator<string> {
  yield name;
  for (let i = 0; i < name.length; i++) yield name.slice(0, i) + name.slice(i + 1);
}

/** Unfit: too near a real name, too short or long, three equal letters in a row, or no vowel in Latin letters. */
function isNear(folded: string, nearReal: ReadonlySet<string>, name: string): boolean {
  if (folded.length < 2 || folded.length > 60 || /(\p{L})\1\1/u.test(folded)) return true;
  if (folded.length > 4 && /^[a-z ]+$/.test(folded) && !/[aeiouy]/.test(folded)) return true;
  if (/[aeiou]{4}|[^aeiouy\W\d]{5}/i.test(name) && /^[a-z ]+$/i.test(name)) return true;
  if (folded.length < 4) return false;
  for (const variant of deletions(folded)) if (nearReal.has(variant)) return true;
  return false;
}
