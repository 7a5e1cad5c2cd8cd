/**
 * Ctrl-C during long work: the first asks the work to stop cleanly, the second ends the process at once.
 * SIGTERM asks for the same clean stop, so that a supervisor loses nothing.
 */
import { CancelledError } from '../core/errors.ts';
import { EXIT_STOPPED } from './exit-codes.ts';

export interface Interrupt extends Disposable {
  readonly signal: AbortSignal;
}

/** @param onFirst called once, to tell the user that stopping takes a moment. */
export function listenForInterrupt(onFirst: () => void): Interrupt {
  const controller = new AbortController();
  const stop = () => {
    if (controller.signal.aborted) process.exit(EXIT_STOPPED);
    controller.abort(new CancelledError());
    onFirst();
  };
  process.on('SIGINT', stop);
  process.on('SIGTERM', stop);
  return {
    signal: controller.signal,
    [Symbol.dispose]() {
      process.off('SIGINT', stop);
      process.off('SIGTERM', stop);
    },
  };
}
