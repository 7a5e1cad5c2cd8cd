import { describe, expect, test } from 'vitest';
import { renderReport } from '../../src/recipe/report/html.ts';
import { escapeMarkup, markup } from '../../src/recipe/report/markup.ts';
import type { Report } from '../../src/recipe/report/report.ts';
import { roundScale } from '../../src/recipe/report/svg-scale.ts';
import { reportSummary } from '../../src/recipe/report/text.ts';
import { exampleReport } from '../fixtures/report/report-example.ts';

/** What a reader sees. */
const textOf = (html: string) =>
  html
    .replace(/<style>[\s\S]*?<\/style>/, '')
    .replace(/<wbr>/g, '')
    .replace(/<[^>]*>/g, ' ')
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&quot;', '"')
    .replaceAll('&#39;', "'")
    .replaceAll('&amp;', '&')
    .replace(/\s+/g, ' ');

describe('the page', () => {
  const report = exampleReport();
  const html = renderReport(report);
  const text = textOf(html);

  test('asks for nothing outside itself and runs nothing', () => {
    expect(html).not.toMatch(/<(script|link|img|iframe|object|embed|base|form)\b/i);
    expect(html).not.toMatch(/\b(src|href|srcset|action)\s*=/i);
    expect(html).not.toMatch(/url\(|@import|\son\w+\s*=/i);
    expect(html).toContain("default-src 'none'");
  });

  test('holds the figures that matter, with intervals and counts', () => {
    for (const part of [
      '96.8 %',
      '2,908 of 3,005',
      '96.2 %',
      '481 of 500',
      '8 of 3,005',
      '0.381',
      '1,049,728',
      '4.22 MB',
      '5 min 18 s',
      '4 min 56 s',
      '11,900 tokens/s',
      '11,453 tokens/s',
      '41.6 %',
      '812,345',
      '38,082',
      '16,205',
      '21,877',
      '3,282',
      '2,048',
      '3.91',
      '171 GFLOP/s',
      'AMD EPYC 7B13',
      'ONNX Runtime 1.30.0',
      '20.20.2',
      '14 March 2026',
    ]) {
      expect(text, part).toContain(part);
    }
  });

  test('holds every attribute, source, reason, setting, sample and command', () => {
    for (const { attribute, score } of report.evaluation.heldOutPhrasing.byAttribute) {
      expect(text).toContain(attribute);
      expect(text).toContain(`${score.numCorrect} of ${score.numQuestions}`);
    }
    for (const { name, licence } of report.data.sources) {
      expect(text).toContain(name);
      expect(text).toContain(licence);
    }
    for (const reason of ['missing 61', 'list too long 14', 'not unique 9']) expect(text).toContain(reason);
    for (const setting of [
      'vocabSize 2048',
      'pretrainOptimizer.beta2 0.95',
      'pretrainSchedule.kind warmup-stable-decay',
    ]) {
      expect(text).toContain(setting);
    }
    for (const { question, answer, expected, correct } of report.samples) {
      expect(text).toContain(question);
      expect(text).toContain(answer);
      if (!correct) expect(text).toContain(`expected: ${expected}`);
    }
    for (const command of report.commands) expect(text).toContain(command);
  });

  test('has a curve for each stage, with validation and learning rate, and says it in words', () => {
    const charts = html.match(/<svg class="chart" role="img" aria-label="[^"]+"/g) ?? [];
    expect(charts).toHaveLength(2);
    expect(charts[0]).toMatch(/Loss of pretrain: from 7\.\d\d at step 1 to \d\.\d\d at step 1,200/);
    expect(html.match(/<path class="(train|validation|rate)" d="M[^"]+"/g)).toHaveLength(6);
    expect(html.match(/<circle class="validation-dot"/g)).toHaveLength(16);
  });

  test('draws each score as long as it is', () => {
    expect(html).toMatch(
      /aria-label="countries\/neighbours: 86\.4 %[^"]*"[^>]*>.*?class="bar-share" width="86\.36%"/,
    );
  });

  test('every table has headers for columns and rows, every picture a text', () => {
    const tables = html.match(/<table>[\s\S]*?<\/table>/g) ?? [];
    expect(tables.length).toBeGreaterThan(5);
    for (const table of tables) {
      expect(table).toContain('scope="col"');
      for (const row of table.match(/<tbody>[\s\S]*<\/tbody>/)![0].match(/<tr[\s\S]*?<\/tr>/g)!) {
        expect(row).toContain('scope="row"');
      }
    }
    for (const svg of html.match(/<svg class[^>]*>/g) ?? []) expect(svg).toContain('aria-label=');
    expect(html).toContain('<html lang="en">');
  });

  test('shows what preferences changed, with both intervals and the paired change', () => {
    const section = textOf(html.match(/<section id="preference"[\s\S]*?<\/section>/)![0]);
    expect(section).toContain('960 training questions, 4 times each at temperature 1.5');
    expect(section).toContain('1,431 pairs');
    expect(section).toMatch(
      /Wrong form, drawn at temperature 1 1\.5 % 1\.0–2\.2 % 0\.1 % 0\.0–0\.4 % −1\.4 −2\.1 to −0\.8 1,500/,
    );
    expect(section).toMatch(/Entropy of continuations, nats 2\.012 1\.704–2\.291 1\.207 .* −0\.805/);
    // Nothing is paired in a calibration error.
    expect(section).toMatch(/Calibration error 12\.3 % 11\.5–13\.1 % 2\.1 % 1\.6–2\.8 % 3,505/);
    expect(section).toMatch(/wrong 904 .*wrong form 311 .*invented 216/);
    expect(reportSummary(report)).toMatch(
      /Wrong form, drawn at temperature 1 +0\.1 % +before preferences 1\.5 %/,
    );
  });

  test('accounts for every stage, as shares that its bars draw', () => {
    const { stages, total } = report.accounting!;
    expect(text).toContain('What it took');
    for (const { stage, shareOfFlops, shareOfSeconds } of stages) {
      expect(text).toMatch(new RegExp(`${stage} .*${(100 * shareOfSeconds).toFixed(1)} %`));
      if (shareOfFlops > 0) {
        expect(html).toContain(`width="${(100 * shareOfFlops).toFixed(2)}%" height="18"`);
      }
    }
    expect(text).toContain(`${(total.flops / 1e12).toFixed(1)} T`);
    expect(text).toContain('NVIDIA H100 SXM');
    expect(text).toContain('Epoch AI');
    expect(reportSummary(report)).toMatch(/Arithmetic +22\.5 T FLOPs: pretrain 71\.0 %/);
  });

  test('right and wrong differ in more than colour', () => {
    expect(html.match(/aria-label="right">✓/g)).toHaveLength(5);
    expect(html.match(/aria-label="wrong">✗/g)).toHaveLength(2);
  });
});

describe('hostile and odd reports', () => {
  const payload = `</style></svg><script>alert(1)</script><img src=x onerror="alert('2')">&amp;'\u0000\ud800`;

  /** Every string of the report replaced by the payload. */
  function poisoned<T>(value: T): T {
    if (typeof value === 'string') return payload as T;
    if (Array.isArray(value)) return value.map(poisoned) as T;
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, poisoned(inner)])) as T;
  }

  test('strings in every field stay text', () => {
    const report = poisoned(exampleReport());
    const html = renderReport({
      ...report,
      data: { ...report.data, leftOut: { [payload]: 3 } },
      settings: { [payload]: payload, group: { [payload]: [payload] } },
      samples: report.samples.map((sample) => ({ ...sample, kind: 'free' as const })),
    });
    expect(html).not.toMatch(/<script|<img|onerror="/i);
    expect(html.match(/<\/style>/g)).toHaveLength(1);
    expect(html.match(/<\/svg>/g)!.length).toBe(html.match(/<svg\b/g)!.length);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must be absent.
    expect(html).not.toMatch(/\u0000|\ud800/);
    expect(textOf(html)).toContain('<script>alert(1)</script>');
  });

  test('numbers that are not finite, as JSON keeps them, are dashes', () => {
    const report = exampleReport();
    const holes = {
      ...report,
      train: { ...report.train, finalLoss: Number.NaN, shareOfPeak: null as unknown as number },
      evaluation: { ...report.evaluation, bitsPerByte: Number.NaN },
      curves: [{ stage: 'sft', points: [], validation: [] }],
    } satisfies Report;
    for (const text of [textOf(renderReport(holes)), reportSummary(holes)]) {
      expect(text).not.toMatch(/NaN|null|undefined|Infinity/);
    }
  });

  test('a run without samples, commands or left out facts has no empty sections', () => {
    const report = exampleReport();
    const html = renderReport({
      ...report,
      samples: [],
      commands: [],
      data: { ...report.data, leftOut: {} },
    });
    expect(html).not.toContain('id="samples"');
    expect(html).not.toContain('id="commands"');
    expect(html).toContain('No fact was left out.');
  });

  test('a report of a version without preferences and accounts has neither, and loads', () => {
    const { preference, accounting, ...old } = exampleReport();
    const stored = JSON.parse(JSON.stringify(old)) as Report;
    const html = renderReport(stored);
    expect(html).not.toContain('id="preference"');
    expect(html).not.toContain('What it took');
    expect(reportSummary(stored)).not.toMatch(/before preferences|Arithmetic/);
  });

  test('a curve of fifty thousand steps stays a small page', () => {
    const report = exampleReport();
    const points = Array.from({ length: 50_000 }, (_, i) => ({
      step: i + 1,
      loss: 5 / (i + 1),
      learningRate: 1e-3,
      gradientNorm: 1,
      tokensPerSecond: 1,
    }));
    const html = renderReport({ ...report, curves: [{ stage: 'pretrain', points, validation: [] }] });
    expect(html.length).toBeLessThan(150_000);
  });
});

describe('building blocks', () => {
  test('templates escape, once, what did not come out of a template', () => {
    const inner = markup`<b>${'<i>'}</b>`;
    expect(markup`<p>${inner}${['&', inner]}${undefined}${3}</p>`.text).toBe(
      '<p><b>&lt;i&gt;</b>&amp;<b>&lt;i&gt;</b>3</p>',
    );
    expect(escapeMarkup(`<>&"'`)).toBe('&lt;&gt;&amp;&quot;&#39;');
  });

  test.each([
    [0.03, 7.7, 5],
    [1e-5, 3e-5, 4],
    [-2, 3, 4],
    [5, 5, 4],
    [0, 0, 5],
    [1, 1e6, 5],
  ])('an axis from %d to %d covers its values with round, rising ticks', (low, high, numTicks) => {
    const scale = roundScale(low, high, numTicks);
    expect(scale.low).toBeLessThanOrEqual(low);
    expect(scale.high).toBeGreaterThanOrEqual(high);
    expect(scale.ticks.length).toBeGreaterThanOrEqual(2);
    expect(scale.ticks.length).toBeLessThanOrEqual(numTicks + 3);
    expect(new Set(scale.ticks.map(scale.label)).size).toBe(scale.ticks.length);
    expect(scale.at(scale.low)).toBe(0);
    expect(scale.at(scale.high)).toBe(1);
  });
});

test('the summary for the terminal gives the main figures and no control characters', () => {
  const report = exampleReport();
  const summary = reportSummary({
    ...report,
    evaluation: {
      ...report.evaluation,
      heldOutPhrasing: {
        ...report.evaluation.heldOutPhrasing,
        byAttribute: report.evaluation.heldOutPhrasing.byAttribute.map((entry) => ({
          ...entry,
          attribute: `${entry.attribute}\u001b[31m`,
        })),
      },
    },
  });
  for (const part of [
    '96.8 %',
    '2,908 of 3,005',
    'neighbours',
    '86.4 %',
    '96.2 %',
    '0.3 %',
    '0.381',
    '1.05 M',
    '5 min 18 s',
  ]) {
    expect(summary).toContain(part);
  }
  expect(summary.replaceAll('\n', '')).not.toMatch(/\p{Cc}/u);
});

test('what the plan said of the loss stands beside what was reached, on the page and in the terminal', () => {
  const report = exampleReport();
  const [pretrain, ...others] = report.plan.stages;
  const predictedLoss = { loss: 0.891, interval: [0.847, 0.936] as const, law: 'atlas' };
  const stages = [{ ...pretrain!, validationLoss: 0.878, predictedLoss }, ...others];
  const planned = { ...report, plan: { ...report.plan, stages } };
  expect(textOf(renderReport(planned))).toContain(
    'predicted 0.891 (0.847–0.936) by the law “atlas”, reached 0.878 nats per token.',
  );
  expect(reportSummary(planned)).toMatch(/Loss after pretrain +0\.878 +predicted 0\.891 \(0\.847–0\.936\)/);
  expect(textOf(renderReport(report))).not.toContain('by the law');
});
