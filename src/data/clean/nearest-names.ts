/** What a person may have meant by a name that does not exist. */

/** All names for a message, those that resemble `name` first. */
export function nearestNames(name: string, names: readonly string[]): string {
  const distance = new Map(
    names.map((known) => [known, editDistance(name.slice(0, 100).toLowerCase(), known.toLowerCase())]),
  );
  const sorted = [...names].sort((a, b) => distance.get(a)! - distance.get(b)!);
  const best = sorted[0];
  if (best === undefined) return 'none';
  const isNear = distance.get(best)! <= Math.max(2, Math.floor(best.length / 3));
  return `${sorted.join(', ')}${isNear ? ` (did you mean ${best}?)` : ''}`;
}

/** Levenshtein distance. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, row[j]! + 1, next[j - 1]! + 1));
    }
    row = next;
  }
  return row[b.length]!;
}
