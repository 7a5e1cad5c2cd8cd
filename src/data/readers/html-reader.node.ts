/** HTML files as documents, one a file: the main text of the page, or its source for extraction elsewhere. */
import { basename } from 'node:path';
import { PlinthError } from '../../core/errors.ts';
import type { Document, ReadReport } from '../document.ts';
import { byteChunks } from './byte-chunks.node.ts';
import { concatenate } from './byte-lines.node.ts';
import { FileReader } from './file-reader.ts';
import { decodePage } from './html-charset.ts';
import { mainText } from './html-text.ts';

/** Larger files are skipped: a page is read whole. */
export const maxPageBytes = 32 * 1024 * 1024;

export interface HtmlOptions {
  /**
   * 'raw' gives the page's source as text with meta.mediaType 'text/html', so that a later stage can extract.
   * Default 'main-text'.
   */
  html?: 'main-text' | 'raw';
}

export class HtmlReader extends FileReader<HtmlOptions> {
  constructor(path: string, options: HtmlOptions = {}) {
    super(path, options);
  }

  protected async *documents(report: ReadReport): AsyncGenerator<Document> {
    const parts: Uint8Array[] = [];
    let length = 0;
    for await (const chunk of byteChunks(this.path)) {
      if ('reason' in chunk) {
        report.skip(`byte ${chunk.offset} of the compressed file`, chunk.reason);
        continue;
      }
      parts.push(chunk);
      length += chunk.length;
      if (length > maxPageBytes) {
        report.skip('byte 0', `the page is larger than ${maxPageBytes} bytes`);
        return;
      }
    }
    const { text } = decodePage(concatenate(parts, length));
    const document = pageDocument(
      text,
      { id: basename(this.path), source: this.path, meta: {} },
      this.options,
    );
    if (typeof document === 'string') {
      report.skip('byte 0', document);
    } else {
      report.numRead++;
      yield document;
    }
  }
}

/** A page's source as a document, or why it gives none. */
export function pageDocument(
  html: string,
  { id, source, meta }: Omit<Document, 'text'>,
  options: HtmlOptions,
): Document | string {
  if (options.html === 'raw') {
    if (html.trim() === '') return 'the page is blank';
    return { id, text: html, source, meta: { ...meta, mediaType: 'text/html' } };
  }
  try {
    const url = typeof meta.url === 'string' ? meta.url : undefined;
    const page = mainText(html, url);
    if (page === null) return 'the page has no text';
    return {
      id,
      text: page.text,
      source,
      meta: { ...(page.title !== '' && { title: page.title }), ...meta },
    };
  } catch (error) {
    if (error instanceof PlinthError) return error.message;
    throw error;
  }
}
