/**
 * A token premium as one HTML file: a bar for each language and tokenizer, then all figures as tables. No script,
 * no request, nothing outside the file.
 */
import * as figures from '../recipe/report/figures.ts';
import { renderPage } from '../recipe/report/html-page.ts';
import { section, table } from '../recipe/report/html-table.ts';
import { Markup, markup } from '../recipe/report/markup.ts';
import type { LanguagePremium, PremiumReport } from '../tokenizer/premium.ts';
import type { ParallelTexts } from './premium-texts.ts';

const PREMIUM_STYLE = `
.premium { display: grid; grid-template-columns: minmax(7rem, max-content) 1fr; gap: .1rem 1rem; margin: 0 0 1.25rem; font-size: .93rem; }
.premium dt { align-self: center; overflow-wrap: anywhere; }
.premium dd { margin: 0; padding: .3rem 0; border-bottom: 1px solid var(--line); }
.premium .row { display: grid; grid-template-columns: 1fr 3.6rem; gap: .6rem; align-items: center; }
.premium .row span { text-align: right; font-variant-numeric: tabular-nums; }
.premium svg { display: block; overflow: visible; }
.premium-0 { fill: var(--accent); } .premium-1 { fill: var(--second); } .premium-2 { fill: var(--good); } .premium-3 { fill: var(--quiet); }
.premium-one { stroke: var(--quiet); stroke-width: 1; stroke-dasharray: 2 2; }
.premium-whisker { stroke: var(--text); stroke-width: 1.5; }
.premium-key { display: inline-block; width: .9em; height: .9em; margin: 0 .4em 0 0; vertical-align: -.1em; }
.legend { margin: 0 0 1rem; } .legend span { margin-right: 1.4rem; white-space: nowrap; }
`;
const NUM_HUES = 4;
const BAR_HEIGHT = 10;

export function premiumPage(report: PremiumReport, { names, description, notes }: ParallelTexts): string {
  const nameOf = (language: string) => (names[language] ? `${names[language]} (${language})` : language);
  const indices = report.texts.map((_, i) => i);
  const highest = (i: number) => report.tokenizers[0]!.languages[i]!.premium;
  const order = indices.sort((a, b) => highest(b) - highest(a));
  const reference = nameOf(report.reference);
  return renderPage({
    title: 'Token premium by language',
    style: PREMIUM_STYLE,
    footer: `Intervals are 95 %, by bootstrap over ${report.texts[0]!.numUnits} units of text. Words are cut by Unicode's rules, with dictionaries for scripts without spaces.`,
    content: markup`<h1>Token premium by language</h1>
<p class="lead">How many tokens the same text takes in each language, relative to ${reference}.</p>
<p class="meta">${description}. ${report.texts.length} languages, ${report.tokenizers.length} tokenizers. A premium of 3 means three times the price, three times the decoding steps, and a third of the context window for the same meaning.</p>
${notes.map((note) => markup`<p class="note">${note}</p>`)}
${section('premium', 'Premium', legend(report), chart(report, order, nameOf))}
${section('costs', 'What it costs', costs(report, order, nameOf))}
${section('figures', 'Tokens and sizes', fertility(report, order, nameOf), sizes(report, order, nameOf))}`,
  });
}

function legend(report: PremiumReport): Markup {
  return markup`<p class="legend">${report.tokenizers.map(
    ({ tokenizer, vocabSize }, t) =>
      markup`<span><svg class="premium-key" viewBox="0 0 10 10" aria-hidden="true"><rect class="premium-${t % NUM_HUES}" width="10" height="10"/></svg>${tokenizer}${
        vocabSize === null ? undefined : ` (${figures.whole(vocabSize)} ids)`
      }</span> `,
  )}</p>`;
}

function chart(
  report: PremiumReport,
  order: readonly number[],
  nameOf: (language: string) => string,
): Markup {
  const most = Math.max(1, ...report.tokenizers.flatMap(({ languages }) => languages.map(upperEnd)));
  const at = (premium: number) => `${((100 * premium) / most).toFixed(2)}%`;
  const bar = (premium: LanguagePremium, tokenizer: string, t: number) => {
    const [low, high] = premium.interval ?? [premium.premium, premium.premium];
    const label = `${tokenizer}: ${premium.premium.toFixed(2)}, 95 % interval ${low.toFixed(2)} to ${high.toFixed(2)}`;
    return markup`<div class="row"><svg role="img" aria-label="${label}" width="100%" height="${BAR_HEIGHT}"><title>${label}</title><rect class="premium-${t % NUM_HUES}" width="${at(premium.premium)}" height="${BAR_HEIGHT}"/><line class="premium-whisker" x1="${at(low)}" x2="${at(high)}" y1="5" y2="5"/><line class="premium-one" x1="${at(1)}" x2="${at(1)}" y1="-2" y2="${BAR_HEIGHT + 2}"/></svg><span>${premium.premium.toFixed(2)}</span></div>`;
  };
  return markup`<dl class="premium">${order.map(
    (i) =>
      markup`<dt>${nameOf(report.texts[i]!.language)}</dt><dd>${report.tokenizers.map(
        ({ tokenizer, languages }, t) => bar(languages[i]!, tokenizer, t),
      )}</dd>\n`,
  )}</dl>
<p class="note">The broken line is 1: as many tokens as the reference language. Thin lines in the bars are 95 % intervals.</p>`;
}

function upperEnd({ premium, interval }: LanguagePremium): number {
  return interval?.[1] ?? premium;
}

function costs(
  report: PremiumReport,
  order: readonly number[],
  nameOf: (language: string) => string,
): Markup {
  const { pricePerMillion, tokensPerSecond, contextTokens } = report;
  const hasPrice = pricePerMillion !== null;
  const assumed = [
    ...(hasPrice ? [`${pricePerMillion} for a million tokens`] : []),
    `${figures.whole(tokensPerSecond)} tokens a second`,
    `a window of ${figures.whole(contextTokens)} tokens`,
  ].join(', ');
  const tables = report.tokenizers.map(({ languages }) =>
    table({
      columns: [
        { title: 'Language' },
        ...(hasPrice ? ([{ title: 'Price of 1,000 words', kind: 'figure' }] as const) : []),
        { title: 'Seconds for 1,000 tokens', kind: 'figure' },
        { title: 'Window holds', kind: 'figure' },
        { title: 'Of the window', kind: 'figure' },
      ],
      rows: order.map((i) => {
        const language = languages[i]!;
        return [
          nameOf(language.language),
          ...(hasPrice ? [figures.rate(language.costPer1000ReferenceWords)] : []),
          language.secondsPer1000ReferenceTokens.toFixed(1),
          figures.whole(language.contextReferenceTokens),
          figures.percent(language.contextShare),
        ];
      }),
    }),
  );
  return markup`<p>For what takes 1,000 words or tokens in ${nameOf(report.reference)}, at ${assumed}. The window is in tokens of the reference language.</p>
${tables.map((one, t) => markup`<details${t === 0 ? new Markup(' open') : undefined}><summary>${report.tokenizers[t]!.tokenizer}</summary>${one}</details>\n`)}`;
}

function fertility(
  report: PremiumReport,
  order: readonly number[],
  nameOf: (language: string) => string,
): Markup {
  return table({
    caption: 'Tokens a word (fertility), and a character',
    columns: [
      { title: 'Language' },
      ...report.tokenizers.flatMap(({ tokenizer }) => [
        { title: `${tokenizer}, word`, kind: 'figure' as const },
        { title: 'character', kind: 'figure' as const },
      ]),
    ],
    rows: order.map((i) => [
      nameOf(report.texts[i]!.language),
      ...report.tokenizers.flatMap(({ languages }) => [
        languages[i]!.tokensPerWord.toFixed(2),
        languages[i]!.tokensPerCharacter.toFixed(2),
      ]),
    ]),
  });
}

function sizes(
  report: PremiumReport,
  order: readonly number[],
  nameOf: (language: string) => string,
): Markup {
  return table({
    caption: 'The texts',
    columns: [
      { title: 'Language' },
      { title: 'Units', kind: 'figure' },
      { title: 'Missing', kind: 'figure' },
      { title: 'Bytes', kind: 'figure' },
      { title: 'Characters', kind: 'figure' },
      { title: 'Words', kind: 'figure' },
      ...report.tokenizers.map(({ tokenizer }) => ({ title: tokenizer, kind: 'figure' as const })),
    ],
    rows: order.map((i) => {
      const text = report.texts[i]!;
      const counts = [text.numUnits, text.numMissingUnits, text.bytes, text.characters, text.words];
      return [
        nameOf(text.language),
        ...counts.map(figures.whole),
        ...report.tokenizers.map(({ languages }) => figures.whole(languages[i]!.tokens)),
      ];
    }),
  });
}
