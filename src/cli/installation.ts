/** What the command line knows of its own installation: the version and where its recipes lie. */
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

export interface Installation {
  /** Run from a checkout's `src/` and not from a build. */
  readonly isCheckout: boolean;
}

const ROOT = packageRoot();

/** The folder with our package.json, however deep the build lies. */
function packageRoot(): URL {
  let folder = new URL('./', import.meta.url);
  while (!existsSync(new URL('package.json', folder))) {
    const above = new URL('../', folder);
    if (above.href === folder.href) throw new Error(`No package.json above ${import.meta.url}.`);
    folder = above;
  }
  return folder;
}

export function plinthVersion(): string {
  return (JSON.parse(readFileSync(new URL('package.json', ROOT), 'utf8')) as { version: string }).version;
}

/** Folder of the recipes that ship with Plinth. */
export function ownRecipesFolder({ isCheckout }: Installation): string {
  return fileURLToPath(new URL(isCheckout ? 'recipes/' : 'dist/recipes/', ROOT));
}

/** The resolve hook that recipe files are loaded with. */
export const importsHookUrl = new URL('bin/plinth-imports.js', ROOT);
