/** Rules on words and phrases that a document must not hold: the bad-words lists of C4, and lists of your own. */
import { ConfigError } from '../../../core/errors.ts';
import { nearestNames } from '../../../core/nearest-name.ts';
import { BAD_WORD_LANGUAGES, badWordsOf } from '../bad-words.ts';
import { PhraseList } from '../phrase-list.ts';
import { defineRule, type RuleBody, type RuleDefinition } from '../rule.ts';

const maxDetailCharacters = 60;

/** @param listOf the list for a document's language; null keeps the document. */
function phraseBody(
  minMatches: number,
  listOf: (language: () => string | null) => PhraseList | null,
): RuleBody {
  return {
    kind: 'document',
    check: (page) => {
      const list = listOf(() => page.language?.language ?? null);
      if (list === null) return null;
      const atMost = Math.max(1, Math.ceil(minMatches));
      const found = list.find(page.lower, atMost);
      if (found.length < atMost) return null;
      const listed = [...new Set(found)].map((phrase) => `"${phrase}"`).join(', ');
      return `${found.length} listed: ${listed.slice(0, maxDetailCharacters)}`;
    },
  };
}

const badWords = defineRule({
  name: 'c4-bad-words',
  description:
    'Drops documents with words of the bad-words list. language is a code, or auto for the document’s own; a ' +
    'document whose language is not known or has no list is kept.',
  source: 'C4, arXiv 1910.10683, 2.2, and tensorflow/datasets text/c4_utils.py get_badwords_filter_fn',
  settings: { language: 'en', minMatches: 1, allow: [] as readonly string[] },
  create: ({ language, minMatches, allow }) => {
    if (language === 'auto') {
      const lists = new Map<string, PhraseList | null>();
      return phraseBody(minMatches, (languageOf) => {
        const own = languageOf();
        if (own === null) return null;
        if (!lists.has(own)) lists.set(own, badWordsOf(own, allow));
        return lists.get(own)!;
      });
    }
    const list = badWordsOf(language, allow);
    if (list === null) {
      throw new ConfigError(
        `There is no bad-words list for language "${language}". There are ${nearestNames(language, BAD_WORD_LANGUAGES)}.`,
      );
    }
    return phraseBody(minMatches, () => list);
  },
});

const listWords = defineRule({
  name: 'list-words',
  description: 'Drops documents with at least minDocumentMatches of the listed words and phrases.',
  source: 'a list of your own',
  settings: { list: [] as readonly string[], minDocumentMatches: 1, wholeWords: true },
  create: ({ list, minDocumentMatches, wholeWords }) => {
    const phrases = new PhraseList(list, wholeWords);
    return phraseBody(minDocumentMatches, () => phrases);
  },
});

export const WORD_LIST_RULES: readonly RuleDefinition[] = [badWords, listWords];
