/** Shares of a whole as one bar of pieces. As wide as its place; names stand in the table beside it. */
import { percent } from './figures.ts';
import { type Markup, markup } from './markup.ts';

export interface SharePiece {
  readonly name: string;
  /** 0 to 1. */
  readonly share: number;
}

const HEIGHT = 18;
/** Hues repeat after so many pieces; neighbours always differ. */
const NUM_TONES = 5;

export function shareBar(pieces: readonly SharePiece[], name: string): Markup {
  const text = pieces.map((piece) => `${piece.name} ${percent(piece.share)}`).join(', ');
  let at = 0;
  const rects = pieces.map((piece, i) => {
    const x = at;
    at += piece.share;
    if (!(piece.share > 0)) return undefined;
    return markup`<rect class="tone-${i % NUM_TONES}" x="${(100 * x).toFixed(2)}%" width="${(100 * piece.share).toFixed(2)}%" height="${HEIGHT}"><title>${piece.name}: ${percent(piece.share)}</title></rect>`;
  });
  return markup`<svg class="bar shares" role="img" aria-label="${`${name}: ${text}`}" width="100%" height="${HEIGHT}"><rect class="bar-space" width="100%" height="${HEIGHT}"/>${rects}</svg>`;
}

/** A square of a piece's colour, to stand before its name. */
export function shareKey(index: number): Markup {
  return markup`<svg class="share-key" width="10" height="10" aria-label="" role="presentation"><rect class="tone-${index % NUM_TONES}" width="10" height="10"/></svg>`;
}
