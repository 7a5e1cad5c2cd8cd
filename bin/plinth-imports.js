/**
 * Node hooks for recipe files. `plinth` and `plinth/recipe` mean the Plinth that runs the recipe, also when the
 * folder has no node_modules, and in a checkout the sources instead of a build; so a recipe's classes and
 * errors are the runner's. And a .ts file is an ES module whatever the package.json around it says.
 */
import { existsSync, readFileSync } from 'node:fs';

const root = new URL('../', import.meta.url);
let isCheckout = false;
let exported = {};

export function initialize(data) {
  isCheckout = data.isCheckout;
  exported = JSON.parse(readFileSync(new URL('package.json', root), 'utf8')).exports ?? {};
}

export async function resolve(specifier, context, nextResolve) {
  const match = /^plinth(\/.*)?$/.exec(specifier);
  const file = match && fileOf(`.${match[1] ?? ''}`);
  if (match && !file) {
    const entries = Object.keys(exported).map((entry) => `plinth${entry.slice(1)}`);
    throw new Error(`there is no ${specifier}; import one of ${entries.join(', ')}`);
  }
  const resolved = await nextResolve(file ?? specifier, context);
  return isUserSource(resolved.url) ? { ...resolved, format: 'module' } : resolved;
}

/** A .ts file of the user's own: neither ours nor an installed package's. */
function isUserSource(url) {
  return /^file:.*\.ts(\?|$)/.test(url) && !url.includes('/node_modules/') && !url.startsWith(root.href);
}

/** URL of the file behind an entry of package.json's `exports`, or undefined when there is none. */
function fileOf(entry) {
  const built = targetOf(exported[entry]);
  if (!isCheckout) return built && new URL(built, root).href;
  const name = entry === '.' ? '' : `${entry.slice(2)}/`;
  const candidates = [`src/${name}index.node.ts`, `src/${name}index.ts`];
  if (built) candidates.unshift(built.replace(/^\.\/dist\/(src\/)?/, 'src/').replace(/\.js$/, '.ts'));
  return candidates.map((path) => new URL(path, root)).find((url) => existsSync(url))?.href;
}

/** The file for Node among conditions that may be nested. */
function targetOf(value) {
  if (typeof value === 'string') return value;
  if (typeof value !== 'object' || value === null) return undefined;
  for (const condition of ['node', 'import', 'default']) {
    const target = targetOf(value[condition]);
    if (target) return target;
  }
  return undefined;
}
