/** How the names of a table look: their endings and the words that stand before and after others. */

export interface NameStyles {
  /** Endings of single words, in lower case: 'land', 'ia'. */
  endings: readonly string[];
  /** Words put before a made-up word: 'New', 'Republic of'. */
  before: readonly string[];
  /** Words put after one: 'Islands'. */
  after: readonly string[];
}

/** Endings of 2 to 4 letters and outer words that recur in the names, most frequent first. */
export function inferNameStyles(names: readonly string[]): NameStyles {
  const endings = new Map<string, number>();
  const before = new Map<string, number>();
  const after = new Map<string, number>();
  const add = (counts: Map<string, number>, key: string): void => {
    counts.set(key, (counts.get(key) ?? 0) + 1);
  };
  for (const name of names) {
    const words = name.split(/\s+/).filter((word) => word !== '');
    for (const word of words) {
      const letters = [...word.toLowerCase()];
      for (let length = 2; length <= 4 && length + 2 <= letters.length; length++) {
        const ending = letters.slice(-length).join('');
        if (/^\p{L}+$/u.test(ending)) add(endings, ending);
      }
    }
    if (words.length > 1) {
      add(before, words[0]!);
      add(after, words.at(-1)!);
    }
  }
  const frequent = (counts: Map<string, number>, limit: number): string[] =>
    [...counts]
      .filter(([, count]) => count >= 2)
      .sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1))
      .slice(0, limit)
      .map(([key]) => key);
  return { endings: frequent(endings, 40), before: frequent(before, 20), after: frequent(after, 20) };
}
