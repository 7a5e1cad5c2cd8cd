/**
 * The facets by which coverage is counted: language, domain, quality and length of a document. Language and
 * quality are judged elsewhere; the domain is what the data says of itself, and nothing is guessed from words.
 */
import type { Document } from '../document.ts';

export interface Facets {
  /** Code of the language, 'mixed' or 'unknown'. */
  readonly language: string;
  readonly domain: string;
  readonly quality: string;
  readonly length: string;
}

/** Characters from which a class of length begins. */
const LENGTH_CLASSES: readonly (readonly [from: number, name: string])[] = [
  [0, 'under 200'],
  [200, '200 to 1k'],
  [1000, '1k to 5k'],
  [5000, '5k to 20k'],
  [20_000, '20k and more'],
];

export const LENGTH_NAMES: readonly string[] = LENGTH_CLASSES.map(([, name]) => name);

/** The class of a text's length in characters (UTF-16 units). */
export function lengthClassOf(text: string): string {
  return LENGTH_CLASSES.findLast(([from]) => text.length >= from)![1];
}

export interface DomainOptions {
  /** Field of meta that holds the domain. Default 'domain', else 'category', else 'topic'. */
  readonly domainColumn?: string;
  /** Folders and files that were asked for; a path below a folder is named by its first part. */
  readonly roots?: readonly string[];
}

const USUAL_DOMAIN_COLUMNS = ['domain', 'category', 'topic'];
const MAX_NAME_CHARACTERS = 100;

/**
 * In this order: the field of meta, the host of meta.url (without www.), the first folder below a root, the folder
 * of a file that no root names (documents of an earlier job keep where they came from), the file's name without
 * its endings.
 */
export function domainOf({ meta, source }: Document, options: DomainOptions = {}): string {
  const columns = options.domainColumn === undefined ? USUAL_DOMAIN_COLUMNS : [options.domainColumn];
  for (const column of columns) {
    const value = meta[column];
    if (typeof value === 'string' && value.trim() !== '') return value.trim().slice(0, MAX_NAME_CHARACTERS);
    if (typeof value === 'number') return String(value);
  }
  return hostOf(meta.url) ?? placeOf(source, options.roots ?? []);
}

function hostOf(url: unknown): string | undefined {
  if (typeof url !== 'string') return undefined;
  const host = /^[a-z][a-z0-9+.-]*:\/\/(?:[^/?#@]*@)?([^/?#:]+)/i.exec(url)?.[1];
  return host
    ?.toLowerCase()
    .replace(/^www\./, '')
    .slice(0, MAX_NAME_CHARACTERS);
}

function placeOf(source: string, roots: readonly string[]): string {
  const path = source.replaceAll('\\', '/');
  const root = roots
    .map((one) => one.replaceAll('\\', '/').replace(/\/+$/, ''))
    .find((one) => path.startsWith(`${one}/`));
  const parts = (root === undefined ? path : path.slice(root.length + 1))
    .split('/')
    .filter((part) => part !== '');
  if (root !== undefined && parts.length > 1) return parts[0]!.slice(0, MAX_NAME_CHARACTERS);
  if (root === undefined && roots.length > 0 && !roots.includes(source) && parts.length > 1) {
    return parts.at(-2)!.slice(0, MAX_NAME_CHARACTERS);
  }
  const name = parts.at(-1) ?? source;
  return (name.replace(/(?<=.)(\.[A-Za-z0-9]{1,8})+$/, '') || name).slice(0, MAX_NAME_CHARACTERS);
}
