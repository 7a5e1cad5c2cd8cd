/**
 * The one family of errors that Plinth throws on purpose. Every error has a stable `code` for programs
 * and a text for people that says what happened, what was got, what was expected and what to do next.
 * A plain `Error` escaping from the library is a bug.
 */

export type ErrorCode =
  | 'shape'
  | 'dtype'
  | 'gradient'
  | 'graph'
  | 'runtime'
  | 'device-unavailable'
  | 'format'
  | 'config'
  | 'data'
  | 'tokenizer'
  | 'limit'
  | 'not-finite'
  | 'disk'
  | 'usage'
  | 'cancelled';

export class PlinthError extends Error {
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = new.target.name;
    this.code = code;
  }
}

/** Shapes that do not fit an operator. The text names the operator, the shapes and the caller's line. */
export class ShapeError extends PlinthError {
  constructor(message: string) {
    super('shape', message);
  }
}

/** A file or stream that does not follow its format (safetensors, tokenizer.json, CSV ...). */
export class FormatError extends PlinthError {
  constructor(message: string, options?: { cause?: unknown }) {
    super('format', message, options);
  }
}

/** A setting (flag, config key, recipe field) that is unknown, missing or out of range. */
export class ConfigError extends PlinthError {
  constructor(message: string, options?: { cause?: unknown }) {
    super('config', message, options);
  }
}

/** Input data that cannot be used as asked. */
export class DataError extends PlinthError {
  constructor(message: string, options?: { cause?: unknown }) {
    super('data', message, options);
  }
}

/** A documented bound was reached. The text gives the bound and how to raise it. */
export class LimitError extends PlinthError {
  constructor(message: string) {
    super('limit', message);
  }
}

/** A loss or gradient that is not a finite number. Training stops and the last good checkpoint stays. */
export class NotFiniteError extends PlinthError {
  readonly step: number;

  constructor(step: number, message: string) {
    super('not-finite', message);
    this.step = step;
  }
}

/** Work stopped because its AbortSignal fired; everything saved so far stays valid. */
export class CancelledError extends PlinthError {
  constructor(message = 'Stopped on request.') {
    super('cancelled', message);
  }
}

/** The message of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
