/**
 * Plain text and Markdown files as documents: one for each line, one for each paragraph (cut at blank lines), or
 * pieces of bounded length that end at a blank line where there is one. A paragraph or piece with a line that is
 * not UTF-8 loses that line only.
 */

import type { Document, ReadReport } from '../document.ts';
import { fileLines, positionOf } from './byte-lines.node.ts';
import { formatOf } from './file-format.ts';
import { FileReader } from './file-reader.ts';
import { MarkdownText } from './markdown-text.ts';

export interface TextReaderOptions {
  /** Default 'piece'. */
  by?: 'line' | 'paragraph' | 'piece';
  /** Length of pieces. Default 20,000. */
  pieceCharacters?: number;
  /** Longer lines are skipped. Default 64 MiB. */
  maxLineBytes?: number;
  /** Markdown files as their words or as they are written. Default 'text'. */
  markdown?: 'text' | 'source';
}

export class TextReader extends FileReader<TextReaderOptions> {
  constructor(path: string, options: TextReaderOptions = {}) {
    super(path, options);
  }

  protected async *documents(report: ReadReport): AsyncGenerator<Document> {
    const { by = 'piece', pieceCharacters = 20_000, maxLineBytes, markdown = 'text' } = this.options;
    const isReduced = markdown === 'text' && formatOf(this.path) === 'markdown';
    const reducer = isReduced ? new MarkdownText() : null;
    let lines: string[] = [];
    let firstLine = 1;
    let numCharacters = 0;
    const finish = (): Document | null => {
      const text = lines.join('\n').trim();
      lines = [];
      numCharacters = 0;
      if (text === '') return null;
      report.numRead++;
      return { id: `line-${firstLine}`, text, source: this.path, meta: {} };
    };
    for await (const batch of fileLines(this.path, maxLineBytes, report.noticePosition)) {
      for (const line of batch) {
        if (line.text === null) {
          report.skip(positionOf(line), line.damage ?? 'damaged');
          continue;
        }
        const text = reducer === null ? line.text : reducer.line(line.text);
        if (text === null) continue;
        const isBlank = text.trim() === '';
        // A piece goes on to the next blank line, but never to twice its length.
        const isFull =
          by === 'piece' &&
          numCharacters >= pieceCharacters &&
          (isBlank || numCharacters >= 2 * pieceCharacters);
        if (by === 'line' || isFull || (by === 'paragraph' && isBlank)) {
          const document = finish();
          if (document) yield document;
        }
        if (lines.length === 0) {
          if (isBlank) continue;
          firstLine = line.number;
        }
        lines.push(text);
        numCharacters += text.length + 1;
      }
    }
    const rest = reducer?.end();
    if (rest) lines.push(rest);
    const last = finish();
    if (last) yield last;
  }
}
