/**
 * An answer with the probability of every token to look at: the text in colours (or uncertain tokens in brackets
 * where there are none), and below it the uncertain tokens with what could have stood there. Tokens that hold
 * parts of one character are shown as that character with their joint probability. Takes the log-probabilities
 * of a completion; knows nothing of models.
 */
import type { Completion, PositionLogprobs } from '../../decode/language-model.ts';
import { TextStream, type Tokenizer } from '../../tokenizer/index.ts';
import { columns } from '../terminal/columns.ts';
import { type Style, uncolored } from '../terminal/style.ts';
import { cutText, textWidth } from '../terminal/text-width.ts';
import { type ColourDepth, probabilityColour, UNCERTAIN_BELOW } from '../terminal/token-colours.ts';
import { visibleLine, visibleText } from '../terminal/visible-text.ts';

/** Tokens that end at the border of a character, and the text they make. */
export interface TokenPiece {
  readonly text: string;
  readonly places: readonly PositionLogprobs[];
  /** Of all its tokens together. */
  readonly probability: number;
}

export interface ProbabilityViewOptions {
  readonly depth: ColourDepth;
  readonly style?: Style;
  /** Cells of a line of the table; default 80. */
  readonly width?: number;
  /** Alternatives of an uncertain token; default DEFAULT_ALTERNATIVES. */
  readonly numAlternatives?: number;
}

const MAX_ROWS = 20;
const MAX_TOKEN_CELLS = 18;

export const DEFAULT_ALTERNATIVES = 3;

/** `logprobs` that this view needs of a completion: the token chosen may be among the best. */
export const logprobsFor = (numAlternatives = DEFAULT_ALTERNATIVES) => numAlternatives + 1;

/** Cells of a line; without a terminal a table may be as wide as it is. */
export const widthOf = ({ isTTY, columns: cells }: { isTTY?: boolean; columns?: number }) =>
  isTTY ? cells || 80 : Number.POSITIVE_INFINITY;

export function tokenPieces(
  tokenizer: Tokenizer | undefined,
  logprobs: readonly PositionLogprobs[],
): TokenPiece[] {
  const pieces: TokenPiece[] = [];
  const stream = tokenizer && new TextStream(tokenizer, { special: 'keep' });
  let places: PositionLogprobs[] = [];
  const close = (text: string) => {
    const sum = places.reduce((total, { logprob }) => total + logprob, 0);
    pieces.push({ text, places, probability: Math.exp(sum) });
    places = [];
  };
  for (const place of logprobs) {
    places.push(place);
    const text = stream ? stream.push(place.token) : `${place.token} `;
    if (text !== '') close(text);
  }
  if (places.length > 0) close(stream?.flush() ?? '');
  return pieces;
}

/** Pieces up to the end of the completion's text: tokens of a stop string are not part of it. */
function shownPieces(
  tokenizer: Tokenizer | undefined,
  { text, logprobs = [] }: Completion,
): readonly TokenPiece[] {
  const pieces = tokenPieces(tokenizer, logprobs);
  if (!tokenizer) return pieces;
  const shown: TokenPiece[] = [];
  let left = text.length;
  for (const piece of pieces) {
    const [first] = piece.places;
    const isSpecial = piece.places.length === 1 && isControl(tokenizer, first!.token);
    const own = isSpecial ? piece.text : piece.text.slice(0, left);
    if (own === '' && piece.text !== '') break;
    if (!isSpecial) left -= own.length;
    shown.push({ ...piece, text: own });
  }
  return shown;
}

function isControl(tokenizer: Tokenizer, id: number): boolean {
  for (const special of tokenizer.specialTokens.values()) if (special === id) return true;
  return false;
}

/** The answer itself, without a line break at the end. */
export function markedText(
  tokenizer: Tokenizer | undefined,
  completion: Completion,
  depth: ColourDepth,
): string {
  return shownPieces(tokenizer, completion)
    .map(({ text, probability }) => {
      if (depth === 'none') {
        if (probability >= UNCERTAIN_BELOW) return visibleText(text);
        const breaks = text.replace(/[^\n]/g, '');
        return `[${visibleLine(text)} ${percent(probability)}]${breaks}`;
      }
      const colour = probabilityColour(probability, depth);
      return visibleText(text).split('\n').map(colour).join('\n');
    })
    .join('');
}

/** How the text is marked, the uncertain tokens, and the perplexity. Lines without a break at the end. */
export function probabilityTable(
  tokenizer: Tokenizer | undefined,
  completion: Completion,
  { depth, style = uncolored, width = 80, numAlternatives = DEFAULT_ALTERNATIVES }: ProbabilityViewOptions,
): string {
  const pieces = shownPieces(tokenizer, completion);
  const places = pieces.flatMap((piece) => piece.places);
  if (places.length === 0) return style.dim('No token was generated.');
  const uncertain: { index: number; place: PositionLogprobs; piece: TokenPiece }[] = [];
  let index = 0;
  for (const piece of pieces) {
    for (const place of piece.places) {
      index++;
      if (Math.exp(place.logprob) < UNCERTAIN_BELOW) uncertain.push({ index, place, piece });
    }
  }
  const lines = [`${style.dim(summary(places))}${depth === 'none' ? '' : `   ${legend(depth)}`}`];
  if (uncertain.length === 0) {
    return [...lines, style.dim(`No token had less than ${percent(UNCERTAIN_BELOW)}.`)].join('\n');
  }
  const listed = [...uncertain]
    .sort((one, other) => one.place.logprob - other.place.logprob)
    .slice(0, MAX_ROWS)
    .sort((one, other) => one.index - other.index);
  for (let count = numAlternatives; ; count--) {
    const rows = listed.map(({ index: place, place: { token, logprob, top }, piece }) => [
      String(place),
      label(tokenizer, token, piece),
      percent(Math.exp(logprob)),
      ...top
        .filter((one) => one.token !== token)
        .slice(0, count)
        .flatMap((one) => [label(tokenizer, one.token), percent(Math.exp(one.logprob))]),
    ]);
    const heading = ['#', 'token', 'chance', ...(count > 0 ? ['instead'] : [])];
    const [first = '', ...rest] = columns([heading, ...rows], `rlr${'lr'.repeat(count)}`).split('\n');
    if (count > 0 && [first, ...rest].some((line) => textWidth(line) > width)) continue;
    const numUnlisted = uncertain.length - listed.length;
    const note =
      numUnlisted > 0 ? [style.dim(`and ${numUnlisted} more below ${percent(UNCERTAIN_BELOW)}`)] : [];
    return [...lines, style.dim(first), ...rest, ...note].join('\n');
  }
}

function summary(places: readonly PositionLogprobs[]): string {
  const mean = places.reduce((total, { logprob }) => total + logprob, 0) / places.length;
  const count = `${places.length} ${places.length === 1 ? 'token' : 'tokens'}`;
  return `${count}, perplexity ${Math.exp(-mean).toPrecision(3)}`;
}

function legend(depth: ColourDepth): string {
  return [1, 0.7, 0.5, 0.3, 0.1, 0.03, 0.003]
    .map((probability) => probabilityColour(probability, depth)(percent(probability)))
    .join(' ');
}

/** A token in quotes, so that spaces are seen; bytes of half a character in hex, with the character they make. */
function label(tokenizer: Tokenizer | undefined, id: number, piece?: TokenPiece): string {
  if (!tokenizer) return String(id);
  const bytes = tokenizer.tokenBytes(id);
  if (bytes.length === 0) return `id ${id}`;
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    return `"${cutText(visibleLine(text), MAX_TOKEN_CELLS)}"`;
  } catch {
    const hex = Array.from(bytes, (byte) => `\\x${byte.toString(16).padStart(2, '0')}`).join('');
    const whole = piece && piece.places.length > 1 ? ` of "${visibleLine(piece.text)}"` : '';
    return cutText(`${hex}${whole}`, MAX_TOKEN_CELLS + 2);
  }
}

/** 34 %, 3.4 %, 0.3 %, <0.1 %. */
export function percent(probability: number): string {
  const value = 100 * probability;
  if (value >= 99.95) return '100 %';
  if (value >= 9.95) return `${Math.min(99, Math.round(value))} %`;
  return value >= 0.05 ? `${value.toFixed(1).replace(/\.0$/, '')} %` : '<0.1 %';
}
