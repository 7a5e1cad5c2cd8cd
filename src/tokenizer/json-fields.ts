/** Reading parsed JSON of unknown origin field by field; every error names the field and what is supported. */
import { FormatError, messageOf } from '../core/errors.ts';

export type JsonObject = Record<string, unknown>;

export function parseJsonObject(json: string | JsonObject, file: string): JsonObject {
  let value: unknown = json;
  if (typeof json === 'string') {
    try {
      value = JSON.parse(json);
    } catch (error) {
      throw new FormatError(`${file} is not JSON: ${messageOf(error)}`, { cause: error });
    }
  }
  return objectAt(value, file);
}

export function objectAt(value: unknown, field: string): JsonObject {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw unsupported(field, value, 'an object');
  return value as JsonObject;
}

export function arrayAt(value: unknown, field: string): unknown[] {
  if (!Array.isArray(value)) throw unsupported(field, value, 'a list');
  return value;
}

export function stringAt(value: unknown, field: string): string {
  if (typeof value !== 'string') throw unsupported(field, value, 'a string');
  return value;
}

/** An integer from 0 to `limit - 1`. */
export function idAt(value: unknown, field: string, limit: number): number {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 0 || value >= limit) {
    throw unsupported(field, value, `an integer from 0 to ${limit - 1}`);
  }
  return value;
}

/** The `type` of a component, which must be one of `supported`. */
export function typeAt<T extends string>(component: JsonObject, field: string, supported: readonly T[]): T {
  const type = component.type as T;
  if (!supported.includes(type)) throw unsupported(`${field}.type`, component.type, supported.join(', '));
  return type;
}

export function unsupported(field: string, value: unknown, supported: string): FormatError {
  const got = JSON.stringify(value) ?? 'missing';
  const shown = got.length > 120 ? `${got.slice(0, 120)}...` : got;
  return new FormatError(`${field} is ${shown}; supported: ${supported}.`);
}
