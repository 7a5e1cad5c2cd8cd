/** What the command line knows of its own installation: where its recipes and its import hook lie. */
import { fileURLToPath } from 'node:url';
import { packageRoot } from '../core/package-root.node.ts';

export interface Installation {
  /** Run from a checkout's `src/` and not from a build. */
  readonly isCheckout: boolean;
}

const ROOT = packageRoot();

/** Folder of the recipes that ship with Plinth. */
export function ownRecipesFolder({ isCheckout }: Installation): string {
  return fileURLToPath(new URL(isCheckout ? 'recipes/' : 'dist/recipes/', ROOT));
}

/** The resolve hook that recipe files are loaded with. */
export const importsHookUrl = new URL('bin/plinth-imports.js', ROOT);
