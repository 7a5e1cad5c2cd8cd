/**
 * Rules on a document's language. The guess comes from `meta.language` and `meta.languageScore` when a document has
 * both, else from the `identifyLanguage` given to the cleaner.
 */
import { ConfigError } from '../../../core/errors.ts';
import { defineRule, figure, type RuleDefinition } from '../rule.ts';

interface LanguageRule {
  name: string;
  description: string;
  source: string;
  language: string | null;
  minLanguageScore: number;
  /** Left out of a cleaner that has no identifier. */
  isOptional: boolean;
  /** What `language: null` means. Default 'any'. */
  withoutLanguage?: 'any' | 'off';
}

/** `language` may list several, 'en,de'. */
function languageRule(rule: LanguageRule): RuleDefinition {
  const { isOptional, language, minLanguageScore, withoutLanguage, ...texts } = rule;
  const isOff = (chosen: string | null) => chosen === null && withoutLanguage === 'off';
  return defineRule({
    ...texts,
    settings: { language: language as string | null, minLanguageScore },
    nullable: ['language'],
    needsLanguage: (settings) => {
      if (isOff(settings.language)) return 'never';
      return isOptional ? 'if-given' : 'always';
    },
    create: (settings) => {
      if (isOff(settings.language)) return { kind: 'document', check: () => null };
      const languages = settings.language === null ? null : settings.language.split(',').map((l) => l.trim());
      if (languages?.includes('')) {
        throw new ConfigError(`Setting language of rule ${texts.name}: expected codes such as en or en,de.`);
      }
      const min = settings.minLanguageScore;
      return {
        kind: 'document',
        check: (page) => {
          const guess = page.language;
          if (guess === null) return 'language not known';
          if (languages !== null && !languages.includes(guess.language)) {
            return `language ${guess.language}, not ${languages.join(' or ')}`;
          }
          return guess.score < min ? `language score ${figure(guess.score)} < ${min}` : null;
        },
      };
    },
  });
}

export const LANGUAGE_RULES: readonly RuleDefinition[] = [
  languageRule({
    name: 'c4-language',
    description:
      'English only. Left out when the cleaner cannot identify languages; language null turns it off.',
    source:
      'C4, tensorflow/datasets text/c4_utils.py detect_english: langdetect >= 0.99; here 0.65, FineWeb’s for ' +
      'lid.176, whose scores of plain English prose lie around 0.95',
    language: 'en',
    minLanguageScore: 0.65,
    isOptional: true,
    withoutLanguage: 'off',
  }),
  languageRule({
    name: 'mc4-language',
    description:
      'Any language that is told with confidence. Left out when the cleaner cannot identify languages.',
    source: 'mC4, arXiv 2010.11934, 3.1: cld3 >= 0.70; here the same for lid.176',
    language: null,
    minLanguageScore: 0.7,
    isOptional: true,
  }),
  languageRule({
    name: 'fineweb-language',
    description: 'English with confidence.',
    source: 'FineWeb, arXiv 2406.17557, 3.3: lid.176 >= 0.65',
    language: 'en',
    minLanguageScore: 0.65,
    isOptional: false,
  }),
  languageRule({
    name: 'cc-net-language',
    description: 'Any language that is told with confidence.',
    source: 'CCNet, arXiv 1911.00359, 3.2: lid.176 >= 0.5',
    language: null,
    minLanguageScore: 0.5,
    isOptional: false,
  }),
  languageRule({
    name: 'language',
    description: 'Languages of your choice. Left out when the cleaner cannot identify languages.',
    source: 'MassiveText, arXiv 2112.11446, A.1.1: English only',
    language: 'en',
    minLanguageScore: 0.5,
    isOptional: true,
  }),
];
