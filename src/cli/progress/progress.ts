/**
 * Shows a job's events: a live picture on a terminal, log lines elsewhere, always on stderr so that stdout
 * holds results only. Redraws at most eight times a second, whatever the number of events.
 */
import type { EventSink, PlinthEvent } from '../../core/events.ts';
import { styleFor } from '../terminal/style.ts';
import { plainText } from '../terminal/text-width.ts';
import { LivePicture, type TerminalStream } from './live-picture.ts';
import { plainLogLine } from './plain-log.ts';
import { renderView } from './render-view.ts';
import { emptyView, reduceView } from './view-state.ts';

export interface Progress {
  readonly onEvent: EventSink;
  /** A line that stays. */
  note(text: string): void;
  /** Leaves the last picture standing and gives the terminal back. Safe to call twice. */
  close(): void;
}

const REDRAW_EVERY_MS = 125;

export interface ProgressOptions {
  title: string;
  stream?: TerminalStream;
  environment?: Record<string, string | undefined>;
}

export function openProgress(options: ProgressOptions): Progress {
  const stream = options.stream ?? process.stderr;
  const environment = options.environment ?? process.env;
  const isLive = stream.isTTY === true && environment.TERM !== 'dumb';
  return isLive ? liveProgress(options.title, stream, environment) : plainProgress(stream);
}

function plainProgress(stream: TerminalStream): Progress {
  let view = emptyView(Date.now());
  let lastLineMs = Date.now();
  return {
    onEvent: (event) => {
      const nowMs = Date.now();
      view = reduceView(view, event, nowMs);
      const line = plainLogLine(event, view, nowMs, lastLineMs);
      if (line === undefined) return;
      lastLineMs = nowMs;
      stream.write(`${line}\n`);
    },
    note: (text) => {
      stream.write(`${text}\n`);
    },
    close: () => {},
  };
}

function liveProgress(
  title: string,
  stream: TerminalStream,
  environment: Record<string, string | undefined>,
): Progress {
  const style = styleFor(stream, environment);
  const picture = new LivePicture(stream);
  let view = emptyView(Date.now());
  const draw = () => {
    const screen = { columns: stream.columns || 80, rows: stream.rows || 24, style };
    picture.draw(renderView(title, view, Date.now(), screen));
  };
  const timer = setInterval(draw, REDRAW_EVERY_MS);
  timer.unref();
  const onEvent = (event: PlinthEvent) => {
    view = reduceView(view, event, Date.now());
    if (event.type !== 'note') return;
    const text = plainText(event.message);
    picture.print(event.level === 'warning' ? style.warn(`Warning: ${text}`) : text);
  };
  return {
    onEvent,
    note: (text) => picture.print(text),
    close: () => {
      clearInterval(timer);
      if (picture.isOpen) draw();
      picture.close();
    },
  };
}
