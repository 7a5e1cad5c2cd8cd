/**
 * Plain text files as documents: one for each line, one for each paragraph (cut at blank lines), or pieces of
 * bounded length that end at a blank line where there is one. A paragraph or piece with a line that is not
 * UTF-8 loses that line only.
 */

import type { Document, ReadReport } from '../document.ts';
import { fileLines } from './byte-lines.node.ts';
import { FileReader } from './file-reader.ts';

export interface TextReaderOptions {
  /** Default 'piece'. */
  by?: 'line' | 'paragraph' | 'piece';
  /** Length of pieces. Default 20,000. */
  pieceCharacters?: number;
  /** Longer lines are skipped. Default 64 MiB. */
  maxLineBytes?: number;
}

export class TextReader extends FileReader<TextReaderOptions> {
  constructor(path: string, options: TextReaderOptions = {}) {
    super(path, options);
  }

  protected async *documents(report: ReadReport): AsyncGenerator<Document> {
    const { by = 'piece', pieceCharacters = 20_000, maxLineBytes } = this.options;
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
    for await (const line of fileLines(this.path, maxLineBytes)) {
      if (line.text === null) {
        report.skip(`line ${line.number} (byte ${line.offset})`, line.damage ?? 'damaged');
        continue;
      }
      const isBlank = line.text.trim() === '';
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
      lines.push(line.text);
      numCharacters += line.text.length + 1;
    }
    const last = finish();
    if (last) yield last;
  }
}
