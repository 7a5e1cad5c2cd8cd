/** Prints how long the source files are, and fails when one is over the limit. `npm run sizes` */
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';

const MAX_LINES = 600;
const P90_LINES = 350;
const root = new URL('..', import.meta.url).pathname;
const folders = ['src', 'recipes', 'test', 'bench', 'scripts'];

function* files(folder: string): Generator<string> {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) yield* files(path);
    else if (/\.(ts|tsx|js)$/.test(entry.name)) yield path;
  }
}

let failed = false;
for (const folder of folders) {
  const lines = [...files(join(root, folder))]
    .map((path) => ({ path: relative(root, path), lines: readFileSync(path, 'utf8').split('\n').length - 1 }))
    .sort((a, b) => a.lines - b.lines);
  if (lines.length === 0) continue;
  const at = (share: number) => lines[Math.min(lines.length - 1, Math.floor(lines.length * share))]!.lines;
  const total = lines.reduce((sum, file) => sum + file.lines, 0);
  console.log(
    `${folder.padEnd(8)} ${String(lines.length).padStart(4)} files ${String(total).padStart(6)} lines, median ${at(0.5)}, p90 ${at(0.9)}, longest:`,
  );
  for (const file of lines.slice(-3).reverse())
    console.log(`  ${String(file.lines).padStart(5)} ${file.path}`);
  const long = lines.filter((file) => file.lines > MAX_LINES);
  for (const file of long) console.log(`  over ${MAX_LINES} lines: ${file.path}`);
  if (folder === 'src' && (long.length > 0 || at(0.9) > P90_LINES)) failed = true;
}
if (failed) {
  console.error(`src/: no file may have more than ${MAX_LINES} lines, and nine in ten at most ${P90_LINES}.`);
  process.exit(1);
}
