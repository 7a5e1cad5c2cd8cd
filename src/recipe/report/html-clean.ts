/** What rules removed: a table by rule with its source and thresholds, and documents to look at. */
import type { CleanSummary } from '../../data/clean/index.ts';
import type { CleanReport } from '../../data/pipeline/clean-report.ts';
import type { DropExample } from '../../data/pipeline/shard-cleaning.ts';
import * as figures from './figures.ts';
import { renderPage, tile } from './html-page.ts';
import { pairs, section, table } from './html-table.ts';
import { type Markup, markup } from './markup.ts';

export const EXAMPLE_STYLE = `
.example { margin: 0 0 1.25rem; }
.example pre { white-space: pre-wrap; overflow-wrap: anywhere; max-height: 14rem; font-size: .82rem; }
`;

export function renderCleanPage(report: CleanReport, title: string, plinthVersion: string): string {
  const { documents, bytes, lines } = report;
  return renderPage({
    title: `${title}: cleaning`,
    style: EXAMPLE_STYLE,
    footer: `Written by Plinth ${plinthVersion}. Sizes are UTF-8 bytes of text.`,
    content: [
      markup`<header><h1>${title}</h1><p class="lead">What was kept, and which rule removed the rest.</p></header>
<ul class="tiles">
${tile(figures.percent(documents.out / Math.max(1, documents.in)), 'of documents kept', `${figures.whole(documents.out)} of ${figures.whole(documents.in)}`)}
${tile(figures.percent(bytes.out / Math.max(1, bytes.in)), 'of the text kept', `${figures.bytes(bytes.out)} of ${figures.bytes(bytes.in)}`)}
${tile(figures.whole(lines.in - lines.out), 'lines removed from kept documents and dropped ones', `of ${figures.whole(lines.in)}`)}
</ul>`,
      rulesSection(report, 'Rules in the order of use'),
      section(
        'reading',
        'Reading',
        pairs([
          ['Records read', figures.whole(report.read.numRead)],
          ['Records that could not be read', figures.whole(report.read.numSkipped)],
          ['Time', figures.duration(report.seconds)],
          ['Text a second', `${figures.bytes(report.bytesPerSecond)}`],
        ]),
      ),
    ],
  });
}

type Removed = CleanSummary & { readonly examples: Readonly<Record<string, readonly DropExample[]>> };

export function rulesSection(removed: Removed, title: string): Markup {
  const rows = removed.rules.map((rule) => [
    markup`${rule.rule}<br><small>${rule.source}</small>`,
    thresholdText(rule.thresholds),
    figures.whole(rule.documentsIn),
    figures.whole(rule.documentsIn - rule.documentsOut),
    figures.bytes(rule.bytesIn - rule.bytesOut),
    figures.whole(rule.linesDropped),
  ]);
  const examples = Object.entries(removed.examples)
    .filter(([, list]) => list.length > 0)
    .map(
      ([rule, list]) =>
        markup`<details><summary>${rule}: ${figures.whole(removed.dropped[rule] ?? list.length)} dropped, ${list.length} to look at</summary>${list.map(
          ({ id, source, detail, excerpt }) =>
            markup`<div class="example"><p class="note">${source} ${id}: ${detail}</p><pre tabindex="0">${excerpt}</pre></div>`,
        )}</details>`,
    );
  return section(
    'rules',
    title,
    table({
      columns: [
        { title: 'Rule' },
        { title: 'Thresholds' },
        { title: 'Documents in', kind: 'figure' },
        { title: 'Dropped', kind: 'figure' },
        { title: 'Text removed', kind: 'figure' },
        { title: 'Lines removed', kind: 'figure' },
      ],
      rows,
    }),
    examples.length > 0 ? markup`<h3>Documents that were dropped</h3>${examples}` : undefined,
  );
}

function thresholdText(thresholds: Readonly<Record<string, unknown>>): string {
  return Object.entries(thresholds)
    .map(([name, value]) => `${name} ${Array.isArray(value) ? `${value.length} items` : String(value)}`)
    .join(', ');
}
