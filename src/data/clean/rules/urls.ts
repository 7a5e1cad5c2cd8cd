/**
 * Rules on a document's address, `meta.url`. Documents without one pass. FineWeb's own lists (4.6 million domains,
 * huggingface/datatrove filters/url_filter.py) do not ship here: the default words are a handful of ours, and
 * `domains` and `urls` take the lists that you have.
 */
import { defineRule, figure, type RuleDefinition } from '../rule.ts';

const addressRule = defineRule({
  name: 'fineweb-url',
  description:
    'Drops documents by their address: a listed domain or address, a listed word, several soft words, or a listed ' +
    'part of a word.',
  source: 'FineWeb, arXiv 2406.17557, 3.2, and datatrove filters/url_filter.py; the words are ours',
  settings: {
    domains: [] as readonly string[],
    urls: [] as readonly string[],
    words: ['porn', 'porno', 'xxx', 'hentai', 'milf'] as readonly string[],
    softWords: ['adult', 'cam', 'cams', 'erotic', 'escort', 'nude', 'sex', 'sexy'] as readonly string[],
    minSoftWords: 2,
    subwords: ['pornhub', 'xvideo', 'sexcam'] as readonly string[],
  },
  create: (settings) => {
    const domains = domainSet(settings.domains);
    const urls = new Set(settings.urls.map((url) => url.trim()));
    const words = new Set(settings.words.map(normalized));
    const softWords = new Set(settings.softWords.map(normalized));
    const subwords = settings.subwords.map(normalized).filter((word) => word !== '');
    return {
      kind: 'document',
      check: ({ document }) => {
        const { url } = document.meta;
        if (typeof url !== 'string' || url === '') return null;
        const domain = listedDomain(url, domains);
        if (domain !== null) return `listed domain ${domain}`;
        if (urls.has(url)) return 'listed address';
        const parts = new Set(url.toLowerCase().split(/[^a-z0-9]+/));
        for (const word of words) if (parts.has(word)) return `"${word}" in the address`;
        let numSoft = 0;
        for (const word of softWords) if (parts.has(word)) numSoft++;
        if (numSoft >= settings.minSoftWords && numSoft > 0) {
          return `soft words in the address ${figure(numSoft)} >= ${settings.minSoftWords}`;
        }
        const letters = normalized(url);
        const subword = subwords.find((one) => letters.includes(one));
        return subword === undefined ? null : `"${subword}" in the address`;
      },
    };
  },
});

const listDomains = defineRule({
  name: 'list-domains',
  description: 'Drops documents from listed domains.',
  source: 'a list of your own',
  settings: { domains: [] as readonly string[] },
  create: (settings) => {
    const domains = domainSet(settings.domains);
    return {
      kind: 'document',
      check: ({ document }) => {
        const { url } = document.meta;
        const domain = typeof url === 'string' ? listedDomain(url, domains) : null;
        return domain === null ? null : `listed domain ${domain}`;
      },
    };
  },
});

const listUrls = defineRule({
  name: 'list-urls',
  description: 'Drops documents from listed addresses, compared without scheme, www. and a last slash.',
  source: 'a list of your own; addresses as C4’s normalize_url, tensorflow/datasets text/c4_utils.py',
  settings: { urls: [] as readonly string[] },
  create: (settings) => {
    const urls = new Set(settings.urls.map(bareUrl));
    return {
      kind: 'document',
      check: ({ document }) => {
        const { url } = document.meta;
        return typeof url === 'string' && urls.has(bareUrl(url)) ? 'listed address' : null;
      },
    };
  },
});

function normalized(text: string): string {
  return text.toLowerCase().replace(/[^a-z0-9]+/g, '');
}

function bareUrl(url: string): string {
  const bare = url.trim().replace(/^https?:\/\/(?:www\.)?/, '');
  return bare.endsWith('/') ? bare.slice(0, -1) : bare;
}

function domainSet(domains: readonly string[]): ReadonlySet<string> {
  return new Set(domains.map((domain) => domain.trim().toLowerCase()).filter((domain) => domain !== ''));
}

/** The listed domain that covers an address: its whole host name, or its registered domain; else null. */
export function listedDomain(url: string, domains: ReadonlySet<string>): string | null {
  if (domains.size === 0) return null;
  const host = hostOf(url);
  if (domains.has(host)) return host;
  const registered = registeredDomain(host);
  return domains.has(registered) ? registered : null;
}

function hostOf(url: string): string {
  const rest = url.toLowerCase().replace(/^[a-z][a-z0-9+.-]*:\/\//, '');
  const host = /^[^/?#]*/.exec(rest)![0];
  return host.slice(host.lastIndexOf('@') + 1).replace(/:\d*$/, '');
}

/** Second-level labels below which names are registered in country domains, such as co.uk and com.au. */
const secondLevel = new Set(['ac', 'co', 'com', 'edu', 'go', 'gob', 'gov', 'ne', 'net', 'or', 'org']);

/** The last two labels, or three below co.uk and its like; no public suffix list is used. */
function registeredDomain(host: string): string {
  const labels = host.split('.');
  const isCountry = labels.at(-1)!.length === 2 && labels.length > 2 && secondLevel.has(labels.at(-2)!);
  return labels.slice(isCountry ? -3 : -2).join('.');
}

export const URL_RULES: readonly RuleDefinition[] = [addressRule, listDomains, listUrls];
