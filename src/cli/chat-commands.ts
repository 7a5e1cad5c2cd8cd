/**
 * What lines that begin with "/" do in a chat. Every command says what it did; those that make the model answer
 * give that work back for the caller to run, since it streams.
 */
import { messageOf, PlinthError } from '../core/errors.ts';
import { nearestName } from '../core/nearest-name.ts';
import { formatDuration } from '../core/units.ts';
import { loadChat, saveChat } from './chat-file.ts';
import type { Answer, AnswerListener, ChatSession } from './chat-session.ts';
import { changeSetting, SETTING_NAMES, settingsTable } from './chat-settings.ts';
import { columns } from './terminal/columns.ts';
import { groupedDigits } from './terminal/grouped-digits.ts';
import { visibleLine, visibleText } from './terminal/visible-text.ts';

export type CommandResult =
  | { readonly text: string; readonly isFault?: boolean }
  | 'quit'
  /** undefined: the conversation changed and there is nothing to answer. */
  | { readonly answer: (listener: AnswerListener) => Promise<Answer | undefined> };

interface Command {
  readonly name: string;
  readonly takes?: string;
  readonly help: string;
  run(session: ChatSession, rest: string): CommandResult | Promise<CommandResult>;
}

const COMMANDS: readonly Command[] = [
  { name: '/help', help: 'this list', run: () => ({ text: CHAT_HELP }) },
  {
    name: '/reset',
    help: 'forget the conversation',
    run(session) {
      session.restart();
      return { text: 'The conversation starts anew.' };
    },
  },
  {
    name: '/settings',
    help: 'show the settings',
    run: (session, rest) =>
      rest === '' ? { text: settingsTable(session.settings) } : change(session, rest.replace('=', ' ')),
  },
  {
    name: '/set',
    takes: 'NAME VALUE',
    help: 'change one, named as the flags of "plinth generate" (no value: back to its default)',
    run: (session, rest) => change(session, rest),
  },
  {
    name: '/system',
    takes: 'TEXT',
    help: 'the system message before the conversation ("/system off": none)',
    run(session, rest) {
      const { system } = session.settings;
      if (rest === '')
        return { text: system === undefined ? 'There is no system message.' : visibleText(system) };
      session.settings = { ...session.settings, system: rest === 'off' ? undefined : rest };
      return {
        text: rest === 'off' ? 'No system message from here on.' : 'The system message holds from here on.',
      };
    },
  },
  {
    name: '/history',
    help: 'the conversation with numbers',
    run: (session) => ({ text: historyText(session) }),
  },
  {
    name: '/edit',
    takes: 'N TEXT',
    help: 'replace message N, forget what followed, and answer it',
    run(session, rest) {
      const [, number, text] = /^(\d+)\s+(\S[\s\S]*)$/.exec(rest) ?? [];
      if (number === undefined)
        return fault('Expected the number of a message and its new text: /edit 1 What is ...?');
      return { answer: (listener) => session.edit(Number(number), text!, listener) };
    },
  },
  {
    name: '/undo',
    help: 'take back the last question and its answer',
    run: (session) =>
      session.undo()
        ? { text: `Taken back; ${countText(session)}.` }
        : fault('There is nothing to take back.'),
  },
  {
    name: '/retry',
    help: 'answer the last question again with a new seed',
    run: (session) => ({ answer: (listener) => session.retry(listener) }),
  },
  {
    name: '/continue',
    help: 'go on with the last answer where it ended',
    run: (session) => ({ answer: (listener) => session.continue(listener) }),
  },
  {
    name: '/save',
    takes: 'FILE',
    help: 'write the conversation and the settings',
    async run(session, rest) {
      if (rest === '') return fault('Expected the name of a file: /save talk.json');
      await saveChat(rest, session);
      return { text: `Saved ${rest}: ${countText(session)}.` };
    },
  },
  {
    name: '/load',
    takes: 'FILE',
    help: 'read them again, or any JSON file of messages',
    async run(session, rest) {
      if (rest === '') return fault('Expected the name of a file: /load talk.json');
      const { messages, settings } = await loadChat(rest, session.settings);
      session.restart(messages);
      session.settings = settings;
      return { text: `Loaded ${rest}: ${countText(session)}.` };
    },
  },
  {
    name: '/tokens',
    help: 'how much of the context is used',
    run: (session) => ({ text: tokensText(session) }),
  },
  {
    name: '/probabilities',
    takes: 'on|off',
    help: 'colour every token by its probability',
    run: (session, rest) =>
      change(session, `probabilities ${rest || (session.settings.probabilities ? 'off' : 'on')}`),
  },
  { name: '/quit', help: 'leave (also Ctrl-D, or Ctrl-C twice)', run: () => 'quit' },
];

export const CHAT_HELP = columns(
  COMMANDS.map(({ name, takes, help }) => [takes === undefined ? name : `${name} ${takes}`, help]),
  'll',
);

/** What a line that begins with "/" asks for. Faults come as text; only bugs are thrown. */
export async function runCommand(session: ChatSession, line: string): Promise<CommandResult> {
  const [, name = '', rest = ''] = /^(\S+)\s*([\s\S]*)$/.exec(line.trim()) ?? [];
  const command = COMMANDS.find((one) => one.name === (name === '/exit' ? '/quit' : name));
  if (!command) {
    const near = nearestName(
      name,
      COMMANDS.map((one) => one.name),
    );
    return fault(
      `There is no command ${visibleLine(name)}. ${near ? `Did you mean ${near}?` : 'Commands: /help'}`,
    );
  }
  if (rest !== '' && command.takes === undefined && command.name !== '/settings') {
    return fault(`${command.name} takes nothing after it, got "${visibleLine(rest)}".`);
  }
  try {
    return await command.run(session, rest);
  } catch (error) {
    if (error instanceof PlinthError) return fault(messageOf(error));
    throw error;
  }
}

/** What the line may become: names of commands and, after /set, of settings. */
export function completions(line: string): [string[], string] {
  const setting = /^\/set(?:tings)?\s+(\S*)$/.exec(line);
  if (setting) {
    const begun = setting[1]!;
    return [SETTING_NAMES.filter((name) => name.startsWith(begun)).map((name) => `${name} `), begun];
  }
  if (!line.startsWith('/')) return [[], line];
  const names = COMMANDS.filter(({ name }) => name.startsWith(line));
  return [names.map(({ name, takes }) => (takes === undefined ? name : `${name} `)), line];
}

const fault = (text: string): CommandResult => ({ text, isFault: true });

function change(session: ChatSession, rest: string): CommandResult {
  const [, name = '', value = ''] = /^(\S+)\s*([\s\S]*)$/.exec(rest.trim()) ?? [];
  if (name === '') return fault('Expected a setting and its value: /set temperature 0.8');
  const { settings, text } = changeSetting(session.settings, name, value.trim());
  if (settings === session.settings) return fault(text);
  session.settings = settings;
  return { text };
}

function countText({ messages }: ChatSession): string {
  return messages.length === 1 ? '1 message' : `${messages.length} messages`;
}

function historyText({ messages, numLeftOut, settings }: ChatSession): string {
  if (messages.length === 0) return 'Nothing has been said yet.';
  const numHidden = settings.history ? numLeftOut : 0;
  const width = String(messages.length).length;
  const lines = messages.map(({ role, content }, i) => {
    const who = role === 'assistant' ? 'model' : role === 'user' ? 'you' : role;
    const mark = i < numHidden ? ' (left out)' : '';
    const indented = visibleText(content).replaceAll('\n', `\n${' '.repeat(width + 2)}`);
    return `${String(i + 1).padStart(width)}  ${who}${mark}: ${indented}`;
  });
  return lines.join('\n');
}

function tokensText(session: ChatSession): string {
  const used = session.numTokens();
  const { contextLength } = session.model;
  if (used === undefined) {
    return `The context has ${groupedDigits(contextLength)} tokens; this model's tokens cannot be counted here.`;
  }
  const left = Math.max(0, contextLength - used);
  const whole = `${groupedDigits(used)} of ${groupedDigits(contextLength)} tokens; ${groupedDigits(left)} left.`;
  const last = session.lastAnswer;
  if (!last) return whole;
  const rate = last.seconds > 0 ? `, ${groupedDigits(last.numTokens / last.seconds)} a second` : '';
  return `${whole}\nLast answer: ${last.numTokens} tokens in ${formatDuration(last.seconds)}${rate}.`;
}
