/**
 * `--config FILE.json`: the options of a command as a JSON object, each under the name of its flag in camel case.
 * A flag on the command line wins. Unknown keys are refused with the nearest known one.
 */
import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { ConfigError, messageOf, PlinthError } from '../core/errors.ts';
import { nearestName } from '../core/nearest-name.ts';

/** Throws ConfigError for a file that cannot be read or does not fit; names the key. */
export async function readConfig<Shape extends z.ZodRawShape>(
  path: string,
  shape: Shape,
): Promise<Partial<z.infer<z.ZodObject<Shape>>>> {
  let value: unknown;
  try {
    value = JSON.parse(await readFile(path, 'utf8'));
  } catch (error) {
    throw new ConfigError(`${path} could not be read as JSON: ${messageOf(error)}.`, { cause: error });
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new ConfigError(`${path} must hold one JSON object of options, such as {"steps": 1000}.`);
  }
  const known = Object.keys(shape);
  for (const key of Object.keys(value)) {
    if (known.includes(key)) continue;
    const near = nearestName(key, known);
    throw new ConfigError(
      `${path}: there is no option "${key}". ${near ? `Did you mean "${near}"?` : `Options: ${known.join(', ')}.`}`,
    );
  }
  const parsed = z.object(shape).partial().safeParse(value);
  if (parsed.success) return parsed.data as Partial<z.infer<z.ZodObject<Shape>>>;
  const faults = parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`);
  throw new ConfigError(`${path}: ${faults.join('; ')}.`);
}

/** The option's value, or a usage error that says how to give it. */
export function required<T>(value: T | undefined, flag: string, command: string): T {
  if (value !== undefined) return value;
  throw new PlinthError(
    'usage',
    `${flag} is missing: give it on the command line or in the file of --config. See "plinth ${command} --help".`,
  );
}
