/** What a person may have meant by a name that does not exist. */

const MAX_COMPARED_CHARACTERS = 100;

/** The known name that a mistyped one most likely meant; undefined when more than a third of the letters differ. */
export function nearestName(name: string, known: readonly string[]): string | undefined {
  const [best] = ranked(name, known);
  return best && best.edits <= Math.max(1, Math.floor(best.one.length / 3)) ? best.one : undefined;
}

/** ` (did you mean "top-k"?)` for the text of an error, or nothing when no name is near or none was typed. */
export function didYouMean(typed: unknown, known: readonly string[]): string {
  const nearest = typeof typed === 'string' && typed !== '' ? nearestName(typed, known) : undefined;
  return nearest === undefined ? '' : ` (did you mean "${nearest}"?)`;
}

/** All known names for a message, those that resemble `name` first, with the most likely one named. */
export function nearestNames(name: string, known: readonly string[]): string {
  if (known.length === 0) return 'none';
  const likely = nearestName(name, known);
  const list = ranked(name, known).map(({ one }) => one);
  return `${list.join(', ')}${likely === undefined ? '' : ` (did you mean ${likely}?)`}`;
}

function ranked(name: string, known: readonly string[]): { one: string; edits: number }[] {
  const given = name.slice(0, MAX_COMPARED_CHARACTERS).toLowerCase();
  return known
    .map((one) => ({ one, edits: distance(given, one.toLowerCase()) }))
    .sort((a, b) => a.edits - b.edits);
}

/** Optimal string alignment distance: edits and swaps of neighbours. */
function distance(a: string, b: string): number {
  const rows: number[][] = [Array.from({ length: b.length + 1 }, (_, j) => j)];
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const replace = rows[i - 1]![j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      let best = Math.min(replace, rows[i - 1]![j]! + 1, row[j - 1]! + 1);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        best = Math.min(best, rows[i - 2]![j - 2]! + 1);
      }
      row.push(best);
    }
    rows.push(row);
  }
  return rows[a.length]![b.length]!;
}
