/** The frame of every page that Plinth writes: one file, no script, no request, nothing outside it. */
import { REPORT_STYLE } from './html-style.ts';
import { Markup, type MarkupValue, markup } from './markup.ts';

export interface PageInput {
  readonly title: string;
  /** Rules beside those of every report. */
  readonly style?: string;
  /** What stands in `<main>`. */
  readonly content: MarkupValue;
  readonly footer: MarkupValue;
}

/** The whole page, from `<!doctype html>` on. */
export function renderPage({ title, style = '', content, footer }: PageInput): string {
  return markup`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title}</title>
<style>${new Markup(REPORT_STYLE + style)}</style>
</head>
<body>
<main>
${content}
</main>
<footer>${footer}</footer>
</body>
</html>
`.text;
}

/** A figure with its name and a line of detail, for the list at the top (`<ul class="tiles">`). */
export function tile(figure: string, name: string, detail: MarkupValue): Markup {
  return markup`<li><strong>${figure}</strong><span>${name}</span><small>${detail}</small></li>`;
}
