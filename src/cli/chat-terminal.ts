/**
 * The terminal's side of a chat: reads lines, streams answers, Ctrl-C. A control character that a model writes
 * never reaches the terminal. Without a terminal on stdin every line is one message; with JSON every line gives
 * exactly one line of JSON.
 */
import { basename, dirname } from 'node:path';
import { messageOf, PlinthError } from '../core/errors.ts';
import type { LanguageModel } from '../decode/language-model.ts';
import { type CommandResult, runCommand } from './chat-commands.ts';
import {
  type ChatLines,
  chatHistoryFile,
  openChatLines,
  type ShownOutput,
  type TypedInput,
} from './chat-lines.ts';
import { type Answer, type AnswerListener, ChatSession, type LeftOut } from './chat-session.ts';
import type { ChatSettings } from './chat-settings.ts';
import { EXIT_ERROR, EXIT_STOPPED } from './exit-codes.ts';
import { completionJson } from './generate/completion-json.ts';
import { markedText, probabilityTable, widthOf } from './generate/probability-view.ts';
import { type ModelFlags, modelFolder, openModel } from './generation-options.ts';
import { answersSingleQuestions } from './model-folder.ts';
import { groupedDigits } from './terminal/grouped-digits.ts';
import { type Style, styleFor, uncolored } from './terminal/style.ts';
import { colourDepth } from './terminal/token-colours.ts';
import { visibleText } from './terminal/visible-text.ts';

export interface ChatOptions extends Omit<ModelFlags, 'model'> {
  /** Default of `history`: off for models of a recipe's run. */
  readonly settings?: Partial<ChatSettings>;
  readonly asJson?: boolean;
  readonly useColour?: boolean;
  /** Keep the typed lines for the next talk. Default true. */
  readonly keepLines?: boolean;
  /** Called with the model before the talk; may refuse it. */
  readonly check?: (model: LanguageModel) => void;
}

/** What a talk is held over; the process's own streams by default. */
export interface ChatStreams {
  readonly input: TypedInput;
  readonly output: ShownOutput;
  readonly errors: ShownOutput;
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/** Talks with what `--model` may name, until the user leaves or stdin ends. */
export async function chatWithFolder(name: string, chat: ChatOptions = {}): Promise<void> {
  const { settings, asJson, useColour, keepLines, check, ...flags } = chat;
  const folder = await modelFolder(name);
  const model = await openModel({ ...flags, model: folder ?? name }, { requireTokenizer: true });
  try {
    check?.(model);
    const isSingle = folder !== undefined && answersSingleQuestions(folder);
    const session = new ChatSession(model, { history: !isSingle, ...settings });
    await talk(session, { name: shownName(folder ?? name), asJson, useColour, keepLines });
  } finally {
    await model.dispose();
  }
}

/** A run's model is known by the run's name. */
const shownName = (place: string) =>
  basename(place) === 'model' ? basename(dirname(place)) : basename(place);

export interface TalkOptions extends Pick<ChatOptions, 'asJson' | 'useColour' | 'keepLines'> {
  /** Of the model, as it is greeted with. */
  readonly name?: string;
}

export async function talk(
  session: ChatSession,
  { name = 'model', asJson = false, useColour = true, keepLines = true }: TalkOptions = {},
  streams: ChatStreams = {
    input: process.stdin,
    output: process.stdout,
    errors: process.stderr,
    environment: process.env,
  },
): Promise<void> {
  const { input, output, environment } = streams;
  const isTerminal = Boolean(input.isTTY && output.isTTY) && !asJson;
  const style = useColour ? styleFor(output, environment) : uncolored;
  let answering: AbortController | undefined;
  let isLeaving = false;
  let lines: ChatLines;
  const onInterrupt = () => {
    if (answering && !answering.signal.aborted) {
      answering.abort();
      isLeaving = true;
    } else if (isLeaving || !isTerminal) {
      if (!isTerminal) process.exitCode = EXIT_STOPPED;
      lines.close();
    } else {
      isLeaving = true;
      output.write(style.dim('\nCtrl-C again leaves.\n'));
      lines.ask();
    }
  };
  lines = openChatLines({
    input,
    output,
    isTerminal,
    prompt: style.accent('> '),
    historyFile: keepLines ? chatHistoryFile(environment) : undefined,
    onInterrupt,
  });
  if (!isTerminal) process.on('SIGINT', onInterrupt);
  const form: TalkForm = { ...streams, style, isTerminal, asJson, useColour };
  if (isTerminal) output.write(style.dim(`${greeting(session, name)}\n`));
  lines.ask();
  try {
    for await (const line of lines) {
      if (line.trim() !== '') {
        isLeaving = false;
        lines.hush();
        answering = new AbortController();
        const isQuit = await take(session, line, answering.signal, form);
        answering = undefined;
        if (isQuit) break;
      }
      lines.ask();
    }
  } finally {
    lines.close();
    process.off('SIGINT', onInterrupt);
    if (isTerminal) output.write('\n');
  }
}

function greeting({ settings, model }: ChatSession, name: string): string {
  const memory = settings.history ? '' : 'Each question stands alone. ';
  return (
    `Talking with ${name}, context of ${groupedDigits(model.contextLength)} tokens. ${memory}` +
    '/help lists the commands, Ctrl-D leaves.'
  );
}

interface TalkForm extends ChatStreams {
  readonly style: Style;
  readonly isTerminal: boolean;
  readonly asJson: boolean;
  readonly useColour: boolean;
}

/** One line of the user; true when it was the last. */
async function take(
  session: ChatSession,
  line: string,
  signal: AbortSignal,
  form: TalkForm,
): Promise<boolean> {
  const command = line.trim();
  const isCommand = command.startsWith('/');
  const result: CommandResult = isCommand
    ? await runCommand(session, command)
    : { answer: (listener) => session.ask(line, listener) };
  if (result === 'quit') return true;
  if ('answer' in result) {
    await showAnswer(session, result.answer, signal, form);
    return false;
  }
  const { output, asJson, style, isTerminal } = form;
  if (result.isFault && !isTerminal) {
    fail(form, 'config', result.text);
  } else if (asJson) {
    writeJson(output, { command: command.split(/\s/)[0], text: result.text });
  } else {
    output.write(`${style.dim(result.text)}\n`);
  }
  return false;
}

async function showAnswer(
  session: ChatSession,
  start: (listener: AnswerListener) => Promise<Answer | undefined>,
  signal: AbortSignal,
  form: TalkForm,
): Promise<void> {
  const { output, errors, style, asJson, isTerminal } = form;
  const { probabilities } = session.settings;
  const isStreamed = !asJson && !probabilities;
  const note = (text: string) => (isTerminal ? output : errors).write(`${style.dim(text)}\n`);
  let hasText = false;
  try {
    const answer = await start({
      signal,
      onText(text) {
        if (!isStreamed) return;
        hasText = true;
        output.write(visibleText(text));
      },
      onLeftOut: (left) => {
        if (!asJson) note(leftOutText(left, session.model.contextLength));
      },
    });
    if (!answer) {
      if (asJson) writeJson(output, { command: '/edit', text: EDITED });
      else output.write(`${style.dim(EDITED)}\n`);
      return;
    }
    const { completion, numLeftOut, showSeed } = answer;
    const isStopped = completion.finishReason === 'cancelled';
    if (asJson) {
      const value = completionJson(completion, { tokenizer: session.model.tokenizer, showSeed });
      writeJson(output, { ...value, ...(numLeftOut > 0 && { messagesLeftOut: numLeftOut }) });
      return;
    }
    if (probabilities) showProbabilities(session.model, answer, form);
    if (isTerminal && isStopped) output.write(style.dim(' (stopped)'));
    if (!probabilities) output.write('\n');
    if (!isTerminal && isStopped) note('(stopped)');
    if (answer.note !== undefined) note(answer.note);
  } catch (error) {
    if (!(error instanceof PlinthError)) throw error;
    if (hasText) output.write('\n');
    if (isTerminal) output.write(`${style.warn(messageOf(error))}\n`);
    else fail(form, error.code, messageOf(error));
  }
}

const EDITED = 'Replaced; the next question goes on from there.';

function showProbabilities(model: LanguageModel, { completion }: Answer, form: TalkForm): void {
  const { output, environment, useColour, style } = form;
  const depth = colourDepth(output, environment, useColour);
  const table = probabilityTable(model.tokenizer, completion, { depth, style, width: widthOf(output) });
  output.write(`${markedText(model.tokenizer, completion, depth)}\n\n${table}\n`);
}

function leftOutText({ numMessages, numTokens, reserve }: LeftOut, contextLength: number): string {
  const count = numMessages === 1 ? 'oldest message is' : `oldest ${numMessages} messages are`;
  if (numTokens === undefined) return `The conversation no longer fits: the ${count} left out.`;
  return (
    `The conversation has ${groupedDigits(numTokens)} tokens; with ${groupedDigits(reserve)} kept for the answer it ` +
    `does not fit the context of ${groupedDigits(contextLength)}: the ${count} left out.`
  );
}

/** Where no person looks on, a fault also shows in the exit code. */
function fail({ asJson, output, errors }: TalkForm, code: string, message: string): void {
  process.exitCode = EXIT_ERROR;
  if (asJson) writeJson(output, { error: { code, message } });
  else errors.write(`${message}\n`);
}

function writeJson(output: ShownOutput, value: unknown): void {
  output.write(`${JSON.stringify(value)}\n`);
}
