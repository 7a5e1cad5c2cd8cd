/**
 * The terminal's side of a chat: reads lines, streams answers, Ctrl-C. A control character that a model writes
 * never reaches the terminal. Without a terminal on stdin every line is one message.
 */
import { createInterface } from 'node:readline';
import { messageOf, PlinthError } from '../core/errors.ts';
import type { GenerateOptions } from '../decode/language-model.ts';
import { ChatSession } from './chat-session.ts';
import { type DeviceFlags, openDevice } from './generation-options.ts';
import { answersSingleQuestions } from './model-folder.ts';
import { styleFor } from './terminal/style.ts';

export interface ChatOptions extends DeviceFlags {
  system?: string | undefined;
  /** Default: off for models of a recipe's run. */
  history?: boolean | undefined;
  options?: GenerateOptions;
}

/** Talks until the user leaves or stdin ends. */
export async function chatWithFolder(folder: string, chat: ChatOptions = {}): Promise<void> {
  const { loadLanguageModel } = await import('../decode/load-model.node.ts');
  const model = await loadLanguageModel(folder, { device: await openDevice(chat), requireTokenizer: true });
  try {
    const history = chat.history ?? !answersSingleQuestions(folder);
    await talk(new ChatSession(model, { system: chat.system, history, options: chat.options ?? {} }));
  } finally {
    await model.dispose();
  }
}

/** Steering characters as a visible mark; line breaks and tabs stay. */
const visible = (text: string) => text.replace(/(?![\n\t])\p{Cc}|\p{Bidi_Control}/gu, '\ufffd');

async function talk(session: ChatSession): Promise<void> {
  const isTerminal = Boolean(process.stdin.isTTY && process.stdout.isTTY);
  const style = styleFor(process.stdout, process.env);
  const lines = createInterface({
    input: process.stdin,
    ...(isTerminal && { output: process.stdout, prompt: style.accent('> ') }),
    terminal: isTerminal,
    historySize: 200,
  });
  let answering: AbortController | undefined;
  let isLeaving = false;
  const onInterrupt = () => {
    if (answering && !answering.signal.aborted) {
      answering.abort();
    } else if (isLeaving || !isTerminal) {
      lines.close();
    } else {
      isLeaving = true;
      process.stdout.write(style.dim('\nCtrl-C again leaves.\n'));
      lines.prompt();
    }
  };
  lines.on('SIGINT', onInterrupt);
  if (!isTerminal) process.on('SIGINT', onInterrupt);
  const ask = () => {
    if (isTerminal) lines.prompt();
  };
  if (isTerminal)
    process.stdout.write(style.dim('Ask something. /help lists the commands, Ctrl-D leaves.\n'));
  ask();
  try {
    for await (const line of lines) {
      isLeaving = false;
      if (line.trim().startsWith('/')) {
        const result = session.command(line);
        if (result === 'quit') break;
        process.stdout.write(`${style.dim(result.text)}\n`);
      } else if (line.trim() !== '') {
        answering = new AbortController();
        await answer(session, line, answering.signal, style.dim);
        answering = undefined;
      }
      ask();
    }
  } finally {
    lines.close();
    process.off('SIGINT', onInterrupt);
    if (isTerminal) process.stdout.write('\n');
  }
}

async function answer(
  session: ChatSession,
  content: string,
  signal: AbortSignal,
  dim: (text: string) => string,
): Promise<void> {
  try {
    const { stopped } = await session.answer(
      content,
      signal,
      (text) => process.stdout.write(visible(text)),
      (numTurns) =>
        process.stderr.write(`${dim(`The oldest ${numTurns} messages no longer fit and are forgotten.`)}\n`),
    );
    process.stdout.write(stopped ? dim(' (stopped)\n') : '\n');
  } catch (error) {
    if (!(error instanceof PlinthError)) throw error;
    process.stderr.write(`${messageOf(error)}\n`);
  }
}
