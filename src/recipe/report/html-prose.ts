/** What a run's texts cover, what became of its prose, and what the model makes of prose that it never read. */
import * as figures from './figures.ts';
import { pairs, table } from './html-table.ts';
import { type Markup, markup } from './markup.ts';
import type { BitsPerByte, Report } from './report.ts';

/** A table of training text by language and domain; nothing for runs that did not count it. */
export function coverageTable({ data }: Report): Markup | undefined {
  const { coverage } = data;
  if (!coverage || coverage.length === 0) return undefined;
  return markup`<h3>Coverage</h3>
<p>A model can do only what its data covers: no other language or kind of text went in.</p>${table({
    columns: [
      { title: 'Language and domain' },
      { title: 'Documents', kind: 'figure' },
      { title: 'Text', kind: 'figure' },
      { title: 'Tokens', kind: 'figure' },
    ],
    rows: coverage.map(({ language, domain, numDocuments, numBytes, numTokens }) => [
      `${language}, ${domain}`,
      figures.whole(numDocuments),
      figures.bytes(numBytes),
      figures.whole(numTokens),
    ]),
  })}`;
}

/** Sources of prose with what cleaning dropped, by rule. */
export function proseTables({ data }: Report): Markup | undefined {
  const { prose } = data;
  if (!prose) return undefined;
  return markup`<h3>Prose</h3>
<p>${figures.percent(prose.share)} of the rows of pre-training were prose: ${figures.rate(prose.epochs)} times through ${figures.whole(prose.numTokens)} tokens.</p>
${table({
  columns: [
    { title: 'Source' },
    { title: 'Documents', kind: 'figure' },
    { title: 'Kept', kind: 'figure' },
    { title: 'Text', kind: 'figure' },
    { title: 'Kept', kind: 'figure' },
    { title: 'Licence' },
  ],
  rows: prose.sources.map(({ name, licence, numDocuments, numBytes, missing }) => [
    name,
    figures.whole(numDocuments.in),
    figures.whole(numDocuments.out),
    figures.bytes(numBytes.in),
    figures.bytes(numBytes.out),
    missing === undefined ? licence : `left out: ${missing}`,
  ]),
})}${prose.sources.map(({ name, dropped }) => {
  const rules = Object.entries(dropped);
  if (rules.length === 0) return undefined;
  return markup`<h3>Dropped from ${name}, by rule</h3>${pairs(
    rules.map(([rule, count]) => [figures.words(rule), figures.whole(count)]),
  )}`;
})}`;
}

/** Bits per byte of facts and of prose, both held out. */
export function bitsTable({ evaluation }: Report): Markup | undefined {
  const { prose, bitsPerByte } = evaluation;
  if (!prose) return undefined;
  const row = (name: string, { value, interval }: BitsPerByte) => [
    name,
    figures.precise(value),
    figures.preciseInterval(interval),
  ];
  return markup`<h3>Bits per byte on text held out of training</h3>${table({
    columns: [
      { title: 'Text' },
      { title: 'Bits per byte', kind: 'figure' },
      { title: 'Interval', kind: 'figure' },
    ],
    rows: [
      ['facts, after pre-training', figures.precise(bitsPerByte), '–'],
      row('prose, after pre-training', prose.pretrained),
      row('prose, after finetuning on chats', prose.finetuned),
    ],
  })}<p class="note">Prose: ${figures.whole(prose.numDocuments)} documents, ${figures.bytes(prose.numBytes)}; the interval is over documents.</p>`;
}
