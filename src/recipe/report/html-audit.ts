/**
 * An audit as a page: what the data covers (language x domain as a heat map, quality, length), what is double,
 * what rules would remove with examples, and what is missing for the job. Texts of documents are never markup.
 */
import { languageName } from '../../data/language/index.ts';
import type { AmountShare, AuditReport } from '../../data/pipeline/audit-report.ts';
import * as figures from './figures.ts';
import { EXAMPLE_STYLE, rulesSection } from './html-clean.ts';
import { renderPage, tile } from './html-page.ts';
import { type Column, pairs, section, table } from './html-table.ts';
import { type Markup, type MarkupValue, markup } from './markup.ts';

export interface AuditPageInput {
  readonly report: AuditReport;
  /** What was audited, as it was named. */
  readonly paths: readonly string[];
  readonly plinthVersion: string;
}

const MAX_ROWS = 30;
const MAX_MAP_ROWS = 25;
const MAX_MAP_COLUMNS = 12;

const STYLE = `
.map td { text-align: right; padding: .35rem .5rem; font-variant-numeric: tabular-nums; background: color-mix(in srgb, var(--accent-soft) calc(var(--heat) * 100%), transparent); print-color-adjust: exact; white-space: nowrap; }
.map thead th { white-space: normal; text-align: right; padding: .35rem .5rem; overflow-wrap: anywhere; vertical-align: bottom; }
.map thead th:first-child { text-align: left; padding-left: 0; }
.warnings { margin: 2rem 0 0; padding: 0; list-style: none; }
.warnings li { margin: 0 0 .6rem; padding: .6rem .9rem; border-left: 3px solid var(--second); background: var(--faint); }
`;

export function renderAuditPage({ report, paths, plinthVersion }: AuditPageInput): string {
  const title = paths.join(', ');
  return renderPage({
    title: `${title}: coverage`,
    style: STYLE + EXAMPLE_STYLE,
    footer: `Written by Plinth ${plinthVersion}. Sizes are UTF-8 bytes of text.`,
    content: [
      headline(report, title),
      warningList(report),
      mapSection(report),
      facetSection('languages', 'Languages', 'Language', report.languages, languageLabel),
      facetSection('domains', 'Domains', 'Domain', report.domains),
      facetSection('lengths', 'Length', 'Characters', report.lengths),
      Object.keys(report.qualities).length > 1
        ? facetSection('quality', 'Quality', 'Grade', report.qualities)
        : undefined,
      duplicatesSection(report),
      report.removed && rulesSection(report.removed, 'What rules would remove'),
      readingSection(report),
    ],
  });
}

function headline(report: AuditReport, title: string): Markup {
  const known = Object.entries(report.languages).filter(([code]) => code !== 'unknown' && code !== 'mixed');
  const [largest] = known;
  const near = report.duplicates.near ?? report.duplicates.exact;
  return markup`<header><h1>${title}</h1>
<p class="lead">What this data covers. A model can do what its data shows it, and little else.</p></header>
<ul class="tiles">
${tile(figures.short(report.documents), 'documents', `${figures.bytes(report.bytes)} of text`)}
${tile(
  report.tokens === null ? figures.bytes(report.bytes) : figures.short(report.tokens),
  report.tokens === null ? 'of text' : 'tokens',
  report.tokens === null
    ? 'no tokenizer given'
    : `${figures.rate(report.bytes / Math.max(1, report.tokens))} bytes a token`,
)}
${tile(
  figures.whole(known.length),
  known.length === 1 ? 'language' : 'languages',
  largest ? `${languageLabel(largest[0])} ${figures.percent(largest[1].share)}` : 'none identified',
)}
${tile(figures.whole(Object.keys(report.domains).length), 'domains', '')}
${near ? tile(figures.percent(near.share), 'of documents are duplicates', near.method) : undefined}
${tile(
  report.gaps.length === 0 ? 'none' : figures.whole(report.gaps.length),
  'gaps against the evaluation',
  report.gaps[0]?.name ?? 'plinth data audit --for names one',
)}
</ul>`;
}

function warningList({ warnings }: AuditReport): Markup | undefined {
  if (warnings.length === 0) return undefined;
  return markup`<ul class="warnings">${warnings.map((text) => markup`<li>${text}</li>`)}</ul>`;
}

function languageLabel(code: string): string {
  return code === 'unknown' || code === 'mixed' ? code : `${languageName(code)} (${code})`;
}

/** Bytes by language and domain: shades by the logarithm, so that small amounts can be seen. */
function mapSection({ cells, languages, domains }: AuditReport): Markup {
  const rows = Object.keys(languages).slice(0, MAX_MAP_ROWS);
  const columns = Object.keys(domains).slice(0, MAX_MAP_COLUMNS);
  const sums = new Map<string, number>();
  for (const [language, domain, , , , bytes] of cells) {
    const key = `${language}\u0000${domain}`;
    sums.set(key, (sums.get(key) ?? 0) + bytes);
  }
  const most = Math.max(1, ...sums.values());
  const cell = (language: string, domain: string): Markup => {
    const bytes = sums.get(`${language}\u0000${domain}`) ?? 0;
    const heat = bytes === 0 ? 0 : 0.12 + 0.88 * Math.max(0, 1 + Math.log10(bytes / most) / 5);
    return markup`<td style="--heat:${heat.toFixed(2)}">${bytes === 0 ? '' : figures.bytes(bytes)}</td>`;
  };
  const left: string[] = [];
  if (rows.length < Object.keys(languages).length)
    left.push(`${Object.keys(languages).length - rows.length} languages`);
  if (columns.length < Object.keys(domains).length)
    left.push(`${Object.keys(domains).length - columns.length} domains`);
  const rest = left.length > 0 ? `Smaller ones are not drawn: ${left.join(', ')}. ` : '';
  return section(
    'map',
    'Language by domain',
    markup`<div class="scroll map" tabindex="0" role="group" aria-label="Bytes by language and domain"><table><thead><tr><th scope="col">Language</th>${columns.map(
      (domain) => markup`<th scope="col">${domain}</th>`,
    )}</tr></thead><tbody>${rows.map(
      (language) =>
        markup`<tr><th scope="row">${languageLabel(language)}</th>${columns.map((domain) => cell(language, domain))}</tr>`,
    )}</tbody></table></div><p class="note">${rest}The shade grows with the logarithm of the bytes.</p>`,
  );
}

function facetSection(
  id: string,
  title: string,
  name: string,
  amounts: Readonly<Record<string, AmountShare>>,
  label: (name: string) => string = (text) => text,
): Markup {
  const entries = Object.entries(amounts);
  const hasTokens = entries.some(([, { tokens }]) => tokens !== undefined);
  const columns: Column[] = [
    { title: name },
    { title: 'Share of bytes', kind: 'chart' },
    { title: 'Share', kind: 'figure' },
    { title: 'Documents', kind: 'figure' },
    { title: 'Text', kind: 'figure' },
    ...(hasTokens ? [{ title: 'Tokens', kind: 'figure' } as const] : []),
  ];
  const rows = entries
    .slice(0, MAX_ROWS)
    .map(([key, { documents, bytes, tokens, share }]): MarkupValue[] => [
      label(key),
      shareBar(share, label(key)),
      figures.percent(share),
      figures.whole(documents),
      figures.bytes(bytes),
      ...(hasTokens ? [figures.whole(tokens)] : []),
    ]);
  const rest =
    entries.length > MAX_ROWS
      ? markup`<p class="note">${figures.whole(entries.length - MAX_ROWS)} smaller ones are in the JSON report.</p>`
      : undefined;
  return section(id, title, table({ columns, rows }), rest);
}

function shareBar(share: number, name: string): Markup {
  const width = (Math.min(1, Math.max(0, share)) * 100).toFixed(2);
  return markup`<svg class="bar" role="img" aria-label="${name}: ${figures.percent(share)}" width="100%" height="14"><rect class="bar-space" width="100%" height="14"/><rect class="bar-share" width="${width}%" height="14"/></svg>`;
}

function duplicatesSection({ duplicates }: AuditReport): Markup {
  return section(
    'duplicates',
    'Duplicates',
    table({
      columns: [
        { title: 'Kind' },
        { title: 'Method' },
        { title: 'Documents', kind: 'figure' },
        { title: 'Share', kind: 'figure' },
        { title: 'Text', kind: 'figure' },
      ],
      rows: Object.entries(duplicates).map(([name, { method, documents, share, bytes }]) => [
        name,
        method,
        figures.whole(documents),
        figures.percent(share),
        figures.bytes(bytes),
      ]),
    }),
    markup`<p class="note">Documents beyond the first of each group of equals.</p>`,
  );
}

function readingSection({ read, noText }: AuditReport): Markup {
  return section(
    'reading',
    'Reading',
    pairs([
      ['Records read', figures.whole(read.numRead)],
      ['Records that could not be read', figures.whole(read.numSkipped)],
      ['Pages without a main text', figures.whole(noText)],
    ]),
    read.skipped.length === 0
      ? undefined
      : table({
          columns: [{ title: 'File' }, { title: 'Place' }, { title: 'Why it was skipped' }],
          rows: read.skipped.map(({ source, position, reason }) => [source, position, reason]),
        }),
  );
}
