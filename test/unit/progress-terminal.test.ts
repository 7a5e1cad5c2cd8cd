import { afterEach, describe, expect, test, vi } from 'vitest';
import { LivePicture } from '../../src/cli/progress/live-picture.ts';
import { openProgress } from '../../src/cli/progress/progress.ts';

afterEach(() => {
  vi.useRealTimers();
});

/** A terminal of a few rows that knows the escape sequences the picture uses, with lines that wrap. */
class FakeTerminal {
  readonly isTTY = true;
  columns: number;
  readonly rows = 30;
  lines: string[] = [''];
  row = 0;
  column = 0;
  cursorIsShown = true;
  numWrites = 0;

  constructor(columns: number) {
    this.columns = columns;
  }

  write(text: string): boolean {
    this.numWrites++;
    // biome-ignore lint/suspicious/noControlCharactersInRegex: a terminal reads control characters.
    for (const [part, , parameter, command] of text.matchAll(/(\u001b\[([?\d;]*)([A-Za-z]))|[\s\S]/gu)) {
      if (command === undefined) this.#print(part);
      else if (command === 'A') this.row = Math.max(0, this.row - Number(parameter || 1));
      else if (command === 'K') this.#line((line) => line.slice(0, this.column));
      else if (command === 'J') {
        this.lines.length = this.row + 1;
        this.#line((line) => line.slice(0, this.column));
      } else if (parameter === '?25') this.cursorIsShown = command === 'h';
    }
    return true;
  }

  #line(change: (line: string) => string): void {
    this.lines[this.row] = change(this.lines[this.row] ?? '');
  }

  #print(character: string): void {
    if (character === '\r') this.column = 0;
    else if (character === '\n') this.#feed();
    else {
      if (this.column === this.columns) this.#feed();
      this.#line(
        (line) => line.slice(0, this.column).padEnd(this.column) + character + line.slice(this.column + 1),
      );
      this.column++;
    }
  }

  #feed(): void {
    this.row++;
    this.column = 0;
    this.lines[this.row] ??= '';
  }

  /** Narrower: every line breaks into rows, as most terminals do. */
  narrow(columns: number): void {
    this.columns = columns;
    const broken = this.lines.map((line) => line.match(new RegExp(`.{1,${columns}}`, 'g')) ?? ['']);
    this.row = broken.slice(0, this.row).reduce((sum, rows) => sum + rows.length, 0);
    this.lines = broken.flat();
  }

  get shown(): string[] {
    return this.lines.map((line) => line.trimEnd()).filter((line) => line !== '');
  }
}

describe('the live picture', () => {
  test('draws over itself: shorter pictures leave nothing of longer ones', () => {
    const terminal = new FakeTerminal(40);
    const picture = new LivePicture(terminal);
    picture.draw(['first', 'second line', 'third']);
    picture.draw(['FIRST', 'x']);
    expect(terminal.shown).toEqual(['FIRST', 'x']);
    picture.draw(['a', 'b', 'c', 'd']);
    expect(terminal.shown).toEqual(['a', 'b', 'c', 'd']);
    picture.close();
  });

  test('printed lines stay above it', () => {
    const terminal = new FakeTerminal(40);
    const picture = new LivePicture(terminal);
    picture.print('before');
    picture.draw(['one', 'two']);
    picture.print('kept\nboth lines');
    picture.draw(['ONE', 'TWO']);
    picture.close();
    expect(terminal.shown).toEqual(['before', 'kept', 'both lines', 'ONE', 'TWO']);
  });

  test('finds its place again when the terminal becomes narrower', () => {
    const terminal = new FakeTerminal(40);
    const picture = new LivePicture(terminal);
    picture.print('above');
    picture.draw(['x'.repeat(35), 'y'.repeat(38)]);
    terminal.narrow(20);
    picture.draw(['short', 'lines']);
    expect(terminal.shown).toEqual(['above', 'short', 'lines']);
    picture.close();
  });

  test('hides the cursor while it is open and gives it back, once it draws no more', () => {
    const terminal = new FakeTerminal(40);
    const listeners = process.listenerCount('exit');
    const picture = new LivePicture(terminal);
    picture.draw(['one']);
    expect(terminal.cursorIsShown).toBe(false);
    picture.close();
    picture.close();
    expect(terminal.cursorIsShown).toBe(true);
    picture.draw(['ghost']);
    expect(terminal.shown).toEqual(['one']);
    expect(process.listenerCount('exit')).toBe(listeners);
  });
});

describe('progress', () => {
  test('redraws at most eight times a second, however many events come', () => {
    vi.useFakeTimers();
    const terminal = new FakeTerminal(80);
    const progress = openProgress({
      title: 'plinth run x',
      stream: terminal,
      environment: { TERM: 'xterm' },
    });
    for (let i = 1; i <= 10_000; i++) {
      progress.onEvent({
        type: 'progress',
        stage: 'x',
        done: i,
        total: 10_000,
        unit: 'rows',
        ratePerSecond: 1,
        secondsLeft: 1,
      });
    }
    expect(terminal.numWrites).toBe(0);
    vi.advanceTimersByTime(1000);
    expect(terminal.numWrites).toBeLessThanOrEqual(8);
    expect(terminal.numWrites).toBeGreaterThanOrEqual(7);
    progress.close();
    expect(terminal.cursorIsShown).toBe(true);
  });

  test.each([
    ['a pipe', { isTTY: false }, {}],
    ['a dumb terminal', { isTTY: true }, { TERM: 'dumb' }],
  ])('%s gets lines without escape sequences', (_, { isTTY }, environment) => {
    let text = '';
    const stream = { isTTY, write: (piece: string) => (text += piece) };
    const progress = openProgress({ title: 'x', stream, environment });
    progress.onEvent({ type: 'stage', stage: 'data', state: 'start', index: 1, numStages: 2 });
    progress.onEvent({ type: 'note', level: 'warning', message: 'odd \u001b[31mrow' });
    progress.close();
    expect(text).toMatch(/data \(1 of 2\)\n.*Warning: odd row\n$/);
    expect(text.replaceAll('\n', '')).not.toMatch(/\p{Cc}/u);
  });

  test('NO_COLOR keeps the picture and drops the colours', () => {
    vi.useFakeTimers();
    let text = '';
    const stream = { isTTY: true, columns: 60, rows: 20, write: (piece: string) => (text += piece) };
    const progress = openProgress({ title: 'x', stream, environment: { TERM: 'xterm', NO_COLOR: '1' } });
    progress.onEvent({ type: 'stage', stage: 'data', state: 'start', index: 1, numStages: 2 });
    vi.advanceTimersByTime(300);
    progress.close();
    expect(text).toContain('● data');
    // biome-ignore lint/suspicious/noControlCharactersInRegex: colours are escape sequences.
    expect(text).not.toMatch(/\u001b\[[\d;]*m/);
  });
});
