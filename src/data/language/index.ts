/** Language identification, the browser-safe part: give `LanguageIdentifier.fromBytes` the bytes of lid.176.ftz. */
export {
  DEFAULT_LANGUAGE_SETTINGS,
  type DocumentLanguage,
  type LanguageGuess,
  LanguageIdentifier,
  type LanguageSettings,
  type LanguageShare,
  type LineLanguage,
  MIXED_LANGUAGES,
  UNKNOWN_LANGUAGE,
} from './language-identifier.ts';
export { languageName } from './language-name.ts';
