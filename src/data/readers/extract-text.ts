/** Raw HTML that a reader handed on becomes its main text here, in the thread that works on it. */
import type { Document } from '../document.ts';
import { mainText } from './html-text.ts';

export const HTML_MEDIA_TYPE = 'text/html';
/** The name under which pages without a text are dropped. */
export const NO_TEXT_RULE = 'no-main-text';

/** The document with its text; null when the page has none. Documents that are no HTML stay as they are. */
export function extractText(document: Document): Document | null {
  const { mediaType, url } = document.meta;
  if (mediaType !== HTML_MEDIA_TYPE) return document;
  const main = mainText(document.text, typeof url === 'string' ? url : undefined);
  if (!main || main.text.trim() === '') return null;
  return {
    ...document,
    text: main.text,
    meta: { ...document.meta, mediaType: 'text/plain', ...(main.title && { title: main.title }) },
  };
}
