/**
 * The facts that the atlas recipe teaches: countries (npm `world-countries`, ODbL 1.0) and chemical elements (npm
 * `periodic-table`, ISC), each as a table and a fact sheet. Edit the sheets freely: they are plain data.
 * Values keep to what the packages say; where a package gives several answers to one question, or one that
 * differs between its own rows, the table below takes the canonical one or leaves the cell empty.
 */
import elementsJson from 'periodic-table/data.json' with { type: 'json' };
import type { Country } from 'world-countries';
import countriesJson from 'world-countries/countries.json' with { type: 'json' };
import { type Table, tableOf } from '../src/data/table.ts';
import type { FactSheet, FactSource } from '../src/recipe/facts/index.ts';
import { countrySheet } from './atlas-countries.ts';
import { elementSheet } from './atlas-elements.ts';

interface Element {
  name: string;
  symbol: string;
  atomicNumber: number;
  groupBlock: string;
  standardState: string;
}

const countries = countriesJson as unknown as Country[];
const elements = elementsJson as unknown as Element[];

export function countryTable(): Table {
  const names = new Map(countries.map((country) => [country.cca3, country.name.common]));
  const currencyNames = canonicalCurrencyNames();
  return tableOf(
    countries.map((country) => {
      const currencies = Object.keys(country.currencies);
      const currency = currencies.length === 1 ? currencies[0]! : null;
      return {
        name: country.name.common,
        aliases: [country.name.official, ...country.altSpellings, ...latinTranslations(country)],
        officialName: country.name.official,
        capital: country.capital,
        region: country.region,
        subregion: country.subregion,
        currency: currency === null ? null : currencyNames.get(currency)!,
        currencyCode: currency,
        languages: Object.values(country.languages),
        domain: internetDomain(country),
        callingCode: callingCode(country),
        demonym: demonym(country),
        code2: country.cca2,
        code3: country.cca3,
        neighbours: country.borders.map((code) => names.get(code)!),
        landlocked: country.landlocked,
        area: country.area > 0 ? country.area : null,
      };
    }),
  );
}

export function elementTable(): Table {
  return tableOf(
    elements.map((element) => ({
      name: element.name,
      symbol: element.symbol,
      atomicNumber: element.atomicNumber,
      // The package writes 'metal' for the older members of the group that it elsewhere calls by its full name.
      group: element.groupBlock === 'metal' ? 'post-transition metal' : element.groupBlock,
      state: element.standardState,
    })),
  );
}

/** What one million parameters learn in about five minutes; the sheets hold more. '/reverse' asks back for the entity. */
export const fiveMinuteColumns: Record<string, readonly string[]> = {
  countries: [
    'capital',
    'capital/reverse',
    'region',
    'subregion',
    'currency',
    'languages',
    'domain',
    'callingCode',
    'demonym',
    'neighbours',
    'landlocked',
  ],
  elements: ['symbol', 'symbol/reverse', 'atomicNumber', 'atomicNumber/reverse', 'group'],
};

/** Tables and sheets of the atlas: the five-minute selection, or everything. */
export function atlasFactSources(
  columns: Record<string, readonly string[]> | 'all' = fiveMinuteColumns,
): FactSource[] {
  return [
    { table: countryTable(), sheet: selectColumns(countrySheet, columns) },
    { table: elementTable(), sheet: selectColumns(elementSheet, columns) },
  ];
}

function selectColumns(sheet: FactSheet, columns: Record<string, readonly string[]> | 'all'): FactSheet {
  const wanted = columns === 'all' ? undefined : columns[sheet.name];
  if (!wanted) return sheet;
  return {
    ...sheet,
    attributes: sheet.attributes.filter(({ column }) => wanted.includes(column)),
    reverse: sheet.reverse?.filter(({ column }) => wanted.includes(`${column}/reverse`)) ?? [],
  };
}

/** One name for each currency code: the one most rows use, the longer on a tie ("krone" is also the Danish one). */
function canonicalCurrencyNames(): Map<string, string> {
  const counts = new Map<string, Map<string, number>>();
  for (const country of countries) {
    for (const [code, { name }] of Object.entries(country.currencies)) {
      const names = counts.get(code) ?? new Map<string, number>();
      counts.set(code, names.set(name, (names.get(name) ?? 0) + 1));
    }
  }
  const best = new Map<string, string>();
  for (const [code, names] of counts) {
    const [name] = [...names].sort((a, b) => b[1] - a[1] || b[0].length - a[0].length)[0]!;
    best.set(code, name === 'Euro' ? 'euro' : name);
  }
  return best;
}

/** The two-letter domain named after the ISO code; else the only one in ASCII. */
function internetDomain(country: Country): string | null {
  const ascii = country.tld.filter((domain) => /^\.[a-z]+$/.test(domain));
  const own = `.${country.cca2.toLowerCase()}`;
  if (ascii.includes(own)) return own;
  return ascii.length === 1 ? ascii[0]! : null;
}

/** Root and suffix; the root alone where a zone shared by many area codes has that root (+1, +7). */
function callingCode(country: Country): string | null {
  const { root, suffixes } = country.idd;
  // The package gives these islands Eswatini's code.
  if (root === '' || country.cca2 === 'UM') return null;
  if (suffixes.length === 1) return root + suffixes[0]!;
  return root === '+1' || root === '+7' ? root : null;
}

/** English demonym; rows that give two names for two peoples have no single answer. */
function demonym(country: Country): string | null {
  const name = country.demonyms.eng?.m ?? '';
  return name === '' || /,| or /.test(name) ? null : name;
}

function latinTranslations(country: Country): string[] {
  const names = Object.values(country.translations).flatMap(({ common, official }) => [common, official]);
  return names.filter((name) => /^[\p{Script=Latin}\s'’.,()-]+$/u.test(name));
}
