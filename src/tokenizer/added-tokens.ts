/**
 * Tokens that are matched as whole strings before any pre-tokenization: the control tokens of a chat format
 * (`special`), and vocabulary that other trainers added afterwards (not special, so matched in every text).
 * At each place the longest name wins.
 */
import { FormatError } from '../core/errors.ts';

export interface AddedToken {
  content: string;
  id: number;
  special: boolean;
  /** White space to the left or right of the token is swallowed with it. */
  lstrip?: boolean;
  rstrip?: boolean;
}

/** Called for each piece in order: text between added tokens (`id` -1), or an added token. */
export type VisitPiece = (text: string, id: number) => void;

export class AddedTokenSplitter {
  readonly #byContent: ReadonlyMap<string, AddedToken>;
  readonly #expression: RegExp | undefined;

  constructor(tokens: readonly AddedToken[]) {
    for (const token of tokens) {
      if (token.content === '') {
        throw new FormatError(
          `Added token ${token.id} has no text. Give every added token a non-empty name.`,
        );
      }
    }
    this.#byContent = new Map(tokens.map((token) => [token.content, token]));
    const longestFirst = [...this.#byContent.keys()].sort((a, b) => b.length - a.length);
    if (longestFirst.length > 0) {
      this.#expression = new RegExp(longestFirst.map(escapeForRegExp).join('|'), 'g');
    }
  }

  split(text: string, visit: VisitPiece): void {
    const expression = this.#expression;
    if (expression === undefined) {
      if (text !== '') visit(text, -1);
      return;
    }
    let start = 0;
    expression.lastIndex = 0;
    for (let match = expression.exec(text); match !== null; match = expression.exec(text)) {
      const token = this.#byContent.get(match[0])!;
      let before = text.slice(start, match.index);
      if (token.lstrip) before = before.trimEnd();
      if (before !== '') visit(before, -1);
      visit(match[0], token.id);
      start = match.index + match[0].length;
      if (token.rstrip) start = text.length - text.slice(start).trimStart().length;
      expression.lastIndex = start;
    }
    if (start < text.length) visit(start === 0 ? text : text.slice(start), -1);
  }
}

function escapeForRegExp(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&');
}
