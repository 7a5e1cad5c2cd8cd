/** The top of the report: what was made, when, and the figures that decide whether it is any good. */
import * as figures from './figures.ts';
import { tile } from './html-page.ts';
import { type Markup, markup } from './markup.ts';
import type { Report } from './report.ts';

export function headline(report: Report): Markup {
  const { evaluation, model, machine } = report;
  const { heldOutPhrasing, unknown } = evaluation;
  return markup`<header>
<h1>${report.name}</h1>
<p class="lead">${report.description}</p>
<p class="meta">Trained ${figures.date(report.startedAt)} in ${figures.duration(report.wallSeconds)} on ${machine.cpu}, ${figures.whole(machine.numCores)} ${machine.numCores === 1 ? 'core' : 'cores'}. Plinth ${report.plinthVersion}.</p>
</header>
<ul class="tiles">
${tile(
  figures.percent(heldOutPhrasing.exactMatch),
  'right answers to phrasings held out of training',
  markup`95 % interval ${figures.interval(heldOutPhrasing.score.interval)}<br>${figures.counted(heldOutPhrasing.score)}`,
)}
${tile(
  figures.percent(unknown.abstention),
  'of questions about invented names refused',
  markup`95 % interval ${figures.interval(unknown.abstentionScore.interval)}<br>${figures.counted(unknown.abstentionScore)}`,
)}
${tile(
  figures.percent(unknown.falseAbstention),
  'of questions about known facts refused wrongly',
  markup`95 % interval ${figures.interval(unknown.falseAbstentionScore.interval)}<br>${figures.counted(unknown.falseAbstentionScore)}`,
)}
${tile(figures.precise(evaluation.bitsPerByte), 'bits per byte on held-out text', `final training loss ${figures.precise(report.train.finalLoss)} nats per token`)}
${tile(figures.short(model.numParameters), 'parameters', `${figures.bytes(model.fileBytes)} on disk`)}
${tile(figures.duration(report.wallSeconds), 'from table to model', `planned ${figures.duration(report.plan.plannedSeconds)}`)}
</ul>
`;
}
