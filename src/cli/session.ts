/** Long work of a command: progress on stderr, and a clean stop on Ctrl-C. */
import type { EventSink } from '../core/events.ts';
import { listenForInterrupt } from './interrupt.ts';
import { openProgress } from './progress/progress.ts';

export interface Session {
  readonly onEvent: EventSink;
  readonly signal: AbortSignal;
}

/** Runs `work`; `stopping` is told at the first Ctrl-C ("Stopping after this step."). */
export async function withSession<T>(
  title: string,
  stopping: string,
  work: (session: Session) => Promise<T>,
): Promise<T> {
  const progress = openProgress({ title });
  using interrupt = listenForInterrupt(() => progress.note(`${stopping} Ctrl-C again ends at once.`));
  try {
    return await work({ onEvent: progress.onEvent, signal: interrupt.signal });
  } finally {
    progress.close();
  }
}

export const AFTER_THIS_STEP = 'Stopping after this step.';
