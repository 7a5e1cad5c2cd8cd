/**
 * Raw text in the way of the web, from real text: pages of speeches and a novel as a site would show them, beside
 * what a crawl brings along. Everything is drawn with a key from the seed, so the same seed gives the same set.
 *
 * Of the raw documents (shares of their number):
 *   40 %  pages of prose, each with a menu above and a footer below
 *   16 %  copies: half byte for byte, half the same page with another menu, footer and a few words left out
 *   16 %  documentation in other languages (German, French, Japanese, Russian, Spanish), and what was never translated
 *   12 %  documentation in English with its code, tables and lists of parameters
 *   10 %  word salad: words of real pages in random order, as search spam has them
 *    6 %  nothing but menus and notices
 */
import { KeyedRandom } from '../../src/core/random.ts';
import type { Document } from '../../src/data/document.ts';

export const SHARES = {
  prose: 0.4,
  copies: 0.16,
  'other languages': 0.16,
  'English documentation': 0.12,
  'word salad': 0.1,
  menus: 0.06,
} as const;

export type Kind = keyof typeof SHARES;

const MENU =
  'Home|About us|Contact|Products|Blog|Login|Register|My account|Search|Archive|Next page|Previous page|Share on ' +
  'Facebook|Tweet this|Subscribe to our newsletter|Site map|Help|Forum|Download|Careers|Press|Partners|Cart (0)|' +
  'Read more|Top stories|Most popular|Related articles|Print this page|Skip to content|Sign up now';
const FOOTERS = [
  'Please enable JavaScript to view this page correctly.',
  'This site uses cookies. By using this site you accept our use of cookies.',
  'Copyright 2009 All rights reserved. Terms of use | Privacy policy',
  'Powered by WordPress. Theme by ThemeHouse.',
  'Comments are closed. Log in to reply.',
  'Click here to download the free PDF version!!!',
  'Posted in Uncategorized | 0 comments | Leave a comment',
  'You are visitor number 104382. Best viewed at 1024x768.',
];

export interface RawParts {
  readonly prose: readonly Document[];
  readonly otherLanguages: readonly Document[];
  readonly englishDocs: readonly Document[];
}

/**
 * `numDocuments` raw documents in a keyed order, drawn apart for each `name`. `meta.kind` says what each is; nothing
 * reads it but the report.
 */
export function webLike(parts: RawParts, numDocuments: number, name: string, seed: number): Document[] {
  const random = new KeyedRandom(seed).fork(`web-like ${name}`);
  const numOf = (kind: Kind) => Math.round(SHARES[kind] * numDocuments);
  const prose = drawn(parts.prose, numOf('prose'), random.fork('prose')).map((document, i) =>
    page(document, 'prose', framed(document.text, random.fork(`frame ${i}`))),
  );
  const copies = drawn(prose, numOf('copies'), random.fork('copies')).map((document, i) =>
    page(
      document,
      'copies',
      i % 2 === 0 ? document.text : altered(document.text, random.fork(`altered ${i}`)),
      `copy ${i}`,
    ),
  );
  const foreign = drawn(parts.otherLanguages, numOf('other languages'), random.fork('foreign')).map(
    (document) => page(document, 'other languages', document.text),
  );
  const docs = drawn(parts.englishDocs, numOf('English documentation'), random.fork('docs')).map((document) =>
    page(document, 'English documentation', document.text),
  );
  const salad = drawn(parts.prose, numOf('word salad'), random.fork('salad')).map((document, i) =>
    page(document, 'word salad', shuffledWords(document.text, random.fork(`salad ${i}`)), `salad ${i}`),
  );
  const menus = Array.from({ length: numOf('menus') }, (_, i): Document => {
    const own = random.fork(`menus ${i}`);
    const lines = Array.from({ length: 8 + own.integer(0, 12) }, (_, line) => menu(own.fork(`line ${line}`)));
    return {
      id: `menu ${i}`,
      text: [...lines, ...footer(own)].join('\n'),
      source: 'generated',
      meta: { kind: 'menus' },
    };
  });
  return drawn(
    [...prose, ...copies, ...foreign, ...docs, ...salad, ...menus],
    Number.POSITIVE_INFINITY,
    random.fork('order'),
  );
}

function page(document: Document, kind: Kind, text: string, id = document.id): Document {
  return { id: `${kind}: ${id}`, text, source: document.source, meta: { kind } };
}

/** A keyed sample without replacement. */
export function drawn<T>(items: readonly T[], count: number, random: KeyedRandom): T[] {
  const order = random.permutation(items.length);
  return Array.from({ length: Math.min(count, items.length) }, (_, i) => items[order[i]!]!);
}

function framed(text: string, random: KeyedRandom): string {
  return [menu(random.fork('menu')), text, ...footer(random)].join('\n');
}

function menu(random: KeyedRandom): string {
  const entries = drawn(MENU.split('|'), 4 + random.integer(0, 5), random.fork('entries'));
  return entries.join(random.uniform(1) < 0.5 ? ' | ' : ' ');
}

function footer(random: KeyedRandom): string[] {
  return drawn(FOOTERS, 1 + random.integer(2, 3), random.fork('footer'));
}

/** Another frame, and every fortieth word or so left out of the page. */
function altered(text: string, random: KeyedRandom): string {
  const body = text.split('\n').slice(1, -1).join('\n');
  const words = body.split(' ').filter((_, i) => random.uniform(10 + i) > 1 / 40);
  return framed(words.join(' '), random.fork('frame'));
}

function shuffledWords(text: string, random: KeyedRandom): string {
  const words = text.split(/\s+/);
  const shuffled = drawn(words, words.length, random);
  const lines: string[] = [];
  for (let i = 0; i < shuffled.length; i += 12) lines.push(shuffled.slice(i, i + 12).join(' '));
  return lines.join('\n');
}
