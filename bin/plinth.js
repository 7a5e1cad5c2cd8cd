#!/usr/bin/env node
/**
 * Starts the command line: from `src/` in a checkout (TypeScript is read by tsx, nothing has to be built), else
 * from the build that package.json's exports name. Knows nothing of commands.
 */
import { existsSync, readFileSync } from 'node:fs';

const source = new URL('../src/cli/main.ts', import.meta.url);
const isCheckout = existsSync(source);
if (isCheckout) {
  const { register } = await import('tsx/esm/api');
  // The settings of whatever folder the user stands in say nothing about how to read our files.
  register({ tsconfig: false });
}
process.stdout.on('error', (error) => {
  // The reader of a pipe may leave early: `plinth ... | head`.
  if (error.code === 'EPIPE') process.exit(0);
  throw error;
});
const { main } = await import((isCheckout ? source : builtMain()).href);
process.exitCode = await main(process.argv.slice(2), { isCheckout });

function builtMain() {
  const root = new URL('../', import.meta.url);
  const { exports } = JSON.parse(readFileSync(new URL('package.json', root), 'utf8'));
  return new URL('cli/main.js', new URL(exports['.'].default, root));
}
