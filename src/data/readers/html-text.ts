/**
 * The main text of a web page: Readability on linkedom picks the article; where it finds none, or the page is
 * too large for it, the visible text of the body is taken. Blocks become lines and paragraphs, cells are set
 * apart, scripts, styles and navigation are gone. Pages beyond the limits are refused before they are parsed,
 * so that no page takes the stack or minutes. Runs in browsers and workers too.
 */
import { Readability } from '@mozilla/readability';
import { parseHTML } from 'linkedom';
import { LimitError } from '../../core/errors.ts';
import { measurePage } from './html-measure.ts';

export interface MainText {
  /** '' when the page has none. */
  title: string;
  text: string;
}

/** Pages beyond are refused. A depth of 512 is also where browsers stop nesting. */
export const maxPageCharacters = 10 * 1024 * 1024;
export const maxPageNodes = 100_000;
export const maxPageDepth = 512;
/** Pages beyond give their visible text: Readability takes seconds on them. */
const maxArticleNodes = 10_000;
const maxArticleDepth = 100;
const maxArticleCharacters = 2 * 1024 * 1024;

/**
 * The text of a page, or null when it has none.
 * @param url for the error text.
 * @throws LimitError for a page beyond `maxPageCharacters`, `maxPageNodes` or `maxPageDepth`.
 */
export function mainText(html: string, url?: string): MainText | null {
  const measure = checkedMeasure(html, url);
  const isForArticle =
    measure.numNodes <= maxArticleNodes &&
    measure.maxDepth <= maxArticleDepth &&
    html.length <= maxArticleCharacters;
  return (isForArticle ? articleOf(html) : null) ?? visibleText(html);
}

function checkedMeasure(html: string, url: string | undefined): { numNodes: number; maxDepth: number } {
  const page = url === undefined ? 'The page' : `The page ${url}`;
  if (html.length > maxPageCharacters) {
    throw new LimitError(`${page} has ${html.length} characters; the most is ${maxPageCharacters}.`);
  }
  const measure = measurePage(html, { maxNodes: maxPageNodes, maxDepth: maxPageDepth });
  if (measure.maxDepth > maxPageDepth) {
    throw new LimitError(`${page} nests elements more than ${maxPageDepth} deep.`);
  }
  if (measure.numNodes > maxPageNodes) {
    throw new LimitError(`${page} has more than ${maxPageNodes} elements and entities.`);
  }
  return measure;
}

function articleOf(html: string): MainText | null {
  try {
    const document = parsed(html);
    const title = titleOf(document);
    const article = new Readability<Node>(document, {
      serializer: (node) => node,
      disableJSONLD: true,
    }).parse();
    if (!article?.content) return null;
    const text = blockText(article.content, hiddenElements);
    return text === '' ? null : { title: oneLine(article.title ?? '') || title, text };
  } catch {
    // It stumbles over some broken pages; the visible text is there for these too.
    return null;
  }
}

function visibleText(html: string): MainText | null {
  const document = parsed(html);
  const body = document.body ?? document.documentElement;
  const text = body === null ? '' : blockText(body, boilerplateElements);
  return text === '' ? null : { title: titleOf(document), text };
}

function titleOf(document: Document): string {
  return oneLine(document.title || document.querySelector('title')?.textContent || '');
}

function parsed(html: string): Document {
  // What stands behind these end tags belongs to the body in HTML, but would be lost in linkedom.
  const open = html.replace(/<\/(?:body|html)\s*>/gi, '');
  const { document } = parseHTML(open);
  if (document.documentElement?.localName === 'html') return document;
  // Without an <html> around it linkedom takes the first element for the whole document.
  return parseHTML(`<!doctype html><html><head></head><body>${open}</body></html>`).document;
}

function oneLine(text: string): string {
  return text.replace(/\s+/g, ' ').trim();
}

const hiddenElements: ReadonlySet<string> = new Set(
  (
    'script style noscript template head title svg canvas iframe object embed audio video select datalist ' +
    'button input textarea nav menu'
  ).split(' '),
);
const boilerplateElements: ReadonlySet<string> = new Set([...hiddenElements, 'footer', 'aside']);
const paragraphElements: ReadonlySet<string> = new Set(
  (
    'p h1 h2 h3 h4 h5 h6 blockquote pre ul ol dl table figure hr section article main header footer address ' +
    'details fieldset'
  ).split(' '),
);
const lineElements: ReadonlySet<string> = new Set(
  'div li dt dd tr figcaption summary caption legend form center option'.split(' '),
);
const cellElements: ReadonlySet<string> = new Set(['td', 'th']);

const elementNode = 1;
const textNode = 3;
const cdataNode = 4;

/** Text of all below a node, without recursion. */
function blockText(root: Node, skipped: ReadonlySet<string>): string {
  const out = new BlockWriter();
  let node: Node | null = root;
  while (node !== null) {
    let down: Node | null = null;
    if (node.nodeType === textNode || node.nodeType === cdataNode) {
      out.text(node.nodeValue ?? '');
    } else if (node.nodeType === elementNode) {
      const name = (node as Element).localName.toLowerCase();
      if (!skipped.has(name) && !isHidden(node as Element)) {
        out.open(name);
        down = node.firstChild;
        if (down === null) out.close(name);
      }
    }
    if (down !== null) {
      node = down;
      continue;
    }
    while (node !== null && node !== root && node.nextSibling === null) {
      node = node.parentNode;
      if (node !== null && node.nodeType === elementNode)
        out.close((node as Element).localName.toLowerCase());
    }
    node = node === null || node === root ? null : node.nextSibling;
  }
  return out.finish();
}

function isHidden(element: Element): boolean {
  if (element.hasAttribute('hidden') || element.getAttribute('aria-hidden') === 'true') return true;
  const style = element.getAttribute('style');
  return style !== null && style.length < 1000 && /display\s*:\s*none/i.test(style);
}

/** Gathers words; breaks are written only when a word follows, the widest of those asked for. */
class BlockWriter {
  readonly #parts: string[] = [];
  #break = '';
  #hasSpace = false;
  #preformattedDepth = 0;

  open(name: string): void {
    if (name === 'br') this.#breakWith(this.#break === '\n' ? '\n\n' : '\n');
    else if (paragraphElements.has(name)) this.#breakWith('\n\n');
    else if (lineElements.has(name)) this.#breakWith('\n');
    else if (cellElements.has(name)) this.#breakWith('\t');
    if (name === 'pre') this.#preformattedDepth++;
  }

  close(name: string): void {
    if (paragraphElements.has(name)) this.#breakWith('\n\n');
    else if (lineElements.has(name)) this.#breakWith('\n');
    if (name === 'pre') this.#preformattedDepth--;
  }

  text(value: string): void {
    if (this.#preformattedDepth > 0) {
      const lines = value.replace(/\r\n?/g, '\n').replaceAll('\u00a0', ' ');
      if (lines.trim() === '' && this.#break !== '') return;
      this.#write(lines);
      return;
    }
    let isFirst = true;
    for (const word of value.split(/[ \t\n\r\f\u00a0]+/)) {
      if (!isFirst) this.#hasSpace = true;
      isFirst = false;
      if (word !== '') this.#write(word);
    }
  }

  finish(): string {
    return this.#parts.join('').trim();
  }

  #breakWith(wanted: string): void {
    if (wanted === '\t' ? this.#break === '' : wanted.length > this.#break.length || this.#break === '\t') {
      this.#break = wanted;
    }
  }

  #write(text: string): void {
    if (this.#parts.length > 0) {
      if (this.#break !== '') this.#parts.push(this.#break);
      else if (this.#hasSpace) this.#parts.push(' ');
    }
    this.#break = '';
    this.#hasSpace = false;
    this.#parts.push(text);
  }
}
