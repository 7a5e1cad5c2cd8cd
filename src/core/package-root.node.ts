/** Plinth's own package: where it lies (in a checkout or installed) and its version. */
import { existsSync, readFileSync } from 'node:fs';
import { PlinthError } from './errors.ts';

/** The folder with our package.json, however deep the build lies. */
export function packageRoot(): URL {
  let folder = new URL('./', import.meta.url);
  while (!existsSync(new URL('package.json', folder))) {
    const above = new URL('../', folder);
    if (above.href === folder.href) {
      throw new PlinthError(
        'runtime',
        `No package.json above ${import.meta.url}; reinstall the package plinth.`,
      );
    }
    folder = above;
  }
  return folder;
}

export function packageVersion(): string {
  return (JSON.parse(readFileSync(new URL('package.json', packageRoot()), 'utf8')) as { version: string })
    .version;
}
