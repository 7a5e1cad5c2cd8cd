/**
 * A report as one HTML file: no script, no request, nothing outside the file. What it shows is what the
 * `Report` says; names, questions and answers are text and never markup.
 */
import { answersSection, samplesSection } from './html-answers.ts';
import { headline } from './html-headline.ts';
import { commandsSection, dataSection, modelSection, settingsSection } from './html-inventory.ts';
import { renderPage } from './html-page.ts';
import { preferenceSection } from './html-preference.ts';
import { trainingSection } from './html-training.ts';
import type { Report } from './report.ts';

/** The whole page, from `<!doctype html>` on. */
export function renderReport(report: Report): string {
  return renderPage({
    title: `${report.name}: run report`,
    footer: `Written by Plinth ${report.plinthVersion}. Intervals are 95 %.`,
    content: [
      headline(report),
      answersSection(report),
      samplesSection(report),
      preferenceSection(report),
      trainingSection(report),
      dataSection(report),
      modelSection(report),
      settingsSection(report),
      commandsSection(report),
    ],
  });
}
