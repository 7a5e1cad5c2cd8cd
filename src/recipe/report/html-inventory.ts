/** What went in and what came out, counted: data, tokenizer, model, machine, settings, commands. */
import * as figures from './figures.ts';
import { coverageTable, proseTables } from './html-prose.ts';
import { pairs, section, table } from './html-table.ts';
import { type Markup, markup } from './markup.ts';
import type { Report } from './report.ts';

export function dataSection(report: Report): Markup {
  const { data } = report;
  const leftOut = Object.entries(data.leftOut);
  const sources = table({
    columns: [
      { title: 'Source' },
      { title: 'Rows', kind: 'figure' },
      { title: 'Facts', kind: 'figure' },
      { title: 'Licence' },
    ],
    rows: data.sources.map(({ name, licence, numRows, numFacts }) => [
      name,
      figures.whole(numRows),
      figures.whole(numFacts),
      licence,
    ]),
  });
  const dropped =
    leftOut.length === 0
      ? markup`<p>No fact was left out.</p>`
      : markup`<h3>Facts left out, by reason</h3>${pairs(
          leftOut.map(([reason, count]) => [figures.words(reason), figures.whole(count)]),
        )}`;
  return section(
    'data',
    'Data',
    sources,
    pairs([
      ['Facts', figures.whole(data.numFacts)],
      ['Entities', figures.whole(data.numEntities)],
      ['Statements written', figures.whole(data.numStatements)],
      ['Training questions', figures.whole(data.numQuestions)],
      ['Questions about invented names', figures.whole(data.numUnknownQuestions)],
      ['Documents', figures.whole(data.numDocuments)],
      ['Tokens', figures.whole(data.numTokens)],
      ['Text', figures.bytes(data.numBytes)],
      ['Evaluation: held-out wordings', figures.whole(data.evaluation.numHeldOutPhrasing)],
      ['Evaluation: invented names', figures.whole(data.evaluation.numUnknown)],
    ]),
    dropped,
    proseTables(report),
    coverageTable(report),
  );
}

export function modelSection({ model, tokenizer, machine, peakRssBytes }: Report): Markup {
  return section(
    'model',
    'Model, tokenizer, machine',
    markup`<div class="columns"><div><h3>Model</h3>${pairs([
      ['Architecture', model.architecture],
      ['Parameters', figures.whole(model.numParameters)],
      ['Layers', figures.whole(model.numLayers)],
      ['Hidden size', figures.whole(model.hiddenSize)],
      ['Heads (keys and values)', `${figures.whole(model.numHeads)} (${figures.whole(model.numKvHeads)})`],
      ['Intermediate size', figures.whole(model.intermediateSize)],
      ['Context', `${figures.whole(model.contextLength)} tokens`],
      ['Files', figures.bytes(model.fileBytes)],
    ])}</div>
<div><h3>Tokenizer</h3>${pairs([
      ['Vocabulary', figures.whole(tokenizer.vocabSize)],
      ['Bytes per token', figures.rate(tokenizer.bytesPerToken)],
      ['Trained in', figures.duration(tokenizer.trainSeconds)],
    ])}</div>
<div><h3>Machine</h3>${pairs([
      ['Processor', machine.cpu],
      ['Cores', figures.whole(machine.numCores)],
      ['Threads used', figures.whole(machine.numThreads)],
      ['Device', machine.device],
      ['Matrix product', `${figures.rate(machine.sgemmGflops)} GFLOP/s`],
      ['Memory', figures.bytes(machine.memoryBytes)],
      ['Peak use', figures.bytes(peakRssBytes)],
      ['System', machine.platform],
      ['Node', machine.node],
      ['Runtime', machine.runtime],
    ])}</div></div>`,
  );
}

export function settingsSection({ settings }: Report): Markup {
  const rows = flatten('', settings);
  return section(
    'settings',
    'Settings',
    markup`<details open><summary>All ${rows.length} settings of this run</summary>${pairs(
      rows.map(([name, value]) => [name, markup`<code>${value}</code>`]),
    )}</details>`,
  );
}

/** A setting of a group stands under `group.name`, as `--set` takes it. */
function flatten(path: string, value: unknown): [string, string][] {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    return Object.entries(value).flatMap(([key, inner]) =>
      flatten(path === '' ? key : `${path}.${key}`, inner),
    );
  }
  return [[path, typeof value === 'string' ? value : (JSON.stringify(value) ?? '–')]];
}

export function commandsSection({ commands }: Report): Markup | undefined {
  if (commands.length === 0) return undefined;
  return section(
    'commands',
    'Again, and onwards',
    markup`<pre tabindex="0"><code>${commands.join('\n')}</code></pre>`,
  );
}
