/** Reading without files: the text of web pages. */

export { decodePage } from './html-charset.ts';
export { type MainText, mainText } from './html-text.ts';
