/** What a look at finetuning data tells, as tables for a terminal. */
import { type ChatDataReport, percent, type Quantiles } from '../data/chats/chat-report.ts';
import { textTable } from './data-session.ts';
import { plainLine } from './terminal/text-width.ts';

const MAX_ROWS = 10;
const QUANTILES = ['min', 'p10', 'p50', 'p90', 'p99', 'max'] as const;

export function chatDataText(report: ChatDataReport): string {
  const { chats, skipped, turns, roles, tools, tokens, duplicates, conflicts, answers, languages } = report;
  const part = (count: number, whole: number) => `${count} (${percent(whole === 0 ? 0 : count / whole)})`;
  const facts: (readonly [string, string])[] = [
    ['chats', `${chats}${skipped.lines > 0 ? `, ${skipped.lines} lines skipped` : ''}`],
    ['targets', `${part(tokens.targets, tokens.total)} of ${tokens.total} tokens are the assistant's`],
    [
      `cut at ${tokens.cutAt}`,
      `${part(tokens.chatsCut, chats)} chats, ${percent(tokens.targetsLostShare)} of the targets behind it`,
    ],
    [
      'duplicates',
      `${part(duplicates.exact, chats)} exact, ${part(duplicates.near, chats)} near, these included`,
    ],
    ['conflicts', `${conflicts.questions} questions with different answers, ${conflicts.answers} in all`],
    [
      'answers',
      `${answers.total}: ${part(answers.refusals, answers.total)} refuse, ${part(answers.unknown, answers.total)} do not know, ${answers.empty} empty`,
    ],
    ...(tools.chats + tools.calls > 0
      ? [['tools', `${tools.chats} chats list tools, ${tools.calls} calls`] as const]
      : []),
  ];
  const width = Math.max(...facts.map(([name]) => name.length));
  const quantileRow = (name: string, values: Quantiles) => [name, ...QUANTILES.map((key) => values[key])];
  const sections = [
    facts.map(([name, text]) => `${name.padEnd(width)}  ${text}`).join('\n'),
    textTable([
      ['of a chat', ...QUANTILES],
      quantileRow('messages', turns),
      quantileRow('tokens', tokens.length),
    ]),
    textTable([
      ['role', 'messages', 'tokens', 'share'],
      ...Object.entries(roles).map(([role, amount]) => [
        role,
        amount.messages,
        amount.tokens,
        percent(amount.share),
      ]),
    ]),
    countTable('language', 'chats', languages),
    ...(tools.calls > 0 ? [countTable('function', 'calls', tools.callsByName)] : []),
    ...(conflicts.examples.length > 0 ? [examplesText(conflicts.examples)] : []),
    ...(report.warnings.length > 0 ? [report.warnings.map((text) => `Warning: ${text}`).join('\n')] : []),
  ];
  return `${sections.join('\n\n')}\n`;
}

function countTable(title: string, unit: string, counts: Readonly<Record<string, number>>): string {
  const entries = Object.entries(counts);
  const rest =
    entries.length > MAX_ROWS ? `\n... and ${entries.length - MAX_ROWS} more (--json has all)` : '';
  return textTable([[title, unit], ...entries.slice(0, MAX_ROWS)]) + rest;
}

function examplesText(examples: ChatDataReport['conflicts']['examples']): string {
  const lines = examples.map(
    ({ question, answers }) =>
      `  ${plainLine(question)}\n${answers.map((one) => `    - ${plainLine(one)}`).join('\n')}`,
  );
  return `Different answers, such as:\n${lines.join('\n')}`;
}
