/** `--law`: a published law by its name, or the file of one that "plinth scale fit" or "plinth scale sweep" wrote. */
import { readFile } from 'node:fs/promises';
import { PlinthError } from '../core/errors.ts';
import type { UncertainLaw } from '../scaling/laws/index.ts';
import type { DataLaw } from '../scaling/plan/index.ts';

/** Throws ConfigError for an unknown name, PlinthError `disk` for a file that cannot be read, FormatError for one that is no law's. */
export async function lawOf(name: string): Promise<UncertainLaw> {
  const { namedLaw, readLawFile } = await import('../scaling/laws/index.ts');
  if (!/[./\\]/.test(name)) return namedLaw(name);
  let content: string;
  try {
    content = await readFile(name, 'utf8');
  } catch (error) {
    throw new PlinthError(
      'disk',
      `Could not read the law file ${name}. Write one with: plinth scale fit points.csv --out law.json`,
      { cause: error },
    );
  }
  return readLawFile(content, name);
}

/** The law as a plan takes it: tokens are counted as in a single pass. */
export async function dataLawOf(name: string): Promise<DataLaw> {
  const fit = await lawOf(name);
  return { law: fit.law, fit, countsRepeats: false };
}
