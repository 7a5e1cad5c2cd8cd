/** The known name that a mistyped one most likely means, for the text of an error. */

/** `, did you mean "top-k"?`-like words, or nothing when no name is near. */
export function nearestName(typed: unknown, names: readonly string[]): string {
  if (typeof typed !== 'string' || typed === '') return '';
  const plain = simplify(typed);
  let nearest = '';
  let least = Math.max(2, Math.ceil(plain.length / 3)) + 1;
  for (const name of names) {
    const distance = editDistance(plain, simplify(name));
    if (distance < least) {
      least = distance;
      nearest = name;
    }
  }
  return nearest === '' ? '' : ` (did you mean "${nearest}"?)`;
}

function simplify(name: string): string {
  return name.toLowerCase().replace(/[^a-z0-9]/g, '');
}

/** Levenshtein distance. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replace = row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(replace, row[j]! + 1, next[j - 1]! + 1));
    }
    row = next;
  }
  return row[b.length]!;
}
