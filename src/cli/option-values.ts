/** Turns the text of options into checked values. A bad value is a usage error that names what is expected. */
import { InvalidArgumentError } from 'commander';

/** 1000000, 1e6, 1.5M, 20k, 3G, 7B (as in the names of models). */
export function quantity(text: string): number {
  const match = /^(\d+(?:\.\d+)?(?:e[+-]?\d+)?)\s*([kMGBTP])?$/i.exec(text.trim());
  const scales: Record<string, number> = { k: 1e3, m: 1e6, g: 1e9, b: 1e9, t: 1e12, p: 1e15 };
  const value = match ? Number(match[1]) * (match[2] ? scales[match[2].toLowerCase()]! : 1) : Number.NaN;
  if (!(value > 0 && Number.isFinite(value))) {
    throw new InvalidArgumentError('Expected a number above 0, such as 5, 0.5, 1e15 or 1.5M.');
  }
  return value;
}

export function positiveInteger(text: string): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < 1 || !Number.isSafeInteger(value)) {
    throw new InvalidArgumentError('Expected a whole number of at least 1.');
  }
  return value;
}

export function wholeNumber(text: string): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(value)) {
    throw new InvalidArgumentError('Expected a whole number of at least 0.');
  }
  return value;
}

export function notNegative(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !(value >= 0 && Number.isFinite(value))) {
    throw new InvalidArgumentError('Expected a number of at least 0.');
  }
  return value;
}

/** A share above 0 and up to 1. */
export function share(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !(value > 0 && value <= 1)) {
    throw new InvalidArgumentError('Expected a number above 0 and up to 1.');
  }
  return value;
}

/** Comma-separated names. */
export function nameList(text: string): string[] {
  const names = text
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '');
  if (names.length === 0) throw new InvalidArgumentError('Expected names separated by commas.');
  return names;
}

/** Token ids separated by commas or spaces. */
export function tokenIds(text: string): number[] {
  const words = text.split(/[\s,]+/).filter((word) => word !== '');
  if (words.length === 0) throw new InvalidArgumentError('Expected token ids separated by commas: 1,5,9.');
  return words.map(wholeNumber);
}

/** For options that may be given several times. */
export function collect(value: string, before: string[] | undefined): string[] {
  return [...(before ?? []), value];
}
