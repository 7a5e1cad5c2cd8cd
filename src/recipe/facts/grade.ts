/** Grading by equality: strict on purpose, so that a share of right answers needs no judge. */

/** Equal after trimming white space and removing one final full stop. */
export function gradeExact(answer: string, expected: string): boolean {
  return withoutFinalStop(answer) === withoutFinalStop(expected);
}

function withoutFinalStop(text: string): string {
  return text.normalize('NFC').trim().replace(/\.$/, '').trimEnd();
}
