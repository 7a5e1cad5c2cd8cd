/**
 * The look of the report: one column of text, figures of equal width, two hues. Light and dark follow the
 * reader's system, paper is always light. Text has a contrast of at least 4.5 : 1 on its ground (WCAG 2.2 AA).
 */
export const REPORT_STYLE = `
:root { color-scheme: light dark; --ground: #fcfcfb; --text: #1c1e21; --quiet: #5d636b; --line: #dfe1e4; --faint: #eff0f1; --accent: #1a5fb4; --accent-soft: #a9c6ea; --second: #a44a00; --good: #1b6e33; --bad: #b3261e; }
@media (prefers-color-scheme: dark) { :root { --ground: #16181b; --text: #e6e7e9; --quiet: #a0a6ae; --line: #34383e; --faint: #22252a; --accent: #78b0f5; --accent-soft: #2f5687; --second: #f0a35e; --good: #6fcf8a; --bad: #ff8a80; } }
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body { margin: 0 auto; padding: 3.5rem 1.5rem 5rem; max-width: 58rem; background: var(--ground); color: var(--text); font: 1rem/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif; }
h1, h2, h3 { line-height: 1.2; text-wrap: balance; overflow-wrap: anywhere; }
h1 { margin: 0 0 .5rem; font-size: 2.25rem; font-weight: 650; letter-spacing: -.02em; }
h2 { margin: 0 0 1rem; font-size: 1.35rem; font-weight: 650; letter-spacing: -.01em; }
h3 { margin: 2rem 0 .6rem; font-size: 1rem; font-weight: 650; }
p { margin: 0 0 1rem; max-width: 42rem; overflow-wrap: anywhere; }
.lead { font-size: 1.15rem; line-height: 1.45; }
.meta, .note, small { color: var(--quiet); font-size: .85rem; }
section { margin-top: 3.5rem; padding-top: 1.75rem; border-top: 1px solid var(--line); }
.tiles { display: grid; grid-template-columns: repeat(3, 1fr); gap: 1.75rem 2rem; margin: 2.5rem 0 0; padding: 0; list-style: none; }
.tiles li { display: flex; flex-direction: column; padding-top: .7rem; border-top: 2px solid var(--text); }
.tiles strong { font-size: 1.9rem; font-weight: 600; line-height: 1.15; letter-spacing: -.02em; font-variant-numeric: tabular-nums; }
.tiles span { margin: .15rem 0 .35rem; line-height: 1.35; }
.tiles small { font-variant-numeric: tabular-nums; line-height: 1.45; }
.scroll { overflow-x: auto; margin-bottom: 1.25rem; }
table { width: 100%; border-collapse: collapse; font-size: .93rem; }
caption { padding: 0 0 .4rem; text-align: left; font-weight: 650; }
th, td { padding: .42rem 1.1rem .42rem 0; border-bottom: 1px solid var(--line); text-align: left; vertical-align: baseline; font-weight: 400; overflow-wrap: break-word; }
.half { width: 50%; overflow-wrap: anywhere; }
th:last-child, td:last-child { padding-right: 0; }
thead th { color: var(--quiet); font-size: .8rem; white-space: nowrap; }
.figure { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
.chart { min-width: 8rem; width: 38%; }
td.chart { padding-top: 0; padding-bottom: 0; vertical-align: middle; }
tr.total > * { font-weight: 650; border-bottom: 0; }
.pairs { margin: 0 0 1.25rem; font-size: .93rem; }
.pairs > div { display: flex; justify-content: space-between; gap: 1.5rem; padding: .36rem 0; border-bottom: 1px solid var(--line); break-inside: avoid; }
.pairs dt { min-width: 5rem; color: var(--quiet); overflow-wrap: anywhere; }
.pairs dd { margin: 0; text-align: right; font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
section > .pairs, details .pairs { columns: 2; column-gap: 3rem; }
.columns { display: grid; grid-template-columns: repeat(3, 1fr); gap: 0 3rem; }
.columns h3 { margin-top: 0; }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(24rem, 100%), 1fr)); gap: 1.5rem 3rem; }
figure { margin: 0; min-width: 0; break-inside: avoid; }
figcaption { margin-bottom: .6rem; }
figcaption strong { display: inline-block; margin-right: .75rem; font-weight: 650; }
.key { margin-right: .75rem; color: var(--quiet); font-size: .85rem; white-space: nowrap; }
.key::before { content: ""; display: inline-block; width: 1.1em; height: 0; margin-right: .4em; border-top: 2px solid var(--accent); vertical-align: .28em; }
.validation-key::before { border-top-color: var(--second); border-top-style: dotted; border-top-width: 3px; }
svg.chart { display: block; width: calc(100% - 52px); min-width: 0; margin: 0 8px 0 44px; overflow: visible; }
svg.bar { display: block; min-width: 6rem; overflow: visible; }
.grid { stroke: var(--line); stroke-width: 1; }
.tick { fill: var(--quiet); font-size: 12px; font-variant-numeric: tabular-nums; }
.start { text-anchor: start; } .middle { text-anchor: middle; } .end { text-anchor: end; }
svg path { fill: none; vector-effect: non-scaling-stroke; stroke-linejoin: round; }
svg path.band { fill: var(--accent); opacity: .16; }
.train, .rate { stroke: var(--accent); stroke-width: 1.75; }
.rate { stroke: var(--quiet); stroke-width: 1.25; }
.validation { stroke: var(--second); stroke-width: 1; opacity: .55; }
.validation-dot { fill: var(--second); }
.bar-space { fill: var(--faint); } .bar-share { fill: var(--accent-soft); } .bar-interval { fill: var(--text); } .bar-end { stroke: var(--text); stroke-width: 1; }
svg.shares { min-width: 10rem; flex: 1; }
.share-row { display: flex; align-items: center; gap: 1rem; margin-bottom: .5rem; font-size: .93rem; }
.share-row span { min-width: 6rem; }
.share-key { margin-right: .35em; }
.tone-0 { fill: var(--accent); } .tone-1 { fill: var(--accent-soft); } .tone-2 { fill: var(--second); } .tone-3 { fill: var(--quiet); } .tone-4 { fill: var(--good); }
.mark { display: inline-block; width: 1.4em; font-weight: 700; }
.right { color: var(--good); } .wrong { color: var(--bad); }
.expected { margin-left: 1.65em; }
pre { margin: 0; padding: 1rem 1.15rem; overflow-x: auto; background: var(--faint); border-radius: 6px; }
code { font: .875rem/1.6 ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; }
dd code { font-size: .85rem; }
summary { margin-bottom: .75rem; cursor: pointer; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
footer { margin-top: 3.5rem; padding-top: 1rem; border-top: 1px solid var(--line); color: var(--quiet); font-size: .85rem; }
@media (max-width: 44rem) {
  body { padding: 2rem 1.1rem 3rem; }
  h1 { font-size: 1.8rem; }
  section { margin-top: 2.5rem; }
  .tiles { grid-template-columns: repeat(2, 1fr); gap: 1.5rem 1.25rem; }
  .tiles strong { font-size: 1.6rem; }
  .columns { grid-template-columns: 1fr; }
  .columns h3 { margin-top: 1.25rem; }
  section > .pairs, details .pairs { columns: 1; }
  th, td { padding-right: .8rem; }
  .chart { min-width: 4.5rem; width: auto; }
  svg.bar { min-width: 4.5rem; }
  thead th { white-space: normal; }
}
@media print {
  :root { color-scheme: light; --ground: #fff; --text: #000; --quiet: #444; --line: #ccc; --faint: #f2f2f2; --accent: #1a5fb4; --accent-soft: #a9c6ea; --second: #a44a00; --good: #1b6e33; --bad: #b3261e; }
  body { padding: 0; max-width: none; font-size: 10pt; }
  section { break-inside: auto; margin-top: 1.5rem; }
  h2, h3, thead { break-after: avoid; }
  tr { break-inside: avoid; }
  svg { print-color-adjust: exact; }
}
`;
