/** What differs between the request that a folder belongs to and the one that is made, for the error that refuses it. */

/** `minutes: 5, now 9; seed: 1, now 2`. */
export function requestDifferences(stored: object, wanted: object): string {
  const [before, after] = [stored, wanted] as Record<string, unknown>[];
  return [...new Set([...Object.keys(stored), ...Object.keys(wanted)])]
    .filter((key) => JSON.stringify(before![key]) !== JSON.stringify(after![key]))
    .map((key) => `${key}: ${JSON.stringify(before![key])}, now ${JSON.stringify(after![key])}`)
    .join('; ');
}
