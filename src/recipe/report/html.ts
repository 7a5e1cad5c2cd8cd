/**
 * A report as one HTML file: no script, no request, nothing outside the file. What it shows is what the
 * `Report` says; names, questions and answers are text and never markup.
 */
import { answersSection, samplesSection } from './html-answers.ts';
import { headline } from './html-headline.ts';
import { commandsSection, dataSection, modelSection, settingsSection } from './html-inventory.ts';
import { REPORT_STYLE } from './html-style.ts';
import { trainingSection } from './html-training.ts';
import { Markup, markup } from './markup.ts';
import type { Report } from './report.ts';

/** The whole page, from `<!doctype html>` on. */
export function renderReport(report: Report): string {
  return markup`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${report.name}: run report</title>
<style>${new Markup(REPORT_STYLE)}</style>
</head>
<body>
<main>
${headline(report)}
${answersSection(report)}
${samplesSection(report)}
${trainingSection(report)}
${dataSection(report)}
${modelSection(report)}
${settingsSection(report)}
${commandsSection(report)}
</main>
<footer>Written by Plinth ${report.plinthVersion}. Intervals are 95 %.</footer>
</body>
</html>
`.text;
}
