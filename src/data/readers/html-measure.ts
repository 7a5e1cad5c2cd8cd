/**
 * How large and how deep a page is, found in one pass over its characters before anything is built from it:
 * parsers and text extraction take more than linear time on depth and on the number of nodes. Counts what a
 * parser would make nodes of (tags, entities, stray brackets); depth follows the implied ends of HTML's lists,
 * tables and paragraphs. Knows tags by name only and builds no tree.
 */

export interface PageMeasure {
  numNodes: number;
  maxDepth: number;
}

const voidElements = new Set(
  'area base basefont br col embed frame hr img input keygen link meta param source track wbr'.split(' '),
);
/** Elements whose content is no markup. */
const rawElements = new Set(['script', 'style', 'textarea', 'title', 'xmp', 'iframe', 'noembed', 'noframes']);
/** An opening tag of the key ends the elements listed, when they are open innermost. */
const impliedEnds = new Map<string, ReadonlySet<string>>(
  Object.entries({
    li: 'li',
    dt: 'dt dd',
    dd: 'dt dd',
    option: 'option',
    optgroup: 'option optgroup',
    td: 'td th',
    th: 'td th',
    tr: 'td th tr',
    tbody: 'td th tr thead tbody',
    tfoot: 'td th tr thead tbody',
    body: 'head link script',
    rp: 'rt rp',
    rt: 'rt rp',
  }).map(([name, ends]) => [name, new Set(ends.split(' '))]),
);
const endParagraph = new Set(
  (
    'p div ul ol dl table form section article aside header footer main nav blockquote pre hr h1 h2 h3 h4 h5 ' +
    'h6 address details fieldset figure'
  ).split(' '),
);
/** An end tag looks this far out for the element it ends. */
const maxEndSearch = 64;
const paragraph: ReadonlySet<string> = new Set(['p']);

/** Stops counting, with what it has, once `maxNodes` or `maxDepth` is passed. */
export function measurePage(html: string, limits: { maxNodes: number; maxDepth: number }): PageMeasure {
  const open: string[] = [];
  let numNodes = 0;
  let maxDepth = 0;
  for (let at = nextSpecial(html, 0); at < html.length; ) {
    numNodes++;
    if (numNodes > limits.maxNodes || maxDepth > limits.maxDepth) break;
    if (html.charCodeAt(at) === ampersand) {
      at = nextSpecial(html, at + 1);
      continue;
    }
    if (html.startsWith('<!--', at)) {
      const end = html.indexOf('-->', at + 4);
      at = end === -1 ? html.length : nextSpecial(html, end + 3);
      continue;
    }
    const isEnd = html.charCodeAt(at + 1) === slash;
    const nameStart = at + (isEnd ? 2 : 1);
    const nameEnd = endOfName(html, nameStart);
    if (nameEnd === nameStart) {
      at = nextSpecial(html, at + 1);
      continue;
    }
    const name = html.slice(nameStart, nameEnd).toLowerCase();
    const tagEnd = endOfTag(html, nameEnd);
    let next = tagEnd;
    if (isEnd) {
      close(open, name);
    } else if (!voidElements.has(name)) {
      if (endParagraph.has(name)) closeInnermost(open, paragraph);
      const ends = impliedEnds.get(name);
      if (ends !== undefined) closeInnermost(open, ends);
      if (rawElements.has(name)) {
        next = endOfRaw(html, tagEnd, name);
      } else {
        open.push(name);
        if (open.length > maxDepth) maxDepth = open.length;
      }
    }
    at = nextSpecial(html, next);
  }
  return { numNodes, maxDepth };
}

const ampersand = 38;
const slash = 47;
const less = 60;
const greater = 62;

function nextSpecial(html: string, from: number): number {
  for (let at = from; at < html.length; at++) {
    const code = html.charCodeAt(at);
    if (code === less || code === ampersand) return at;
  }
  return html.length;
}

function endOfName(html: string, from: number): number {
  let at = from;
  for (; at < html.length; at++) {
    const lower = html.charCodeAt(at) | 32;
    const isLetter = lower >= 97 && lower <= 122;
    if (!isLetter && (at === from || !/[0-9:-]/.test(html[at]!))) break;
  }
  return at;
}

/** Behind the tag's '>', which quotes may hide. */
function endOfTag(html: string, from: number): number {
  let quote = 0;
  for (let at = from; at < html.length; at++) {
    const code = html.charCodeAt(at);
    if (quote !== 0) {
      if (code === quote) quote = 0;
    } else if ((code === 34 || code === 39) && html.charCodeAt(at - 1) === 61) {
      quote = code;
    } else if (code === greater) {
      return at + 1;
    }
  }
  return html.length;
}

function endOfRaw(html: string, from: number, name: string): number {
  for (let at = html.indexOf('</', from); at !== -1; at = html.indexOf('</', at + 2)) {
    if (html.slice(at + 2, at + 2 + name.length).toLowerCase() === name) return endOfTag(html, at + 2);
  }
  return html.length;
}

function close(open: string[], name: string): void {
  const last = Math.max(0, open.length - maxEndSearch);
  for (let i = open.length - 1; i >= last; i--) {
    if (open[i] !== name) continue;
    open.length = i;
    return;
  }
}

function closeInnermost(open: string[], names: ReadonlySet<string>): void {
  while (open.length > 0 && names.has(open[open.length - 1]!)) open.pop();
}
