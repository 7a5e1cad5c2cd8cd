/**
 * Lines that a person or a program types into a chat. On a terminal: editing, arrow keys through earlier lines
 * (kept from one talk to the next), tab for commands, a backslash at the end for a message of several lines, and
 * nothing echoed while an answer is being written. Elsewhere: one message a line.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { Writable } from 'node:stream';
import { messageOf } from '../core/errors.ts';
import { completions } from './chat-commands.ts';

export type TypedInput = NodeJS.ReadableStream & { readonly isTTY?: boolean };
export type ShownOutput = NodeJS.WritableStream & { readonly isTTY?: boolean; readonly columns?: number };

export interface ChatLinesOptions {
  readonly input: TypedInput;
  readonly output: ShownOutput;
  readonly isTerminal: boolean;
  readonly prompt: string;
  /** File of the lines typed before; none: they are not kept. */
  readonly historyFile?: string | undefined;
  /** Ctrl-C on a terminal, when nothing is typed that it could clear. */
  onInterrupt(): void;
}

const MAX_LINES_KEPT = 500;
const CONTINUATION = '… ';

export interface ChatLines extends AsyncIterable<string> {
  /** Shows the prompt, with what was typed meanwhile. */
  ask(): void;
  /** From here to the next `ask`, keys are kept and not echoed. */
  hush(): void;
  close(): void;
}

/** `$XDG_STATE_HOME/plinth/chat-lines` (XDG Base Directory Specification 0.8). */
export function chatHistoryFile(environment: Readonly<Record<string, string | undefined>>): string {
  return join(environment.XDG_STATE_HOME || join(homedir(), '.local', 'state'), 'plinth', 'chat-lines');
}

export function openChatLines(options: ChatLinesOptions): ChatLines {
  return options.isTerminal ? terminalLines(options) : pipedLines(options.input);
}

function pipedLines(input: TypedInput): ChatLines {
  const lines = createInterface({ input, terminal: false });
  return {
    ask() {},
    hush() {},
    close: () => lines.close(),
    [Symbol.asyncIterator]: () => lines[Symbol.asyncIterator](),
  };
}

function terminalLines({ input, output, prompt, historyFile, onInterrupt }: ChatLinesOptions): ChatLines {
  const gate = new Gate(output);
  let history = historyFile === undefined ? [] : readHistory(historyFile);
  const lines = createInterface({
    input,
    output: gate,
    terminal: true,
    prompt,
    history: [...history],
    historySize: MAX_LINES_KEPT,
    removeHistoryDuplicates: true,
    completer: completions,
  });
  lines.on('history', (now: string[]) => {
    history = [...now];
  });
  lines.on('SIGINT', () => {
    if (gate.isShut || lines.line === '') return onInterrupt();
    output.write('\n');
    lines.write(null, { ctrl: true, name: 'e' });
    lines.write(null, { ctrl: true, name: 'u' });
    lines.prompt();
  });
  const ask = () => {
    gate.isShut = false;
    lines.setPrompt(prompt);
    lines.prompt(true);
  };
  return {
    ask,
    hush() {
      gate.isShut = true;
    },
    close() {
      lines.close();
      if (historyFile !== undefined) writeHistory(historyFile, history, output);
    },
    async *[Symbol.asyncIterator]() {
      let begun = '';
      for await (const line of lines) {
        if (line.endsWith('\\') && !line.startsWith('/')) {
          begun += `${line.slice(0, -1)}\n`;
          lines.setPrompt(CONTINUATION);
          lines.prompt();
          continue;
        }
        yield begun + line;
        begun = '';
      }
    },
  };
}

/** Newest first, as readline keeps them. */
function readHistory(path: string): string[] {
  try {
    return readFileSync(path, 'utf8')
      .split('\n')
      .filter((line) => line !== '')
      .reverse();
  } catch {
    return [];
  }
}

/** For the user's eyes only: what people ask is private. */
function writeHistory(path: string, history: readonly string[], output: ShownOutput): void {
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    writeFileSync(path, [...history].reverse().join('\n') + (history.length > 0 ? '\n' : ''), {
      mode: 0o600,
    });
  } catch (error) {
    output.write(`The lines you typed could not be kept in ${path}: ${messageOf(error)}.\n`);
  }
}

/** What readline writes to: the terminal, or nothing. */
class Gate extends Writable {
  isShut = false;
  readonly isTTY = true;
  readonly #output: ShownOutput;

  constructor(output: ShownOutput) {
    super({ decodeStrings: false });
    this.#output = output;
    output.on('resize', () => this.emit('resize'));
  }

  get columns(): number {
    return this.#output.columns || 80;
  }

  override _write(chunk: string | Uint8Array, _encoding: BufferEncoding, done: () => void): void {
    if (!this.isShut) this.#output.write(chunk);
    done();
  }
}
