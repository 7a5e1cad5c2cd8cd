/**
 * Renders Jinja chat templates that come with models from elsewhere, with bounds, because a template is code
 * from a stranger: its size, the work it does, and the size of every value it makes are limited, and
 * deterministically so. It can reach only the values it is given.
 */
import { Environment, Interpreter, parse, tokenize } from '@huggingface/jinja';
import { FormatError, LimitError, messageOf } from '../core/errors.ts';

export const JINJA_LIMITS = {
  /** Characters of a template. */
  templateLength: 1 << 18,
  /** Expressions and statements evaluated plus two for each loop iteration, in one rendering. */
  numSteps: 500_000,
  /** Characters of any string that a rendering makes, its result included. */
  stringLength: 1 << 24,
  /** Elements of any list that a rendering makes. */
  numElements: 1 << 16,
} as const;

/** The parts of the library's tree and values that are looked at here; its own declarations do not resolve. */
interface JinjaNode {
  type: string;
  iterable?: JinjaNode;
  lhs?: JinjaNode;
}
interface JinjaValue {
  value: unknown;
}
interface JinjaEnvironment {
  set(name: string, value: unknown): unknown;
}
interface JinjaInterpreter {
  run(program: unknown): JinjaValue;
  evaluate(node: JinjaNode | undefined, environment: JinjaEnvironment): JinjaValue;
}
const BaseInterpreter = Interpreter as unknown as new (environment: JinjaEnvironment) => JinjaInterpreter;

export class JinjaTemplate {
  readonly #program: unknown;
  readonly #now: Date;

  /** `now` is what `strftime_now` gives. Throws FormatError when the source is not a Jinja template. */
  constructor(source: string, now: Date = new Date()) {
    if (source.length > JINJA_LIMITS.templateLength) {
      throw new LimitError(
        `chat_template is ${source.length} characters long; at most ${JINJA_LIMITS.templateLength} are read.`,
      );
    }
    this.#now = now;
    try {
      this.#program = parse(tokenize(source, { lstrip_blocks: true, trim_blocks: true }));
    } catch (error) {
      throw new FormatError(`chat_template is not a Jinja template: ${messageOf(error)}`, { cause: error });
    }
  }

  /** Throws LimitError at a bound of JINJA_LIMITS, FormatError for errors of the template itself. */
  render(variables: Readonly<Record<string, unknown>>): string {
    const environment = new Environment() as JinjaEnvironment;
    const globals: Record<string, unknown> = {
      true: true,
      True: true,
      false: false,
      False: false,
      none: null,
      None: null,
      range: boundedRange,
      strftime_now: (format: string) => formatDate(this.#now, format),
      raise_exception: (message: unknown) => {
        throw new Error(String(message));
      },
      ...variables,
    };
    for (const [name, value] of Object.entries(globals)) environment.set(name, value);
    try {
      return String(new BoundedInterpreter(environment).run(this.#program).value);
    } catch (error) {
      if (error instanceof LimitError) throw error;
      // A string beyond the engine's maximum, or recursion beyond its stack.
      if (error instanceof RangeError) {
        throw new LimitError(
          `The chat template needs more memory or stack than there is (${error.message}).`,
        );
      }
      throw new FormatError(`The chat template failed: ${messageOf(error)}`, { cause: error });
    }
  }
}

/** Counts what a rendering does. Every node of the template passes through `evaluate`. */
class BoundedInterpreter extends BaseInterpreter {
  #steps = 0;
  readonly #iterables = new WeakSet<object>();

  override evaluate(statement: JinjaNode | undefined, environment: JinjaEnvironment): JinjaValue {
    this.#charge(1);
    if (statement?.type === 'For') {
      const iterable = statement.iterable!;
      this.#iterables.add(iterable.type === 'SelectExpression' ? iterable.lhs! : iterable);
    }
    const result = super.evaluate(statement, environment);
    const value: unknown = result.value;
    if (typeof value === 'string') {
      if (value.length > JINJA_LIMITS.stringLength) throw tooLarge('string', value.length, 'stringLength');
      this.#charge(value.length >> 8);
    } else if (Array.isArray(value)) {
      if (value.length > JINJA_LIMITS.numElements) throw tooLarge('list', value.length, 'numElements');
      const isLoop = statement !== undefined && this.#iterables.has(statement);
      this.#charge(isLoop ? 2 * value.length : statement?.type === 'Identifier' ? 0 : value.length >> 3);
    } else if (value instanceof Map && statement !== undefined && this.#iterables.has(statement)) {
      this.#charge(2 * value.size);
    }
    return result;
  }

  #charge(steps: number): void {
    this.#steps += steps;
    if (this.#steps > JINJA_LIMITS.numSteps) {
      throw new LimitError(
        `The chat template did more than ${JINJA_LIMITS.numSteps} steps on these messages. Use fewer messages or ` +
          'a template without nested loops over them.',
      );
    }
  }
}

function tooLarge(what: string, size: number, limit: keyof typeof JINJA_LIMITS): LimitError {
  return new LimitError(
    `The chat template made a ${what} of ${size} elements; at most ${JINJA_LIMITS[limit]} are allowed. ` +
      'Shorten the messages, or use another template.',
  );
}

function boundedRange(first: number, second?: number, step = 1): number[] {
  const start = second === undefined ? 0 : first;
  const stop = second === undefined ? first : second;
  const count = Math.max(0, Math.ceil((stop - start) / step));
  if (!(count <= JINJA_LIMITS.numElements)) throw tooLarge('range', count, 'numElements');
  return Array.from({ length: count }, (_, i) => start + i * step);
}

function formatDate(date: Date, format: string): string {
  const part = (options: Intl.DateTimeFormatOptions) => date.toLocaleDateString('en-US', options);
  const two = (value: number) => String(value).padStart(2, '0');
  const parts: Record<string, () => string> = {
    Y: () => String(date.getFullYear()),
    y: () => two(date.getFullYear() % 100),
    m: () => two(date.getMonth() + 1),
    d: () => two(date.getDate()),
    H: () => two(date.getHours()),
    I: () => two(date.getHours() % 12 || 12),
    M: () => two(date.getMinutes()),
    S: () => two(date.getSeconds()),
    p: () => (date.getHours() < 12 ? 'AM' : 'PM'),
    b: () => part({ month: 'short' }),
    B: () => part({ month: 'long' }),
    a: () => part({ weekday: 'short' }),
    A: () => part({ weekday: 'long' }),
    '%': () => '%',
  };
  return format.replace(/%([a-zA-Z%])/g, (whole, letter: string) => parts[letter]?.() ?? whole);
}
