/** How far the answers can be trusted: scores by attribute, refusals, and answers word for word. */
import * as figures from './figures.ts';
import { section, table } from './html-table.ts';
import { type Markup, type MarkupValue, markup } from './markup.ts';
import type { AnswerSample, Report, Score } from './report.ts';
import { scoreBar } from './svg-score-bar.ts';

const SCORE_COLUMNS = [
  { title: '', kind: 'text' },
  { title: 'Right, with 95 % interval', kind: 'chart' },
  { title: 'Right', kind: 'figure' },
  { title: 'Interval', kind: 'figure' },
  { title: 'Answers', kind: 'figure' },
] as const;

function scoreRow(name: string, score: Score) {
  return [
    breakable(name),
    scoreBar(score, name),
    figures.percent(score.value),
    figures.interval(score.interval),
    figures.counted(score),
  ];
}

/** Long names may break after a slash and before a capital, nowhere else. */
function breakable(name: string): MarkupValue {
  return name.split(/(?<=\/)|(?<=[a-z])(?=[A-Z])/).map((part, i) => (i === 0 ? part : markup`<wbr>${part}`));
}

export function answersSection({ evaluation }: Report): Markup {
  const { heldOutPhrasing, unknown } = evaluation;
  const byAttribute = heldOutPhrasing.byAttribute.toSorted((a, b) => b.score.value - a.score.value);
  return section(
    'answers',
    'Answers',
    markup`<p>Every fact was asked in a wording that no training text holds for it. An answer counts as right only when it equals the table's, letter for letter.</p>`,
    table({
      columns: [{ ...SCORE_COLUMNS[0], title: 'Attribute' }, ...SCORE_COLUMNS.slice(1)],
      rows: [
        ...byAttribute.map(({ attribute, score }) => scoreRow(figures.words(attribute), score)),
        scoreRow('All attributes', heldOutPhrasing.score),
      ],
      hasTotal: true,
    }),
    markup`<h3>Knowing what it does not know</h3>
<p>Names that are not in the tables were asked about too; the right answer is a refusal.</p>`,
    table({
      columns: [
        { ...SCORE_COLUMNS[0], title: 'Question about' },
        { title: 'Refused, with 95 % interval', kind: 'chart' },
        { title: 'Refused', kind: 'figure' },
        ...SCORE_COLUMNS.slice(3),
      ],
      rows: [
        scoreRow('an invented name (should be refused)', unknown.abstentionScore),
        scoreRow('a known fact (should not)', unknown.falseAbstentionScore),
      ],
    }),
  );
}

const KINDS: readonly (readonly [AnswerSample['kind'], string])[] = [
  ['held-out phrasing', 'Wordings held out of training'],
  ['invented name', 'Invented names'],
  ['free', 'Free questions'],
];

export function samplesSection({ samples }: Report): Markup | undefined {
  if (samples.length === 0) return undefined;
  const parts = KINDS.map(([kind, title]) => {
    const ofKind = samples.filter((sample) => sample.kind === kind);
    if (ofKind.length === 0) return undefined;
    return markup`<h3>${title}</h3>${table({
      columns: [{ title: 'Question', kind: 'half' }, { title: 'Answer' }],
      rows: ofKind.map((sample) => [sample.question, answer(sample)]),
    })}`;
  });
  return section('samples', 'Word for word', ...parts);
}

function answer({ answer: given, expected, correct, kind }: AnswerSample): Markup {
  const text = given.trim() === '' ? markup`<em>no answer</em>` : given;
  if (kind === 'free' && expected === '') return markup`${text}`;
  if (correct) return markup`<span class="mark right" role="img" aria-label="right">✓</span>${text}`;
  return markup`<span class="mark wrong" role="img" aria-label="wrong">✗</span>${text}<br><small class="expected">expected: ${expected}</small>`;
}
