/**
 * How a command ends: the exit code and what is printed for an error. Errors that Plinth throws on purpose say
 * what to do next and are printed as they are; anything else is a bug and is printed with its stack.
 * With `--json` an error is one line on stdout, `{"error":{"code","message"}}`, where the result would be.
 */
import { messageOf, PlinthError } from '../core/errors.ts';

export const EXIT_OK = 0;
export const EXIT_ERROR = 1;
export const EXIT_USAGE = 2;
/** 128 + SIGINT, as shells report it. */
export const EXIT_STOPPED = 130;

export interface Ending {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

export function endingOf(error: unknown, asJson: boolean): Ending {
  const isOurs = error instanceof PlinthError;
  const exitCode = !isOurs
    ? EXIT_ERROR
    : error.code === 'usage'
      ? EXIT_USAGE
      : error.code === 'cancelled'
        ? EXIT_STOPPED
        : EXIT_ERROR;
  if (asJson) {
    const value = { error: { code: isOurs ? error.code : 'bug', message: messageOf(error) } };
    return { exitCode, stdout: `${JSON.stringify(value)}\n`, stderr: isOurs ? '' : bugText(error) };
  }
  return { exitCode, stdout: '', stderr: isOurs ? `${error.message}\n` : bugText(error) };
}

function bugText(error: unknown): string {
  const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return `${stack}\n\nThis is a bug in Plinth. Please report it with the lines above and the command you ran.\n`;
}
