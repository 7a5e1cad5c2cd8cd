/** The few styles the command line uses, and whether a stream takes them. Colours are the terminal's own. */

export interface Style {
  bold(text: string): string;
  dim(text: string): string;
  accent(text: string): string;
  good(text: string): string;
  warn(text: string): string;
}

const sgr = (open: number, close: number) => (text: string) =>
  text === '' ? '' : `\u001b[${open}m${text}\u001b[${close}m`;

export const colored: Style = {
  bold: sgr(1, 22),
  dim: sgr(2, 22),
  accent: sgr(36, 39),
  good: sgr(32, 39),
  warn: sgr(33, 39),
};

const same = (text: string) => text;
export const uncolored: Style = { bold: same, dim: same, accent: same, good: same, warn: same };

/** NO_COLOR (no-color.org) and dumb terminals get plain text. */
export function styleFor(
  stream: { isTTY?: boolean },
  environment: Record<string, string | undefined>,
): Style {
  const isPlain = !stream.isTTY || Boolean(environment.NO_COLOR) || environment.TERM === 'dumb';
  return isPlain ? uncolored : colored;
}
