/**
 * The "List of Dirty, Naughty, Obscene, and Otherwise Bad Words" (npm naughty-words, CC-BY-4.0) by language, as C4
 * and mC4 used it.
 */
import ar from 'naughty-words/ar.json' with { type: 'json' };
import cs from 'naughty-words/cs.json' with { type: 'json' };
import da from 'naughty-words/da.json' with { type: 'json' };
import de from 'naughty-words/de.json' with { type: 'json' };
import en from 'naughty-words/en.json' with { type: 'json' };
import eo from 'naughty-words/eo.json' with { type: 'json' };
import es from 'naughty-words/es.json' with { type: 'json' };
import fa from 'naughty-words/fa.json' with { type: 'json' };
import fi from 'naughty-words/fi.json' with { type: 'json' };
import fil from 'naughty-words/fil.json' with { type: 'json' };
import fr from 'naughty-words/fr.json' with { type: 'json' };
import hi from 'naughty-words/hi.json' with { type: 'json' };
import hu from 'naughty-words/hu.json' with { type: 'json' };
import it from 'naughty-words/it.json' with { type: 'json' };
import ja from 'naughty-words/ja.json' with { type: 'json' };
import kab from 'naughty-words/kab.json' with { type: 'json' };
import ko from 'naughty-words/ko.json' with { type: 'json' };
import nl from 'naughty-words/nl.json' with { type: 'json' };
import no from 'naughty-words/no.json' with { type: 'json' };
import pl from 'naughty-words/pl.json' with { type: 'json' };
import pt from 'naughty-words/pt.json' with { type: 'json' };
import ru from 'naughty-words/ru.json' with { type: 'json' };
import sv from 'naughty-words/sv.json' with { type: 'json' };
import th from 'naughty-words/th.json' with { type: 'json' };
import tlh from 'naughty-words/tlh.json' with { type: 'json' };
import tr from 'naughty-words/tr.json' with { type: 'json' };
import zh from 'naughty-words/zh.json' with { type: 'json' };
import { PhraseList } from './phrase-list.ts';

const words: Readonly<Record<string, readonly string[]>> = {
  ar,
  cs,
  da,
  de,
  en,
  eo,
  es,
  fa,
  fi,
  fil,
  fr,
  hi,
  hu,
  it,
  ja,
  kab,
  ko,
  nl,
  no,
  pl,
  pt,
  ru,
  sv,
  th,
  tlh,
  tr,
  zh,
};

/** Written without spaces: words of the list count anywhere. */
const unspacedLanguages = new Set(['ja', 'th', 'zh']);

/** mC4 takes these off the lists: parts of common words that would each drop a tenth of the language's pages. */
const allowed: Readonly<Record<string, readonly string[]>> = { ja: ['sm', 'グロ', '女の子'], zh: ['性'] };

export const BAD_WORD_LANGUAGES: readonly string[] = Object.keys(words);

/** @param allow words to take off the list. @returns null for a language that has no list. */
export function badWordsOf(language: string, allow: readonly string[] = []): PhraseList | null {
  const code = language.split('-')[0]!;
  const list = Object.hasOwn(words, code) ? words[code] : undefined;
  if (list === undefined) return null;
  const left = new Set([...(allowed[code] ?? []), ...allow].map((word) => word.toLowerCase()));
  return new PhraseList(
    list.filter((word) => !left.has(word.toLowerCase())),
    !unspacedLanguages.has(code),
  );
}
