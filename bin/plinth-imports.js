/**
 * A Node resolve hook: in a recipe file, `plinth` and `plinth/recipe` mean the Plinth that runs the recipe, also
 * when the folder has no node_modules, and in a checkout the sources instead of a build. So a recipe's
 * classes and errors are the same as the runner's.
 */
import { existsSync, readFileSync } from 'node:fs';

const root = new URL('../', import.meta.url);
let isCheckout = false;
let exported = {};

export function initialize(data) {
  isCheckout = data.isCheckout;
  exported = JSON.parse(readFileSync(new URL('package.json', root), 'utf8')).exports ?? {};
}

export function resolve(specifier, context, nextResolve) {
  const match = /^plinth(\/.*)?$/.exec(specifier);
  const file = match && fileOf(`.${match[1] ?? ''}`);
  return nextResolve(file ?? specifier, context);
}

/** URL of the file behind an entry of package.json's `exports`, or undefined when there is none. */
function fileOf(entry) {
  const built = targetOf(exported[entry]);
  if (!isCheckout) return built && new URL(built, root).href;
  const name = entry === '.' ? '' : `${entry.slice(2)}/`;
  const candidates = [`src/${name}index.node.ts`, `src/${name}index.ts`];
  if (built) candidates.unshift(built.replace(/^\.\/dist\//, 'src/').replace(/\.js$/, '.ts'));
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
