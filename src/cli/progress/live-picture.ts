/**
 * Lines at the bottom of a terminal that are drawn over again and again, with lines that stay printed above
 * them. The cursor is hidden while the picture is open and comes back however the process ends. Keeps no
 * alternate screen: what was drawn last stays in the scroll-back.
 */
import { textWidth } from '../terminal/text-width.ts';

export interface TerminalStream {
  readonly isTTY?: boolean;
  readonly columns?: number;
  readonly rows?: number;
  write(text: string): unknown;
}

const HIDE_CURSOR = '\u001b[?25l';
const SHOW_CURSOR = '\u001b[?25h';
/** Terminals that know synchronized updates show the picture at once; the others ignore this. */
const BEGIN_UPDATE = '\u001b[?2026h';
const END_UPDATE = '\u001b[?2026l';
const CLEAR_BELOW = '\u001b[0J';
const CLEAR_LINE_END = '\u001b[K';
// biome-ignore lint/suspicious/noControlCharactersInRegex: styles are escape sequences.
const STYLES = /\u001b\[[\d;]*m/g;

export class LivePicture {
  readonly #stream: TerminalStream;
  #lines: readonly string[] = [];
  #isOpen = false;
  #isClosed = false;

  constructor(stream: TerminalStream) {
    this.#stream = stream;
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  draw(lines: readonly string[]): void {
    if (this.#isClosed) return;
    const start = this.#isOpen ? '' : this.#open();
    this.#stream.write(start + BEGIN_UPDATE + this.#toTop() + textOf(lines) + CLEAR_BELOW + END_UPDATE);
    this.#lines = lines;
  }

  /** Text above the picture that stays. */
  print(text: string): void {
    const above = `${text.replaceAll('\n', `${CLEAR_LINE_END}\n`)}${CLEAR_LINE_END}\n`;
    this.#stream.write(
      this.#isOpen
        ? BEGIN_UPDATE + this.#toTop() + above + textOf(this.#lines) + CLEAR_BELOW + END_UPDATE
        : above,
    );
  }

  close(): void {
    this.#isClosed = true;
    if (!this.#isOpen) return;
    this.#isOpen = false;
    process.off('exit', this.#restore);
    this.#restore();
  }

  #open(): string {
    this.#isOpen = true;
    process.on('exit', this.#restore);
    return HIDE_CURSOR;
  }

  readonly #restore = () => {
    this.#stream.write(SHOW_CURSOR);
  };

  /** To the picture's first row; a terminal that became narrower has broken long lines into several rows. */
  #toTop(): string {
    const columns = this.#stream.columns || 80;
    const rows = this.#lines.reduce(
      (sum, line) => sum + Math.max(1, Math.ceil(textWidth(line.replace(STYLES, '')) / columns)),
      0,
    );
    return rows === 0 ? '\r' : `\r\u001b[${rows}A`;
  }
}

const textOf = (lines: readonly string[]) => lines.map((line) => `${line}${CLEAR_LINE_END}\n`).join('');
