/** English names of lid.176's language codes. */

/** Wikipedia's codes where they mean something else than ISO 639 does, and codes that CLDR does not name. */
const WIKIPEDIA_NAMES: Readonly<Record<string, string>> = {
  als: 'Alemannic',
  azb: 'South Azerbaijani',
  bh: 'Bihari',
  cbk: 'Chavacano',
  diq: 'Zazaki',
  dty: 'Doteli',
  eml: 'Emilian-Romagnol',
  nah: 'Nahuatl',
  unknown: 'unknown',
  mixed: 'mixed',
};

let names: Intl.DisplayNames | undefined;

/** 'my' -> 'Burmese'; the code itself where no name is known or it is no code at all. */
export function languageName(code: string): string {
  const own = WIKIPEDIA_NAMES[code];
  if (own !== undefined) return own;
  try {
    names ??= new Intl.DisplayNames(['en'], { type: 'language', fallback: 'code' });
    return names.of(code) ?? code;
  } catch {
    return code;
  }
}
