/**
 * How many sentences a line of English holds, by the decisions of NLTK's Punkt (Kiss & Strunk 2006) without its
 * trained tables: `?` and `!` before white space always end a sentence; a full stop does unless it belongs to an
 * abbreviation, an initial, an ellipsis or a number before a lower-case word, and even then when the next word is a
 * capitalised word that is usually written small (The, He, But). Punkt has learnt its abbreviations (some 150), word
 * pairs and the usual case of some 20,000 words from newspapers; here stand about 130 abbreviations and 100 usual
 * first words, so counts can differ by one at rare abbreviations. Full-width and Indic full stops end sentences
 * too, which Punkt's English model does not know.
 */
import { characterClasses, DIGIT, LETTER, SPACE, SYMBOL } from './character-classes.ts';

const abbreviations = new Set(
  (
    'adj adm adv al approx apr apt asst assn assoc aug ave bldg blvd brig bros bull ca cap capt cent cf cmdr cmdt ' +
    'co col comdr conn corp cos cpl ct cu dec del dept dist div dr ed eds eng est etc ext feb fig figs fla fr fri ' +
    'ft ga gen gov hon hr hrs hwy ill inc incl ind insp jan jr kan ky la lat lb lbs lieut lt ltd maj mass messrs ' +
    'mfg mfr mgr mich min minn misc miss mme mlle mon mr mrs ms msgr mt mts mtn neb nev nos nov oct okla op ore oz ' +
    'pa par pl plc pp pres prof prop pt pty pvt rd rep reps rev rt sat sec sen sens sep sept sgt sq sr st ste ' +
    'supt tel tenn tex thu thurs tues treas univ va vol vols vs wed wis yr yrs ph.d'
  ).split(' '),
);

const usuallySmall = new Set(
  (
    'a about after all also although an and another any anyone are as at because before both but by can could did ' +
    'do does during each either even every few finally first for from had has have having he her here his how ' +
    'however i if in indeed instead is it its just last later many maybe meanwhile more most much my neither ' +
    'nevertheless new next no none not nothing now of often on once one only or other our over perhaps she should ' +
    'since so some someone sometimes soon still such than that the their then there these they this those though ' +
    'through thus to today together too two under unlike until was we were what when where whether which while ' +
    'who whose why will with within without would yes yet you your'
  ).split(' '),
);

const fullStop = 0x2e;
const closers = new Set([...'"\')]}”’»›'].map((mark) => mark.charCodeAt(0)));
/** Ideographic, full-width, Devanagari and Burmese full stops, Arabic and Urdu marks: no white space need follow. */
const otherEnds = new Set([...'。！？｡।॥။؟۔'].map((mark) => mark.charCodeAt(0)));

/** @param atMost counting stops there. */
export function countSentences(line: string, atMost = Number.POSITIVE_INFINITY): number {
  const classes = characterClasses();
  const space = SPACE;
  const length = line.length;
  let count = 0;
  let hasText = false;
  for (let i = 0; i < length && count < atMost; ) {
    const code = line.charCodeAt(i);
    if (code !== fullStop && code !== 0x21 && code !== 0x3f && (code < 0x80 || !otherEnds.has(code))) {
      if (!hasText && (classes[code]! & space) === 0) hasText = true;
      i++;
      continue;
    }
    hasText = true;
    const first = i;
    let dotsOnly = true;
    let hasOther = false;
    for (; i < length; i++) {
      const mark = line.charCodeAt(i);
      if (mark === fullStop) continue;
      if (mark === 0x21 || mark === 0x3f) dotsOnly = false;
      else if (mark >= 0x80 && otherEnds.has(mark)) hasOther = true;
      else break;
    }
    const numMarks = i - first;
    const afterMarks = i;
    while (i < length && closers.has(line.charCodeAt(i))) i++;
    if (i < length && (classes[line.charCodeAt(i)]! & SPACE) === 0 && !hasOther) continue;
    let next = i;
    while (next < length && (classes[line.charCodeAt(next)]! & SPACE) !== 0) next++;
    if (next === length) break;
    // A full stop with a quote or bracket after it is not the end of an abbreviation.
    const closed = i > afterMarks;
    if (dotsOnly && !hasOther && !closed && !stopEnds(line, first, numMarks, next)) continue;
    count++;
    hasText = false;
  }
  return hasText && count < atMost ? count + 1 : count;
}

/** Whether full stops at [first, first + numMarks) end a sentence, when the next word begins at `next`. */
function stopEnds(line: string, first: number, numMarks: number, next: number): boolean {
  if (numMarks > 1) return nextIsUsuallySmall(line, next);
  const classes = characterClasses();
  let start = first;
  while (start > 0 && (classes[line.charCodeAt(start - 1)]! & SPACE) === 0) start--;
  while (start < first && opens(line.charCodeAt(start))) start++;
  const numUnits = first - start;
  if (numUnits === 0) return true;
  const last = classes[line.charCodeAt(first - 1)]!;
  if ((last & DIGIT) !== 0) {
    if (!isNumber(line, start, first)) return true;
    // Ordinals and list numbers: "on the 3. floor".
    return !startsSmall(line, next);
  }
  if ((last & LETTER) === 0) return true;
  const isInitial = numUnits === 1;
  if (!isInitial && !isAbbreviation(line, start, first)) return true;
  return nextIsUsuallySmall(line, next);
}

function opens(code: number): boolean {
  return (characterClasses()[code]! & SYMBOL) !== 0;
}

function isNumber(line: string, start: number, end: number): boolean {
  const classes = characterClasses();
  for (let i = start; i < end; i++) {
    const code = line.charCodeAt(i);
    if ((classes[code]! & DIGIT) === 0 && code !== fullStop && code !== 0x2c && code !== 0x2d) return false;
  }
  return true;
}

const maxAbbreviationUnits = 12;

function isAbbreviation(line: string, start: number, end: number): boolean {
  if (end - start > maxAbbreviationUnits) return false;
  const word = line.slice(start, end).toLowerCase();
  return abbreviations.has(word) || /^(?:\p{L}\.)+\p{L}$/u.test(word);
}

function startsSmall(line: string, at: number): boolean {
  const char = line.charAt(at);
  return char !== char.toUpperCase() && char === char.toLowerCase();
}

const maxFirstWordUnits = 12;

function nextIsUsuallySmall(line: string, next: number): boolean {
  const classes = characterClasses();
  let start = next;
  while (start < line.length && (classes[line.charCodeAt(start)]! & SYMBOL) !== 0) start++;
  const char = line.charAt(start);
  if (char === char.toLowerCase()) return false;
  let end = start;
  while (end < line.length && (classes[line.charCodeAt(end)]! & LETTER) !== 0) end++;
  return end - start <= maxFirstWordUnits && usuallySmall.has(line.slice(start, end).toLowerCase());
}
